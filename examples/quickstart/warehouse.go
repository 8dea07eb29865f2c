package main

import (
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// warehouse is the dependency: another service, with troubles of its own.
type warehouse struct {
	URL    string
	server *http.Server
}

// openWarehouse serves a warehouse on a free port of this machine. A share of
// its answers is 503, and one in a hundred takes 300 ms.
func openWarehouse(flaky float64) (*warehouse, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /reservations", func(w http.ResponseWriter, r *http.Request) {
		took := time.Duration(5+rand.IntN(10)) * time.Millisecond
		if rand.IntN(100) == 0 {
			took = 300 * time.Millisecond
		}
		select {
		case <-time.After(took):
		case <-r.Context().Done():
			return
		}
		if rand.Float64() < flaky {
			http.Error(w, "the forklift is stuck", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	ln, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return nil, err
	}
	w := &warehouse{"http://" + ln.Addr().String(), &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go w.server.Serve(ln)
	return w, nil
}

func (w *warehouse) Close() error { return w.server.Close() }

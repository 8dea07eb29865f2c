package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/shed"
)

// rolloutAlone tries policies on real traffic before they may refuse anybody:
// they decide and count, and let everything through until they are told to act.
func rolloutAlone() (http.Handler, error) {
	shedder, err := shed.New(shed.WithDryRun(true))
	if err != nil {
		return nil, err
	}
	circuit, err := breaker.New(breaker.WithMode(breaker.Shadow), breaker.WithOpenFor(10*time.Second))
	if err != nil {
		return nil, err
	}
	down := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "the database is down", http.StatusBadGateway)
	})

	mux := http.NewServeMux()
	mux.Handle("/", handrail.Chain(shedder.Wrap, circuit.Wrap)(down))
	// For whoever runs the service, so not where clients can reach it.
	mux.HandleFunc("GET /admin/spared", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "shed %d, circuit %d\n", shedder.Stats().Shed, circuit.Stats().Spared)
	})
	mux.HandleFunc("POST /admin/enforce", func(w http.ResponseWriter, r *http.Request) {
		if err := shedder.Update(shed.WithDryRun(false)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		circuit.Reset() // what it learnt while nobody heeded it
		circuit.Automatic()
		io.WriteString(w, "from now on\n")
	})
	return mux, nil
}

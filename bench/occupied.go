package main

import "net/http"

// occupied is what wrap makes of h while one request is in its handler and
// stays there.
func occupied(wrap func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		inside := make(chan struct{})
		wrapped := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "HOLD" {
				close(inside)
				select {}
			}
			h.ServeHTTP(w, r)
		}))
		refused := make(chan struct{})
		go func() {
			defer close(refused)
			w, r, _ := connect("").request()
			r.Method = "HOLD"
			wrapped.ServeHTTP(w, r)
		}()
		select {
		case <-inside:
		case <-refused:
			panic("bench: the request that should stay inside was refused")
		}
		return wrapped
	}
}

package main

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
)

// shedAlone refuses what cannot be served in time, the least important first.
// There is no limit to set: it is found from the traffic.
func shedAlone() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", respond("ordered\n", 100*time.Millisecond))
	mux.HandleFunc("GET /suggestions", respond("try the soup\n", 100*time.Millisecond))

	protect := shed.Middleware(
		// By what a request is, not by what it says it is.
		shed.WithPriority(func(r *http.Request) handrail.Priority {
			if r.Method == http.MethodPost {
				return handrail.High
			}
			return handrail.Low
		}),
	)
	return protect(mux)
}

package main

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/timeout"
)

// timeoutAlone answers at the deadline, also for a handler that does not heed
// its context.
func timeoutAlone() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /quick", respond("done\n", 0))
	mux.HandleFunc("GET /stuck", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * time.Second) // a lock, say, or a query without a context
		w.Write([]byte("nobody reads this\n"))
	})

	protect := timeout.Middleware(
		timeout.PerOperation(time.Second, map[string]time.Duration{
			"GET /stuck": 200 * time.Millisecond,
		}),
		timeout.WithOperation(handrail.ByMux(mux)), // it stands outside of the mux
	)
	return protect(mux)
}

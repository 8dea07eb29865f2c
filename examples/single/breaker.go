package main

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail/breaker"
)

// breakerAlone stops asking what fails: after five failures in a row for ten
// seconds, and says in Retry-After when it asks again.
func breakerAlone() http.Handler {
	down := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond) // so long until it is known to be down
		http.Error(w, "the database is down", http.StatusBadGateway)
	})

	protect := breaker.Middleware(
		breaker.WithConsecutiveFailures(5),
		breaker.WithOpenFor(10*time.Second),
	)
	return protect(down)
}

package main

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/handrail-go/handrail/retry"
)

// retryAlone runs a handler again that failed. The client gets one answer, and
// nothing of the attempts before it.
func retryAlone() http.Handler {
	var asked atomic.Int64
	flaky := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); n%3 == 0 {
			fmt.Fprintf(w, "answered when asked for the %d. time\n", n)
			return
		}
		http.Error(w, "not now", http.StatusServiceUnavailable)
	})

	// The budget that holds without this option lets a fifth of the requests be
	// repeated: enough for a service, and too little for two failures in three.
	protect := retry.Middleware(retry.WithoutBudget())
	return protect(flaky)
}

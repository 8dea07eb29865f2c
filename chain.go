package handrail

import (
	"fmt"
	"net/http"
)

// Chain makes one middleware of several. The first is the outermost: it sees
// the request first and the response last. Chain() of nothing returns the
// handler as it is. It panics where one of them is nil, because a policy that
// is silently absent is found out too late.
func Chain(middleware ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	for i, m := range middleware {
		if m == nil {
			panic(fmt.Sprintf("handrail: Chain: middleware %d is nil", i))
		}
	}
	chain := append([]func(http.Handler) http.Handler(nil), middleware...)
	return func(next http.Handler) http.Handler {
		for i := len(chain) - 1; i >= 0; i-- {
			next = chain[i](next)
		}
		return next
	}
}

package bench

import (
	"net/http"
	"testing"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/sony/gobreaker/v2"
	"github.com/zeromicro/go-zero/core/stat"
	zero "github.com/zeromicro/go-zero/rest/handler"

	"github.com/handrail-go/handrail/breaker"
)

func BenchmarkBreaker(b *testing.B) {
	compare(b,
		row{name: "handrail", wrap: breaker.Middleware()},
		row{name: "gobreaker", without: "statuses, panics with their stack, keys, probes that hang", wrap: func(h http.Handler) http.Handler {
			cb := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{})
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				cb.Execute(func() (struct{}, error) { h.ServeHTTP(w, r); return struct{}{}, nil })
			})
		}},
		row{name: "go-zero", without: "half-open state, keys", wrap: zero.BreakerHandler(http.MethodGet, "/orders", stat.NewMetrics("bench"))},
		row{name: "failsafe-go", without: "statuses, keys", wrap: func(h http.Handler) http.Handler {
			return failsafehttp.NewHandler(h, circuitbreaker.NewWithDefaults[*http.Response]())
		}},
	)
}

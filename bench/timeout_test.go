package bench

import (
	"net/http"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	failsafe "github.com/failsafe-go/failsafe-go/timeout"
	chi "github.com/go-chi/chi/v5/middleware"
	zero "github.com/zeromicro/go-zero/rest/handler"

	"github.com/handrail-go/handrail/timeout"
)

func BenchmarkTimeout(b *testing.B) {
	compare(b,
		row{name: "handrail", wrap: timeout.Middleware()},
		row{name: "net/http", without: "streams, aborts, statistics", wrap: func(h http.Handler) http.Handler {
			return http.TimeoutHandler(h, 30*time.Second, "")
		}},
		row{name: "go-zero", without: "aborts, race-free Flush", wrap: zero.TimeoutHandler(30 * time.Second)},
		row{name: "chi", without: "an answer where the handler ignores its context", wrap: chi.Timeout(30 * time.Second)},
		row{name: "failsafe-go", without: "an answer where the handler ignores its context", wrap: func(h http.Handler) http.Handler {
			return failsafehttp.NewHandler(h, failsafe.New[*http.Response](30*time.Second))
		}},
	)
}

package bench

import (
	"net/http"
	"testing"

	failsafe "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	chi "github.com/go-chi/chi/v5/middleware"
	zero "github.com/zeromicro/go-zero/rest/handler"

	"github.com/handrail-go/handrail/bulkhead"
)

func BenchmarkBulkhead(b *testing.B) {
	compare(b,
		row{name: "handrail", wrap: bulkhead.Middleware(bulkhead.Basic(100))},
		row{name: "go-zero", without: "queue, Retry-After, priorities", wrap: zero.MaxConnsHandler(100)},
		row{name: "chi", without: "priorities, statistics", wrap: chi.ThrottleBacklog(100, 100, 1e9)},
		row{name: "failsafe-go", without: "release on panic, priorities", wrap: func(h http.Handler) http.Handler {
			return failsafehttp.NewHandler(h, failsafe.New[*http.Response](100))
		}},
	)
}

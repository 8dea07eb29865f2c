package observe_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/observe"
)

func TestMetricsAreThePinnedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := lines(t, observe.WithLogName("access"), observe.WithErrorLimit(1, 1))
		bad := observe.SinkFunc(func(*observe.Exchange) { panic("sink") })
		o := observer(t, observe.WithName("edge"), observe.WithSink(log, bad), observe.WithMaxRoutes(1),
			observe.WithRoute(func(r *http.Request) string { return r.URL.Path }),
			observe.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))
		ask(o.Wrap(http.HandlerFunc(scene)), "/ok", "/ok", "/503", "/503", "/503", "/panic", "/shed", "/full", "/healthz")
		golden.Metrics(t, "testdata/metrics.golden", o)
		golden.Metrics(t, "testdata/logmetrics.golden", log)
		log.Close()
	})
}

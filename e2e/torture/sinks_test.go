package torture

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
	"github.com/handrail-go/handrail/observe/prom"
	"github.com/handrail-go/handrail/observe/trace"
)

// delivered is a log service that takes everything.
type delivered struct{}

func (delivered) Put(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
	return cloudwatch.Rejected{}, nil
}

// What each sink made of the cases is told by the package of that sink; here it
// has to be the same number of exchanges for all of them.
func TestAHandlerBehavesBehindAllSinksAsWithoutThem(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	defer provider.Shutdown(context.Background())
	tracing := must(trace.New(trace.WithTracerProvider(provider)))
	metrics := must(prom.New(prom.WithSizes()))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics)
	lines := must(observe.NewAccessLog(slog.NewJSONHandler(io.Discard, nil), observe.WithQuery(), observe.WithAsync(10_000),
		observe.WithErrorLimit(1e6, 1e6)))
	figures := must(cloudwatch.NewMetrics(io.Discard, cloudwatch.WithMode(cloudwatch.PerRequest)))
	logs := must(cloudwatch.NewHandler(delivered{}))
	shipped := must(observe.NewAccessLog(logs, observe.WithErrorLimit(1e6, 1e6)))
	observer := must(observe.New(observe.WithAttrs(8), observe.WithBodyCount(),
		observe.WithSink(tracing, metrics, lines, figures, shipped)))

	httptorture.Run(t, observer.Wrap)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, flush := range []func(context.Context) error{lines.Flush, shipped.Flush, logs.Close, figures.Close} {
		if err := flush(ctx); err != nil {
			t.Error(err)
		}
	}
	n := observer.Stats().Requests
	if n < 100 {
		t.Fatalf("only %d requests were observed", n)
	}
	if s := observer.Stats(); s.InFlight != 0 || s.LongLived != 0 || s.SinkPanics != 0 {
		t.Errorf("afterwards: %+v", s)
	}
	if began, ended := len(spans.Started()), len(spans.Ended()); uint64(began) != n || uint64(ended) != n {
		t.Errorf("%d spans began and %d ended, of %d requests", began, ended, n)
	}
	if s := lines.Stats(); s.Written != n {
		t.Errorf("the access log wrote %d lines of %d requests: %+v", s.Written, n, s)
	}
	if s := logs.Stats(); s.Delivered != n {
		t.Errorf("%d lines were delivered of %d requests: %+v", s.Delivered, n, s)
	}
	if s := figures.Stats(); s.Lines != n {
		t.Errorf("%d lines of figures were written of %d requests: %+v", s.Lines, n, s)
	}
	if counted := countOf(t, registry); counted != n {
		t.Errorf("%d durations and long-lived exchanges were counted of %d requests", counted, n)
	}
}

// countOf sums what a scrape says of requests that are over.
func countOf(t *testing.T, registry *prometheus.Registry) (n uint64) {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			switch f.GetName() {
			case "http_server_request_duration_seconds":
				n += m.GetHistogram().GetSampleCount()
			case "http_server_long_lived_requests_total":
				n += uint64(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

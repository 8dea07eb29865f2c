package observe_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe"
)

func TestWhatARequestAllocates(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	plain := accessLog(t, slog.NewJSONHandler(io.Discard, nil))
	traced := tracing{ids}
	for name, tt := range map[string]struct {
		most float64
		opts []observe.Option
	}{
		"statistics": {0, nil},
		"sinks":      {0, []observe.Option{observe.WithSink(discard, traced.unset(), discard), observe.WithName("edge")}},
		"log":        {2, []observe.Option{observe.WithSink(plain)}},
		"own log":    {0, []observe.Option{observe.WithSink(accessLog(t, observe.NewJSONHandler(io.Discard, nil).WithAttrs([]slog.Attr{slog.String("service", "shop")})))}},
		"traced log": {2, []observe.Option{observe.WithSink(traced, accessLog(t, observe.LogHandler(observe.NewJSONHandler(io.Discard, nil)), observe.WithSchema(observe.ECS)))}},
		"log, ids":   {3, []observe.Option{observe.WithSink(accessLog(t, observe.NewJSONHandler(io.Discard, nil))), observe.WithRequestIDs(), observe.WithAttrs(8)}},
		"text log":   {2, []observe.Option{observe.WithSink(accessLog(t, slog.NewTextHandler(io.Discard, nil)))}},
		"sampled":    {0, []observe.Option{observe.WithSink(accessLog(t, slog.NewJSONHandler(io.Discard, nil), observe.WithSampling(0)))}},
		"level":      {0, []observe.Option{observe.WithSink(accessLog(t, slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})))}},
		"contexts":   {3, []observe.Option{observe.WithSink(discard), observe.WithRequestIDs(), observe.WithAttrs(8)}},
	} {
		h := observe.Middleware(tt.opts...)(noop)
		w, r := &nullWriter{http.Header{}}, request()
		if got := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); got > tt.most {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// unset is a starter that does nothing.
func (tracing) unset() observe.Sink { return &script{} }

func TestARequestThatIsNotObservedAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	ctx := context.Background()
	none := observe.Middleware(observe.WithRequestIDs(), observe.WithFilter(func(*http.Request) bool { return false }))(noop)
	w, r := &nullWriter{http.Header{}}, request()
	if got := testing.AllocsPerRun(100, func() {
		none.ServeHTTP(w, r)
		if observe.RequestID(ctx) != "" {
			t.Error("there is an id")
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

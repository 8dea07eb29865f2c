package observe_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe"
)

// contextual is a sink that hands a context to the handler.
type contextual struct{ observe.Sink }

type contextKey struct{}

func (contextual) Start(x *observe.Exchange) {
	x.SetContext(context.WithValue(x.Context(), contextKey{}, "set"))
}

func TestWhatIsObservedBehavesAsWithoutTheObserver(t *testing.T) {
	if race.Enabled {
		t.Skip("the one with a context is enough to find races, and takes long enough")
	}
	httptorture.Run(t, observe.Middleware(observe.WithSink(discard)))
}

func TestWhatIsObservedBehavesAsWithoutTheObserverWhereItHandsOutAContext(t *testing.T) {
	httptorture.Run(t, observe.Middleware(
		observe.WithSink(contextual{discard}, accessLog(t, jsonTo(io.Discard), observe.WithHeaders("Accept"))),
		observe.WithFilter(func(*http.Request) bool { return true }), observe.WithRoute(func(r *http.Request) string { return r.Pattern }),
		observe.WithAttrs(4), observe.WithBodyCount(),
	))
}

func TestWhatIsObservedBehavesAsWithoutTheObserverButForItsRequestID(t *testing.T) {
	if race.Enabled {
		t.Skip("the one with a context is enough to find races, and takes long enough")
	}
	httptorture.Run(t, observe.Middleware(observe.WithSink(discard), observe.WithTrustedRequestID()),
		httptorture.AddsHeader(observe.DefaultRequestIDHeader),
		httptorture.Without("the id is a header of the 101 as well", "HTTP1/upgrade-by-status", "HTTP1/proxied-upgrade"))
}

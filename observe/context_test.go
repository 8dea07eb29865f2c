package observe_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/handrail-go/handrail/observe"
)

func TestRequestIDsAreMadeEchoedAndHandedOn(t *testing.T) {
	sink := newSeen()
	var inside string
	o := observer(t, observe.WithSink(sink), observe.WithRequestIDs())
	both(t, o.Wrap(handle(func(_ http.ResponseWriter, r *http.Request) { inside = observe.RequestID(r.Context()) })),
		func(t *testing.T, srv *httptest.Server) {
			ids := map[string]bool{}
			for range 3 {
				req, _ := http.NewRequest("GET", srv.URL, nil)
				req.Header.Set("X-Request-Id", "from-outside")
				resp, err := srv.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				id := sink.one(t).RequestID
				if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || ids[id] {
					t.Errorf("the id is %q", id)
				}
				ids[id] = true
				if inside != id || resp.Header.Get("X-Request-Id") != id {
					t.Errorf("the handler got %q, the client %q, the sink %q", inside, resp.Header["X-Request-Id"], id)
				}
			}
		})
	if id := observe.RequestID(context.Background()); id != "" {
		t.Errorf("outside of a request there is the id %q", id)
	}
}

func TestATrustedRequestIDIsTakenOnlyIfItIsValidAndAlone(t *testing.T) {
	sink := newSeen()
	h := observe.Middleware(observe.WithSink(sink), observe.WithTrustedRequestID(), observe.WithRequestIDHeader("x-correlation-id"))(noop)
	for _, tt := range []struct {
		given []string
		taken bool
	}{
		{[]string{"abc-DEF_0.9"}, true},
		{[]string{strings.Repeat("a", 128)}, true},
		{[]string{strings.Repeat("a", 129)}, false},
		{[]string{""}, false},
		{[]string{"a b"}, false},
		{[]string{"a\nb"}, false},
		{[]string{"ä"}, false},
		{[]string{`a"`}, false},
		{[]string{"one", "two"}, false},
		{nil, false},
	} {
		r := request()
		r.Header["X-Correlation-Id"] = tt.given
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		id := sink.one(t).RequestID
		if w.Header().Get("X-Correlation-Id") != id || !observe.ValidRequestID(id) {
			t.Errorf("%q: the id is %q, echoed as %q", tt.given, id, w.Header())
		}
		if taken := len(tt.given) == 1 && id == tt.given[0]; taken != tt.taken {
			t.Errorf("%q became %q", tt.given, id)
		}
	}
}

func TestAnObserverWithinKeepsTheIDAndOneWithoutIDsShowsIt(t *testing.T) {
	outer, inner := newSeen(), newSeen()
	var id string
	h := observe.Middleware(observe.WithSink(outer), observe.WithRequestIDs())(
		observe.Middleware(observe.WithAttrs(1))(
			observe.Middleware(observe.WithSink(inner), observe.WithRequestIDs())(
				observe.Middleware(observe.WithAttrs(1))(handle(func(_ http.ResponseWriter, r *http.Request) {
					id = observe.RequestID(r.Context())
				})))))
	h.ServeHTTP(httptest.NewRecorder(), request())
	if a, b := outer.one(t).RequestID, inner.one(t).RequestID; a != b || a != id || id == "" {
		t.Errorf("the ids are %q, %q and %q", a, b, id)
	}
}

func TestAttrsAreKeptUpToTheirNumberUntilTheRequestIsOver(t *testing.T) {
	sink := newSeen()
	o := observer(t, observe.WithSink(sink), observe.WithAttrs(3))
	var ctx context.Context
	h := o.Wrap(handle(func(_ http.ResponseWriter, r *http.Request) {
		ctx = r.Context()
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		observe.AddAttrs(inner, slog.Int("n", 1), slog.Int("n", 2))
		observe.AddAttrs(ctx, slog.Int("n", 3), slog.Int("n", 4), slog.Int("n", 5))
		observe.AddAttrs(ctx, slog.Int("n", 6))
	}))
	h.ServeHTTP(httptest.NewRecorder(), request())
	observe.AddAttrs(ctx, slog.Int("n", 7))
	if got := fmt.Sprint(sink.one(t).Attrs); got != "[n=1 n=2 n=3]" {
		t.Errorf("attributes are %s", got)
	}
	if s := o.Stats(); s.LostAttrs != 3 {
		t.Errorf("%d were lost", s.LostAttrs)
	}
	observe.AddAttrs(context.Background(), slog.Int("n", 8))
	observe.Middleware(observe.WithRequestIDs())(handle(func(_ http.ResponseWriter, r *http.Request) {
		observe.AddAttrs(r.Context(), slog.Int("n", 9)) // nobody wants it
	})).ServeHTTP(httptest.NewRecorder(), request())
}

// A context lives as long as somebody holds it, and must never lead to what is
// another request's by then.
func TestAContextThatOutlivesItsRequestStaysItsOwn(t *testing.T) {
	sink := newSeen()
	h := observe.Middleware(observe.WithSink(sink), observe.WithRequestIDs(), observe.WithAttrs(8))(
		handle(func(w http.ResponseWriter, r *http.Request) {
			observe.AddAttrs(r.Context(), slog.String("id", observe.RequestID(r.Context())))
			kept := r.Context()
			t.Cleanup(func() { observe.AddAttrs(kept, slog.String("late", "x")) })
			go observe.AddAttrs(kept, slog.String("id", observe.RequestID(kept)))
		}))
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			for range 20 {
				h.ServeHTTP(httptest.NewRecorder(), request())
			}
		})
	}
	wait.Wait()
	for i := range sink.all {
		x := &sink.all[i]
		if len(x.Attrs) == 0 {
			t.Fatal("an attribute of the handler is missing")
		}
		for _, a := range x.Attrs {
			if a.Value.String() != x.RequestID {
				t.Fatalf("request %s got %v", x.RequestID, a)
			}
		}
	}
}

func TestSinksAreShownTheContextOfTheHandler(t *testing.T) {
	sink := newSeen()
	observe.Middleware(observe.WithSink(sink), observe.WithRequestIDs())(noop).ServeHTTP(httptest.NewRecorder(), request())
	if x := sink.one(t); x.RequestID == "" || observe.RequestID(x.Context()) != x.RequestID {
		t.Errorf("the context shows %q, want %q", observe.RequestID(x.Context()), x.RequestID)
	}
}

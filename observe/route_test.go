package observe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe"
)

func TestTheRouteIsTheMuxesPatternWithoutItsMethod(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /items/{id}", noop)
	mux.Handle("/any/{rest...}", noop)
	mux.Handle("POST example.com/hosted", noop)
	nested := http.NewServeMux()
	nested.Handle("GET /v1/users/{id}", noop)
	mux.Handle("/v1/", nested)
	stripped := http.NewServeMux()
	stripped.Handle("GET /users/{id}", noop)
	mux.Handle("/v2/", http.StripPrefix("/v2", stripped))

	copying := func(next http.Handler) http.Handler {
		return handle(func(w http.ResponseWriter, r *http.Request) {
			c := r.WithContext(context.WithValue(r.Context(), contextKey{}, 1))
			defer func() { r.Pattern = c.Pattern }()
			next.ServeHTTP(w, c)
		})
	}
	careless := func(next http.Handler) http.Handler {
		return handle(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, 1)))
		})
	}
	itself := func(next http.Handler) http.Handler { return next }
	std := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") }

	for _, tt := range []struct {
		name         string
		between      func(http.Handler) http.Handler
		method, path string
		want         string
	}{
		{"a pattern", itself, "GET", "/items/7", "/items/{id}"},
		{"no method", itself, "PUT", "/any/thing", "/any/{rest...}"},
		{"a host", itself, "POST", "http://example.com/hosted", "example.com/hosted"},
		{"not found", itself, "GET", "/nowhere", ""},
		{"wrong method", itself, "POST", "/items/7", ""},
		{"mux in mux", itself, "GET", "/v1/users/7", "/v1/users/{id}"},
		{"mux in mux, stripped", itself, "GET", "/v2/users/7", "/v2/"},
		{"a copy that hands it back", copying, "GET", "/items/7", "/items/{id}"},
		{"another observer with ids", observe.Middleware(observe.WithRequestIDs()), "GET", "/items/7", "/items/{id}"},
		// These lose it before anybody could look.
		{"a copy that does not", careless, "GET", "/items/7", ""},
		{"http.TimeoutHandler", std, "GET", "/items/7", ""},
	} {
		for _, opts := range [][]observe.Option{nil, {observe.WithRequestIDs()}} {
			t.Run(fmt.Sprint(tt.name, " ", len(opts)), func(t *testing.T) {
				sink := newSeen()
				r := httptest.NewRequest(tt.method, tt.path, nil)
				observe.Middleware(append(opts, observe.WithSink(sink))...)(tt.between(mux)).ServeHTTP(httptest.NewRecorder(), r)
				x := sink.one(t)
				if x.Route != tt.want {
					t.Errorf("the route is %q, want %q", x.Route, tt.want)
				}
				if r.Pattern != x.Request.Pattern {
					t.Errorf("outside, the pattern is %q, inside %q", r.Pattern, x.Request.Pattern)
				}
			})
		}
	}
}

func TestThePatternIsHandedBackThroughAPanic(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) { panic(errBoom) })
	r := request()
	r.Pattern = ""
	r.URL.Path = "/items/7"
	func() {
		defer func() { recover() }()
		observe.Middleware(observe.WithRequestIDs())(mux).ServeHTTP(httptest.NewRecorder(), r)
	}()
	if r.Pattern != "GET /items/{id}" {
		t.Errorf("outside, the pattern is %q", r.Pattern)
	}
}

func TestARouterOfOnesOwnTellsTheRoute(t *testing.T) {
	sink := newSeen()
	route := ""
	o := observer(t, observe.WithSink(sink), observe.WithMaxRoutes(3), observe.WithRoute(func(*http.Request) string {
		if route == "panic" {
			panic(errBoom)
		}
		return route
	}))
	for _, tt := range [][2]string{
		{"/a/{b}", "/a/{b}"}, {"", ""}, {"GET /c", "/c"}, {"POST /c", "/c"}, {"panic", ""},
		{strings.Repeat("x", 1000), strings.Repeat("x", 256)}, {"/d", "_other"}, {"/a/{b}", "/a/{b}"}, {"PUT /c", "/c"},
	} {
		route = tt[0]
		o.Wrap(noop).ServeHTTP(httptest.NewRecorder(), request())
		if got := sink.one(t).Route; got != tt[1] {
			t.Errorf("%.20q became %.20q", tt[0], got)
		}
	}
	if s := o.Stats(); s.Routes != 3 || s.OtherRoutes != 1 || s.SinkPanics != 1 {
		t.Errorf("statistics are %+v", s)
	}
}

func TestAMillionRoutesLeaveMemoryBounded(t *testing.T) {
	n := 0
	path := make([]byte, 0, 1024)
	routes := map[string]bool{}
	o := observer(t, observe.WithSink(observe.SinkFunc(func(x *observe.Exchange) { routes[x.Route] = true })),
		observe.WithRoute(func(*http.Request) string {
			return string(strconv.AppendInt(append(path[:0], "/long/enough/to/be/noticed/"...), int64(n), 10))
		}))
	h, w, r := o.Wrap(noop), &nullWriter{http.Header{}}, request()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n = range race.Either(1_000_000, 20_000) {
		h.ServeHTTP(w, r)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if s := o.Stats(); s.Routes != 500 || len(routes) != 501 {
		t.Errorf("%d routes are known, %d were told", s.Routes, len(routes))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	runtime.KeepAlive(o)
}

func TestForgedRequestsMakeNoNewLabels(t *testing.T) {
	labels := map[string]bool{}
	mux := http.NewServeMux()
	mux.Handle("/items/{id}", noop)
	o := observer(t, observe.WithSink(observe.SinkFunc(func(x *observe.Exchange) {
		labels[fmt.Sprint(x.Method, x.Scheme, x.Route, x.Cause, x.ErrorType)] = true
	})))
	h := o.Wrap(mux)
	for i := range 5000 {
		r := httptest.NewRequest("GET", fmt.Sprintf("/items/%d", i), nil)
		r.Method, r.Host = fmt.Sprintf("FORGED%d", i), fmt.Sprintf("host%d.example", i)
		r.Header.Set("User-Agent", fmt.Sprint("agent", i))
		r.Header.Set("X-Request-Id", fmt.Sprint("id", i))
		h.ServeHTTP(httptest.NewRecorder(), r)
		r = httptest.NewRequest("GET", fmt.Sprintf("/nowhere/%d", i), nil)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if len(labels) != 2 {
		t.Errorf("there are %d combinations of labels: %.200s", len(labels), fmt.Sprint(labels))
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"} {
		sink := newSeen()
		r := request()
		r.Method = method
		observe.Middleware(observe.WithSink(sink))(noop).ServeHTTP(httptest.NewRecorder(), r)
		if x := sink.one(t); x.Method != method {
			t.Errorf("%s became %s", method, x.Method)
		}
	}
}

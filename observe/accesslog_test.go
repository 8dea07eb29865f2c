package observe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/observe"
)

// tracing is a sink that begins a span.
type tracing struct{ ids observe.TraceIDs }

func (tracing) Observe(*observe.Exchange)   {}
func (t tracing) Start(x *observe.Exchange) { x.Trace = t.ids }

var ids = observe.TraceIDs{TraceID: [16]byte{0x4b, 0xf9, 15: 0x36}, SpanID: [8]byte{1, 7: 0xff}, Flags: 1}

// logged serves r and returns the only line of it, without the time.
func logged(t *testing.T, h http.Handler, r *http.Request, more []observe.Option, opts ...observe.LogOption) map[string]any {
	t.Helper()
	log, lines := lines(t, opts...)
	func() {
		defer func() { recover() }()
		observe.Middleware(append(more, observe.WithSink(log))...)(h).ServeHTTP(httptest.NewRecorder(), r)
	}()
	all := lines()
	if len(all) != 1 {
		t.Fatalf("there are %d lines: %v", len(all), all)
	}
	at, err := time.Parse(time.RFC3339Nano, all[0]["time"].(string))
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("the time is %v (%v)", at, err)
	}
	delete(all[0], "time")
	return all[0]
}

func TestALineHasTheConventionsFlatNames(t *testing.T) {
	h := handle(func(w http.ResponseWriter, r *http.Request) {
		observe.AddAttrs(r.Context(), slog.Int("rows", 3), slog.String("level", "FORGED"), slog.String("msg", "forged"))
		time.Sleep(time.Millisecond)
		io.WriteString(w, "hello")
	})
	more := []observe.Option{observe.WithSink(tracing{ids}), observe.WithTrustedRequestID(), observe.WithAttrs(8)}
	r := request("X-Request-Id", "id-7")
	r.URL.RawQuery = "token=secret"
	for schema, want := range map[observe.Schema]map[string]any{
		observe.OTEL: {
			"level": "INFO", "msg": "http request", "http.request.method": "GET", "http.route": "/orders/{id}",
			"url.path": "/orders/7", "http.response.status_code": 200., "http.request.body.size": 0.,
			"http.response.body.size": 5., "client.address": "192.0.2.1", "user_agent.original": r.UserAgent(),
			"network.protocol.version": "1.1", "request_id": "id-7",
			"trace_id": "4bf90000000000000000000000000036", "span_id": "01000000000000ff", "trace_flags": "01",
			"app": map[string]any{"rows": 3., "level": "FORGED", "msg": "forged"},
		},
		observe.ECS: {
			"level": "INFO", "msg": "http request", "http.request.method": "GET", "http.route": "/orders/{id}",
			"url.path": "/orders/7", "http.response.status_code": 200., "http.request.body.bytes": 0.,
			"http.response.body.bytes": 5., "client.address": "192.0.2.1", "user_agent.original": r.UserAgent(),
			"http.version": "1.1", "http.request.id": "id-7",
			"trace.id": "4bf90000000000000000000000000036", "span.id": "01000000000000ff",
			"app": map[string]any{"rows": 3., "level": "FORGED", "msg": "forged"},
		},
	} {
		got := logged(t, h, r, more, observe.WithSchema(schema))
		key, unit := "duration_ms", float64(time.Millisecond)
		if schema == observe.ECS {
			key, unit = "event.duration", 1
		}
		if d := got[key].(float64) * unit; d < 1e6 || d > 60e9 {
			t.Errorf("%v: %s is %v", schema, key, got[key])
		}
		delete(got, key)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: the line is\n%v, want\n%v", schema, got, want)
		}
	}
}

func TestTheLevelGoesByTheOutcome(t *testing.T) {
	status := func(n int) http.Handler {
		return handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) })
	}
	refusing := func(o httpwrap.Outcome) http.Handler {
		return handle(func(w http.ResponseWriter, _ *http.Request) {
			httpwrap.Find(w).SetCause(&httpwrap.Cause{Outcome: o, Policy: "p", Reason: "r"})
			w.WriteHeader(503)
		})
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	own := observe.WithLevel(func(x *observe.Exchange) slog.Level { return slog.Level(x.Status / 100) })
	each := observe.WithRefusals(0)
	for _, tt := range []struct {
		name      string
		handler   http.Handler
		r         *http.Request
		opt       observe.LogOption
		level     string
		errorType any
	}{
		{"200", status(200), request(), each, "INFO", nil},
		{"404", status(404), request(), each, "INFO", nil},
		{"500", status(500), request(), each, "ERROR", "500"},
		{"shed", refusing(httpwrap.Shed), request(), each, "INFO", "shed"},
		{"breaker", refusing(httpwrap.BreakerOpen), request(), each, "INFO", "breaker_open"},
		{"bulkhead", refusing(httpwrap.BulkheadFull), request(), each, "INFO", "bulkhead_full"},
		{"timeout", refusing(httpwrap.Timeout), request(), each, "ERROR", "timeout"},
		{"canceled", noop, request().WithContext(gone), each, "INFO", "canceled"},
		{"aborted", handle(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), request(), each, "INFO", "aborted"},
		{"panic", handle(func(http.ResponseWriter, *http.Request) { panic(errBoom) }), request(), each, "ERROR", "panic"},
		{"panic of a refusal", handle(func(w http.ResponseWriter, _ *http.Request) {
			httpwrap.Find(w).SetOutcome(httpwrap.Shed)
			panic(errBoom)
		}), request(), observe.WithRefusals(time.Second), "ERROR", "shed"},
		{"own", status(404), request(), own, "WARN", nil},
		{"slow", handle(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Millisecond) }), request(), observe.WithSlow(time.Microsecond), "WARN", nil},
		{"not slow", status(200), request(), observe.WithSlow(time.Hour), "INFO", nil},
	} {
		got := logged(t, tt.handler, tt.r, nil, tt.opt)
		level := got["level"].(string)
		if tt.name == "own" {
			level = "WARN"
			if got["level"] != "WARN" && got["level"] != "INFO+4" {
				t.Errorf("the own level is %v", got["level"])
			}
		}
		if level != tt.level || got["error.type"] != tt.errorType || got["msg"] != "http request" {
			t.Errorf("%s: the line is %v", tt.name, got)
		}
		if strings.HasPrefix(tt.name, "panic") {
			stack, _ := got["exception.stacktrace"].(string)
			if got["exception.type"] != "*errors.errorString" || got["exception.message"] != "boom" || !strings.Contains(stack, "accesslog_test.go") {
				t.Errorf("%s: the line is %v", tt.name, got)
			}
		}
		if tt.name == "shed" && (got["handrail.policy"] != "p" || got["handrail.reason"] != "r") {
			t.Errorf("%s: the line is %v", tt.name, got)
		}
	}
}

func TestNothingOfTheClientsIsLoggedUnlessAskedFor(t *testing.T) {
	r := httptest.NewRequest("GET", "/reset?token=s3cret&user=ann", nil)
	r.Header.Set("Authorization", "Bearer s3cret")
	r.Header.Set("X-Other", "s3cret")
	r.Host = "s3cret.example"
	if got := fmt.Sprint(logged(t, noop, r, nil)); strings.Contains(got, "s3cret") {
		t.Errorf("the line is %s", got)
	}
	r.Header.Set("X-Api-Key", "s3cret")
	r.Header.Set("X-MINE", "s3cret")
	r.Header["Accept"] = []string{"a", "b"}
	r.Header.Del("X-Other")
	got := logged(t, noop, r, nil, observe.WithQuery(), observe.WithServerAddress(),
		observe.WithHeaders("authorization", "ACCEPT", "accept", "x-mine", "x-api-key", "absent"), observe.WithRedacted("X-Mine"),
		observe.WithClientAddress(func(r *http.Request) string { return "client of " + r.Method }))
	for key, want := range map[string]any{
		"url.query": "token=REDACTED&user=ann", "server.address": "s3cret.example", "client.address": "client of GET",
		"http.request.header.authorization": "REDACTED", "http.request.header.accept": "a, b",
		"http.request.header.x-mine": "REDACTED", "http.request.header.x-api-key": "REDACTED",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if _, there := got["http.request.header.absent"]; there {
		t.Error("a header is logged that was not sent")
	}
}

func TestSecretsAreRedactedWhateverTheLetterCase(t *testing.T) {
	for query, want := range map[string]string{
		"PassWord=x&a=b":                "PassWord=REDACTED&a=b",
		"a=b&%74oken=x":                 "a=b&%74oken=REDACTED",
		"access%5Ftoken=x":              "access%5Ftoken=REDACTED",
		"ACCESS-TOKEN=x":                "ACCESS-TOKEN=REDACTED",
		"token[]=x&token%5B0%5D=":       "token[]=REDACTED&token%5B0%5D=",
		"%zz=x":                         "%zz=REDACTED",
		"a;token=x;b":                   "a;token=REDACTED;b",
		"token=x=y":                     "token=REDACTED",
		"+token+=x":                     "+token+=REDACTED",
		"pässwort=x":                    "pässwort=REDACTED",
		"PÄSSWORT=x":                    "PÄSSWORT=REDACTED",
		"tokens=x":                      "tokens=x",
		"=x":                            "=x",
		strings.Repeat("n", 200) + "=x": strings.Repeat("n", 200) + "=REDACTED",
	} {
		r := request()
		r.URL.RawQuery = query
		if got := logged(t, noop, r, nil, observe.WithQuery(), observe.WithRedacted("Pässwort"))["url.query"]; got != want {
			t.Errorf("%s became %v", query, got)
		}
	}
}

// person is a value that resolves to a group.
type person struct{ name, password string }

func (p person) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", p.name), slog.String("Password", p.password))
}

func TestAttrsOfHandlersAreTidied(t *testing.T) {
	deep := slog.String("end", "x")
	for range 20 {
		deep = slog.Group("g", deep)
	}
	h := handle(func(_ http.ResponseWriter, r *http.Request) {
		observe.AddAttrs(r.Context(), slog.Int("n", 1), slog.String("Token", "s3cret"), slog.Any("who", person{"ann", "s3cret"}),
			slog.Int("n", 2), slog.Group("", slog.Int("n", 3), slog.String("API-Key", "s3cret")), slog.Attr{},
			slog.String("long", strings.Repeat("ä", 50)), slog.Any("err", errors.New(strings.Repeat("e", 100))),
			slog.Group("empty"), deep, slog.Any("bad", panicking{}))
	})
	got := logged(t, h, request(), []observe.Option{observe.WithAttrs(32)}, observe.WithMaxValue(33), observe.WithGroup("mine"))
	text := fmt.Sprint(got["mine"])
	for _, want := range []string{"n:3", "Token:REDACTED", "who:map[Password:REDACTED name:ann]", "API-Key:REDACTED",
		"long:" + strings.Repeat("ä", 16) + " ", "err:" + strings.Repeat("e", 33) + " ", "too deep"} {
		if !strings.Contains(text+" ", want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	if strings.Contains(text, "s3cret") {
		t.Errorf("a secret is in %s", text)
	}
}

type panicking struct{}

func (panicking) Error() string { panic("Error") }

func TestLongValuesAreCut(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	r := request("User-Agent", long, "X-Long", long)
	r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr = "/"+long, "a="+long, long, long
	h := handle(func(_ http.ResponseWriter, r *http.Request) { panic(long) })
	got := logged(t, h, r, nil, observe.WithQuery(), observe.WithServerAddress(), observe.WithHeaders("X-Long"))
	for key, v := range got {
		if s, ok := v.(string); ok && key != "exception.stacktrace" && (len(s) > 1024 || strings.ContainsRune(s, '\uFFFD')) {
			t.Errorf("%s has %d bytes", key, len(s))
		}
	}
	if s := got["exception.stacktrace"].(string); len(s) > 16<<10 || len(s) < 100 {
		t.Errorf("the stack has %d bytes", len(s))
	}
}

// keeping is a handler that keeps its records, as those do that batch.
type keeping struct {
	slog.Handler
	records []slog.Record
}

func (k *keeping) Handle(_ context.Context, r slog.Record) error {
	k.records = append(k.records, r)
	return nil
}

func TestAHandlerMayKeepItsRecords(t *testing.T) {
	k := &keeping{Handler: slog.NewTextHandler(io.Discard, nil)}
	h := observe.Middleware(observe.WithSink(accessLog(t, k)))(noop)
	for i := range 100 {
		r := request()
		r.URL.Path = fmt.Sprint("/", i)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	for i, rec := range k.records {
		got := map[string]string{}
		rec.Attrs(func(a slog.Attr) bool { got[a.Key] = a.Value.String(); return true })
		if got["url.path"] != fmt.Sprint("/", i) || got["http.request.method"] != "GET" || len(got) < 8 {
			t.Fatalf("record %d has become %v", i, got)
		}
	}
}

// asking is a handler that looks into the context.
type asking struct {
	slog.Handler
	ctx context.Context
}

func (a *asking) Handle(ctx context.Context, r slog.Record) error { a.ctx = ctx; return nil }

func TestAHandlerGetsAContextThatIsNotOverAndShowsNoIDsTwice(t *testing.T) {
	a := &asking{Handler: slog.NewTextHandler(io.Discard, nil)}
	gone, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey{}, "there"))
	cancel()
	observe.Middleware(observe.WithSink(accessLog(t, a)), observe.WithRequestIDs())(noop).ServeHTTP(httptest.NewRecorder(), request().WithContext(gone))
	if a.ctx.Err() != nil || a.ctx.Done() != nil || a.ctx.Value(contextKey{}) != "there" || observe.RequestID(a.ctx) != "" {
		t.Errorf("the context has ended: %v, and the id %q", a.ctx.Err(), observe.RequestID(a.ctx))
	}
}

func TestALevelTheHandlerDoesNotTakeCostsNoLine(t *testing.T) {
	buf := new(buffer)
	log := accessLog(t, slog.NewJSONHandler(buf, &slog.HandlerOptions{Level: slog.LevelError}), observe.WithRefusals(time.Second))
	h := observe.Middleware(observe.WithSink(log))(handle(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			httpwrap.Find(w).SetOutcome(httpwrap.Shed)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), request())
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "/", nil))
	log.Close()
	if s := log.Stats(); s.Filtered != 2 || s.Logged != 0 || buf.take() != "" {
		t.Errorf("statistics are %+v", s)
	}
}

func TestAHandlerThatFailsIsCounted(t *testing.T) {
	for name, h := range map[string]slog.Handler{
		"error":       slog.NewJSONHandler(failingWriter{}, nil),
		"panic":       slog.NewJSONHandler(panickingWriter{}, nil),
		"error, ours": jsonTo(failingWriter{}),
		"panic, ours": jsonTo(panickingWriter{}),
	} {
		log := accessLog(t, h)
		o := observer(t, observe.WithSink(log))
		o.Wrap(noop).ServeHTTP(httptest.NewRecorder(), request())
		if s := log.Stats(); s.Logged != 1 || s.Failed != 1 || s.Written != 0 || s.Queued != 0 {
			t.Errorf("%s: statistics are %+v", name, s)
		}
		if s := o.Stats(); s.SinkPanics != 0 {
			t.Errorf("%s: the observer saw %d panics", name, s.SinkPanics)
		}
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

type panickingWriter struct{}

func (panickingWriter) Write([]byte) (int, error) { panic("writer") }

func TestLinesOverBothProtocols(t *testing.T) {
	log, lines := lines(t)
	h := observe.Middleware(observe.WithSink(log))(http.NotFoundHandler())
	var versions []string
	both(t, h, func(t *testing.T, srv *httptest.Server) {
		get(t, srv, "/nowhere")
		srv.Close()
		for _, line := range lines() {
			versions = append(versions, line["network.protocol.version"].(string))
			if _, there := line["http.route"]; there || line["http.response.status_code"] != 404. || line["client.address"] != "127.0.0.1" {
				t.Errorf("the line is %v", line)
			}
		}
	})
	if !slices.Equal(versions, []string{"1.1", "2"}) {
		t.Errorf("the versions are %v", versions)
	}
}

// FuzzLine sends whatever it is told to, and reads the line strictly: it is one,
// no key comes twice, and none is there that nobody asked for.
func FuzzLine(f *testing.F) {
	f.Add("GET", "/a", "q=1", "agent", "host", "1.2.3.4:5", "id", "value", "key")
	f.Add("G\nET", "/\n{\"level\":\"ERROR\"}", "token=%0a&\x00", "\"},\n{\"msg\":\"x", "h\u2028", "[::1]:1", "\xff\xfe", "\x1b[31m\r\n", "time")
	f.Add("", "", "&&;=", "", "", "", "", "", "")
	opts := []observe.LogOption{observe.WithQuery(), observe.WithServerAddress(), observe.WithHeaders("X-Value", "Accept"), observe.WithErrorLimit(0, 0)}
	buf, text := new(buffer), new(buffer)
	log := accessLog(f, slog.NewJSONHandler(buf, nil), opts...)
	plain := accessLog(f, slog.NewTextHandler(text, nil), opts...)
	known := map[string]bool{"app": true, "http.request.header.x-value": true}
	for _, key := range strings.Fields(`time level msg http.request.method http.route url.path url.query http.response.status_code
		http.request.body.size http.response.body.size duration_ms client.address user_agent.original server.address
		network.protocol.version request_id error.type exception.type exception.message exception.stacktrace`) {
		known[key] = true
	}
	f.Fuzz(func(t *testing.T, method, path, query, agent, host, remote, id, value, key string) {
		h := observe.Middleware(observe.WithSink(log, plain), observe.WithTrustedRequestID(), observe.WithAttrs(8),
			observe.WithRoute(func(r *http.Request) string { return r.URL.Path }))(
			handle(func(w http.ResponseWriter, r *http.Request) {
				observe.AddAttrs(r.Context(), slog.String(key, value), slog.String("k", value), slog.Any("e", errors.New(value)), slog.String(key, id))
				if agent == "" {
					panic(value)
				}
			}))
		r := request()
		r.Method, r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr = method, path, query, host, remote
		r.Header = http.Header{"User-Agent": {agent}, "X-Request-Id": {id}, "X-Value": {value, agent}}
		func() {
			defer func() { recover() }()
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		line := buf.take()
		fields, err := strict(line)
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		for key := range maps.Keys(fields) {
			if !known[key] {
				t.Errorf("the key %q is in %q", key, line)
			}
		}
		if fields["msg"] != "http request" || fields["level"] != "INFO" && fields["level"] != "ERROR" {
			t.Errorf("forged: %q", line)
		}
		if line := text.take(); strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%d lines: %q", strings.Count(line, "\n"), line)
		}
	})
}

func TestTwoAccessLogsTellTheirOwnClientAddress(t *testing.T) {
	own, ownLines := lines(t, observe.WithClientAddress(func(*http.Request) string { return "203.0.113.9" }))
	peer, peerLines := lines(t)
	for _, sinks := range [][]observe.Sink{{own, peer}, {peer, own}} {
		observe.Middleware(observe.WithSink(sinks...))(noop).ServeHTTP(httptest.NewRecorder(), request())
		if a, b := ownLines()[0]["client.address"], peerLines()[0]["client.address"]; a != "203.0.113.9" || b != "192.0.2.1" {
			t.Errorf("the addresses are %v and %v", a, b)
		}
	}
}

func TestALogThatIsASinkTwiceTellsNothingTwiceInALine(t *testing.T) {
	log, lines := lines(t, observe.WithHeaders("User-Agent"), observe.WithClientAddress(func(*http.Request) string { return "a" }))
	observe.Middleware(observe.WithSink(log, log))(noop).ServeHTTP(httptest.NewRecorder(), request())
	if all := lines(); len(all) != 2 || all[0]["client.address"] != "a" || all[0]["http.request.header.user-agent"] == nil {
		t.Errorf("the lines are %v", all)
	}
}

func TestUsualSecretsAreRedactedHoweverTheyAreSpelled(t *testing.T) {
	for query, want := range map[string]string{
		"accessToken=x":     "accessToken=REDACTED",
		"clientSecret=x":    "clientSecret=REDACTED",
		"user[password]=x":  "user[password]=REDACTED",
		"user[name]=x":      "user[name]=x",
		"a[b][api-key][]=x": "a[b][api-key][]=REDACTED",
	} {
		r := request()
		r.URL.RawQuery = query
		if got := logged(t, noop, r, nil, observe.WithQuery())["url.query"]; got != want {
			t.Errorf("%s became %v", query, got)
		}
	}
}

package trace

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/observe"
	tracing "github.com/handrail-go/handrail/observe/trace"
	"github.com/handrail-go/handrail/shed"
)

// receiver is where an exporter delivers to, such as a collector.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []*otlp.Span
	scopes map[string]string
	faults []error
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{scopes: map[string]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.read(req); err != nil {
			r.mu.Lock()
			r.faults = append(r.faults, err)
			r.mu.Unlock()
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.Write(must(proto.Marshal(&collector.ExportTraceServiceResponse{})))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) read(req *http.Request) error {
	if req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		return errors.New("posted to " + req.URL.Path)
	}
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var m collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range m.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			r.scopes[scope.Scope.Name] = scope.SchemaUrl
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	return nil
}

// exported is a provider whose exporter delivers to a receiver. What there is
// has arrived when flush returns.
func exported(t *testing.T) (p *sdk.TracerProvider, flush func() []*otlp.Span) {
	t.Helper()
	r := newReceiver(t)
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(r.URL+"/v1/traces"),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	p = sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())))
	t.Cleanup(func() { p.Shutdown(context.Background()) })
	return p, func() []*otlp.Span {
		t.Helper()
		if err := p.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.faults) > 0 || len(r.spans) > 0 && r.scopes["github.com/handrail-go/handrail/observe/trace"] != "https://opentelemetry.io/schemas/1.43.0" {
			t.Errorf("faults %v, scopes %v", r.faults, r.scopes)
		}
		all := r.spans
		r.spans = nil
		return all
	}
}

func attributes(all []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range all {
		if _, is := kv.Value.Value.(*common.AnyValue_StringValue); is {
			m[kv.Key] = kv.Value.GetStringValue()
		} else {
			m[kv.Key] = strings.TrimSpace(strings.TrimPrefix(kv.Value.String(), "int_value:"))
		}
	}
	return m
}

// protocols runs a test against a real server of each.
func protocols(t *testing.T, h http.Handler, run func(t *testing.T, url string, client *http.Client)) {
	for name, two := range map[string]bool{"HTTP1": false, "HTTP2": true} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(h)
			s.EnableHTTP2 = two
			s.StartTLS()
			defer s.Close()
			run(t, s.URL, s.Client())
		})
	}
}

func TestWhatHappenedIsDeliveredToAReceiver(t *testing.T) {
	leaktest.Check(t, "load.(*Sampler).run") // serves the process
	p, flush := exported(t)
	refusing := must(shed.New(shed.WithName("front"), shed.Using(func(shed.Snapshot, *http.Request) bool { return true })))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "an order") })
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("out of cheese") })
	mux.HandleFunc("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("GET /fails", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	mux.Handle("GET /shed", refusing.Wrap(http.NotFoundHandler()))
	protocols(t, quiet(traced(p, mux)), func(t *testing.T, url string, client *http.Client) {
		for _, tt := range []struct {
			path   string
			header [2]string
			name   string
			trace  string
			parent string
			status otlp.Status_StatusCode
			has    map[string]string
			event  bool
		}{
			{"/orders/7?token=secret", [2]string{w3c, "00-" + w3cID + "-" + w3cSpan + "-01"}, "GET /orders/{id}", w3cID, w3cSpan, otlp.Status_STATUS_CODE_UNSET,
				map[string]string{"http.route": "/orders/{id}", "http.response.status_code": "200", "url.path": "/orders/7", "error.type": "", "url.scheme": "https"}, false},
			{"/orders/7", [2]string{xray, root + ";Parent=" + spanID + ";Sampled=1"}, "GET /orders/{id}", rootID, spanID, otlp.Status_STATUS_CODE_UNSET, nil, false},
			{"/orders/7", [2]string{xray, root}, "GET /orders/{id}", rootID, "", otlp.Status_STATUS_CODE_UNSET, nil, false},
			{"/panic", [2]string{xray, root}, "GET /panic", rootID, "", otlp.Status_STATUS_CODE_ERROR,
				map[string]string{"error.type": "panic", "http.route": "/panic", "http.response.status_code": ""}, true},
			{"/abort", [2]string{}, "GET /abort", "", "", otlp.Status_STATUS_CODE_UNSET, map[string]string{"handrail.outcome": "aborted", "error.type": ""}, false},
			{"/fails", [2]string{}, "GET /fails", "", "", otlp.Status_STATUS_CODE_ERROR, map[string]string{"error.type": "500"}, false},
			{"/shed", [2]string{}, "GET /shed", "", "", otlp.Status_STATUS_CODE_ERROR,
				map[string]string{"error.type": "shed", "handrail.outcome": "shed", "handrail.policy": "front", "http.response.status_code": "503"}, false},
			{"/nowhere\xff", [2]string{}, "GET", "", "", otlp.Status_STATUS_CODE_UNSET, map[string]string{"http.route": "", "http.response.status_code": "404"}, false},
		} {
			r := must(http.NewRequest("GET", url+strings.ReplaceAll(tt.path, "\xff", "%ff"), nil))
			if tt.header[0] != "" {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			if resp, err := client.Do(r); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			client.CloseIdleConnections() // so that it is over on HTTP/1 too
			all := flush()
			// The client may have its answer before the span has ended.
			for begun := time.Now(); len(all) == 0 && time.Since(begun) < 10*time.Second; all = flush() {
			}
			if len(all) != 1 {
				t.Fatalf("%s: %d spans", tt.path, len(all))
			}
			s := all[0]
			if s.Name != tt.name || s.Kind != otlp.Span_SPAN_KIND_SERVER || s.Status.GetCode() != tt.status || s.EndTimeUnixNano < s.StartTimeUnixNano {
				t.Errorf("%s: name %q, kind %v, status %v", tt.path, s.Name, s.Kind, s.Status)
			}
			if tt.trace != "" && hex.EncodeToString(s.TraceId) != tt.trace || hex.EncodeToString(s.ParentSpanId) != tt.parent {
				t.Errorf("%s: trace %x, parent %x", tt.path, s.TraceId, s.ParentSpanId)
			}
			got := attributes(s.Attributes)
			for k, v := range tt.has {
				if got[k] != v {
					t.Errorf("%s: %s is %q", tt.path, k, got[k])
				}
			}
			for k, v := range got {
				if strings.Contains(v, "secret") {
					t.Errorf("%s: %s is %q", tt.path, k, v)
				}
			}
			if (len(s.Events) == 1) != tt.event {
				t.Fatalf("%s: events %v", tt.path, s.Events)
			}
			if tt.event {
				e := attributes(s.Events[0].Attributes)
				if s.Events[0].Name != "exception" || e["exception.type"] != "string" || e["exception.message"] != "out of cheese" || !strings.Contains(e["exception.stacktrace"], "export_test.go") {
					t.Errorf("%s: %v", tt.path, e)
				}
			}
		}
	})
	p.Shutdown(context.Background())
}

// quiet keeps panics out of the server's log.
func quiet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// From a client through one service to another: four spans, one trace.
func TestATraceGoesThroughAllServices(t *testing.T) {
	p, flush := exported(t)
	tracer := must(tracing.New(tracing.WithTracerProvider(p)))
	second := httptest.NewServer(must(observe.New(observe.WithSink(tracer))).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "deep") })))
	defer second.Close()
	client := &http.Client{Transport: tracer.Transport(nil)}
	defer client.CloseIdleConnections()
	get := func(ctx context.Context, url string) string {
		resp, err := client.Do(must(http.NewRequestWithContext(ctx, "GET", url, nil)))
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		return string(must(io.ReadAll(resp.Body)))
	}
	first := httptest.NewServer(must(observe.New(observe.WithSink(tracer))).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, get(r.Context(), second.URL))
	})))
	defer first.Close()
	if got := get(t.Context(), first.URL); got != "deep" {
		t.Fatalf("the answer is %q", got)
	}
	first.Close() // no span is open after that
	second.Close()
	all := flush()
	if len(all) != 4 {
		t.Fatalf("%d spans", len(all))
	}
	byID, root := map[string]*otlp.Span{}, 0
	for _, s := range all {
		byID[string(s.SpanId)] = s
	}
	for _, s := range all {
		parent := byID[string(s.ParentSpanId)]
		if string(s.TraceId) != string(all[0].TraceId) {
			t.Errorf("%v is of another trace", s)
		}
		switch {
		case len(s.ParentSpanId) == 0:
			root++
			if s.Kind != otlp.Span_SPAN_KIND_CLIENT {
				t.Errorf("the root is %v", s)
			}
		case parent == nil || parent.Kind == s.Kind:
			t.Errorf("the parent of %v is %v", s, parent)
		}
	}
	if root != 1 {
		t.Errorf("%d of the spans have no parent", root)
	}
}

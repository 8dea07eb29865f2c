package observe_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/handrail-go/handrail/observe"
)

func jsonTo(w io.Writer) slog.Handler { return observe.NewJSONHandler(w, nil) }

func TestLogHandlerIsAProperHandler(t *testing.T) {
	var buf bytes.Buffer
	ctxHandler := observe.LogHandler(jsonTo(&buf))
	if err := slogtest.TestHandler(ctxHandler, func() (all []map[string]any) {
		for line := range strings.Lines(buf.String()) {
			fields, err := strict(line)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fields)
		}
		return all
	}); err != nil {
		t.Error(err)
	}
}

func TestTheServicesOwnLinesHaveTheRequestsIDs(t *testing.T) {
	buf := new(buffer)
	logger := slog.New(observe.LogHandler(jsonTo(buf)))
	h := observe.Middleware(observe.WithSink(tracing{ids}), observe.WithTrustedRequestID())(handle(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		logger.InfoContext(ctx, "a")
		logger.With("b", 1).InfoContext(ctx, "b")
		logger.With("c", 1).WithGroup("g").With("d", 2).WithGroup("").InfoContext(ctx, "c", "e", 3)
		logger.InfoContext(context.Background(), "none")
	}))
	h.ServeHTTP(httptest.NewRecorder(), request("X-Request-Id", "id-7"))
	want := []map[string]any{
		{"msg": "a"}, {"msg": "b", "b": 1.}, {"msg": "c", "c": 1., "g": map[string]any{"d": 2., "e": 3.}}, {"msg": "none"},
	}
	i := 0
	for line := range strings.Lines(buf.take()) {
		got, err := strict(line)
		if err != nil {
			t.Fatal(err)
		}
		if i < 3 {
			want[i]["request_id"], want[i]["trace_id"], want[i]["span_id"] = "id-7", "4bf90000000000000000000000000036", "01000000000000ff"
		}
		want[i]["level"], want[i]["time"] = "INFO", got["time"]
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("line %d is\n%v, want\n%v", i, got, want[i])
		}
		i++
	}
	if i != 4 {
		t.Errorf("there are %d lines", i)
	}
}

func TestAnAccessLogThroughALogHandlerHasEachIDOnce(t *testing.T) {
	buf := new(buffer)
	for _, h := range []slog.Handler{
		observe.LogHandler(jsonTo(buf)),
		observe.LogHandler(slog.NewJSONHandler(buf, nil)),
		slog.New(observe.LogHandler(jsonTo(buf))).With("service", "shop").Handler(),
		observe.LogHandler(observe.LogHandler(jsonTo(buf))),
		slog.New(observe.LogHandler(jsonTo(buf))).WithGroup("http").Handler(),
	} {
		observe.Middleware(observe.WithSink(tracing{ids}, accessLog(t, h)), observe.WithRequestIDs())(noop).
			ServeHTTP(httptest.NewRecorder(), request())
		line := buf.take()
		if _, err := strict(line); err != nil || strings.Count(line, `"request_id"`) != 1 || strings.Count(line, `"trace_id"`) != 1 {
			t.Errorf("%v in %s", err, line)
		}
	}
}

func TestTheServicesOwnLinesHaveTheTracesIDsAlsoWithoutRequestIDs(t *testing.T) {
	var buf bytes.Buffer
	logger := slog.New(observe.LogHandler(jsonTo(&buf)))
	observe.Middleware(observe.WithSink(tracing{ids}))(handle(func(_ http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "mine")
	})).ServeHTTP(httptest.NewRecorder(), request())
	if got := buf.String(); !strings.Contains(got, `"trace_id":"4bf90000000000000000000000000036","span_id":"01000000000000ff"`) {
		t.Errorf("the line is %s", got)
	}
}

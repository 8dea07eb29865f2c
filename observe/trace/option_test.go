package trace_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/observe/trace"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[trace.Option]
	wrong := func(option, value string, opts ...trace.Option) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	optiontest.Run(t, "trace", trace.New, nil, []mistake{
		wrong("Option", "0", trace.Option(nil)),
		wrong("WithName", strings.Repeat("n", 65), trace.WithName(strings.Repeat("n", 65))),
		wrong("WithTracerProvider", "<nil>", trace.WithTracerProvider(nil)),
		wrong("WithPropagators", "1", trace.WithPropagators(trace.XRay{}, nil)),
		wrong("+WithPropagators", "0", trace.WithPropagators(nil)),
		wrong("+WithLambda", "<nil>", trace.WithLambda(), trace.WithPropagators(propagation.TraceContext{})),
		wrong("WithFilter", "<nil>", trace.WithFilter(nil)),
		wrong("WithAttributes", "<nil>", trace.WithAttributes(nil)),
		wrong("WithClientAddress", "<nil>", trace.WithClientAddress(nil)),
		wrong("WithServerAddress", "", trace.WithServerAddress("", 0)),
		wrong("WithServerAddress", strings.Repeat("s", 257), trace.WithServerAddress(strings.Repeat("s", 257), 0)),
		wrong("WithServerAddress", "-1", trace.WithServerAddress("a", -1)),
		wrong("WithServerAddress", "65536", trace.WithServerAddress("a", 65536)),
		wrong("WithAttemptHeader", "<nil>", trace.WithAttemptHeader("")),
	})
	defer func() {
		var fault *handrail.OptionError
		if err, _ := recover().(error); !errors.As(err, &fault) || fault.Option != "WithFilter" {
			t.Errorf("Transport panicked with %v", fault)
		}
	}()
	trace.Transport(nil, trace.WithFilter(nil))
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	for name, opts := range map[string][]trace.Option{
		"least": {trace.WithName(""), trace.WithServerAddress("a", 0), trace.WithPropagators()},
		"most":  {trace.WithName(strings.Repeat("n", 64)), trace.WithServerAddress(strings.Repeat("s", 256), 65535), trace.WithLambda()},
	} {
		if _, err := trace.New(opts...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMetricsTellWhatTheStatisticsTell(t *testing.T) {
	p := &recording{}
	tr := newTracer(t, p, trace.WithName("front"), trace.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/no" }))
	h := observed(t, answer(200), tr)
	serve(h, request("GET", "/", "traceparent", w3c))
	serve(h, request("GET", "/"))
	serve(h, request("GET", "/no"))
	tr.Transport(responds(204, http.NoBody)).RoundTrip(request("GET", "http://behind/"))
	want := trace.Stats{Name: "front", Served: 2, RecordedServed: 2, Sent: 1, RecordedSent: 1, Continued: 1, Filtered: 1}
	if got := tr.Stats(); got != want {
		t.Errorf("statistics %+v, want %+v", got, want)
	}
	got := map[string]float64{}
	tr.Collect(func(m handrail.Metric) {
		if m.Kind != handrail.Counter || m.Help == "" || m.Labels[0] != (handrail.Label{Name: "name", Value: "front"}) {
			t.Errorf("metric %+v", m)
		}
		got[fmt.Sprint(m.Name, m.Labels[1:])] = m.Value
	})
	if all := fmt.Sprint(got); all != fmt.Sprint(map[string]float64{
		"handrail_trace_spans_total[{kind server}]": 2, "handrail_trace_spans_total[{kind client}]": 1,
		"handrail_trace_recorded_spans_total[{kind server}]": 2, "handrail_trace_recorded_spans_total[{kind client}]": 1,
		"handrail_trace_continued_requests_total[]": 1, "handrail_trace_filtered_requests_total[]": 1,
	}) {
		t.Errorf("metrics %s", all)
	}
}

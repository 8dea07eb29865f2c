package observe_test

import (
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/observe"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	wrong := func(option, value string, opts ...observe.Option) optiontest.Wrong[observe.Option] {
		return optiontest.Wrong[observe.Option]{Option: option, Value: value, Opts: opts}
	}
	optiontest.Run(t, "observe", observe.New, observe.Middleware, []optiontest.Wrong[observe.Option]{
		wrong("Option", "0", nil),
		wrong("WithName", strings.Repeat("n", 65), observe.WithName(strings.Repeat("n", 65))),
		wrong("WithSink", "1", observe.WithSink(discard, nil)),
		wrong("WithFilter", "<nil>", observe.WithFilter(nil)),
		wrong("WithRoute", "<nil>", observe.WithRoute(nil)),
		wrong("WithMaxRoutes", "0", observe.WithMaxRoutes(0)),
		wrong("WithMaxRoutes", "100001", observe.WithMaxRoutes(100_001)),
		wrong("WithRequestIDHeader", "<nil>", observe.WithRequestIDHeader("")),
		wrong("WithRequestIDHeader", "a b", observe.WithRequestIDHeader("a b")),
		wrong("WithAttrs", "0", observe.WithAttrs(0)),
		wrong("WithAttrs", "257", observe.WithAttrs(257)),
	})
}

func TestEveryWrongOptionOfAnAccessLogIsRefusedAndNamed(t *testing.T) {
	wrong := func(option, value string, opts ...observe.LogOption) optiontest.Wrong[observe.LogOption] {
		return optiontest.Wrong[observe.LogOption]{Option: option, Value: value, Opts: opts}
	}
	construct := func(opts ...observe.LogOption) (*observe.AccessLog, error) {
		return observe.NewAccessLog(slog.NewJSONHandler(io.Discard, nil), opts...)
	}
	many := make([]string, 33)
	for i := range many {
		many[i] = "X"
	}
	optiontest.Run(t, "observe", construct, nil, []optiontest.Wrong[observe.LogOption]{
		wrong("Option", "0", nil),
		wrong("WithLogName", strings.Repeat("n", 65), observe.WithLogName(strings.Repeat("n", 65))),
		wrong("+WithSchema", "unknown", observe.WithSchema(2)),
		wrong("WithGroup", "", observe.WithGroup("")),
		wrong("+WithGroup", "level", observe.WithGroup("level")),
		wrong("+WithGroup", "trace_id", observe.WithGroup("trace_id")),
		wrong("WithLevel", "<nil>", observe.WithLevel(nil)),
		wrong("WithSlow", "0s", observe.WithSlow(0)),
		wrong("WithSlow", "1h0m0.000000001s", observe.WithSlow(time.Hour+1)),
		wrong("WithSampling", "-0.1", observe.WithSampling(-0.1)),
		wrong("WithSampling", "1.1", observe.WithSampling(1.1)),
		wrong("WithSampling", "NaN", observe.WithSampling(math.NaN())),
		wrong("WithErrorLimit", "0", observe.WithErrorLimit(0, 1)),
		wrong("WithErrorLimit", "0", observe.WithErrorLimit(1, 0)),
		wrong("WithErrorLimit", "NaN", observe.WithErrorLimit(math.NaN(), 1)),
		wrong("WithRefusals", "1ms", observe.WithRefusals(time.Millisecond)),
		wrong("WithRefusals", "-1s", observe.WithRefusals(-time.Second)),
		wrong("WithClientAddress", "<nil>", observe.WithClientAddress(nil)),
		wrong("WithHeaders", "a b", observe.WithHeaders("a b")),
		wrong("WithHeaders", "33", observe.WithHeaders(many...)),
		wrong("WithRedacted", "1", observe.WithRedacted("a", "")),
		wrong("WithRedacted", "0", observe.WithRedacted(strings.Repeat("n", 129))),
		wrong("WithMaxValue", "15", observe.WithMaxValue(15)),
		wrong("WithMaxValue", "65537", observe.WithMaxValue(65_537)),
		wrong("WithAsync", "0", observe.WithAsync(0)),
		wrong("WithAsync", "1000001", observe.WithAsync(1_000_001)),
	})
	if _, err := observe.NewAccessLog(nil); len(optiontest.Faults(t, err)) != 1 {
		t.Errorf("without a handler the fault is %v", err)
	}
}

func TestNilHandlersAreRefused(t *testing.T) {
	for name, do := range map[string]func(){
		"Wrap":       func() { observer(t).Wrap(nil) },
		"LogHandler": func() { observe.LogHandler(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took it", name)
				}
			}()
			do()
		}()
	}
	var _ func(http.Handler) http.Handler = observe.Middleware()
}

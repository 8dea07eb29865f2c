package breaker_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/optiontest"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[breaker.Option]
	wrong := func(option, value string, opts ...breaker.Option) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	advanced := func(option, value string, s breaker.Settings) mistake {
		return wrong("Advanced."+option, value, breaker.Advanced(s))
	}
	const day, tooLong = 24 * time.Hour, 24*time.Hour + 1
	rate := breaker.WithFailureRate
	optiontest.Run(t, "breaker", breaker.New, breaker.Middleware, []mistake{
		wrong("Option", "0", breaker.Option(nil)),
		wrong("PerTenant", "<nil>", breaker.PerTenant(nil)),
		wrong("WithKey", "<nil>", breaker.WithKey(nil)),
		wrong("WithName", strings.Repeat("n", 65), breaker.WithName(strings.Repeat("n", 65))),
		wrong("WithMaxKeys", "0", breaker.WithMaxKeys(0)),
		wrong("WithMaxKeys", "1.000001e+06", breaker.WithMaxKeys(1_000_001)),
		wrong("WithExempt", "<nil>", breaker.WithExempt(nil)),
		wrong("WithMode", "5", breaker.WithMode(5)),
		wrong("WithConsecutiveFailures", "-1", breaker.WithConsecutiveFailures(-1)),
		wrong("WithConsecutiveFailures", "1.000001e+06", breaker.WithConsecutiveFailures(1_000_001)),
		wrong("+WithConsecutiveFailures", "0", breaker.WithConsecutiveFailures(0), rate(0, 1, time.Second, 2)),
		wrong("+WithConsecutiveFailures", "0", breaker.WithConsecutiveFailures(0), rate(0, 1, time.Second, 2), breaker.WithSlowCall(1, 0)),
		wrong("WithFailureRate.share", "-0.1", rate(-.1, 1, time.Second, 2)),
		wrong("WithFailureRate.share", "1.1", rate(1.1, 1, time.Second, 2)),
		wrong("WithFailureRate.share", "NaN", rate(math.NaN(), 1, time.Second, 2)),
		wrong("WithFailureRate.least", "0", rate(.5, 0, time.Second, 2)),
		wrong("WithFailureRate.window", "9ms", rate(.5, 1, 9*time.Millisecond, 2)),
		wrong("WithFailureRate.window", "24h0m0.000000001s", rate(.5, 1, tooLong, 2)),
		wrong("WithFailureRate.buckets", "1", rate(.5, 1, time.Second, 1)),
		wrong("WithFailureRate.buckets", "101", rate(.5, 1, time.Second, 101)),
		wrong("WithSlowCall", "0s", breaker.WithSlowCall(0, .5)),
		wrong("WithSlowCall", "24h0m0.000000001s", breaker.WithSlowCall(tooLong, .5)),
		wrong("WithSlowCall.share", "2", breaker.WithSlowCall(1, 2)),
		wrong("WithSlowCall.share", "NaN", breaker.WithSlowCall(1, math.NaN())),
		wrong("WithClassifier", "<nil>", breaker.WithClassifier(nil)),
		wrong("WithOpenFor", "999µs", breaker.WithOpenFor(999*time.Microsecond)),
		wrong("WithOpenFor", "24h0m0.000000001s", breaker.WithGrowth(2, day), breaker.WithOpenFor(tooLong), breaker.WithGrowth(1, day)),
		wrong("WithGrowth.factor", "0.5", breaker.WithGrowth(.5, day)),
		wrong("WithGrowth.factor", "+Inf", breaker.WithGrowth(math.Inf(1), day)),
		wrong("WithGrowth", "24h0m0.000000001s", breaker.WithGrowth(2, tooLong)),
		wrong("+WithGrowth", "30s", breaker.WithGrowth(2, 30*time.Second)),
		wrong("WithRetryAfter", "0s", breaker.WithRetryAfter(0)),
		wrong("WithRetryAfter", "25h0m0s", breaker.WithRetryAfter(25*time.Hour)),
		wrong("WithSuccesses", "1.000001e+06", breaker.WithSuccesses(1_000_001)),
		wrong("WithSuccesses", "0", breaker.WithSuccesses(0)),
		wrong("+WithProbes", "4", breaker.WithProbes(4)),
		wrong("+WithProbes", "2", breaker.WithSuccesses(1), breaker.WithProbes(2)),
		wrong("WithProbes", "0", breaker.WithProbes(0)),
		wrong("WithProbeTimeout", "0s", breaker.WithProbeTimeout(0)),
		wrong("WithRamp", "-1ns", breaker.WithRamp(-1)),
		wrong("WithStatus", "399", breaker.WithStatus(399)),
		wrong("WithStatus", "408", breaker.WithStatus(408)),
		wrong("WithStatus", "600", breaker.WithStatus(600)),
		wrong("WithMessage", "1025", breaker.WithMessage(strings.Repeat("m", 1025))),
		wrong("+WithRejectionHandler", "<nil>", breaker.WithRejectionHandler(nil)),
		wrong("+WithFallback", "<nil>", breaker.WithFallback(nil)),
		wrong("OnStateChange", "<nil>", breaker.OnStateChange(nil)),
		advanced("ConsecutiveFailures", "-1", breaker.Settings{ConsecutiveFailures: -1}),
		advanced("FailureRate", "1.5", breaker.Settings{FailureRate: 1.5}),
		advanced("MinRequests", "-1", breaker.Settings{MinRequests: -1}),
		advanced("Window", "1ns", breaker.Settings{Window: 1}),
		advanced("Buckets", "1", breaker.Settings{Buckets: 1}),
		advanced("SlowCall", "-1ns", breaker.Settings{SlowCall: -1}),
		advanced("SlowShare", "-1", breaker.Settings{SlowShare: -1}),
		advanced("OpenFor", "1ns", breaker.Settings{OpenFor: 1}),
		advanced("Growth", "101", breaker.Settings{Growth: 101, MaxOpenFor: day}),
		advanced("MaxOpenFor", "1ns", breaker.Settings{MaxOpenFor: 1}),
		advanced("Successes", "-1", breaker.Settings{Successes: -1}),
		advanced("Probes", "-1", breaker.Settings{Probes: -1}),
		advanced("ProbeTimeout", "1ns", breaker.Settings{ProbeTimeout: 1}),
		advanced("Ramp", "-1ns", breaker.Settings{Ramp: -1}),
	})
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	const day = 24 * time.Hour
	for name, opts := range map[string][]breaker.Option{
		"least": {breaker.WithMaxKeys(1), breaker.WithConsecutiveFailures(1), breaker.WithFailureRate(1, 1, 10*time.Millisecond, 2), breaker.WithSlowCall(1, 0),
			breaker.WithOpenFor(time.Millisecond), breaker.WithGrowth(1, time.Millisecond), breaker.WithRetryAfter(time.Second), breaker.WithSuccesses(1),
			breaker.WithProbes(1), breaker.WithProbeTimeout(time.Millisecond), breaker.WithRamp(0), breaker.WithStatus(400), breaker.WithName(""), breaker.WithMessage("")},
		"most": {breaker.WithMaxKeys(1e6), breaker.WithConsecutiveFailures(1e6), breaker.WithFailureRate(1, 1e6, day, 100), breaker.WithSlowCall(day, 1),
			breaker.WithOpenFor(day), breaker.WithGrowth(100, day), breaker.WithRetryAfter(day), breaker.WithSuccesses(1e6), breaker.WithProbes(1e6),
			breaker.WithProbeTimeout(day), breaker.WithRamp(day), breaker.WithStatus(599), breaker.WithName(strings.Repeat("n", 64)), breaker.WithMessage(strings.Repeat("m", 1024))},
		"only the rate":     {breaker.WithConsecutiveFailures(0)},
		"only the row":      {breaker.WithFailureRate(0, 1, time.Second, 2)},
		"only slow calls":   {breaker.WithConsecutiveFailures(0), breaker.WithFailureRate(0, 1, time.Second, 2), breaker.WithSlowCall(time.Second, .1)},
		"rejection handler": {breaker.WithRejectionHandler(func(http.ResponseWriter, *http.Request, rejection) {})},
	} {
		if _, err := breaker.New(opts...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyOneCanAnswerForTheHandler(t *testing.T) {
	_, err := breaker.New(breaker.WithFallback(http.NotFoundHandler()), breaker.WithRejectionHandler(func(http.ResponseWriter, *http.Request, rejection) {}))
	if got := optiontest.Faults(t, err); len(got) != 1 || got[0].Option != "WithFallback" {
		t.Errorf("%v", got)
	}
}

func TestWrappingNothingPanics(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "breaker: ") {
			t.Errorf("panicked with %q", got)
		}
	}()
	made(t).Wrap(nil)
	t.Error("did not panic")
}

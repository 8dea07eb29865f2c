package retry_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/retry"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	wrong := func(option, value string, opts ...retry.Option) optiontest.Wrong[retry.Option] {
		return optiontest.Wrong[retry.Option]{Option: option, Value: value, Opts: opts}
	}
	const day = 24 * time.Hour
	none := func(int) time.Duration { return 0 }
	mistakes := []optiontest.Wrong[retry.Option]{
		wrong("Option", "0", retry.Option(nil)),
		wrong("Custom", "0", retry.Custom(0, none)),
		wrong("Custom", "<nil>", retry.Custom(1, nil)),
		wrong("WithName", strings.Repeat("n", 65), retry.WithName(strings.Repeat("n", 65))),
		wrong("WithAttempts", "0", retry.WithAttempts(0)),
		wrong("WithAttempts", "-1", retry.WithAttempts(-1)),
		wrong("WithAttempts", "101", retry.WithAttempts(101)),
		wrong("WithFixed", "0s", retry.WithFixed(0)),
		wrong("WithFixed", "24h0m0.000000001s", retry.WithFixed(day+1)),
		wrong("WithLinear", "-1s", retry.WithLinear(-time.Second, time.Second)),
		wrong("WithLinear", "1s", retry.WithLinear(2*time.Second, time.Second)),
		wrong("WithExponential", "0s", retry.WithExponential(0, time.Second, 2)),
		wrong("WithExponential", "25h0m0s", retry.WithExponential(1, 25*time.Hour, 2)),
		wrong("WithExponential", "0.5", retry.WithExponential(1, time.Second, 0.5)),
		wrong("WithExponential", "101", retry.WithExponential(1, time.Second, 101)),
		wrong("WithExponential", "NaN", retry.WithExponential(1, time.Second, math.NaN())),
		wrong("WithDelay", "<nil>", retry.WithDelay(nil)),
		wrong("WithJitter", "NaN", retry.WithJitter(retry.PlusMinus(-1))),
		wrong("WithJitter", "NaN", retry.WithJitter(retry.PlusMinus(1.1))),
		wrong("WithJitter", "-3", retry.WithJitter(-3)),
		wrong("WithMethods", "", retry.WithMethods("")),
		wrong("WithMethods", "CONNECT", retry.WithMethods("GET", "CONNECT")),
		wrong("WithStatuses", "399", retry.WithStatuses(399)),
		wrong("WithStatuses", "600", retry.WithStatuses(503, 600)),
		wrong("WithClassifier", "<nil>", retry.WithClassifier(nil)),
		wrong("WithExempt", "<nil>", retry.WithExempt(nil)),
		wrong("WithMaxBody", "-1", retry.WithMaxBody(-1)),
		wrong("WithMaxBody", "67108865", retry.WithMaxBody(64<<20+1)),
		wrong("WithMaxHeld", "-1", retry.WithMaxHeld(-1)),
		wrong("WithAttemptTimeout", "-1ns", retry.WithAttemptTimeout(-1)),
		wrong("WithTotalTimeout", "25h0m0s", retry.WithTotalTimeout(25*time.Hour)),
		wrong("WithMaxRetryAfter", "-1s", retry.WithMaxRetryAfter(-time.Second)),
		wrong("WithBudget", "<nil>", retry.WithBudget(nil)),
		wrong("WithAttemptHeader", "<nil>", retry.WithAttemptHeader("")),
		wrong("WithAttemptHeader", "X Attempt", retry.WithAttemptHeader("X Attempt")),
		wrong("WithIdempotencyKey", "Key\r\n", retry.WithIdempotencyKey("Key\r\n")),
		wrong("WithHedging", "0s", retry.WithHedging(0, 1)),
		wrong("WithHedging", "0", retry.WithHedging(1, 0)),
		wrong("WithHedging", "11", retry.WithHedging(1, 11)),
		wrong("OnRetry", "<nil>", retry.OnRetry(nil)),
		wrong("OnGiveUp", "<nil>", retry.OnGiveUp(nil)),
	}
	for _, status := range []int{400, 401, 403, 404, 422} {
		mistakes = append(mistakes, wrong("WithStatuses", fmt.Sprint(status), retry.WithStatuses(503, status)))
	}
	optiontest.Run(t, "retry", retry.New, retry.Middleware, mistakes)
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	const day = 24 * time.Hour
	for name, opts := range map[string][]retry.Option{
		"least":       {retry.WithAttempts(1), retry.WithFixed(1), retry.WithMaxBody(0), retry.WithMaxHeld(0), retry.WithAttemptTimeout(0), retry.WithTotalTimeout(0), retry.WithMaxRetryAfter(0), retry.WithHedging(1, 1)},
		"most":        {retry.WithAttempts(100), retry.WithExponential(day, day, 100), retry.WithMaxBody(64 << 20), retry.WithMaxHeld(64 << 20), retry.WithAttemptTimeout(day), retry.WithTotalTimeout(day), retry.WithMaxRetryAfter(day), retry.WithHedging(day, 10)},
		"flat":        {retry.WithExponential(1, 1, 1), retry.WithJitter(retry.PlusMinus(0))},
		"even":        {retry.WithLinear(1, 1), retry.WithJitter(retry.PlusMinus(1))},
		"nothing":     {retry.WithMethods(), retry.WithStatuses(), retry.WithIdempotencyKey("")},
		"all":         {retry.WithStatuses(402, 405, 499, 500, 599), retry.WithMethods("QUERY")},
		"no budget":   {retry.WithoutBudget()},
		"long name":   {retry.WithName(strings.Repeat("n", 64))},
		"the presets": {retry.Basic(), retry.HTTP(), retry.Database(), retry.Custom(100, func(int) time.Duration { return 0 })},
	} {
		if _, err := retry.New(opts...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrappingNothingPanics(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "retry: ") {
			t.Errorf("panicked with %q", got)
		}
	}()
	made(t).Wrap(nil)
	t.Error("did not panic")
}

func TestAnUnknownReasonHasAName(t *testing.T) {
	seen := map[string]bool{}
	for why := range retry.Reason(12) {
		seen[why.String()] = true
	}
	if len(seen) != 11 || !seen["unknown"] || !seen["budget"] {
		t.Errorf("%v", seen)
	}
}

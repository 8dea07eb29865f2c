package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[timeout.Option]
	wrong := func(option, value string, opts ...timeout.Option) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	const day = 24 * time.Hour
	optiontest.Run(t, "timeout", timeout.New, timeout.Middleware, []mistake{
		wrong("Option", "0", timeout.Option(nil)),
		wrong("Basic", "0s", timeout.Basic(0)),
		wrong("Basic", "-1s", timeout.Basic(-time.Second)),
		wrong("Basic", "24h0m0.000000001s", timeout.Basic(day+1)),
		wrong("PerOperation", "0s", timeout.PerOperation(0, nil)),
		wrong(`PerOperation["GET /"]`, "0s", timeout.PerOperation(1, map[string]time.Duration{"GET /": 0})),
		wrong("PerTenant", "-1ns", timeout.PerTenant(-1, nil)),
		wrong(`PerTenant["acme"]`, "25h0m0s", timeout.WithTenant(handrail.ByHost), timeout.PerTenant(1, map[string]time.Duration{"acme": 25 * time.Hour})),
		wrong("+WithTenants", "1", timeout.PerTenant(1, map[string]time.Duration{"acme": 1})),
		wrong("Dynamic", "0s", timeout.Dynamic(0, timeout.ByPriority(handrail.PriorityFromHeader("P")))),
		wrong("+WithCalculator", "<nil>", timeout.Dynamic(1, nil)),
		wrong("+WithCalculator", "<nil>", timeout.WithCalculator(nil)),
		wrong("+CalculatorFunc", "<nil>", timeout.WithCalculator(timeout.CalculatorFunc(nil))),
		wrong("WithName", strings.Repeat("n", 65), timeout.WithName(strings.Repeat("n", 65))),
		wrong("WithDefault", "0s", timeout.WithDefault(0)),
		wrong("WithOperation", "<nil>", timeout.WithOperation(nil)),
		wrong(`WithOperations["x"]`, "-1s", timeout.WithOperations(map[string]time.Duration{"x": -time.Second})),
		wrong("WithTenant", "<nil>", timeout.WithTenant(nil)),
		wrong("WithDeadlineHeader", "<nil>", timeout.WithDeadlineHeader("")),
		wrong("WithDeadlineHeader", "X-Left: 1", timeout.WithDeadlineHeader("X-Left: 1")),
		wrong("WithDeadlineHeader", "X-Left\x00", timeout.WithDeadlineHeader("X-Left\x00")),
		wrong("WithExempt", "<nil>", timeout.WithExempt(nil)),
		wrong("WithStreams", "3", timeout.WithStreams(3)),
		wrong("WithIdleTimeout", "-1ns", timeout.WithIdleTimeout(-1)),
		wrong("WithIdleTimeout", "25h0m0s", timeout.WithIdleTimeout(25*time.Hour)),
		wrong("WithReadTimeout", "-1s", timeout.WithReadTimeout(-time.Second)),
		wrong("WithWriteTimeout", "-1s", timeout.WithWriteTimeout(-time.Second)),
		wrong("WithMaxOverdue", "-1", timeout.WithMaxOverdue(-1)),
		wrong("WithMaxOverdue", "1000001", timeout.WithMaxOverdue(1_000_001)),
		wrong("WithStatus", "399", timeout.WithStatus(399)),
		wrong("WithStatus", "600", timeout.WithStatus(600)),
		wrong("WithMessage", "1025", timeout.WithMessage(strings.Repeat("m", 1025))),
		wrong("WithRejectionHandler", "<nil>", timeout.WithRejectionHandler(nil)),
		wrong("OnTimeout", "<nil>", timeout.OnTimeout(nil)),
	})
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	const day = 24 * time.Hour
	for name, opts := range map[string][]timeout.Option{
		"shortest":        {timeout.Basic(1), timeout.WithIdleTimeout(1), timeout.WithReadTimeout(1), timeout.WithWriteTimeout(1)},
		"longest":         {timeout.Basic(day), timeout.WithIdleTimeout(day), timeout.WithReadTimeout(day), timeout.WithWriteTimeout(day)},
		"none":            {timeout.WithIdleTimeout(0), timeout.WithReadTimeout(0), timeout.WithWriteTimeout(0), timeout.WithMaxOverdue(0)},
		"empty tables":    {timeout.PerOperation(time.Second, nil), timeout.PerTenant(time.Second, nil), timeout.WithTenants(nil)},
		"long name":       {timeout.WithName(strings.Repeat("n", 64)), timeout.WithMessage(strings.Repeat("m", 1024))},
		"lowest status":   {timeout.WithStatus(400)},
		"highest status":  {timeout.WithStatus(599)},
		"request timeout": {timeout.WithStatus(http.StatusRequestTimeout)},
		"most overdue":    {timeout.WithMaxOverdue(1e6)},
	} {
		if _, err := timeout.New(opts...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrappingNothingPanics(t *testing.T) {
	tm, err := timeout.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "timeout: ") {
			t.Errorf("panicked with %q", got)
		}
	}()
	tm.Wrap(nil)
	t.Error("did not panic")
}

// chosen is the time that a handler within is given.
func chosen(t *testing.T, r *http.Request, opts ...timeout.Option) time.Duration {
	t.Helper()
	var got time.Duration
	before := time.Now()
	h := timeout.Middleware(opts...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		deadline, ok := r.Context().Deadline()
		if !ok {
			t.Error("the context has no deadline")
		}
		got = deadline.Sub(before)
	}))
	h.ServeHTTP(httptest.NewRecorder(), r)
	return got
}

func TestCalculatorGoesBeforeTenantBeforeOperationBeforeDefault(t *testing.T) {
	operations := timeout.WithOperations(map[string]time.Duration{"GET /reports": 2 * time.Hour})
	tenants := timeout.WithTenants(map[string]time.Duration{"acme": 3 * time.Hour})
	tenant := timeout.WithTenant(handrail.ByHeader("X-Tenant"))
	calc := func(d time.Duration) timeout.Option {
		return timeout.WithCalculator(timeout.CalculatorFunc(func(_ *http.Request, base time.Duration) time.Duration {
			if d < -1 {
				return base + time.Hour
			}
			return d
		}))
	}
	base := timeout.Basic(time.Hour)
	for _, tc := range []struct {
		name            string
		pattern, tenant string
		want            time.Duration
		opts            []timeout.Option
	}{
		{"nothing", "", "", 30 * time.Second, nil},
		{"default", "", "", time.Hour, []timeout.Option{base}},
		{"default for others", "GET /other", "other", time.Hour, []timeout.Option{base, operations, tenants, tenant}},
		{"operation", "GET /reports", "other", 2 * time.Hour, []timeout.Option{base, operations, tenants, tenant}},
		{"tenant", "GET /reports", "acme", 3 * time.Hour, []timeout.Option{base, operations, tenants, tenant}},
		{"calculator", "GET /reports", "acme", 4 * time.Hour, []timeout.Option{base, operations, tenants, tenant, calc(4 * time.Hour)}},
		{"calculator from the tenant's", "GET /reports", "acme", 4 * time.Hour, []timeout.Option{base, operations, tenants, tenant, calc(-2)}},
		{"calculator that says 0", "GET /reports", "other", 2 * time.Hour, []timeout.Option{base, operations, calc(0)}},
		{"calculator that says less", "", "", time.Hour, []timeout.Option{base, calc(-1)}},
		{"the raw path is no operation", "", "", time.Hour, []timeout.Option{base, timeout.WithOperations(map[string]time.Duration{"/reports": 1, "GET /reports": 1})}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/reports", nil)
			r.Pattern = tc.pattern
			r.Header.Set("X-Tenant", tc.tenant)
			if got := chosen(t, r, tc.opts...); got < tc.want || got > tc.want+time.Minute {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestFaultsOfACalculatorAreThoseOfNew(t *testing.T) {
	_, err := timeout.New(timeout.Dynamic(time.Second, timeout.ByPriority(nil)), timeout.WithStatus(1))
	if got := optiontest.Faults(t, err); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestTablesAreCopied(t *testing.T) {
	own := map[string]time.Duration{"GET /": time.Hour}
	tm, err := timeout.New(timeout.PerOperation(time.Minute, own))
	if err != nil {
		t.Fatal(err)
	}
	own["GET /"] = time.Second
	r := httptest.NewRequest("GET", "/", nil)
	r.Pattern = "GET /"
	tm.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if got := tm.Stats().MaxTimeout; got != time.Hour {
		t.Errorf("%v", got)
	}
}

// randomDuration is anything a Duration can be, small and absurd ones alike.
func randomDuration(rng *rand.Rand) time.Duration {
	d := time.Duration(rng.Int64() >> rng.IntN(63))
	if rng.IntN(3) == 0 {
		d = -d
	}
	return d
}

func TestTheTimeoutIsNeverBelowOrAtZeroNorBeyondTheCallers(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range race.Either(20_000, 3_000) {
		fallback := time.Duration(rng.Int64N(int64(24*time.Hour))) + 1
		calculated := randomDuration(rng)
		opts := []timeout.Option{
			timeout.Dynamic(fallback, timeout.CalculatorFunc(func(*http.Request, time.Duration) time.Duration { return calculated })),
			timeout.WithDeadlineHeader("X-Left"),
		}
		r := httptest.NewRequest("GET", "/", nil)
		if rng.IntN(2) == 0 {
			r.Header.Set("X-Left", fmt.Sprint(rng.Int64()>>rng.IntN(63)))
		}
		callers, cancel := r.Context(), func() {}
		if rng.IntN(2) == 0 {
			callers, cancel = context.WithDeadline(callers, time.Now().Add(randomDuration(rng)))
			r = r.WithContext(callers)
		}
		tm, err := timeout.New(opts...)
		if err != nil {
			t.Fatal(err)
		}
		tm.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			deadline, ok := r.Context().Deadline()
			theirs, limited := callers.Deadline()
			if !ok || limited && deadline.After(theirs) {
				t.Errorf("deadline %v, %v, the caller's %v", deadline, ok, theirs)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		cancel()
		if s := tm.Stats(); s.Requests == 1 && s.MinTimeout <= 0 {
			t.Fatalf("a timeout of %v: default %v, calculated %v, header %q", s.MinTimeout, fallback, calculated, r.Header.Get("X-Left"))
		} else if s.Requests+s.Expired != 1 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestTheErrorIsADeadlineAndATimeout(t *testing.T) {
	var err error = &timeout.Error{Name: "checkout", After: time.Second}
	var to interface{ Timeout() bool }
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &to) || !to.Timeout() {
		t.Error("is not known as what it is")
	}
	if got := err.Error(); !strings.Contains(got, "checkout") || !strings.Contains(got, "1s") {
		t.Error(got)
	}
	if got := (&timeout.Error{After: time.Second}).Error(); strings.Contains(got, ": :") {
		t.Error(got)
	}
}

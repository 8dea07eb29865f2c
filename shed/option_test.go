package shed_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/shed"
)

var nan = math.NaN()

// wrong is every way to misuse an option that New can see.
var wrong = []struct {
	option string // that the fault names
	value  string // as it names it
	opts   []shed.Option
}{
	{"Option", "0", []shed.Option{nil}},
	{"ByPriority", "priority(3)", []shed.Option{shed.ByPriority(map[handrail.Priority]float64{3: .5})}},
	{"ByPriority", "-0.1", []shed.Option{shed.ByPriority(map[handrail.Priority]float64{handrail.Low: -.1})}},
	{"ByPriority", "1.1", []shed.Option{shed.ByPriority(map[handrail.Priority]float64{handrail.Low: 1.1})}},
	{"ByPriority", "NaN", []shed.Option{shed.ByPriority(map[handrail.Priority]float64{handrail.Low: nan})}},
	{"ForTarget", "0s", []shed.Option{shed.ForTarget(0)}},
	{"ForTarget", "-1s", []shed.Option{shed.ForTarget(-time.Second)}},
	{"ForTarget", "999µs", []shed.Option{shed.ForTarget(999 * time.Microsecond)}},
	{"ForTarget", "10m0.001s", []shed.Option{shed.ForTarget(10*time.Minute + time.Millisecond)}},
	{"Using", "<nil>", []shed.Option{shed.Using(nil)}},
	{"WithStrategy", "unknown", []shed.Option{shed.WithStrategy(5)}},
	{"WithStrategy", "unknown", []shed.Option{shed.WithStrategy(255)}},
	{"WithStrategy", "custom", []shed.Option{shed.WithStrategy(shed.Custom)}},
	{"WithName", strings.Repeat("n", 65), []shed.Option{shed.WithName(strings.Repeat("n", 65))}},
	{"WithSampler", "<nil>", []shed.Option{shed.WithSampler(nil)}},
	{"WithPriority", "<nil>", []shed.Option{shed.WithPriority(nil)}},
	{"WithPriorityHeader", "<nil>", []shed.Option{shed.WithPriorityHeader("")}},
	{"WithPriorityHeader", "X-Priority:", []shed.Option{shed.WithPriorityHeader("X-Priority:")}},
	{"WithTenant", "<nil>", []shed.Option{shed.WithTenant(nil)}},
	{"WithMaxTenants", "0", []shed.Option{shed.WithMaxTenants(0)}},
	{"WithMaxTenants", "-1", []shed.Option{shed.WithMaxTenants(-1)}},
	{"WithMaxTenants", "1.000001e+06", []shed.Option{shed.WithMaxTenants(1_000_001)}},
	{"WithAttempt", "<nil>", []shed.Option{shed.WithAttempt(nil)}},
	{"WithAttemptHeader", "<nil>", []shed.Option{shed.WithAttemptHeader("")}},
	{"WithAttemptHeader", "X Attempt", []shed.Option{shed.WithAttemptHeader("X Attempt")}},
	{"WithAttemptHeader", "X-Versuché", []shed.Option{shed.WithAttemptHeader("X-Versuché")}},
	{"WithExempt", "<nil>", []shed.Option{shed.WithExempt(nil)}},
	{"WithLongLived", "<nil>", []shed.Option{shed.WithLongLived(nil)}},
	{"WithLimits", "0", []shed.Option{shed.WithLimits(0, 1, 1)}},
	{"WithLimits", "1.000001e+06", []shed.Option{shed.WithLimits(1, 1, 1_000_001)}},
	{"WithLimits", "3, 2, 4", []shed.Option{shed.WithLimits(3, 2, 4)}},
	{"WithLimits", "2, 5, 4", []shed.Option{shed.WithLimits(2, 5, 4)}},
	{"WithMaxWait", "-1ns", []shed.Option{shed.WithMaxWait(-1)}},
	{"WithMaxWait", "1m0.000000001s", []shed.Option{shed.WithMaxWait(time.Minute + 1)}},
	{"WithThresholds.CPU", "-0.1", []shed.Option{shed.WithThresholds(shed.Thresholds{CPU: -.1, Latency: time.Second})}},
	{"WithThresholds.CPU", "NaN", []shed.Option{shed.WithThresholds(shed.Thresholds{CPU: nan, Latency: time.Second})}},
	{"WithThresholds.Memory", "1.1", []shed.Option{shed.WithThresholds(shed.Thresholds{Memory: 1.1, Latency: time.Second})}},
	{"WithThresholds.Errors", "+Inf", []shed.Option{shed.WithThresholds(shed.Thresholds{Errors: math.Inf(1), Latency: time.Second})}},
	{"WithThresholds.Latency", "0s", []shed.Option{shed.WithThresholds(shed.Thresholds{})}},
	{"WithThresholds.Latency", "11m0s", []shed.Option{shed.WithThresholds(shed.Thresholds{Latency: 11 * time.Minute})}},
	{"WithRates", "-0.1", []shed.Option{shed.WithRates(-.1, 1)}},
	{"WithRates", "1.1", []shed.Option{shed.WithRates(0, 1.1)}},
	{"WithRates", "NaN", []shed.Option{shed.WithRates(0, nan)}},
	{"WithRates", "0.6, 0.5", []shed.Option{shed.WithRates(.6, .5)}},
	{"WithCircuit.Signals", "5", []shed.Option{shed.WithCircuit(shed.CircuitSettings{Signals: 5})}},
	{"WithCircuit.Signals", "-1", []shed.Option{shed.WithCircuit(shed.CircuitSettings{Signals: -1})}},
	{"WithCircuit.Hold", "-1s", []shed.Option{shed.WithCircuit(shed.CircuitSettings{Hold: -time.Second})}},
	{"WithCircuit.Hold", "11m0s", []shed.Option{shed.WithCircuit(shed.CircuitSettings{Hold: 11 * time.Minute})}},
	{"WithCircuit.CoolDown", "1ms", []shed.Option{shed.WithCircuit(shed.CircuitSettings{CoolDown: time.Millisecond})}},
	{"WithCircuit.CoolDown", "2h0m0s", []shed.Option{shed.WithCircuit(shed.CircuitSettings{CoolDown: 2 * time.Hour})}},
	{"WithCircuit.Probes", "-1", []shed.Option{shed.WithCircuit(shed.CircuitSettings{Probes: -1})}},
	{"WithCircuit.Probes", "NaN", []shed.Option{shed.WithCircuit(shed.CircuitSettings{Probes: nan})}},
	{"WithCircuit.Probes", "+Inf", []shed.Option{shed.WithCircuit(shed.CircuitSettings{Probes: math.Inf(1)})}},
	{"WithCircuit.ProbeFor", "1ms", []shed.Option{shed.WithCircuit(shed.CircuitSettings{ProbeFor: time.Millisecond})}},
	{"WithStatus", "200", []shed.Option{shed.WithStatus(200)}},
	{"WithStatus", "399", []shed.Option{shed.WithStatus(399)}},
	{"WithStatus", "408", []shed.Option{shed.WithStatus(408)}},
	{"WithStatus", "600", []shed.Option{shed.WithStatus(600)}},
	{"WithMessage", "1025", []shed.Option{shed.WithMessage(strings.Repeat("m", 1025))}},
	{"WithMaxRetryAfter", "0s", []shed.Option{shed.WithMaxRetryAfter(0)}},
	{"WithMaxRetryAfter", "999ms", []shed.Option{shed.WithMaxRetryAfter(999 * time.Millisecond)}},
	{"WithMaxRetryAfter", "24h0m0.001s", []shed.Option{shed.WithMaxRetryAfter(24*time.Hour + time.Millisecond)}},
	{"WithRejectionHandler", "<nil>", []shed.Option{shed.WithRejectionHandler(nil)}},
	{"OnShed", "<nil>", []shed.Option{shed.OnShed(nil)}},
	{"OnStateChange", "<nil>", []shed.Option{shed.OnStateChange(nil)}},
}

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	for _, tc := range wrong {
		t.Run(tc.option+"="+tc.value, func(t *testing.T) {
			s, err := shed.New(tc.opts...)
			if s != nil || err == nil {
				t.Fatalf("New returned %v and %v", s, err)
			}
			var fault *handrail.OptionError
			if !errors.As(err, &fault) {
				t.Fatalf("%T holds no *handrail.OptionError", err)
			}
			if fault.Package != "shed" || fault.Option != tc.option || fmt.Sprint(fault.Value) != tc.value || fault.Reason == "" {
				t.Errorf("the fault is %+v", *fault)
			}
			for _, f := range optiontest.Faults(t, err) {
				if f.Option != tc.option && tc.option != "Using" { // which leaves Custom without a function
					t.Errorf("one mistake was also reported as %v", f)
				}
			}
		})
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	var opts []shed.Option
	var want []string
	for _, tc := range wrong {
		// What only the last of several options decides is left out.
		switch {
		case tc.option == "WithStrategy" && tc.value == "custom":
		case tc.option == "WithLimits" && strings.Contains(tc.value, ","):
		case tc.option == "WithRates" && strings.Contains(tc.value, ","):
		default:
			opts = append(opts, tc.opts...)
			want = append(want, tc.option)
		}
	}
	// The same ones, but so that the faults between options do not arise.
	opts = append(opts, shed.Basic(), shed.WithLimits(1, 1, 1), shed.WithRates(0, 1))
	_, err := shed.New(opts...)
	var got []string
	for _, f := range optiontest.Faults(t, err) {
		got = append(got, f.Option)
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported %d faults\n%v\nwant %d\n%v", len(got), got, len(want), want)
	}
	for _, name := range want {
		if !strings.Contains(err.Error(), "shed: "+name) {
			t.Errorf("the text does not name %s", name)
		}
	}
}

func TestMiddlewarePanicsWhereNewFails(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		var fault *handrail.OptionError
		if !errors.As(err, &fault) || fault.Option != "WithStatus" {
			t.Errorf("panicked with %v", err)
		}
	}()
	shed.Middleware(shed.WithStatus(1))
	t.Error("did not panic")
}

func TestWrappingNothingPanics(t *testing.T) {
	s := shedder(t)
	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "shed: ") {
			t.Errorf("panicked with %q", got)
		}
	}()
	s.Wrap(nil)
	t.Error("did not panic")
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	all := func(v float64) map[handrail.Priority]float64 {
		caps := map[handrail.Priority]float64{}
		for rank := range handrail.Priorities {
			caps[handrail.PriorityOfRank(rank)] = v
		}
		return caps
	}
	for name, opt := range map[string]shed.Option{
		"no caps":              shed.ByPriority(nil),
		"caps of 0":            shed.ByPriority(all(0)),
		"caps of 1":            shed.ByPriority(all(1)),
		"shortest target":      shed.ForTarget(time.Millisecond),
		"longest target":       shed.ForTarget(10 * time.Minute),
		"no name":              shed.WithName(""),
		"long name":            shed.WithName(strings.Repeat("n", 64)),
		"one tenant":           shed.WithMaxTenants(1),
		"a million tenants":    shed.WithMaxTenants(1_000_000),
		"one slot":             shed.WithLimits(1, 1, 1),
		"a million slots":      shed.WithLimits(1_000_000, 1_000_000, 1_000_000),
		"no waiting":           shed.WithMaxWait(0),
		"long waiting":         shed.WithMaxWait(time.Minute),
		"lowest thresholds":    shed.WithThresholds(shed.Thresholds{Latency: time.Millisecond}),
		"highest thresholds":   shed.WithThresholds(shed.Thresholds{CPU: 1, Memory: 1, Errors: 1, Latency: 10 * time.Minute}),
		"rates of 0":           shed.WithRates(0, 0),
		"rates of 1":           shed.WithRates(1, 1),
		"circuit defaults":     shed.WithCircuit(shed.CircuitSettings{}),
		"shortest circuit":     shed.WithCircuit(shed.CircuitSettings{Signals: 1, Hold: 1, CoolDown: 10 * time.Millisecond, Probes: 1e-9, ProbeFor: 10 * time.Millisecond}),
		"longest circuit":      shed.WithCircuit(shed.CircuitSettings{Signals: 4, Hold: 10 * time.Minute, CoolDown: time.Hour, Probes: 1e6, ProbeFor: time.Hour}),
		"seed 0":               shed.WithSeed(0),
		"status 400":           shed.WithStatus(400),
		"status 599":           shed.WithStatus(599),
		"no message":           shed.WithMessage(""),
		"long message":         shed.WithMessage(strings.Repeat("m", 1024)),
		"shortest Retry-After": shed.WithMaxRetryAfter(time.Second),
		"longest Retry-After":  shed.WithMaxRetryAfter(24 * time.Hour),
		"no dry run":           shed.WithDryRun(false),
	} {
		s, err := shed.New(opt, shed.WithSampler(idle(t)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if status := get(s.Wrap(noop)); status != http.StatusOK && !strings.HasPrefix(name, "rates of 1") {
			t.Errorf("%s: status %d", name, status)
		}
	}
}

func TestALaterOptionWins(t *testing.T) {
	s := shedder(t, shed.WithName("first"), shed.WithStrategy(shed.Random), shed.WithName("second"), shed.Basic())
	if st := s.Stats(); st.Name != "second" || st.Strategy != shed.Adaptive {
		t.Errorf("name %q, strategy %v", st.Name, st.Strategy)
	}
}

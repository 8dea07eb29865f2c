package load

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

func TestDefaultsAreWhatTheyWere(t *testing.T) {
	got := defaults()
	want := settings{
		interval:   time.Second,
		window:     30 * time.Second,
		thresholds: Thresholds{CPU: 0.80, Memory: 0.85, Runnable: 8},
	}
	if got.name != want.name || got.interval != want.interval || got.window != want.window || got.thresholds != want.thresholds ||
		got.source != nil || got.scheduler != nil || got.onError != nil || got.faults != nil {
		t.Errorf("%+v, want %+v", got, want)
	}
	if d := Default().set; d.interval != want.interval || d.window != want.window || d.thresholds != want.thresholds {
		t.Errorf("Default has %+v, want %+v", d, want)
	}
}

func TestOptionsAtTheEndsOfTheirRanges(t *testing.T) {
	inf := math.Inf(1)
	for name, opt := range map[string]Option{
		"shortest interval":         WithInterval(time.Millisecond),
		"longest interval":          WithInterval(time.Minute),
		"shortest window":           WithWindow(10 * time.Millisecond),
		"longest window":            WithWindow(time.Hour),
		"highest thresholds":        WithThresholds(Thresholds{1, 1, math.MaxFloat64}),
		"thresholds out of reach":   WithThresholds(Thresholds{inf, inf, inf}),
		"thresholds left as is":     WithThresholds(Thresholds{}),
		"a name with anything":      WithName("\x00\"\n"),
		"thresholds near to nought": WithThresholds(Thresholds{math.SmallestNonzeroFloat64, 1e-300, 1e-300}),
	} {
		if _, err := New(opt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := New(WithThresholds(Thresholds{Memory: 0.5}), WithInterval(time.Hour), WithInterval(time.Minute))
	if err == nil {
		t.Errorf("a fault was forgiven: %+v", s.set)
	}
	s, err = New(WithThresholds(Thresholds{Memory: 0.5}), WithThresholds(Thresholds{CPU: 0.6}), WithWindow(time.Minute), WithWindow(time.Second))
	if err != nil || s.set.thresholds != (Thresholds{0.6, 0.5, 8}) || s.set.window != time.Second {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAllFaultsOfOptionsAreReportedTogether(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	opts := []Option{
		WithInterval(0), WithInterval(time.Millisecond - 1), WithInterval(time.Minute + 1), WithInterval(-time.Second),
		WithWindow(0), WithWindow(time.Hour + 1),
		WithSource(nil), WithScheduler(nil), OnError(nil),
		WithThresholds(Thresholds{CPU: 1.01, Memory: -0.1, Runnable: -1}),
		WithThresholds(Thresholds{CPU: nan, Memory: nan, Runnable: nan}),
		WithThresholds(Thresholds{CPU: -inf, Memory: -inf, Runnable: -inf}),
		nil,
	}
	want := []string{
		"WithInterval", "WithInterval", "WithInterval", "WithInterval", "WithWindow", "WithWindow",
		"WithSource", "WithScheduler", "OnError",
		"WithThresholds", "WithThresholds", "WithThresholds", "WithThresholds", "WithThresholds", "WithThresholds",
		"WithThresholds", "WithThresholds", "WithThresholds", "New",
	}
	s, err := New(opts...)
	if s != nil || err == nil {
		t.Fatalf("%v, %v", s, err)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != len(want) {
		t.Fatalf("%v: want %d faults", err, len(want))
	}
	for i, e := range joined.Unwrap() {
		var fault *handrail.OptionError
		if !errors.As(e, &fault) || fault.Package != "load" || fault.Option != want[i] || fault.Reason == "" {
			t.Errorf("fault %d is %v, want one of %s", i, e, want[i])
		}
	}
}

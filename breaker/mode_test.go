package breaker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
)

func TestModesChangeWhatIsLetInAndWhatCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t)
		d := drive(b)
		b.ForceOpen()
		if d.do(fine) {
			t.Error("forced open lets in")
		}
		b.ForceClosed()
		for range 20 {
			if !d.do(failed) {
				t.Error("forced closed refuses")
			}
		}
		b.Automatic()
		expect(t, b, breaker.Closed)
		d.trip(4) // what failed while it was forced is not in the row
		expect(t, b, breaker.Closed)
		d.do(failed)
		expect(t, b, breaker.Open)
		b.ForceClosed()
		if !d.do(fine) {
			t.Error("forced closed refuses while open")
		}
		b.Disable()
		before := b.Stats()
		if !d.do(failed) {
			t.Error("disabled refuses")
		}
		if after := b.Stats(); fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("disabled counts: %v, before %v", after, before)
		}
		b.Automatic()
		if d.do(fine) {
			t.Error("the state has changed")
		}
		if s := b.Stats(); s.Failures != 25 || s.Successes != 1 || s.Reasons[breaker.ReasonForced] != 1 || s.Reasons[breaker.ReasonOpen] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheShadowDecidesAndCountsButRefusesNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		opened := 0
		b := made(t, breaker.WithMode(breaker.Shadow), breaker.WithSuccesses(1), breaker.WithRamp(time.Minute), breaker.OnStateChange(func(e breaker.Event) {
			if e.To == breaker.Open {
				opened++
			}
		}))
		d := drive(b)
		for range 15 {
			if !d.do(failed) {
				t.Error("refused")
			}
		}
		expect(t, b, breaker.Open)
		if s := b.Stats(); s.Spared != 10 || s.Rejected != 10 || s.Failures != 15 || s.Opened != 1 {
			t.Errorf("%+v", s)
		}
		wait(time.Minute)
		probe := d.start()
		if beside := d.start(); !beside.inside {
			t.Error("refused beside the probe")
		} else {
			beside.finish(failed) // which is none of the probe's business
		}
		probe.finish(fine)
		expect(t, b, breaker.Closed)
		for range 2 {
			if !d.do(fine) {
				t.Error("refused in the ramp")
			}
		}
		if got := b.Stats().Reasons; got[breaker.ReasonProbing] != 1 || got[breaker.ReasonRamping] != 1 {
			t.Errorf("%v", got)
		}
		if opened != 1 {
			t.Errorf("told of %d openings", opened)
		}
	})
}

func TestAKeyHasAModeOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.PerTenant(handrail.ByHeader("X-Tenant")), breaker.WithMaxKeys(2))
		d := drive(b)
		let := func(tenant string, want bool) {
			t.Helper()
			if got := d.do(fine, "X-Tenant", tenant); got != want {
				t.Errorf("%s let in: %t", tenant, got)
			}
		}
		b.Key("acme").ForceOpen() // before it has a circuit
		let("acme", false)
		let("globex", true)
		for _, other := range []string{"a", "b", "c", "d"} { // evict them all
			let(other, true)
		}
		let("acme", false)
		b.ForceOpen()
		b.Key("globex").ForceClosed()
		let("globex", true)
		let("a", false)
		b.Key("globex").Follow()
		let("globex", false)
		b.Automatic()
		let("globex", true)
		let("acme", false)
		for _, change := range []func(breaker.KeyControl){breaker.KeyControl.Disable, breaker.KeyControl.Shadow, breaker.KeyControl.Automatic, breaker.KeyControl.Follow} {
			b.Key("acme").ForceOpen()
			change(b.Key("acme"))
			let("acme", true)
		}
		if got := b.Key("acme").Mode(); got != breaker.Automatic {
			t.Error(got)
		}
	})
}

func TestResetClosesAndForgets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.PerTenant(handrail.ByHeader("X-Tenant")), breaker.WithGrowth(2, time.Hour))
		d := drive(b)
		for _, tenant := range []string{"a", "b"} {
			d.trip(5, "X-Tenant", tenant)
			wait(time.Minute)
			d.do(failed, "X-Tenant", tenant) // its open time has grown
		}
		b.Key("a").Reset()
		b.Key("nobody").Reset()
		if !d.do(fine, "X-Tenant", "a") || d.do(fine, "X-Tenant", "b") {
			t.Error("the wrong one was reset")
		}
		b.Reset()
		d.trip(4, "X-Tenant", "b")
		if got := circuitOf(b, "b"); got.State != breaker.Closed || got.ConsecutiveFailures != 4 {
			t.Errorf("%+v", got)
		}
		d.do(failed, "X-Tenant", "b")
		if got := circuitOf(b, "b").OpenFor; got != time.Minute {
			t.Errorf("open for %v", got)
		}
	})
	bubble(t, func(t *testing.T) {
		b := made(t)
		drive(b).trip(5)
		b.Key("").Reset()
		expect(t, b, breaker.Closed)
	})
}

func TestWhatIsNoModePanics(t *testing.T) {
	b := made(t)
	for _, set := range []func(breaker.Mode){b.SetMode, b.Key("k").SetMode} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			set(99)
		}()
	}
}

func TestNamesOfWhatIsCounted(t *testing.T) {
	for got, want := range map[fmt.Stringer]string{
		breaker.Closed: "closed", breaker.Open: "open", breaker.HalfOpen: "half_open", breaker.State(9): "unknown",
		breaker.Automatic: "automatic", breaker.Shadow: "shadow", breaker.Mode(9): "unknown",
		breaker.Success: "success", breaker.Excluded: "excluded", breaker.Verdict(9): "unknown",
		breaker.ReasonOpen: "open", breaker.ReasonForced: "forced", breaker.Reason(9): "unknown",
		breaker.CauseSlow: "slow", breaker.CauseForgotten: "forgotten", breaker.Cause(99): "unknown",
	} {
		if got.String() != want {
			t.Errorf("%T %q, want %q", got, got, want)
		}
	}
}

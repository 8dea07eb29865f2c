package breaker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/handrail-go/handrail/breaker"
)

func TestAnOpenCircuitIsDegradedUntilItCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithName("checkout"), breaker.WithSuccesses(1))
		d := drive(b)
		says := func(want string) {
			t.Helper()
			if got := fmt.Sprint(b.Degraded()); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		says("<nil>")
		d.trip(5)
		says("breaker: checkout: open")
		for _, quiet := range []func(){b.Shadow, b.Disable, b.ForceClosed} {
			quiet()
			says("<nil>")
		}
		b.Automatic()
		wait(time.Minute)
		c := d.start()
		says("breaker: checkout: open")
		c.finish(fine)
		says("<nil>")
		b.ForceOpen()
		says("breaker: checkout: forced open")
		b.Automatic()
		d.trip(5)
		wait(2 * time.Minute) // and nobody comes
		says("<nil>")
	})
}

func TestDegradedNamesTheKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant()...)
		d := drive(b)
		b.Key("forced").ForceOpen()
		for i := range 20 {
			d.trip(5, "X-Tenant", fmt.Sprintf("t%02d", i))
		}
		var e *breaker.DegradedError
		if err := b.Degraded(); !errors.As(err, &e) || e.Circuits != 21 || len(e.Keys) != 10 || e.Keys[0] != "forced" || e.Keys[1] != "t00" {
			t.Errorf("%+v", e)
		}
		if got := e.Error(); len(got) > 200 {
			t.Error(got)
		}
	})
}

package observe

import (
	"testing"

	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/internal/option"
)

// What is not said is a promise too: who upgrades gets no other lines.
func TestDefaultsAreThePinnedOnes(t *testing.T) {
	set, log := defaults(), defaultLog()
	set.Faults, log.Faults = option.Faults{}, option.Faults{}
	golden.Compare(t, "testdata/defaults.golden", golden.Settings{Name: "observer", Value: &set})
	for name, want := range map[string]bool{"authorization": true, "Set-Cookie": true, "ACCESS-TOKEN": true, "access_token": true, "user": false, "": false} {
		if log.redacted.has(name) != want {
			t.Errorf("%q is redacted: %t", name, !want)
		}
	}
	log.redacted = nil
	golden.Compare(t, "testdata/logdefaults.golden", golden.Settings{Name: "access log", Value: &log})
}

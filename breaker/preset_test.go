package breaker

import (
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
)

// What a preset resolves to is a promise: who upgrades gets no other
// thresholds.
func TestPresetsResolveToTheirPinnedValues(t *testing.T) {
	var pinned []golden.Settings
	for _, preset := range []struct {
		name string
		opts []Option
	}{
		{"nothing", nil},
		{"Basic()", []Option{Advanced(Settings{ConsecutiveFailures: 1, Successes: 9, Probes: 9, Growth: 2, MaxOpenFor: time.Hour, Ramp: 1, SlowCall: 1, SlowShare: 1}), PerOperation(), Basic()}},
		{"PerTenant(key)", []Option{PerTenant(handrail.ByHost)}},
		{"PerOperation()", []Option{PerOperation()}},
		{"Advanced(Settings{})", []Option{Advanced(Settings{})}},
		{"Advanced(all)", []Option{Advanced(Settings{
			ConsecutiveFailures: 7, FailureRate: .25, MinRequests: 20, Window: time.Minute, Buckets: 6,
			SlowCall: time.Second, SlowShare: .75, OpenFor: 5 * time.Second, Growth: 2, MaxOpenFor: time.Hour,
			Successes: 4, Probes: 2, ProbeTimeout: 10 * time.Second, Ramp: 30 * time.Second,
		})}},
	} {
		set := defaults()
		if err := set.apply(preset.opts); err != nil {
			t.Fatalf("%s: %v", preset.name, err)
		}
		pinned = append(pinned, golden.Settings{Name: preset.name, Value: &set})
	}
	golden.Compare(t, "testdata/presets.golden", pinned...)
}

package timeout

import (
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
)

// What a preset resolves to is a promise: who upgrades gets no other timeouts.
func TestPresetsResolveToTheirPinnedValues(t *testing.T) {
	own := map[string]time.Duration{"GET /reports": time.Minute, "GET /ping": time.Second}
	var pinned []golden.Settings
	for _, preset := range []struct {
		name string
		opts []Option
	}{
		{"nothing", nil},
		{"Basic(5s)", []Option{Basic(5 * time.Second)}},
		{"PerOperation(5s, own)", []Option{PerOperation(5*time.Second, own)}},
		{"PerTenant(5s, own), WithTenant(key)", []Option{PerTenant(5*time.Second, own), WithTenant(handrail.ByHost)}},
		{"Dynamic(5s, ByPriority(fn))", []Option{Dynamic(5*time.Second, ByPriority(handrail.PriorityFromHeader("P")))}},
	} {
		set := defaults()
		if err := set.apply(preset.opts); err != nil {
			t.Fatalf("%s: %v", preset.name, err)
		}
		pinned = append(pinned, golden.Settings{Name: preset.name, Value: &set})
	}
	golden.Compare(t, "testdata/presets.golden", pinned...)
}

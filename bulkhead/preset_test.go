package bulkhead

import (
	"testing"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
)

// What a preset resolves to is a promise: who upgrades gets no other limits.
func TestPresetsResolveToTheirPinnedValues(t *testing.T) {
	var pinned []golden.Settings
	for _, preset := range []struct {
		name string
		opts []Option
	}{
		{"nothing", nil},
		{"Basic(50)", []Option{Basic(50)}},
		{"PerTenant(key, 5)", []Option{PerTenant(handrail.ByHost, 5)}},
		{"WithTenant(key)", []Option{WithTenant(handrail.ByHost)}},
		{"PerOperation(5)", []Option{PerOperation(5)}},
		{"WithOperation(key)", []Option{WithOperation(handrail.ByHost)}},
		{"ByPriority(fn)", []Option{ByPriority(handrail.PriorityFromHeader("P"))}},
		{"PerTenant(key, 5), PerOperation(5), Basic(50)", []Option{PerTenant(handrail.ByHost, 5), PerOperation(5), Basic(50)}},
	} {
		set := defaults()
		if err := set.apply(preset.opts); err != nil {
			t.Fatalf("%s: %v", preset.name, err)
		}
		pinned = append(pinned, golden.Settings{Name: preset.name, Value: &set})
	}
	golden.Compare(t, "testdata/presets.golden", pinned...)
}

package shed

import (
	"net/http"
	"testing"
	"time"

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
		{"Basic()", []Option{Basic()}},
		{"ByPriority(nil)", []Option{ByPriority(nil)}},
		{"ByPriority({background: 1, normal: 0})", []Option{ByPriority(map[handrail.Priority]float64{handrail.Background: 1, handrail.Normal: 0})}},
		{"ForTarget(250ms)", []Option{ForTarget(250 * time.Millisecond)}},
		{"Using(fn)", []Option{Using(func(Snapshot, *http.Request) bool { return false })}},
		{"WithCircuit({})", []Option{WithCircuit(CircuitSettings{})}},
		{"WithStrategy(Random)", []Option{WithStrategy(Random)}},
	} {
		set := defaults()
		if err := set.apply(preset.opts); err != nil {
			t.Fatalf("%s: %v", preset.name, err)
		}
		pinned = append(pinned, golden.Settings{Name: preset.name, Value: &set})
	}
	golden.Compare(t, "testdata/presets.golden", pinned...)
}

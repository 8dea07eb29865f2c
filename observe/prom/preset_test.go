package prom

import (
	"fmt"
	"testing"

	"github.com/handrail-go/handrail/internal/golden"
)

// What the options resolve to is a promise: who upgrades finds the same buckets
// and bounds.
func TestOptionsResolveToTheirPinnedValues(t *testing.T) {
	var pinned []golden.Settings
	for _, preset := range []struct {
		name string
		opts []Option
	}{
		{"nothing", nil},
		{"WithClassicNames()", []Option{WithClassicNames()}},
		{"WithSizes()", []Option{WithSizes()}},
		{"WithBuckets(), WithSizes()", []Option{WithBuckets(), WithSizes()}},
		{"WithBuckets(), WithSizes(1, 2)", []Option{WithBuckets(), WithSizes(1, 2)}},
	} {
		set := defaults()
		if err := set.apply(preset.opts); err != nil {
			t.Fatalf("%s: %v", preset.name, err)
		}
		// Slices are shown as being there or not, so numbers are shown apart.
		pinned = append(pinned, golden.Settings{Name: preset.name, Value: &set},
			golden.Settings{Name: "\tbounds", Value: &struct{ Buckets, Sizes bounds }{bounds{set.buckets}, bounds{set.sizeBuckets}}})
	}
	golden.Compare(t, "testdata/presets.golden", pinned...)
}

type bounds struct{ of []float64 }

func (b bounds) String() string { return fmt.Sprint(b.of) }

package cloudwatch

import (
	"testing"

	"github.com/handrail-go/handrail/internal/golden"
)

// What holds without options is a promise: who upgrades gets no other metrics,
// and no larger bill.
func TestDefaultsResolveToTheirPinnedValues(t *testing.T) {
	set, logs := defaults(), logDefaults()
	if err := set.apply(nil); err != nil {
		t.Fatal(err)
	}
	if err := logs.apply(nil); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/defaults.golden",
		golden.Settings{Name: "NewMetrics without options", Value: &set},
		golden.Settings{Name: "NewHandler without options", Value: &logs})
}

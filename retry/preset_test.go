package retry

import (
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/golden"
)

// What a preset resolves to is a promise: who upgrades gets no other delays.
func TestPresetsResolveToTheirPinnedValues(t *testing.T) {
	var pinned []golden.Settings
	for _, preset := range []struct {
		name string
		opts []Option
	}{
		{"nothing", nil},
		{"Basic()", []Option{WithAttempts(7), WithStatuses(409), WithUnsafeMethods(), WithFixed(1), Basic()}},
		{"HTTP()", []Option{HTTP()}},
		{"Database()", []Option{Database()}},
		{"Custom(5, fn)", []Option{Custom(5, func(int) time.Duration { return 1 })}},
	} {
		set := defaults()
		if err := set.apply(preset.opts); err != nil {
			t.Fatalf("%s: %v", preset.name, err)
		}
		pinned = append(pinned, golden.Settings{Name: preset.name, Value: &set})
	}
	golden.Compare(t, "testdata/presets.golden", pinned...)
}

func TestPresetsNameTheSameMethodsAndStatuses(t *testing.T) {
	for name, preset := range map[string]Option{"Basic": Basic(), "HTTP": HTTP(), "Database": Database(), "Custom": Custom(2, func(int) time.Duration { return 0 })} {
		set := defaults()
		if err := set.apply([]Option{preset}); err != nil {
			t.Fatal(err)
		}
		for method, want := range map[string]bool{"": true, "GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true, "POST": false, "PATCH": false, "CONNECT": false, "get": false} {
			if got := set.repeatable(method, nil); got != want {
				t.Errorf("%s: %s is repeatable: %t", name, method, got)
			}
		}
		repeated := map[int]bool{429: true, 500: true, 502: true, 503: true, 504: true}
		for status := -1; status < 1100; status++ {
			if got := set.statuses.has(status); got != repeated[status] {
				t.Errorf("%s: %d is a failure: %t", name, status, got)
			}
		}
	}
}

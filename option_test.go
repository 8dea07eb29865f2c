package handrail_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/handrail-go/handrail"
)

func TestOptionErrorSaysAll(t *testing.T) {
	err := errors.Join(
		&handrail.OptionError{Package: "shed", Option: "WithWindow", Value: -1, Reason: "must be at least 1s"},
		&handrail.OptionError{Package: "shed", Option: "Using", Reason: "needs a function"},
	)
	for _, want := range []string{"shed: WithWindow(-1): must be at least 1s", "shed: Using: needs a function"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	var fault *handrail.OptionError
	if !errors.As(err, &fault) || fault.Option != "WithWindow" {
		t.Errorf("the fault cannot be found: %v", fault)
	}
}

func TestOptionErrorBoundsTheValue(t *testing.T) {
	err := &handrail.OptionError{Package: "p", Option: "O", Value: strings.Repeat("x", 1<<20), Reason: "too long"}
	if n := len(err.Error()); n > 300 {
		t.Errorf("the message has %d bytes", n)
	}
}

package retry_test

import (
	"testing"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/retry"
)

// Nothing is repeated here, so that what handlers do is seen once: what they
// answer goes through the writer of a first attempt, or is held back and
// delivered where it is a failure.
func TestWhatIsNotRepeatedBehavesAsWithoutTheRetries(t *testing.T) {
	none, err := retry.NewBudget(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	httptorture.Run(t, retry.Middleware(retry.WithBudget(none), retry.WithUnsafeMethods()))
}

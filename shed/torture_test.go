package shed_test

import (
	"net/http"
	"testing"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/shed"
)

func TestWhatIsLetInBehavesAsWithoutTheShedder(t *testing.T) {
	sampler := idle(t)
	sampler.Usage() // starts its goroutine, which is none of the cases' own
	httptorture.Run(t, func(next http.Handler) http.Handler {
		// With a slot for everybody.
		return shed.Middleware(fixed(1000), shed.WithSampler(sampler))(next)
	})
}

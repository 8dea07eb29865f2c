package health

import (
	"net/http"
	"testing"

	"github.com/handrail-go/handrail/internal/httptorture"
)

func TestWhatIsPassedOnBehavesAsWithoutTheProbes(t *testing.T) {
	h := made(t, WithCheck("db", passing))
	httptorture.Run(t, h.Wrap, httptorture.LeavesGoroutine("health.(*Health).watch", "health.(*Health).launch", "notify.(*Queue"))
}

// discard is a writer that keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (w *discard) Header() http.Header         { return w.header }
func (w *discard) WriteHeader(status int)      { w.status = status }
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }

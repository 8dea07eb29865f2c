package health

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/race"
)

func TestAProbeAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	steady := []CheckOption{Every(time.Hour), Timeout(time.Hour)} // that no result comes between
	h := made(t, WithCheck("good", passing, append(steady, Initially(Pass))...), WithCheck("bad", failing, append(steady, Initially(Fail), In(Startup))...))
	w := h.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for h.Stats().Checks[1].Failures == 0 || h.Stats().Checks[0].Passes == 0 {
		time.Sleep(time.Millisecond)
	}
	for path, code := range map[string]int{"/readyz": 200, "/livez": 200, "/startupz": 503, "/healthz": 503, "/orders/7": 0} {
		for _, accept := range []string{"", "*/*"} {
			r := httptest.NewRequest("GET", path, nil)
			if accept != "" {
				r.Header.Set("Accept", accept)
			}
			out := &discard{header: http.Header{}}
			if got := testing.AllocsPerRun(500, func() { w.ServeHTTP(out, r) }); got != 0 || out.status != code {
				t.Errorf("%s: %v allocations, status %d", path, got, out.status)
			}
		}
	}
}

func TestAHeartbeatAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	b := NewHeartbeat(time.Second)
	if got := testing.AllocsPerRun(500, b.Beat); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

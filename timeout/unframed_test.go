package timeout_test

import (
	"net/http"
	"testing"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// A response without chunks or length ends where its connection does. One that
// is cut must not end that way, or it would pass for a whole one.
func TestAResponseThatEndsWithItsConnectionDoesNotLookWholeWhenItIsCut(t *testing.T) {
	try(t, unframed())
}

func unframed() (trials []trial) {
	for _, framing := range []struct {
		name, raw string
		header    string
	}{
		{"for a client of HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", ""},
		{"by the wish of the handler", "GET / HTTP/1.1\r\nHost: test\r\n\r\n", "identity"},
	} {
		for _, way := range []struct {
			name    string
			rest    func(*stage, *http.Request)
			overdue bool
		}{
			{"the handler hangs", func(s *stage, _ *http.Request) { s.outlive() }, true},
			{"the handler heeds its context", (*stage).heed, false},
		} {
			trials = append(trials, trial{
				name: framing.name + ", " + way.name, on: onHTTP1,
				client: func(s *stage) *reply {
					c := s.dial()
					defer c.Close()
					c.send(framing.raw)
					return c.receive("GET")
				},
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					if framing.header != "" {
						w.Header().Set("Transfer-Encoding", framing.header)
					}
					s.write(w, "the beginning")
					s.flush(w)
					s.inTime(r)
					way.rest(s, r)
				},
				overdue: way.overdue,
				// A reset may overtake what was sent before it.
				want: begins(neverComplete), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
			})
		}
	}
	return trials
}

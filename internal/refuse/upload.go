package refuse

import (
	"io"
	"net/http"
	"time"
)

// limits are the times for which a body may hold up its connection.
type limits struct {
	// patience is how long an HTTP/1 body may take to arrive for the
	// connection to live on.
	patience time.Duration
	// linger is how long net/http may discard the rest of a body after the
	// response, on a connection that closes.
	linger time.Duration
	// rest is the same where the connection seems to live on. If it does,
	// the body is gone and net/http waits for the next request, which a
	// deadline here must not disturb: it is reset when the outermost handler
	// returns, so it is set beyond what that may take. If the connection
	// closes for a reason not seen from here, it bounds the wait.
	rest time.Duration
}

var usual = limits{patience: 5 * time.Millisecond, linger: 500 * time.Millisecond, rest: 5 * time.Second}

// readAhead is how much of a request net/http has read when the handler
// starts. Where a connection closes with less than that unread there is
// normally nothing to reset it for.
const readAhead = 4 << 10

// upload is what was done about the body of a request before the response.
type upload uint8

const (
	none     upload = iota // nothing: no body, not HTTP/1, or no means
	awaited                // the body has until the deadline to arrive
	forsaken               // the connection closes anyway
)

// hold makes sure that the response to r waits no longer than l.patience for
// the body of r. It is called before the response is written.
func (l *limits) hold(w http.ResponseWriter, r *http.Request) upload {
	if r.ContentLength == 0 || r.ProtoMajor != 1 {
		return none
	}
	controller := http.NewResponseController(w)
	wait, u := l.patience, awaited
	if closes(w, r) {
		wait, u = l.linger, forsaken
	}
	unable := controller.SetReadDeadline(time.Now().Add(wait)) != nil
	if unable || u == forsaken {
		// On a connection that is to be closed, net/http sends the response
		// before it discards the body.
		w.Header()["Connection"] = closing
	}
	if unable {
		return none
	}
	if asked(r) && r.ContentLength > readAhead {
		CloseGently(w)
	}
	return u
}

// closes says whether net/http is going to close the connection whatever
// becomes of the body.
func closes(w http.ResponseWriter, r *http.Request) bool {
	return asked(r) || r.Header["Expect"] != nil || w.Header().Get("Connection") == "close"
}

// asked says whether the client asked for that. The copy of a request that
// httputil.ReverseProxy gives its ErrorHandler has neither Close nor the field
// Connection any more, but still says that it came over HTTP/1.0, where nobody
// keeps a connection without asking for it.
func asked(r *http.Request) bool {
	return r.Close || r.ProtoMinor == 0 && r.Header["Connection"] == nil
}

// settle sends the response and bounds how long net/http may discard what is
// left of the body when the handler has returned.
func (l *limits) settle(u upload, w http.ResponseWriter, r *http.Request) {
	if u != awaited {
		return
	}
	controller := http.NewResponseController(w)
	err := controller.Flush()
	wait := l.rest
	if r.Context().Err() != nil {
		// The deadline passed: net/http cancels the context after any error
		// on the connection. (Or the client has left, or a deadline further
		// out has passed; then no harm is done.)
		CloseGently(w)
		wait = l.linger
	} else if err != nil {
		// The body is going to be judged when the handler has returned.
		wait = l.linger
	}
	controller.SetReadDeadline(time.Now().Add(wait))
}

// CloseGently has net/http close the connection after the response, and not
// before it has given a client that is still sending half a second to see
// that. There is no call that says so, but net/http does it when a body turns
// out larger than http.MaxBytesReader allows, of which it learns from the
// reader: so let that read a body of our own which is too large. What net/http
// does for other bodies depends on how they end, and where the client asked
// for the connection to be closed it is a reset, which may overtake the
// response.
func CloseGently(w http.ResponseWriter) {
	for range 32 { // layers; a writer that wraps itself ends there too
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		inner := outer.Unwrap()
		if inner == nil {
			break
		}
		w = inner
	}
	var one [1]byte
	http.MaxBytesReader(w, tooLarge{}, 0).Read(one[:])
}

// tooLarge is a body without end.
type tooLarge struct{}

func (tooLarge) Read(p []byte) (int, error) { return len(p), nil }
func (tooLarge) Close() error               { return nil }

var _ io.ReadCloser = tooLarge{}

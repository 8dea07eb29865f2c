package retry

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// The states of an attempt. Whoever changes the state holds mu.
const (
	// open: no response is chosen.
	open uint32 = iota
	// holding: the response is a failure, and held back.
	holding
	// begun: the response goes through to the client.
	begun
	// taken: the connection was hijacked.
	taken
	// over: the handler is back. Whatever it left behind is refused.
	over
)

// attempt is one run of the handler, and the writer that it gets. Its response
// goes through as soon as it is known not to be a failure; a failure is held
// back, so that it can be dropped. It is never reused: what a handler leaves
// behind may hold it, and must not meet a stranger's response.
type attempt struct {
	p   *Retrier
	w   http.ResponseWriter // what stands outside
	r   *http.Request       // as it came in
	rec httpwrap.Recorder
	up  *upload
	// timer ends the attempt's context, until its response begins.
	timer *time.Timer
	n     int32

	state atomic.Uint32

	mu sync.Mutex
	// header is the handler's, nil until it asks, and chosen what it was when
	// a response was held back.
	header, chosen http.Header
	held           []byte
	// length is the Content-Length of what is held, -1 if none.
	length int64
	// status is what the handler chose, 0 before that, and second what it said
	// again, for net/http to complain about.
	status, second int32
	// final says that nothing is held back, because nothing can follow, and
	// failed that the response is a failure.
	final, failed bool
}

var errOver = errors.New("retry: the attempt that this response belongs to is over")

// Exchange implements [httpwrap.Barrier].
func (a *attempt) Exchange() *httpwrap.Recorder { return &a.rec }

// through says that calls go on as they are.
func (a *attempt) through() bool {
	state := a.state.Load()
	return state == begun || state == taken
}

// Header is the handler's own map, so that nothing of a failed attempt, and
// nobody it left behind, gets into the response of another one.
func (a *attempt) Header() http.Header {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.header == nil {
		if a.state.Load() == over {
			a.header = make(http.Header)
		} else if a.header = a.w.Header().Clone(); a.header == nil {
			a.header = make(http.Header)
		}
	}
	return a.header
}

func (a *attempt) WriteHeader(status int) {
	if a.through() {
		a.w.WriteHeader(status) // net/http says what is wrong with it
		return
	}
	if status < 100 || status > 999 {
		if a.state.Load() != over {
			a.w.WriteHeader(status) // likewise, by a panic
		}
		return
	}
	if httpwrap.Informational(status, a.r) {
		a.inform(status)
		return
	}
	a.choose(status)
}

// choose fixes the response where that has not been done, and returns the
// state that follows.
func (a *attempt) choose(status int) uint32 {
	a.mu.Lock()
	if a.state.Load() == open && status != 0 && a.status == 0 {
		a.status = int32(status)
		header, asked := a.header, a.header != nil
		if !asked && (a.p.set.classify != nil || a.p.set.statuses.has(status)) {
			header = a.w.Header()
		}
		a.mu.Unlock()
		asking := true
		defer func() {
			if asking { // it panicked, so nothing is chosen
				a.mu.Lock()
				a.status = 0
				a.mu.Unlock()
			}
		}()
		failed := a.p.set.failed(a.r, int(a.n), status, header) // may be somebody else's function
		asking = false
		a.mu.Lock()
		if a.failed = failed; !failed || a.final || refused(a.rec.Outcome()) || httpwrap.IsEventStream(header) {
			a.begin()
		} else if a.state.Load() == open {
			a.hold(header)
		}
	} else if status != 0 && a.second == 0 {
		a.second = int32(status)
	}
	state := a.state.Load()
	a.mu.Unlock()
	return state
}

// refused says that a policy further in has spoken, and would again.
func refused(o httpwrap.Outcome) bool {
	return o == httpwrap.Shed || o == httpwrap.BreakerOpen || o == httpwrap.BulkheadFull
}

func (a *attempt) Write(p []byte) (int, error) {
	for !a.through() {
		if n, err, done := keep(a, p); done {
			return n, err
		}
	}
	return a.w.Write(p)
}

// WriteString is Write without making bytes of s.
func (a *attempt) WriteString(s string) (int, error) {
	for !a.through() {
		if n, err, done := keep(a, s); done {
			return n, err
		}
	}
	return io.WriteString(a.w, s)
}

// keep holds p back, or reports that it is not done: it goes through.
func keep[T []byte | string](a *attempt, p T) (n int, err error, done bool) {
	switch a.choose(0) {
	case over:
		return 0, errOver, true
	case open:
		a.choose(http.StatusOK)
		return 0, nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Load() != holding {
		return 0, nil, false
	}
	all := len(a.held) + len(p)
	switch {
	case a.status == http.StatusNoContent || a.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed, true // a classifier's failure
	case a.length >= 0 && int64(all) > a.length:
		return 0, http.ErrContentLength, true
	case all > a.p.set.maxHeld:
		a.begin()
		return 0, nil, false
	}
	a.held = append(a.held, p...)
	return len(p), nil, true
}

func (a *attempt) flush() error {
	if err := a.commit(http.StatusOK); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}

// commit has the response begin, with this status where there is none.
func (a *attempt) commit(status int) error {
	if a.through() {
		return nil
	}
	a.choose(status)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.state.Load() {
	case over:
		return errOver
	case holding:
		a.second = 0
		a.begin()
	}
	return nil
}

// readFrom passes src on as it is, which lets the server use sendfile, once
// the response has begun. An empty source chooses nothing.
func (a *attempt) readFrom(src io.Reader) (n int64, err error) {
	if !a.through() {
		space := copies.Get().(*[sniffLen]byte)
		defer copies.Put(space)
		for !a.through() {
			m, rerr := src.Read(space[:])
			if m > 0 {
				written, werr := a.Write(space[:m])
				n += int64(written)
				switch {
				case werr != nil:
					return n, werr
				case written < m:
					return n, io.ErrShortWrite
				}
			}
			switch {
			case rerr == io.EOF:
				return n, nil
			case rerr != nil:
				return n, rerr
			}
		}
	}
	rest, err := a.w.(io.ReaderFrom).ReadFrom(src)
	return n + rest, err
}

// sniffLen is how much of a body net/http itself looks at first.
const sniffLen = 512

var copies = sync.Pool{New: func() any { return new([sniffLen]byte) }}

func (a *attempt) hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.state.Load() {
	case over:
		return nil, nil, errOver
	case holding:
		a.begin()
	}
	conn, rw, err := http.NewResponseController(a.w).Hijack()
	if err == nil {
		a.state.Store(taken)
		a.settle()
	}
	return conn, rw, err
}

func (a *attempt) push(target string, opts *http.PushOptions) error {
	if a.state.Load() == over {
		return errOver
	}
	return a.w.(http.Pusher).Push(target, opts)
}

func (a *attempt) closeNotify() <-chan bool {
	if a.state.Load() == over {
		ch := make(chan bool, 1)
		ch <- true
		return ch
	}
	return a.w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
}

// SetReadDeadline implements what [http.ResponseController] asks for; a writer
// that could be unwrapped would not need it.
func (a *attempt) SetReadDeadline(at time.Time) error {
	return a.control(func(c *http.ResponseController) error { return c.SetReadDeadline(at) })
}

// SetWriteDeadline is like SetReadDeadline.
func (a *attempt) SetWriteDeadline(at time.Time) error {
	return a.control(func(c *http.ResponseController) error { return c.SetWriteDeadline(at) })
}

// EnableFullDuplex is like SetReadDeadline. Both sides talk at once from here
// on, which cannot be repeated.
func (a *attempt) EnableFullDuplex() error {
	err := a.control((*http.ResponseController).EnableFullDuplex)
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.final = true
		if a.state.Load() == holding {
			a.begin()
		}
	}
	return err
}

func (a *attempt) control(do func(*http.ResponseController) error) error {
	if a.state.Load() == over {
		return errOver
	}
	return do(http.NewResponseController(a.w))
}

// What follows is called with the lock held.

// hold keeps a failure from the client.
func (a *attempt) hold(header http.Header) {
	a.chosen, a.length = header.Clone(), httpwrap.DeclaredLength(header)
	if a.chosen == nil {
		a.chosen = make(http.Header)
	}
	a.state.Store(holding)
}

// begin sends what is chosen, and what is held back.
func (a *attempt) begin() {
	switch a.state.Load() {
	case open:
		a.expose(a.header)
	case holding:
		a.expose(a.chosen)
	default:
		return
	}
	// Before the writer outside is told, so that what it calls in turn passes.
	a.state.Store(begun)
	a.settle()
	a.w.WriteHeader(int(a.status))
	if len(a.held) > 0 {
		a.w.Write(a.held) // an error comes again with the next write
		a.held = nil
	}
	if a.second != 0 {
		a.w.WriteHeader(int(a.second))
	}
}

// settle ends what is there only for attempts to come.
func (a *attempt) settle() {
	a.up.forget()
	if a.timer != nil {
		a.timer.Stop()
	}
}

// expose puts the handler's header in the place of what stands outside.
func (a *attempt) expose(header http.Header) {
	if header == nil {
		return
	}
	outside := a.w.Header()
	if len(outside) > 0 {
		clear(outside)
	}
	for name, values := range header {
		outside[name] = values[:len(values):len(values)]
	}
}

// inform sends an informational response with the handler's header, of which
// nothing stays outside.
func (a *attempt) inform(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.through():
		a.w.WriteHeader(status)
	case a.state.Load() != open:
		if a.state.Load() == holding && a.second == 0 {
			a.second = int32(status)
		}
	default:
		httpwrap.Inform(a.w, status, a.header)
	}
}

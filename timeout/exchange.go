package timeout

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// heldBack is how much of a response is held back while nobody flushes it, so
// that it can still be replaced: as much as net/http itself collects before it
// decides how to send a response.
const heldBack = 2048

// The states of an exchange. Whoever changes the state has the say from there
// on, and each change is one compare-and-swap, so that the deadline and the
// handler cannot both win.
const (
	// open: nothing of a response is out.
	open uint32 = iota
	// begun: the handler's response is being sent.
	begun
	// yielding: a timeout further in is answering, and yielded: it has.
	yielding
	yielded
	// taken: the connection was hijacked.
	taken
	// done: the handler returned in time.
	done
	// late: the deadline came first. The handler is cut off.
	late
)

// exchange is one request, and the writer that its handler gets: every call
// passes here, so that it can be refused once the deadline has passed. It is
// reused only where nothing can hold it any more, which is never the case
// after a deadline.
type exchange struct {
	home     *plain
	t        *Timeout
	w        http.ResponseWriter // what stands outside
	server   http.ResponseWriter // the server's own where the handler runs inline
	recorder *httpwrap.Recorder  // the one further out, if any
	r        *http.Request       // as it came
	form     bool                // whether r came with a multipart form
	above    *exchange           // the timeout further out whose deadline this one has
	ctx      *deadlineContext
	start    time.Time
	limit    time.Duration
	lesson   lesson
	timer    *time.Timer
	fire     func() // onTimer, made once

	state atomic.Uint32
	// spared says that the deadline means nothing any more; from then on it
	// is silence that may end the exchange. touched is when it last was not
	// silent, since start.
	spared  atomic.Bool
	touched atomic.Int64
	// overdue is how many of the two sides, deadline and handler, were there;
	// see leftBehind.
	overdue atomic.Int32
	// gone says that the client had left before the deadline came.
	gone atomic.Bool
	// informing says that an informational response is being sent.
	informing atomic.Bool
	// long counts the exchange as long-lived.
	long atomic.Bool

	apart apart
	body  *guardedBody

	// gate is for what must not wait for the other lock, which a write in
	// progress may keep: the deadline, and the deadlines of the connection.
	gate sync.Mutex

	mu sync.Mutex
	// header is the handler's, nil until it asks. From the moment that its
	// response is chosen, what stands outside has a copy of it, and outer is
	// what was there before.
	header, outer http.Header
	replaced      bool
	// status is what the handler chose, 0 before that, and length the
	// Content-Length it declared, -1 if none; sent says that w knows.
	status int
	length int64
	sent   bool
	held   []byte
	// returned and answered are for the inline way: the handler is back; the
	// deadline's answer is out.
	returned, answered bool
	back               chan struct{}
	// passing says that what the deadline sends is the answer of a timeout
	// further in.
	passing bool

	space [heldBack]byte
}

// guarded is every writer of this package.
type guarded interface{ guard() *exchange }

func (e *exchange) guard() *exchange { return e }

// Exchange implements [httpwrap.Barrier].
func (e *exchange) Exchange() *httpwrap.Recorder { return e.recorder }

// pool has no timers and no channels in it: those belong to the synctest
// bubble they were made in.
var pool = sync.Pool{New: func() any {
	p := new(plain)
	p.home, p.fire = p, p.onTimer
	return p
}}

func newExchange(t *Timeout, w http.ResponseWriter, r *http.Request, now time.Time, limit time.Duration) *exchange {
	e := &pool.Get().(*plain).exchange
	e.t, e.w, e.r, e.start, e.limit = t, w, r, now, limit
	e.recorder = httpwrap.Find(w)
	e.form = r.MultipartForm != nil
	e.ctx = &deadlineContext{parent: r.Context(), deadline: now.Add(limit)}
	e.length = -1
	return e
}

// shareDeadline finds out whether the deadline is that of a timeout further out.
// Then that one goes first, and this one is there for the case that it does
// not, because it spares a stream for instance.
func (e *exchange) shareDeadline() (slack time.Duration) {
	if deadline, ok := e.r.Context().Deadline(); !ok || deadline.After(e.ctx.deadline) {
		return 0
	}
	if e.above = outerOf(e.w); e.above == nil {
		return 0
	}
	return grace
}

// outerOf is the nearest timeout further out.
func outerOf(w http.ResponseWriter) *exchange {
	for w != nil {
		switch t := w.(type) {
		case guarded:
			return t.guard()
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil
		}
	}
	return nil
}

// recycle makes e reusable, unless handler or timer may come back to it. quiet
// says that the timer has not run; where it may have run more than once, that
// says nothing.
func (e *exchange) recycle(before uint32, quiet bool) {
	if !quiet || e.spared.Load() || before != open && before != begun {
		return
	}
	e.t, e.w, e.server, e.recorder, e.r, e.ctx, e.timer = nil, nil, nil, nil, nil, nil, nil
	e.above = nil
	e.lesson = lesson{}
	e.state.Store(open)
	e.spared.Store(false)
	e.gone.Store(false)
	e.touched.Store(0)
	e.overdue.Store(0)
	e.long.Store(false)
	e.apart, e.body = apart{}, nil
	e.header, e.outer, e.held, e.back = nil, nil, nil, nil
	e.replaced, e.sent, e.returned, e.answered, e.passing = false, false, false, false, false
	e.status = 0
	pool.Put(e.home)
}

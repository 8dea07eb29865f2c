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
//
//	from              to        by
//	open              begun     the handler's goroutine, holding mu
//	open              yielding  a timeout further in, which then makes it yielded
//	open, begun       taken     the handler's goroutine, holding mu
//	open, begun,      late      the timer's goroutine, holding gate; from open
//	yielded                     also the handler's return, by the clock
//	any but late      done      the handler's return
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
// never reused, because nobody knows who keeps it: a callback of the context
// may come after the handler's return, and must not meet a stranger's response.
type exchange struct {
	t        *Timeout
	w        http.ResponseWriter // what stands outside
	recorder *httpwrap.Recorder  // the one further out, if any
	r        *http.Request       // as it came
	above    *exchange           // the timeout further out whose deadline this one has
	ctx      deadlineContext
	start    time.Duration // since t was made
	limit    time.Duration
	lesson   *lesson // nil where nobody learns

	state atomic.Uint32
	// spared says that the deadline means nothing any more; from then on it
	// is silence that may end the exchange. touched is when it last was not
	// silent, since start.
	spared  atomic.Bool
	touched atomic.Int64
	// sides is how many of the two, deadline and handler's return, have come;
	// see overdue.
	sides atomic.Int32
	// gone says that the client had left before the deadline came, and clocked
	// that the context may be canceled for another reason, because there was a
	// deadline for reading: net/http cancels it after any error in reading.
	gone, clocked atomic.Bool
	// informing says that an informational response is being sent.
	informing atomic.Bool
	// duplex says that the handler may write while it reads.
	duplex atomic.Bool
	// unframed says that the response ends with its connection.
	unframed atomic.Bool
	// long counts the exchange as long-lived.
	long atomic.Bool

	apart *apart // nil where the handler runs inline
	body  *guardedBody

	// gate is for what must not wait for the other lock, which a write in
	// progress may keep: the deadline, and the deadlines of the connection.
	gate  sync.Mutex
	timer *time.Timer

	mu sync.Mutex
	// header is the handler's, nil until it asks. From the moment that its
	// response is chosen, what stands outside has a copy of it, and outer is
	// what was there before. Its few values are in values.
	header, outer http.Header
	values        [4]string
	// status is what the handler chose, 0 before that, and length the
	// Content-Length it declared, -1 if none; sent says that w knows.
	status int
	length int64
	held   []byte
	space  *[heldBack]byte
	// returned and answered are for the inline way: the handler is back; the
	// deadline's answer is out.
	back chan struct{}
	// passing says that what the deadline sends is the answer of a timeout
	// further in.
	passing bool

	returned, answered, sent, replaced bool
	form                               bool // whether r came with a multipart form
}

// guarded is every writer of this package.
type guarded interface{ guard() *exchange }

func (e *exchange) guard() *exchange { return e }

// Exchange implements [httpwrap.Barrier].
func (e *exchange) Exchange() *httpwrap.Recorder { return e.recorder }

// spaces are for what is held back. Nobody but the exchange sees one.
var spaces = sync.Pool{New: func() any { return new([heldBack]byte) }}

func newExchange(t *Timeout, w http.ResponseWriter, r *http.Request, now time.Time, limit time.Duration, inline bool) *plain {
	var p *plain
	if inline {
		p = new(plain)
	} else {
		both := new(struct {
			plain
			apart
		})
		p = &both.plain
		p.exchange.apart = &both.apart
	}
	e := &p.exchange
	e.t, e.w, e.r, e.start, e.limit = t, w, r, now.Sub(t.epoch), limit
	e.recorder = httpwrap.Find(w)
	e.form = r.MultipartForm != nil
	e.ctx.parent, e.ctx.deadline = r.Context(), now.Add(limit)
	e.length = -1
	return p
}

// took is how long it has been so far.
func (e *exchange) took() time.Duration { return time.Since(e.t.epoch) - e.start }

// began is when the request came.
func (e *exchange) began() time.Time { return e.ctx.deadline.Add(-e.limit) }

// server is the server's own writer where the handler runs inline, nil where it
// does not. It is there as long as what stands outside is.
func (e *exchange) server() http.ResponseWriter {
	if e.apart != nil {
		return nil
	}
	return httpwrap.Server(e.w)
}

// arm starts the timer.
func (e *exchange) arm() {
	e.gate.Lock() // a timer this short may be waiting
	e.timer = time.AfterFunc(e.limit+e.shareDeadline(), e.onTimer)
	e.gate.Unlock()
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

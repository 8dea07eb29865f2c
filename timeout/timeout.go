package timeout

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// Code is the code of this package's answers.
const Code = "TIMEOUT"

// Timeout ends requests at their deadlines. It is safe for concurrent use, and
// may wrap any number of handlers, whose figures it then adds up.
type Timeout struct {
	set      settings
	answers  [reasons]*refuse.Response
	causes   [reasons]httpwrap.Cause
	standard *refuse.Response // the answer where a rejection handler panics
	jitter   refuse.Jitter
	epoch    time.Time
	tally    tally
}

// New returns a Timeout with these options, or all that is wrong with them:
// every fault a [*handrail.OptionError], joined.
func New(opts ...Option) (*Timeout, error) {
	t := &Timeout{set: defaults(), epoch: time.Now()}
	if err := t.set.apply(opts); err != nil {
		return nil, err
	}
	rejection := handrail.Rejection{Status: t.set.status, Code: Code, Message: t.set.message, Name: t.set.name}
	for why := range Reason(reasons) {
		rejection.Reason = why.String()
		t.answers[why] = refuse.New(rejection, t.set.reject)
		t.causes[why] = httpwrap.Cause{Outcome: httpwrap.Timeout, Policy: t.set.name, Reason: why.String()}
	}
	rejection.Reason = ReasonDeadline.String()
	t.standard = refuse.New(rejection, nil)
	return t, nil
}

// Middleware is [New] and [Timeout.Wrap] in one. It panics where New fails.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	t, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return t.Wrap
}

// Wrap returns a handler that serves next, which must not be nil, and answers
// at the deadline.
func (t *Timeout) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("timeout: Wrap needs a handler")
	}
	return &handler{t: t, next: next}
}

type handler struct {
	t    *Timeout
	next http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := h.t
	now := time.Now()
	d, learns, limited := t.choose(r, now)
	switch {
	case !limited:
		h.next.ServeHTTP(w, r)
	case d <= 0:
		t.refuse(w, r, ReasonExpired, d)
	case t.set.maxOverdue > 0 && t.tally.overdue.Load() >= int64(t.set.maxOverdue):
		t.refuse(w, r, ReasonOverdue, d)
	default:
		t.tally.begin(d)
		inline := directly(w, r)
		e := newExchange(t, w, r, now, d, inline)
		if learns.by != nil {
			own := learns // so that those who learn nothing need no allocation
			e.lesson = &own
		}
		if inline {
			e.serveInline(h.next)
		} else {
			e.serveApart(h.next)
		}
	}
}

// choose returns the time there is for r, which is 0 or less where that is
// over, and what the calculator learns from it. Where limited is false there is
// no limit.
func (t *Timeout) choose(r *http.Request, now time.Time) (d time.Duration, learns lesson, limited bool) {
	set := &t.set
	if set.exempt != nil && set.exempt(r) {
		return 0, lesson{}, false
	}
	d = set.fallback
	if len(set.operations) > 0 {
		if own, ok := set.operations[set.operation(r)]; ok {
			d = own
		}
	}
	if len(set.tenants) > 0 {
		if own, ok := set.tenants[set.tenant(r)]; ok {
			d = own
		}
	}
	if set.calculator != nil {
		var own time.Duration
		if o, ok := set.calculator.(observer); ok {
			own, learns = o.begin(r, d)
		} else {
			own = set.calculator.Timeout(r, d)
		}
		if own > 0 {
			d = own
		}
	}
	if set.deadlineHeader != "" {
		if left, ok := parseRemaining(set.deadlineHeader, r.Header[set.deadlineHeader]); ok {
			d = min(d, left)
		}
	}
	if deadline, ok := r.Context().Deadline(); ok {
		d = min(d, deadline.Sub(now))
	}
	return d, learns, true
}

// directly says whether what is written to w reaches the server's own writer of
// HTTP/1 as it is.
func directly(w http.ResponseWriter, r *http.Request) bool {
	if r.ProtoMajor != 1 {
		return false
	}
	switch server := httpwrap.Server(w).(type) {
	case nil:
		return false
	case guarded:
		return server.guard().apart == nil
	case httpwrap.Barrier:
		return false // that of an attempt, which may be held back and repeated
	}
	return true
}

// refuse answers r before any work is done for it.
func (t *Timeout) refuse(w http.ResponseWriter, r *http.Request, why Reason, d time.Duration) {
	t.tally.refused[why].Add(1)
	t.report(r, why, d, false)
	httpwrap.Find(w).SetCause(&t.causes[why])
	if given, ok := yield(w); ok {
		defer given()
		t.answers[why].Write(w, r, t.jitter.RetryAfter(0))
	}
}

// report tells the callback.
func (t *Timeout) report(r *http.Request, why Reason, d time.Duration, aborted bool) {
	if t.set.onTimeout == nil {
		return
	}
	t.set.onTimeout.Raise(Event{Name: t.set.name, Reason: why, Timeout: d,
		Method: r.Method, Pattern: r.Pattern, Aborted: aborted, At: time.Now()})
}

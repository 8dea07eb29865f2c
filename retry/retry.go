package retry

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// Code is the code of the answer to a request whose attempts all ran out of
// time without one.
const Code = "RETRY_TIMEOUT"

// Retrier repeats requests that failed. It is safe for concurrent use, and may
// wrap any number of handlers and transports, whose figures it then adds up,
// and which share its budget.
type Retrier struct {
	set    settings
	tally  tally
	late   *refuse.Response
	causes [reasons]httpwrap.Cause
}

// New returns a Retrier with these options, or all that is wrong with them:
// every fault a [*handrail.OptionError], joined.
func New(opts ...Option) (*Retrier, error) {
	p := &Retrier{set: defaults()}
	if err := p.set.apply(opts); err != nil {
		return nil, err
	}
	p.late = refuse.New(tooLate(p.set.name), nil)
	for why := range p.causes {
		p.causes[why] = httpwrap.Cause{Outcome: httpwrap.Timeout, Policy: p.set.name, Reason: Reason(why).String()}
	}
	return p, nil
}

// tooLate is what a client is told whose attempts all ran out of time.
func tooLate(name string) handrail.Rejection {
	return handrail.Rejection{Status: http.StatusGatewayTimeout, Code: Code, Reason: "timeout",
		Message: "There was no answer in time. Try again later.", Name: name}
}

// Middleware is [New] and [Retrier.Wrap] in one. It panics where New fails.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	p, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return p.Wrap
}

// Wrap returns a handler that serves next, which must not be nil, and serves it
// again where that failed.
func (p *Retrier) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("retry: Wrap needs a handler")
	}
	return &handler{p: p, next: next}
}

type handler struct {
	p    *Retrier
	next http.Handler
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set := &h.p.set
	if set.exempt != nil && set.exempt(r) || !set.repeatable(r.Method, r.Header) {
		h.next.ServeHTTP(w, r)
		return
	}
	h.p.arrive()
	v := visit{p: h.p, next: h.next, w: w, r: r, outer: httpwrap.Find(w), most: set.attempts}
	v.original.remember(r)
	if r.Body != nil && r.Body != http.NoBody && v.most > 1 {
		if r.ContentLength > int64(set.maxBody) {
			v.most, v.unrepeatable = 1, true
		} else {
			v.up = &upload{body: r.Body, limit: set.maxBody}
		}
	}
	if set.totalTimeout > 0 {
		v.deadline = time.Now().Add(set.totalTimeout)
	}
	v.serve()
}

// visit is one request on its way through all its attempts.
type visit struct {
	p        *Retrier
	next     http.Handler
	w        http.ResponseWriter
	r        *http.Request
	outer    *httpwrap.Recorder
	original original
	up       *upload
	// most is how many attempts there may be, unrepeatable that it is one
	// because of the body.
	most         int
	unrepeatable bool
	deadline     time.Time // of all attempts, zero for none
	delays       backoff.BackOff
}

func (v *visit) serve() {
	for n := 1; ; n++ {
		a := &plain{attempt{p: v.p, w: v.w, r: v.r, n: int32(n), up: v.up, final: n >= v.most}}
		a.rec.AttemptOf(v.outer)
		if v.attempt(a, n) {
			return
		}
	}
}

// attempt runs the handler once, and waits for the next time. It reports
// whether there is none.
func (v *visit) attempt(a *plain, n int) (done bool) {
	r, ran, expired := v.request(&a.attempt)
	back, value := v.run(a, r)
	if ran != nil {
		ran() // whoever is left of this attempt is told
	}
	late := expired != nil && expired()
	if back && (a.state.Load() == begun || a.state.Load() == taken) && !a.failed {
		v.finish(&a.attempt, r)
		if n > 1 {
			v.p.tally.recovered.Add(1)
		}
		return true
	}
	return v.judge(&a.attempt, r, back, value, late)
}

// run has the handler answer. Where a panic may be repeated, it is caught:
// back is false then, and value what was panicked with.
func (v *visit) run(a *plain, r *http.Request) (back bool, value any) {
	defer func() {
		if back {
			return
		}
		if v.p.set.panics && !a.final && !a.through() {
			if value = recover(); value != nil {
				if value != http.ErrAbortHandler {
					return
				}
				v.abandon(&a.attempt, r)
				panic(value)
			}
		}
		v.abandon(&a.attempt, r)
	}()
	v.next.ServeHTTP(a.writer(), r)
	return true, nil
}

// request is what the handler gets: what came in, as far as nothing of it has
// to be replaced. ran ends the attempt's context, expired says that its time
// was over before.
func (v *visit) request(a *attempt) (r *http.Request, ran func(), expired func() bool) {
	set, r := &v.p.set, v.r
	limit := set.attemptTimeout
	if !v.deadline.IsZero() {
		left := max(time.Until(v.deadline), 1)
		if limit == 0 || left < limit {
			limit = left
		}
	}
	if a.n == 1 && limit == 0 {
		if v.up != nil {
			r = r.WithContext(r.Context())
			r.Body = v.up.begin()
		}
		return r, nil, nil
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	ran = func() { cancel(context.Canceled) }
	if limit > 0 {
		over := &Error{Name: set.name, After: limit, p: v.p}
		a.timer = time.AfterFunc(limit, func() { cancel(over) })
		expired = func() bool { return context.Cause(ctx) == error(over) }
		ran = func() { a.timer.Stop(); cancel(context.Canceled) }
	}
	if a.n == 1 {
		r = r.WithContext(ctx)
	} else {
		r = v.original.clone(ctx, r.Trailer)
		if set.attemptHeader != "" {
			r.Header[set.attemptHeader] = []string{strconv.Itoa(int(a.n) - 1)}
		}
	}
	if v.up != nil {
		if a.final {
			v.up.forget()
		}
		r.Body = v.up.begin()
	}
	return r, ran, expired
}

// judge decides what follows an attempt that did not simply succeed.
func (v *visit) judge(a *attempt, r *http.Request, back bool, value any, late bool) (done bool) {
	p := v.p
	a.mu.Lock()
	state, status, header := a.state.Load(), int(a.status), a.chosen
	failed := a.failed || !back
	if state == open || state == holding {
		// From here on it is ours: what the attempt left running must not begin
		// a response while the next one is being decided on.
		a.state.Store(over)
	}
	if back && state == open {
		if status == 0 && late {
			failed = true
		} else {
			// The server is going to send a 200.
			status = http.StatusOK
			header = a.header
			if p.set.classify == nil {
				failed = p.set.statuses.has(status)
			} else {
				if header == nil {
					header = a.w.Header()
				}
				a.mu.Unlock()
				failed = p.set.failed(v.r, int(a.n), status, header)
				a.mu.Lock()
			}
		}
	}
	if !failed {
		a.finish()
	}
	a.mu.Unlock()

	if !failed {
		v.settle(a, r)
		if a.n > 1 {
			p.tally.recovered.Add(1)
		}
		return true
	}
	why, delay, again := v.decide(a, state, header)
	if again {
		p.retry(Event{Attempt: int(a.n), Status: status, Delay: delay, Method: v.r.Method, Pattern: r.Pattern})
		a.cutOff()
		if why, again = v.wait(delay); again {
			v.drop(r)
			p.repeat(int(a.n))
			return false
		}
	}
	p.giveUp(GiveUp{Reason: why, Attempts: int(a.n), Status: status, Method: v.r.Method, Pattern: r.Pattern})
	switch {
	case why == ReasonCanceled && v.outer != nil:
		v.outer.SetOutcome(httpwrap.Canceled)
	case state == open && status == 0 && back && why != ReasonCanceled:
		if v.outer != nil {
			v.outer.SetCause(&p.causes[why])
		}
		v.settle(a, r)
		p.late.Write(v.w, v.r, 0)
		return true
	}
	if !back {
		v.settle(a, r)
		panic(value)
	}
	v.finish(a, r)
	return true
}

// decide says whether and when there is another attempt, or why there is not.
func (v *visit) decide(a *attempt, state uint32, header http.Header) (why Reason, delay time.Duration, again bool) {
	set := &v.p.set
	if err := v.r.Context().Err(); err != nil {
		return ended(err), 0, false
	}
	switch {
	case refused(a.rec.Outcome()):
		return ReasonRejected, 0, false
	case v.unrepeatable:
		return ReasonBody, 0, false
	case int(a.n) >= v.most:
		return ReasonExhausted, 0, false
	case state == begun || state == taken || a.final: // EnableFullDuplex
		return ReasonCommitted, 0, false
	case !v.up.stop():
		return ReasonBody, 0, false
	}
	if v.delays == nil {
		v.delays = set.schedule.begin()
	}
	delay = set.schedule.next(v.delays)
	now := time.Now()
	if asked := parseRetryAfter(header, now); asked > 0 {
		if asked > set.maxRetryAfter {
			return ReasonRetryAfter, 0, false
		}
		delay += asked // on top, so that those who were told the same spread
	}
	if beyond(v.r.Context(), v.deadline, now.Add(delay)) {
		return ReasonDeadline, 0, false
	}
	if !set.budget.withdraw(now) {
		return ReasonBudget, 0, false
	}
	return 0, delay, true
}

// beyond says whether at is not before the caller's deadline, or the own one.
func beyond(ctx context.Context, own, at time.Time) bool {
	if !own.IsZero() && !at.Before(own) {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && !at.Before(deadline)
}

// ended is the reason that a caller's context gives.
func ended(err error) Reason {
	if err == context.DeadlineExceeded {
		return ReasonDeadline
	}
	return ReasonCanceled
}

// wait lets the delay pass, unless the caller leaves.
func (v *visit) wait(delay time.Duration) (why Reason, over bool) {
	return v.p.wait(v.r.Context(), delay)
}

func (p *Retrier) wait(ctx context.Context, delay time.Duration) (why Reason, over bool) {
	if delay > 0 {
		start := time.Now()
		defer func() { p.tally.delay.Add(int64(time.Since(start))) }()
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return ended(err), false
	}
	return 0, true
}

// finish hands the response of this attempt on.
func (v *visit) finish(a *attempt, r *http.Request) {
	a.mu.Lock()
	a.finish()
	a.mu.Unlock()
	v.settle(a, r)
}

// finish sends what is left of the response, and refuses whatever comes of the
// attempt from now on. The lock is held.
func (a *attempt) finish() {
	switch a.state.Load() {
	case open, over:
		if a.chosen != nil { // cut off while held back
			a.state.Store(holding)
			a.begin()
		} else {
			a.expose(a.header) // for the 200 that the server is going to send
		}
	case holding:
		a.begin()
	}
	if a.state.Load() == begun {
		httpwrap.Trailers(a.w, a.header)
	}
	a.state.Store(over)
}

// settle ends an attempt after which there is none.
func (v *visit) settle(a *attempt, r *http.Request) {
	if a.state.Load() != over { // which stays
		a.cutOff()
	}
	v.up.end()
	if v.outer != nil {
		v.outer.SetCause(a.rec.Cause())
	}
	if r != v.r {
		// What is looked for there is lost with every copy of a request: the
		// route that a mux further in has matched, and the form whose files
		// the server removes.
		v.r.Pattern = r.Pattern
		if r.MultipartForm != nil {
			v.r.MultipartForm = r.MultipartForm
		}
	}
}

// cutOff refuses whatever comes of the attempt from now on.
func (a *attempt) cutOff() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Store(over)
}

// abandon ends the exchange as the handler left it, by a panic or by the end of
// its goroutine.
func (v *visit) abandon(a *attempt, r *http.Request) {
	if !a.through() {
		v.p.giveUp(GiveUp{Reason: ReasonPanic, Attempts: int(a.n), Method: v.r.Method, Pattern: r.Pattern})
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	v.settle(a, r)
}

// drop removes what a failed attempt left.
func (v *visit) drop(r *http.Request) {
	if r.MultipartForm == nil || v.original.r.MultipartForm != nil {
		return
	}
	r.MultipartForm.RemoveAll()
	if r == v.r {
		r.MultipartForm = nil
	}
}

package timeout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/timeout"
)

// A trial is one request to a handler that has a deadline, told apart by what
// the handler does about it. It is tried on every lane. Nothing in it depends
// on how fast the machine is: handlers that outlive their deadline go on when
// their client has its answer, and where a handler came too late to do what it
// has to do before the deadline, the trial is void and made again with a later
// one.
type trial struct {
	name string
	// on are the lanes, all without it.
	on func(lane) bool
	// options come after Basic with the deadline.
	options func(s *stage) []timeout.Option
	// around goes around the timeout.
	around func(s *stage, next http.Handler) http.Handler
	server func(s *stage, srv *http.Server)
	handle func(s *stage, w http.ResponseWriter, r *http.Request)
	// request is a GET without it; client, where it is there, does everything.
	request func(s *stage) *http.Request
	client  func(s *stage) *reply

	// want judges what the client has.
	want func(s *stage, re *reply)
	// counts are what Stats has when all is over, and outcome what packages
	// further out know.
	counts  counts
	outcome httpwrap.Outcome
	// raised is the panic that reaches them.
	raised any
	// overdue says that the handler goes on until its client has its answer.
	overdue bool
	// notes are those of the handler, in order.
	notes []string
	// log are strings which the server's log must have. It must be empty
	// where there are none.
	log []string
	// pattern is the route that is seen outside.
	pattern string
	// countless says that the counts may be others.
	countless bool
	// exempt says that the request does not count at all.
	exempt bool
	// after looks at whatever else there is, when all is over.
	after func(s *stage)
}

// counts are the counters of Stats for the one request of a trial.
type counts struct{ timeouts, expired, refused, canceled, aborted uint64 }

var (
	asTimeout  = counts{timeouts: 1}
	asAborted  = counts{timeouts: 1, aborted: 1}
	asExpired  = counts{expired: 1}
	asCanceled = counts{canceled: 1}
	asDone     = counts{}
)

// stage is one attempt at a trial.
type stage struct {
	*service
	*attempt
	deadline time.Duration
	// answered is closed when the client has all that it is going to get.
	answered chan struct{}
	// entered and left have one value for each call of the handler.
	entered, left chan struct{}

	// finally is the rest of a client's part, when its handler has ended.
	finally func()
	// callNow and called are between a client and its handler.
	callNow, called chan struct{}
	// hints counts informational responses.
	hints atomic.Int64
	// file is where a form's file is.
	file atomic.Value

	noting sync.Mutex
	noted  []string
}

// note is for what happened inside of the handler.
func (s *stage) note(format string, args ...any) {
	s.noting.Lock()
	defer s.noting.Unlock()
	s.noted = append(s.noted, fmt.Sprintf(format, args...))
}

// outlive blocks until the client has its answer, whatever the context says.
func (s *stage) outlive() {
	select {
	case <-s.answered:
	case <-time.After(2 * patience):
		s.Errorf("the client has no answer while the handler goes on")
	}
}

// heed blocks until the context is done.
func (s *stage) heed(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(2 * patience):
		s.Errorf("the context is never done")
	}
}

// inTime says that what the handler did so far was to be before the deadline.
func (s *stage) inTime(r *http.Request) {
	d, ok := r.Context().Deadline()
	if r.Context().Err() == context.DeadlineExceeded || ok && !time.Now().Before(d) {
		s.tooLate()
	}
}

func (s *stage) tooLate() {
	s.mu.Lock()
	s.void = true
	s.mu.Unlock()
}

// begins is for handlers that cannot say themselves whether their response
// began in time: where the client has the answer of the timeout, it did not.
func begins(want func(*stage, *reply)) func(*stage, *reply) {
	return func(s *stage, re *reply) {
		if len(faults(re, http.StatusServiceUnavailable, "deadline", "")) == 0 {
			s.tooLate()
			return
		}
		want(s, re)
	}
}

// arrives is begins for a response of which the client must have something:
// where it has nothing at all, the deadline came before the first bytes went
// out.
func arrives(want func(*stage, *reply)) func(*stage, *reply) {
	return begins(func(s *stage, re *reply) {
		if re.Response == nil && !gaveUp(re.err) {
			s.tooLate()
			return
		}
		want(s, re)
	})
}

// attempt collects what goes wrong, because it may not count.
type attempt struct {
	testing.TB
	mu   sync.Mutex
	errs []string
	void bool
}

func (a *attempt) Helper() {}

func (a *attempt) Errorf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.errs) < 20 {
		a.errs = append(a.errs, fmt.Sprintf(format, args...))
	}
}

func (a *attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}

func (a *attempt) Fatal(args ...any) { a.Fatalf("%s", fmt.Sprint(args...)) }

// atOnce is how many trials go on at the same time.
const atOnce = 64

// try makes all trials on all their lanes. Its caller must not be parallel,
// because it looks for goroutines left behind.
func try(t *testing.T, trials []trial) {
	leaktest.Check(t)
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, l := range lanes {
		for _, tr := range trials {
			if tr.on != nil && !tr.on(l) {
				continue
			}
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				t.Run(l.name+"/"+tr.name, func(t *testing.T) { tr.run(t, l) })
			})
		}
	}
	all.Wait()
}

func (tr *trial) run(t *testing.T, l lane) {
	for deadline := 40 * time.Millisecond; ; deadline *= 5 {
		a := &attempt{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			tr.attempt(a, l, deadline)
		}()
		<-done
		if a.void && deadline < patience/2 {
			continue
		}
		if a.void {
			t.Error("the handler always comes too late")
		}
		for _, err := range a.errs {
			t.Error(err)
		}
		return
	}
}

// requests is how many requests got a timeout.
func (tr *trial) requests() uint64 {
	if tr.exempt {
		return 0
	}
	return 1 - tr.counts.expired - tr.counts.refused
}

func (tr *trial) attempt(a *attempt, l lane, deadline time.Duration) {
	s := &stage{
		attempt:  a,
		deadline: deadline,
		answered: make(chan struct{}),
		entered:  make(chan struct{}, 64),
		left:     make(chan struct{}, 64),
		callNow:  make(chan struct{}, 1),
		called:   make(chan struct{}, 1),
	}
	opts := []timeout.Option{timeout.Basic(deadline)}
	if tr.options != nil {
		opts = append(opts, tr.options(s)...)
	}
	to, err := timeout.New(opts...)
	if err != nil {
		a.Fatalf("options: %v", err)
	}
	answered := sync.OnceFunc(func() { close(s.answered) })
	around := func(next http.Handler) http.Handler {
		if tr.around != nil {
			next = tr.around(s, next)
		}
		return next
	}
	configure := func(srv *http.Server) {
		if tr.server != nil {
			tr.server(s, srv)
		}
	}
	s.service = serve(a, l, to, around, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.entered <- struct{}{}
		defer func() { s.left <- struct{}{} }()
		tr.handle(s, w, r)
	}), configure)
	defer s.service.close()
	defer answered()

	var re *reply
	if tr.client != nil {
		re = tr.client(s)
	} else {
		r := s.request("GET", "/", nil)
		if tr.request != nil {
			r = tr.request(s)
		}
		re = s.fetch(r)
	}
	if tr.overdue {
		// The client of a stream that was cut may know before it is counted.
		eventually(func() bool { return to.Stats().Overdue == 1 || len(s.left) > 0 })
		if to.Stats().Overdue != 1 {
			a.Errorf("with one handler that goes on the gauge of those is %d", to.Stats().Overdue)
		}
		if calmly := s.get(calm); calmly.Response == nil || calmly.body != "calm" {
			a.Errorf("another request meanwhile: %v", calmly)
		}
	}
	answered()
	tr.want(s, re)

	var end ending
	select {
	case end = <-s.ends:
	case <-time.After(patience):
		a.Fatalf("ServeHTTP does not end")
	}
	for len(s.left) < len(s.entered) {
		if !eventually(func() bool { return len(s.left) >= len(s.entered) }) {
			a.Fatalf("the handler does not end")
		}
	}
	if s.finally != nil {
		s.finally()
	}
	if !eventually(func() bool { st := to.Stats(); return st.Overdue == 0 && st.LongLived == 0 }) {
		a.Errorf("when all is over the gauges are %+v", to.Stats())
	}
	if again := s.get(calm); again.Response == nil || again.StatusCode != 200 || again.body != "calm" || again.cut != nil {
		a.Errorf("the next request: %v", again)
	} else if s.proto == 2 && !again.reused {
		a.Errorf("the connection of HTTP/2 did not survive")
	}

	if end.raised != tr.raised {
		a.Errorf("outside arrives %#v, want %#v", end.raised, tr.raised)
	}
	if s.shared && end.outcome != tr.outcome {
		a.Errorf("the outcome is %q, want %q", end.outcome, tr.outcome)
	}
	if tr.pattern != "" && end.pattern != tr.pattern {
		a.Errorf("outside the pattern is %q, want %q", end.pattern, tr.pattern)
	}
	st := to.Stats()
	if tr.countless {
		st = timeout.Stats{Requests: tr.requests()}
	}
	if got := (counts{st.Timeouts, st.Expired, st.Refused, st.Canceled, st.Aborted}); got != tr.counts || st.Requests != tr.requests() {
		a.Errorf("Stats counts %+v of %d requests, want %+v of %d", got, st.Requests, tr.counts, tr.requests())
	}
	s.noting.Lock()
	if !slices.Equal(s.noted, tr.notes) {
		a.Errorf("the handler notes %q, want %q", s.noted, tr.notes)
	}
	s.noting.Unlock()
	if tr.after != nil {
		tr.after(s)
	}
	s.service.close() // after which nothing is logged any more
	logged := s.log.String()
	for _, part := range tr.log {
		if !strings.Contains(logged, part) {
			a.Errorf("the server's log does not say %q: %s", part, logged)
		}
	}
	if len(tr.log) == 0 && logged != "" {
		a.Errorf("the server's log is not empty: %s", logged)
	}
}

// timedOut is the whole answer of the timeout and nothing but that.
func timedOut(s *stage, re *reply) { refusedFor("deadline")(s, re) }

// refusedFor is the answer with a reason.
func refusedFor(reason string) func(*stage, *reply) {
	return func(s *stage, re *reply) {
		for _, fault := range faults(re, http.StatusServiceUnavailable, reason, "") {
			s.Errorf("%s", fault)
		}
	}
}

// faults is what is wrong with an answer of the timeout.
func faults(re *reply, status int, reason, name string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if re.Response == nil || re.StatusCode != status || re.cut != nil {
		fault("the client has %v, want a whole %d", re, status)
		return
	}
	h := re.Header
	if h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" ||
		!slices.Contains([]string{"1", "2"}, h.Get("Retry-After")) || len(re.TransferEncoding) > 0 {
		fault("header %v, transfer encoding %v", h, re.TransferEncoding)
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Handler") {
			fault("a header of the handler is on it: %v", h)
		}
	}
	if len(re.Trailer) > 0 {
		fault("trailers %v", re.Trailer)
	}
	if re.Request != nil && re.Request.Method == http.MethodHead {
		if re.body != "" || re.ContentLength < 50 {
			fault("HEAD is answered with Content-Length %d and body %q", re.ContentLength, re.body)
		}
		return
	}
	if n := h.Get("Content-Length"); n != strconv.Itoa(len(re.body)) {
		fault("Content-Length %s, but %d bytes", n, len(re.body))
	}
	var problem struct {
		Status             int
		Code, Reason, Name string
	}
	if err := json.Unmarshal([]byte(re.body), &problem); err != nil {
		fault("body %q: %v", re.body, err)
	}
	if problem.Status != status || problem.Code != timeout.Code || problem.Reason != reason || problem.Name != name {
		fault("body %q, want reason %q and name %q", re.body, reason, name)
	}
	return
}

// whole is a complete response of the handler.
func whole(status int, body string) func(*stage, *reply) {
	return func(s *stage, re *reply) {
		if re.Response == nil || re.StatusCode != status || re.body != body || re.cut != nil {
			s.Errorf("the client has %v, want a whole %d %.200q", re, status, body)
		}
	}
}

// cutShort is a response of the handler that visibly breaks off, after body at
// least.
func cutShort(status int, body string) func(*stage, *reply) {
	return func(s *stage, re *reply) {
		if re.Response == nil || re.StatusCode != status || !strings.HasPrefix(re.body, body) || re.cut == nil {
			s.Errorf("the client has %v, want %d %.200q that breaks off", re, status, body)
		} else if gaveUp(re.cut) {
			s.Errorf("the client would still wait for more of %v", re)
		} else if strings.Contains(re.body, timeout.Code) {
			s.Errorf("the answer of the timeout is in the body of the handler: %.500q", re.body)
		}
	}
}

// gaveUp says that it was the client whose patience was over.
func gaveUp(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// neverComplete is no response or one that breaks off: for what was begun but
// stuck in the server's own buffers.
func neverComplete(s *stage, re *reply) {
	if gaveUp(re.err) || gaveUp(re.cut) {
		s.Errorf("the client would still wait: %v", re)
	}
	if re.Response != nil && (re.cut == nil || re.StatusCode != http.StatusOK || strings.Contains(re.body, timeout.Code)) {
		s.Errorf("the client has %v, want nothing that looks complete", re)
	}
}

// no is no response at all.
func no(s *stage, re *reply) {
	if gaveUp(re.err) {
		s.Errorf("the client would still wait: %v", re)
	}
	if re.Response != nil {
		s.Errorf("the client has %v, want nothing", re)
	}
}

// both judges twice.
func both(a, b func(*stage, *reply)) func(*stage, *reply) {
	return func(s *stage, re *reply) {
		a(s, re)
		b(s, re)
	}
}

// header wants a header's values, none for one that must not be there.
func header(name string, values ...string) func(*stage, *reply) {
	return func(s *stage, re *reply) {
		if re.Response != nil && !slices.Equal(re.Header.Values(name), values) {
			s.Errorf("%s is %.200q, want %.200q", name, re.Header.Values(name), values)
		}
	}
}

func onHTTP1(l lane) bool { return l.proto == 1 }
func onHTTP2(l lane) bool { return l.proto == 2 }

// write writes and notes what comes of it, unless that is well.
func (s *stage) write(w io.Writer, body string) {
	if n, err := io.WriteString(w, body); n != len(body) || err != nil {
		s.note("Write of %d: %d, %v", len(body), n, err)
	}
}

// flush flushes and notes what comes of it, unless that is well.
func (s *stage) flush(w http.ResponseWriter) {
	if err := http.NewResponseController(w).Flush(); err != nil {
		s.note("Flush: %v", err)
	}
}

package bulkhead

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/race"
)

// The model keeps all requests in one slice and looks at all of them for every
// decision. It says the same rules as the package comment, and shares no code
// with the package but the names of things.

type modelState uint8

const (
	modelRunning modelState = iota
	modelWaiting
	modelDone
)

// modelRequest is one request, in the model and for real.
type modelRequest struct {
	number            int
	tenant, operation string
	class             int

	state    modelState
	why      string // of one that is done without having run
	status   int
	arrived  time.Duration
	turn     time.Duration
	expires  time.Time
	entitled bool

	// What happened.
	cancel   context.CancelFunc
	end      chan string
	inside   bool
	finished bool
	header   http.Header
	got      int
	reason   string
}

func (q *modelRequest) Header() http.Header         { return q.header }
func (q *modelRequest) WriteHeader(status int)      { q.got = status }
func (q *modelRequest) Write(p []byte) (int, error) { return len(p), nil }

// modelRules are the settings in the model's own words; -1 is unlimited.
type modelRules struct {
	byTenant, byOperation         bool
	limit                         int
	tenantLimit, operationLimit   int
	tenantLimits, operationLimits map[string]int
	guarantees                    map[string]int
	wait, ageing                  time.Duration
	queue, tenantQueue            int
}

type model struct {
	rules modelRules
	all   []*modelRequest // that are not done
	ran   uint64
	epoch time.Time
}

func limitIn(limits map[string]int, key string, otherwise int) int {
	if n, ok := limits[key]; ok {
		return n
	}
	return otherwise
}

func (m *model) count(state modelState, of func(*modelRequest) bool) (n int) {
	for _, q := range m.all {
		if q.state == state && of(q) {
			n++
		}
	}
	return n
}

func everybody(*modelRequest) bool { return true }

func sameTenant(q *modelRequest) func(*modelRequest) bool {
	return func(other *modelRequest) bool { return other.tenant == q.tenant }
}

// obstacle is the first limit that keeps q out.
func (m *model) obstacle(q *modelRequest) string {
	r := &m.rules
	reached := func(limit, n int) bool { return limit >= 0 && n >= limit }
	if r.byTenant && reached(limitIn(r.tenantLimits, q.tenant, r.tenantLimit), m.count(modelRunning, sameTenant(q))) {
		return "tenant"
	}
	if r.byOperation && reached(limitIn(r.operationLimits, q.operation, r.operationLimit),
		m.count(modelRunning, func(other *modelRequest) bool { return other.operation == q.operation })) {
		return "operation"
	}
	if reached(r.limit, m.count(modelRunning, everybody)) {
		return "global"
	}
	return ""
}

// nobody is the limit of q that is 0, if there is one.
func (m *model) nobody(q *modelRequest) string {
	r := &m.rules
	switch {
	case r.byTenant && limitIn(r.tenantLimits, q.tenant, r.tenantLimit) == 0:
		return "tenant"
	case r.byOperation && limitIn(r.operationLimits, q.operation, r.operationLimit) == 0:
		return "operation"
	case r.limit == 0:
		return "global"
	}
	return ""
}

func (m *model) refuse(q *modelRequest, why, limit string) {
	q.state, q.why, q.status = modelDone, why, 503
	if limit == "tenant" {
		q.status = 429
	}
	if why == "gone" {
		q.why, q.status = "", 499
	}
}

func (m *model) owed(q *modelRequest) bool {
	return m.rules.byTenant && m.count(modelRunning, sameTenant(q)) < m.rules.guarantees[q.tenant]
}

// earlier orders those that wait.
func earlier(a, b *modelRequest) bool {
	return a.turn < b.turn || a.turn == b.turn && a.number < b.number
}

func (m *model) arrive(q *modelRequest, now time.Time, ctxErr error, expires time.Time) {
	r := &m.rules
	defer func() { m.all = append(m.all, q) }()
	limit := m.obstacle(q)
	if limit == "" {
		q.state = modelRunning
		m.ran++
		return
	}
	switch nobody := m.nobody(q); {
	case ctxErr == context.Canceled:
		m.refuse(q, "gone", limit)
		return
	case ctxErr != nil:
		m.refuse(q, "wait_timeout", limit)
		return
	case nobody != "":
		m.refuse(q, nobody, nobody)
		return
	case r.wait == 0:
		m.refuse(q, limit, limit)
		return
	}
	q.arrived = now.Sub(m.epoch)
	q.turn = q.arrived + time.Duration(q.class)*r.ageing
	mine := m.count(modelWaiting, sameTenant(q))
	q.entitled = r.byTenant && m.count(modelRunning, sameTenant(q))+mine < r.guarantees[q.tenant]
	if !q.entitled {
		queued := m.count(modelWaiting, func(other *modelRequest) bool { return !other.entitled })
		tooMany := r.byTenant && m.count(modelWaiting, func(other *modelRequest) bool {
			return !other.entitled && other.tenant == q.tenant
		}) >= r.tenantQueue
		switch {
		case r.queue == 0:
			m.refuse(q, limit, limit)
			return
		case tooMany || queued >= r.queue:
			var last *modelRequest
			for _, other := range m.all {
				if other.state == modelWaiting && !other.entitled && (!tooMany || other.tenant == q.tenant) &&
					(last == nil || earlier(last, other)) {
					last = other
				}
			}
			if last == nil || earlier(last, q) {
				if tooMany {
					limit = "tenant"
				}
				m.refuse(q, "queue_full", limit)
				return
			}
			limit = m.obstacle(last)
			if tooMany {
				limit = "tenant"
			}
			m.refuse(last, "queue_full", limit)
		}
	}
	q.state = modelWaiting
	q.expires = now.Add(r.wait)
	if !expires.IsZero() && expires.Before(q.expires) {
		q.expires = expires
	}
}

func (m *model) dispatch() {
	for {
		var next *modelRequest
		for _, q := range m.all {
			if q.state != modelWaiting || m.obstacle(q) != "" {
				continue
			}
			if next == nil || m.owed(q) && !m.owed(next) || m.owed(q) == m.owed(next) && earlier(q, next) {
				next = q
			}
		}
		if next == nil {
			return
		}
		next.state = modelRunning
		m.ran++
	}
}

func (m *model) expire(now time.Time) {
	for _, q := range m.all {
		if q.state == modelWaiting && !q.expires.After(now) {
			limit := m.obstacle(q)
			m.refuse(q, "wait_timeout", limit)
		}
	}
}

// randomRules draws small numbers, so that everything happens often.
func randomRules(rng *rand.Rand) modelRules {
	limit := func(n int) int { return rng.IntN(n+2) - 1 }
	r := modelRules{
		byTenant: rng.IntN(3) > 0, byOperation: rng.IntN(2) == 0,
		limit:       limit(5),
		tenantLimit: limit(3), operationLimit: limit(3),
		tenantLimits: map[string]int{}, operationLimits: map[string]int{}, guarantees: map[string]int{},
		wait:  time.Duration(rng.IntN(6)) * 20 * time.Millisecond,
		queue: rng.IntN(7), tenantQueue: rng.IntN(4),
		ageing: time.Duration(rng.IntN(4)) * 10 * time.Millisecond,
	}
	if r.ageing == 0 {
		r.ageing = time.Hour * 24 * 365
	}
	if r.byTenant {
		for _, tenant := range modelKeys {
			if rng.IntN(4) == 0 {
				r.tenantLimits[tenant] = limit(3)
			}
			if rng.IntN(3) == 0 {
				r.guarantees[tenant] = rng.IntN(3)
			}
		}
	}
	if r.byOperation && rng.IntN(2) == 0 {
		r.operationLimits["b"] = limit(2)
	}
	return r
}

var modelKeys = []string{"a", "b", "c"}

// options says the rules to a Bulkhead.
func (r *modelRules) options() []Option {
	opts := []Option{
		WithLimit(r.limit), WithMaxWait(r.wait), WithMaxQueue(r.queue), WithTenantQueue(r.tenantQueue),
	}
	if r.ageing < time.Hour {
		opts = append(opts, WithAgeing(r.ageing))
	} else {
		opts = append(opts, WithAgeing(0))
	}
	if r.byTenant {
		opts = append(opts, PerTenant(func(r *http.Request) string { return r.Header.Get("T") }, r.tenantLimit),
			WithTenantLimits(r.tenantLimits), WithGuarantees(r.guarantees))
	}
	if r.byOperation {
		opts = append(opts, PerOperation(r.operationLimit), WithOperation(func(r *http.Request) string { return r.Header.Get("O") }),
			WithOperationLimits(r.operationLimits))
	}
	return opts
}

// modelRun is one sequence.
type modelRun struct {
	t      *testing.T
	rng    *rand.Rand
	model  model
	b      *Bulkhead
	h      http.Handler
	number int
	trail  []string
	group  sync.WaitGroup
}

func (run *modelRun) note(format string, args ...any) {
	run.trail = append(run.trail, fmt.Sprintf(format, args...))
}

func newModelRun(t *testing.T, seed uint64) *modelRun {
	run := &modelRun{t: t, rng: rand.New(rand.NewPCG(seed, 42))}
	for {
		run.model.rules = randomRules(run.rng)
		b, err := New(append(run.model.rules.options(),
			WithPriority(func(r *http.Request) handrail.Priority {
				return handrail.PriorityOfRank(r.Context().Value(modelKey{}).(*modelRequest).class)
			}),
			WithRejectionHandler(func(w http.ResponseWriter, _ *http.Request, rejection handrail.Rejection) {
				w.WriteHeader(rejection.Status)
				w.(*modelRequest).reason = rejection.Reason
			}))...)
		if err == nil {
			run.b = b
			break
		}
	}
	run.model.epoch = run.b.epoch
	run.h = run.b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		q := w.(*modelRequest)
		q.inside = true
		switch <-q.end {
		case "panic":
			panic("on purpose")
		case "abort":
			panic(http.ErrAbortHandler)
		case "goexit":
			runtime.Goexit()
		}
	}))
	return run
}

type modelKey struct{}

func (run *modelRun) arrive() {
	rng := run.rng
	now := time.Now()
	q := &modelRequest{
		number: run.number, class: rng.IntN(handrail.Priorities), end: make(chan string, 1), header: http.Header{},
		tenant: modelKeys[rng.IntN(3)], operation: modelKeys[rng.IntN(2)],
	}
	run.number++
	var expires time.Time
	ctx := context.WithValue(context.Background(), modelKey{}, q)
	stop := func() {}
	if rng.IntN(4) == 0 {
		expires = now.Add(time.Duration(rng.IntN(60)-5) * time.Millisecond)
		ctx, stop = context.WithDeadline(ctx, expires)
	}
	inner, cancel := context.WithCancel(ctx)
	q.cancel = func() { cancel(); stop() }
	if rng.IntN(12) == 0 {
		cancel()
	}
	r := (&http.Request{Method: "GET", Header: http.Header{"T": {q.tenant}, "O": {q.operation}}}).WithContext(inner)
	run.note("%d arrives: tenant %s, operation %s, class %d, %v, expires %v", q.number, q.tenant, q.operation, q.class, inner.Err(), expires.Sub(now))
	run.model.arrive(q, now, inner.Err(), expires)
	run.group.Go(func() {
		defer func() {
			recover()
			q.inside, q.finished = false, true
		}()
		run.h.ServeHTTP(q, r)
	})
}

// one returns some request in that state, nil if there is none.
func (run *modelRun) one(state modelState) *modelRequest {
	var some []*modelRequest
	for _, q := range run.model.all {
		if q.state == state {
			some = append(some, q)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[run.rng.IntN(len(some))]
}

func (run *modelRun) finish(q *modelRequest, how string) {
	run.note("%d ends: %s", q.number, how)
	q.state = modelDone
	q.end <- how
	run.model.dispatch()
}

func (run *modelRun) step() {
	rng, m := run.rng, &run.model
	switch n := rng.IntN(20); {
	case n < 9:
		run.arrive()
	case n < 14:
		if q := run.one(modelRunning); q != nil {
			run.finish(q, []string{"return", "return", "panic", "abort", "goexit"}[rng.IntN(5)])
		}
	case n < 16:
		if q := run.one(modelWaiting); q != nil {
			run.note("%d cancels", q.number)
			m.refuse(q, "gone", "")
			q.cancel()
			// It may be granted the slot all the same, and has to hand it on.
			if other := run.one(modelRunning); other != nil && rng.IntN(2) == 0 {
				run.finish(other, "return")
			}
		}
	case n < 17:
		if q := run.one(modelRunning); q != nil {
			run.note("%d cancels while it runs", q.number)
			q.cancel()
		}
	case n < 19:
		d := time.Duration(rng.IntN(30)) * time.Millisecond
		run.note("%v pass", d)
		time.Sleep(d)
		m.expire(time.Now())
	default:
		r := randomRules(rng)
		// What cannot be compared with what waits already stays.
		r.byTenant, r.byOperation = m.rules.byTenant, m.rules.byOperation
		if !r.byTenant {
			r.tenantLimits, r.guarantees = nil, nil
		}
		err := run.b.Update(r.options()...)
		run.note("update to %+v: %v", r, err)
		if err == nil {
			m.rules = r
			for _, q := range m.all {
				q.turn = q.arrived + time.Duration(q.class)*r.ageing
			}
			m.dispatch()
		}
	}
	synctest.Wait()
	run.compare()
}

func (run *modelRun) compare() {
	m := &run.model
	for _, q := range m.all {
		var want, got string
		switch q.state {
		case modelRunning:
			want = "inside"
		case modelWaiting:
			want = "waiting"
		case modelDone:
			want = fmt.Sprint("done ", q.status, q.why)
		}
		switch {
		case q.inside:
			got = "inside"
		case !q.finished:
			got = "waiting"
		default:
			got = fmt.Sprint("done ", q.got, q.reason)
		}
		if want != got {
			run.fail("request %d is %s, the model says %s", q.number, got, want)
		}
	}
	m.all = slices.DeleteFunc(m.all, func(q *modelRequest) bool {
		if q.state == modelDone {
			q.cancel()
		}
		return q.state == modelDone
	})
	s := run.b.Stats()
	if s.InUse != m.count(modelRunning, everybody) || s.Waiting != m.count(modelWaiting, everybody) {
		run.fail("%d in use, %d waiting", s.InUse, s.Waiting)
	}
	if err := run.b.gate.audit(); err != nil {
		run.fail("%v", err)
	}
}

func (run *modelRun) fail(format string, args ...any) {
	run.t.Helper()
	rules := run.model.rules
	run.t.Errorf(format, args...)
	run.t.Fatalf("rules now %+v\n%s", rules, strings.Join(run.trail, "\n"))
}

// drain ends everything, after which everything has to be as in the beginning.
func (run *modelRun) drain() {
	for q := run.one(modelWaiting); q != nil; q = run.one(modelWaiting) {
		run.model.refuse(q, "gone", "")
		q.cancel()
	}
	synctest.Wait()
	run.compare()
	for q := run.one(modelRunning); q != nil; q = run.one(modelRunning) {
		run.finish(q, "return")
	}
	run.group.Wait()
	run.compare()
	s := run.b.Stats()
	var byTenant, byOperation uint64
	for _, k := range s.ByTenant {
		byTenant += k.Admitted
	}
	for _, k := range s.ByOperation {
		byOperation += k.Admitted
	}
	ran, rules := run.model.ran, run.model.rules
	if s.Admitted != ran || rules.byTenant && byTenant != ran || rules.byOperation && byOperation != ran {
		run.fail("%d were admitted, %d by tenant, %d by operation; the model says %d", s.Admitted, byTenant, byOperation, ran)
	}
	for _, k := range slices.Concat(s.ByTenant, s.ByOperation) {
		if k.InUse != 0 || k.Waiting != 0 {
			run.fail("%+v", k)
		}
	}
}

func TestItAgreesWithAPlainModel(t *testing.T) {
	const batch = 500
	sequences := race.Either(10_000, 500)
	var seen [6]int
	for from := 0; from < sequences; from += batch {
		synctest.Test(t, func(t *testing.T) {
			for seed := from; seed < from+batch; seed++ {
				run := newModelRun(t, uint64(seed))
				run.trail = append(run.trail, fmt.Sprintf("seed %d", seed), fmt.Sprintf("%+v", run.model.rules))
				for range 30 {
					run.step()
				}
				run.drain()
				s := run.b.Stats()
				for why, n := range s.Reasons {
					seen[why-1] += int(n)
				}
				seen[5] += int(s.Canceled)
			}
		})
	}
	// A model that is never in trouble proves nothing.
	for i, n := range seen {
		if n < sequences/20 {
			t.Errorf("%v happened %d times only", Reason(i+1), n)
		}
	}
}

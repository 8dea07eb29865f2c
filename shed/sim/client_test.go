package sim

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

func TestRequestTellsClassTenantAndDeadline(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	r := Run(t, Scenario{
		Seed: 1, Service: Delay{Constant(time.Millisecond)}, Unit: 1000, Shape: Steady(20*time.Second, 1),
		Deadline: Constant(300 * time.Millisecond),
		Mix:      Mix{Tenants: []Tenant{{Name: "noisy", Share: 8}, {Name: "quiet", Share: 2, Classes: [5]float64{1}}}},
	}, before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if d, ok := r.Context().Deadline(); !ok || time.Until(d) != 300*time.Millisecond {
			t.Errorf("deadline %v, %v", d, ok)
		}
		if r.Context().Err() != nil {
			t.Error("cancelled from the beginning")
		}
		if r.Header.Get(AttemptHeader) != "" {
			t.Error("a first attempt says it is another")
		}
		mu.Lock()
		seen[r.Header.Get(TenantHeader)+" "+r.Header.Get(PriorityHeader)+" "+handrail.PriorityFromHeader(PriorityHeader)(r).String()]++
		seen[r.RemoteAddr]++
		mu.Unlock()
		next.ServeHTTP(w, r)
	}))
	n := float64(r.Total.Offered)
	about(t, "requests", n, 20000, .03)
	for rank, share := range []float64{.1, .2, .4, .2, .1} {
		p := handrail.PriorityOfRank(rank).String()
		about(t, "noisy "+p, float64(seen["noisy "+p+" "+p])/n, .8*share, .07)
		want := .8 * share
		if rank == 0 {
			want += .2
		}
		about(t, "class "+p, float64(r.Total.Classes[rank].Offered)/n, want, .07)
	}
	about(t, "quiet critical", float64(seen["quiet critical critical"])/n, .2, .05)
	about(t, "quiet tenant", float64(r.Total.Tenant("quiet").Offered)/n, .2, .05)
	if len(seen) != 5+1+2 {
		t.Errorf("saw %v, want five classes of one tenant, one of the other, an address each", seen)
	}
}

func TestClientLeavesAtItsDeadline(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		r := Run(t, Scenario{
			Seed: 1, Service: Delay{Constant(time.Millisecond)}, Unit: 100, Shape: Steady(2*time.Second, 1),
			Deadline: Constant(50 * time.Millisecond), HideDeadline: hidden,
		}, before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			began := time.Now()
			want := context.DeadlineExceeded
			if hidden {
				want = context.Canceled
			}
			if _, ok := r.Context().Deadline(); ok == hidden {
				t.Errorf("hidden %v, deadline %v", hidden, ok)
			}
			<-r.Context().Done()
			if took := time.Since(began); took != 50*time.Millisecond {
				t.Errorf("left after %v, want 50ms", took)
			}
			if err := r.Context().Err(); err != want {
				t.Errorf("hidden %v: %v", hidden, err)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		if r.Total.Offered == 0 || r.Total.Expired != r.Total.Offered || r.Total.Success() != 0 {
			t.Errorf("%d of %d expired, want all", r.Total.Expired, r.Total.Offered)
		}
	}
}

func TestClientThatIsAnsweredDoesNotLeave(t *testing.T) {
	var kept []context.Context
	Run(t, Scenario{
		Seed: 1, Service: Delay{Constant(time.Millisecond)}, Unit: 1, Shape: Burst(20, time.Second, 2*time.Second),
		Deadline: Constant(100 * time.Millisecond),
	}, func(env *Env) func(http.Handler) http.Handler {
		var mu sync.Mutex
		env.Cleanup(func() {
			for _, ctx := range kept {
				if ctx.Err() != context.Canceled {
					t.Errorf("after the answer the context says %v", ctx.Err())
				}
				<-ctx.Done()
			}
		})
		return before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r)
			if r.Context().Err() != nil {
				t.Error("cancelled before the answer is complete")
			}
			mu.Lock()
			kept = append(kept, r.Context())
			mu.Unlock()
		})(env)
	})
	if len(kept) != 20 {
		t.Fatalf("%d requests", len(kept))
	}
}

func TestDerivedContextsNeedNoGoroutine(t *testing.T) {
	Run(t, Scenario{
		Service: Delay{Constant(time.Millisecond)}, Unit: 1, Shape: Burst(1, time.Second, time.Second), Deadline: Constant(50 * time.Millisecond),
	}, before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		n := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(r.Context())
		other, stop := context.WithTimeout(r.Context(), time.Millisecond)
		if now := runtime.NumGoroutine(); now > n {
			t.Errorf("%d goroutines, %d before", now, n)
		}
		called := make(chan struct{})
		never := context.AfterFunc(r.Context(), func() { t.Error("a stopped function was called") })
		context.AfterFunc(ctx, func() { close(called) })
		if !never() || never() {
			t.Error("stop does not tell whether it stopped the function")
		}
		<-other.Done()
		stop()
		<-called
		if ctx.Err() != context.DeadlineExceeded || other.Err() != context.DeadlineExceeded {
			t.Errorf("%v, %v", ctx.Err(), other.Err())
		}
		cancel()
		late := make(chan struct{})
		context.AfterFunc(r.Context(), func() { close(late) })
		<-late
		next.ServeHTTP(w, r.WithContext(ctx)) // the service finds its request in a derived context
	}))
}

func TestFunctionAfterTheEndOfAContextIsCalledAtOnce(t *testing.T) {
	var a attempt
	calls := make(chan int, 3)
	stop := a.AfterFunc(func() { calls <- 1 })
	a.AfterFunc(func() { calls <- 2 })
	if !stop() || stop() {
		t.Error("stop does not tell whether it stopped the function")
	}
	if !a.answer() || a.answer() || a.leave() {
		t.Error("answered or left twice")
	}
	late := a.AfterFunc(func() { calls <- 3 })
	if first, second := <-calls, <-calls; first != 2 || second != 3 {
		t.Errorf("called %d, then %d", first, second)
	}
	if late() {
		t.Error("stopped what has run")
	}
	if a.Value("other") != nil || a.Value(attemptKey{}) != &a {
		t.Error("wrong values")
	}
}

func TestManyTenantsSendTheirShares(t *testing.T) {
	t.Parallel()
	sc := Scenario{Seed: 1, Service: Delay{Constant(1)}, Unit: 1000, Shape: Steady(20*time.Second, 1)}
	sc.Mix.Tenants = []Tenant{{Name: "noisy", Share: 80}}
	for i := range 10 {
		sc.Mix.Tenants = append(sc.Mix.Tenants, Tenant{Name: "quiet " + strconv.Itoa(i), Share: 2})
	}
	sc.Mix.Tenants = append(sc.Mix.Tenants, Tenant{Name: "silent"})
	s := Run(t, sc, Bare).Total
	for i, tenant := range s.Tenants {
		about(t, tenant.Name, float64(tenant.Offered)/float64(s.Offered), sc.Mix.Tenants[i].Share/100, .2)
	}
}

func TestClientThatWaitsForEverIsAnsweredInTime(t *testing.T) {
	r := Run(t, Scenario{
		Service: Delay{Constant(time.Hour)}, Unit: 1, Shape: Burst(3, time.Second, time.Second),
		Deadline: Constant(0), Drain: 2 * time.Hour,
	}, Bare)
	if r.Total.InTime != 3 || r.Total.Max != time.Hour {
		t.Errorf("%+v", r.Total.Count)
	}
}

func TestPatienceIsInOrderOfDeadlines(t *testing.T) {
	t.Parallel()
	r := Run(t, Scenario{
		Seed: 9, Service: Delay{Constant(time.Hour)}, Unit: 200, Shape: Steady(10*time.Second, 1),
		Deadline: LogNormal(100*time.Millisecond, 2), HonourCancel: true,
	}, before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		d, _ := r.Context().Deadline()
		next.ServeHTTP(w, r)
		if late := time.Since(d); late != 0 {
			t.Errorf("left %v after the deadline", late)
		}
	}))
	if r.Total.Wasted < 1900 {
		t.Errorf("%d left", r.Total.Wasted)
	}
}

// attempts collects when each attempt came, by its number.
func attempts(t *testing.T, retry Retry, refuseAs int, retryAfter string) (at [][]time.Duration, r *Result) {
	t.Helper()
	var mu sync.Mutex
	r = Run(t, Scenario{
		Seed: 1, Service: Delay{Constant(time.Millisecond)}, Unit: 1, Shape: Burst(200, time.Second, 20*time.Second), Retry: retry,
	}, func(env *Env) func(http.Handler) http.Handler {
		return before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			n := 0
			if h := r.Header.Get(AttemptHeader); h != "" {
				n, _ = strconv.Atoi(h)
			}
			mu.Lock()
			for len(at) <= n {
				at = append(at, nil)
			}
			at[n] = append(at[n], env.Now()-time.Second)
			mu.Unlock()
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			w.WriteHeader(refuseAs)
		})(env)
	})
	return at, r
}

func TestClientsRetryRefusals(t *testing.T) {
	for _, status := range []int{429, 503} {
		at, r := attempts(t, Retry{Max: 2, Delay: 100 * time.Millisecond}, status, "3")
		if len(at) != 3 || len(at[2]) != 200 || at[1][0] != 100*time.Millisecond || at[2][199] != 200*time.Millisecond {
			t.Fatalf("%d: attempts at %v", status, at)
		}
		if r.Total.Calls != 200 || r.Total.Offered != 600 || r.Total.Refused != 600 || r.Total.Succeeded != 0 {
			t.Errorf("%d: %+v", status, r.Total.Count)
		}
	}
	for _, status := range []int{400, 500, 504} {
		if at, _ := attempts(t, Retry{Max: 2}, status, ""); len(at) != 1 {
			t.Errorf("%d was tried %d times, want once", status, len(at))
		}
	}
}

func TestClientsHonourRetryAfter(t *testing.T) {
	at, _ := attempts(t, Retry{Max: 1, Delay: 100 * time.Millisecond, HonourRetryAfter: true}, 503, "3")
	if at[1][0] != 3*time.Second {
		t.Errorf("second attempt after %v, want 3s", at[1][0])
	}
	if at, _ := attempts(t, Retry{Max: 1, HonourRetryAfter: true}, 503, "99999999"); len(at) != 1 {
		t.Error("tried again after the end of the scenario")
	}
	if at, _ := attempts(t, Retry{Max: 1, Delay: time.Second, HonourRetryAfter: true}, 503, "soon"); at[1][0] != time.Second {
		t.Errorf("second attempt after %v, want the usual second", at[1][0])
	}
}

func TestRetriesAreSpreadByJitter(t *testing.T) {
	at, _ := attempts(t, Retry{Max: 1, Delay: 100 * time.Millisecond, Jitter: .5}, 503, "")
	var sum time.Duration
	distinct := map[time.Duration]bool{}
	for _, d := range at[1] {
		if d < 50*time.Millisecond || d > 150*time.Millisecond {
			t.Errorf("after %v, want 50 to 150ms", d)
		}
		distinct[d] = true
		sum += d
	}
	about(t, "mean delay", (sum / 200).Seconds(), .1, .08)
	if len(distinct) < 190 {
		t.Errorf("%d different delays of 200", len(distinct))
	}
}

func TestCallSucceedsWhenARetryDoes(t *testing.T) {
	r := Run(t, Scenario{
		Service: Delay{Constant(time.Millisecond)}, Unit: 1, Shape: Burst(10, time.Second, time.Second),
		Retry: Retry{Max: 3, Delay: 10 * time.Millisecond},
	}, before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get(AttemptHeader) != "2" {
			w.WriteHeader(503)
			return
		}
		next.ServeHTTP(w, r)
	}))
	c := r.Total.Count
	if c.Calls != 10 || c.Succeeded != 10 || c.Offered != 30 || c.Refused != 20 || c.InTime != 10 || c.Success() != 1 {
		t.Errorf("%+v", c)
	}
	for q := range r.Requests() {
		if (q.Outcome == InTime) != (q.Attempt == 2) || q.Sent != time.Second+time.Duration(q.Attempt)*10*time.Millisecond {
			t.Errorf("%+v", q)
		}
	}
}

func TestImpatientClientsRetryWhileTheirFirstAttemptIsStillWorkedOn(t *testing.T) {
	r := Run(t, Scenario{
		Service: Delay{Constant(70 * time.Millisecond)}, Unit: 1, Shape: Burst(10, time.Second, time.Second),
		Deadline: Constant(50 * time.Millisecond), Retry: Retry{Max: 2, Delay: 10 * time.Millisecond, Timeouts: true},
		Slowdowns: []Slowdown{{time.Second + 100*time.Millisecond, 2 * time.Second, .5}},
	}, Bare)
	c := r.Total.Count
	if c.Calls != 10 || c.Offered != 30 || c.Wasted != 20 || c.InTime != 10 || c.Succeeded != 10 {
		t.Errorf("%+v", c)
	}
	for q := range r.Requests() {
		if q.Sent != time.Second+time.Duration(q.Attempt)*60*time.Millisecond {
			t.Errorf("%+v", q)
		}
	}
}

func TestAnswerOfTheMiddlewareInPlaceOfTheHandlersIsWaste(t *testing.T) {
	r := Run(t, Scenario{
		Service: Delay{Constant(70 * time.Millisecond)}, Unit: 1, Shape: Burst(10, time.Second, time.Second),
	}, func(*Env) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler { return http.TimeoutHandler(next, 10*time.Millisecond, "late") }
	})
	if c := r.Total.Count; c.Wasted != 10 || c.Max != 10*time.Millisecond {
		t.Errorf("%+v", c)
	}
}

func TestAnswerWithoutTheHandlerCanBeOfUse(t *testing.T) {
	r := Run(t, Scenario{
		Service: Delay{Constant(time.Millisecond)}, Unit: 1, Shape: Burst(10, time.Second, time.Second),
	}, before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.(http.Flusher).Flush()
		w.WriteHeader(503) // too late
	}))
	if c := r.Total.Count; c.InTime != 10 || c.Shed() != 0 || c.P50 != 0 {
		t.Errorf("%+v", c)
	}
}

func TestHandlerCalledTwiceDoesItsWorkTwice(t *testing.T) {
	for name, service := range map[string]Service{
		"pool": Pool{1, Constant(10 * time.Millisecond)}, "cpu": CPU{1, Constant(10 * time.Millisecond)},
		"process": Process{Cores: 1, Parse: 1, Time: Constant(10 * time.Millisecond)},
	} {
		r := Run(t, Scenario{Service: service, Shape: Burst(1, time.Second, time.Second)},
			before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				var both sync.WaitGroup
				both.Go(func() { next.ServeHTTP(w, r) })
				both.Go(func() { next.ServeHTTP(new(answer), r) })
				both.Wait()
			}))
		if d := r.Total.Max - 20*time.Millisecond; d.Abs() > time.Microsecond {
			t.Errorf("%s: took %v, want 20ms", name, r.Total.Max)
		}
	}
}

func TestContextOfAnotherRequestIsAnError(t *testing.T) {
	_, err := Simulate(Scenario{Service: Delay{Constant(1)}, Unit: 1, Shape: Burst(1, 1, time.Second)},
		before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r.WithContext(context.Background()))
		}))
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

package bulkhead_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/keyed"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

var (
	byTenant    = handrail.ByHeader("T")
	byOperation = bulkhead.WithOperation(handrail.ByHeader("O"))
)

func TestAHundredAreInsideAndTheRestWaitsShortly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t)
		for range 100 {
			s.expect(s.send("one of the first hundred"), "inside")
		}
		began := time.Now()
		var waiting []*visit
		for range 1000 {
			v := s.send("one that waits")
			s.expect(v, "waiting")
			waiting = append(waiting, v)
		}
		s.expect(s.send("one too many"), "queue_full")
		s.end(s.all[0], "return")
		s.expect(waiting[0], "inside")
		s.expect(waiting[1], "waiting")
		time.Sleep(time.Second - 1)
		synctest.Wait()
		s.expect(waiting[1], "waiting")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for _, v := range waiting[1:] {
			s.expect(v, "wait_timeout")
			if took := v.finished.Sub(began); took != time.Second {
				t.Fatalf("waited %v", took)
			}
		}
	})
}

func TestZeroIsNobodyAndUnlimitedIsEverybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, tc := range map[string]struct {
			want string
			opts []bulkhead.Option
		}{
			"global 0":            {"global", []bulkhead.Option{bulkhead.Basic(0)}},
			"tenant 0":            {"tenant", []bulkhead.Option{bulkhead.PerTenant(byTenant, 0)}},
			"operation 0":         {"operation", []bulkhead.Option{bulkhead.PerOperation(0)}},
			"one tenant 0":        {"tenant", []bulkhead.Option{bulkhead.WithTenant(byTenant), bulkhead.WithTenantLimits(map[string]int{"": 0})}},
			"global unlimited":    {"inside", []bulkhead.Option{bulkhead.Basic(bulkhead.Unlimited)}},
			"all unlimited":       {"inside", []bulkhead.Option{bulkhead.WithLimit(bulkhead.Unlimited), bulkhead.PerTenant(byTenant, bulkhead.Unlimited), bulkhead.PerOperation(bulkhead.Unlimited)}},
			"unlimited by name":   {"inside", []bulkhead.Option{bulkhead.WithLimit(2000), bulkhead.PerTenant(byTenant, 0), bulkhead.WithTenantLimits(map[string]int{"": bulkhead.Unlimited})}},
			"operation unlimited": {"inside", []bulkhead.Option{bulkhead.WithLimit(2000), byOperation, bulkhead.WithOperationLimits(map[string]int{"": bulkhead.Unlimited})}},
		} {
			s := open(t, tc.opts...)
			began := time.Now()
			for range race.Either(1500, 300) {
				if v := s.send(name); v.state() != tc.want {
					t.Fatalf("%s: %s, want %s", name, v.state(), tc.want)
				}
			}
			if waited := time.Since(began); waited != 0 {
				t.Errorf("%s: waited %v", name, waited)
			}
		}
	})
}

func TestTenantsAndOperationsHaveLimitsAndSomeTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithMaxWait(0), bulkhead.WithTenant(byTenant), byOperation,
			bulkhead.WithTenantLimits(map[string]int{"big": 30, "none": 0}), bulkhead.WithOperationLimits(map[string]int{"export": 2}))
		fill := func(limit int, then string, header ...string) {
			t.Helper()
			for i := range limit {
				if v := s.send("", header...); v.state() != "inside" {
					t.Fatalf("%v: number %d is %s", header, i, v.state())
				}
			}
			s.expect(s.send(fmt.Sprint(header), header...), then)
		}
		fill(10, "tenant", "T", "acme", "O", "list")
		fill(10, "operation", "T", "big", "O", "list") // 20 with those of acme
		fill(2, "operation", "T", "big", "O", "export")
		fill(18, "tenant", "T", "big", "O", "search")
		fill(0, "tenant", "T", "none", "O", "search")
		fill(2, "operation", "T", "other", "O", "search")
		// What was refused holds nothing.
		if got := s.b.Stats(); got.InUse != 42 {
			t.Errorf("%d in use", got.InUse)
		}
	})
}

func TestOneLimitForAllStandsAboveTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(5), bulkhead.PerTenant(byTenant, 3), bulkhead.WithMaxWait(0))
		for range 3 {
			s.expect(s.send("first", "T", "a"), "inside")
		}
		s.expect(s.send("tenant", "T", "a"), "tenant")
		s.expect(s.send("fourth", "T", "b"), "inside")
		s.expect(s.send("fifth", "T", "b"), "inside")
		s.expect(s.send("sixth", "T", "b"), "global")
	})
}

func TestASaturatedTenantWithTenThousandWaitersKeepsNobodyOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(12), bulkhead.PerTenant(byTenant, 10), bulkhead.WithMaxQueue(20_000), bulkhead.WithMaxWait(time.Minute))
		for range 10 {
			s.expect(s.send("noisy", "T", "noisy"), "inside")
		}
		many := race.Either(10_000, 2_000)
		for range many {
			s.send("noisy, waiting", "T", "noisy", "X-Priority", "critical")
		}
		if got := s.b.Stats().Waiting; got != many {
			t.Fatalf("%d wait", got)
		}
		began := time.Now()
		quiet := s.send("quiet", "T", "quiet")
		s.expect(quiet, "inside")
		s.expect(s.send("another", "T", "another"), "inside")
		// Now all slots are taken, and the next goes to the quiet tenant, which
		// may use it, and not to those who came first and may not.
		third := s.send("third", "T", "third")
		s.expect(third, "waiting")
		s.end(quiet, "return")
		s.expect(third, "inside")
		if waited := time.Since(began); waited != 0 {
			t.Errorf("took %v", waited)
		}
		// The noisy tenant goes on within its own limit.
		s.end(s.all[0], "return")
		if got := s.b.Stats(); got.InUse != 12 || got.Waiting != many-1 || got.ByTenant[0].InUse != 10 {
			t.Errorf("%+v", got.ByTenant)
		}
	})
}

func TestASlowOperationKeepsNobodyOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, byOperation, bulkhead.WithOperationLimit(1), bulkhead.WithLimit(3))
		s.expect(s.send("slow", "O", "slow"), "inside")
		for range 100 {
			s.expect(s.send("slow too", "O", "slow"), "waiting")
		}
		s.expect(s.send("quick", "O", "quick"), "inside")
	})
}

// One tenant cannot fill the queue that others need to wait in, too.
func TestOneTenantFillsHalfOfTheQueueAtMost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(1), bulkhead.PerTenant(byTenant, 5), bulkhead.WithMaxQueue(10))
		s.send("inside", "T", "noisy")
		for range 5 {
			s.expect(s.send("noisy", "T", "noisy"), "waiting")
		}
		full := s.send("noisy", "T", "noisy")
		s.expect(full, "queue_full")
		if full.w.Code != http.StatusTooManyRequests {
			t.Errorf("status %d", full.w.Code)
		}
		for range 5 {
			s.expect(s.send("quiet", "T", "quiet"), "waiting")
		}
		other := s.send("other", "T", "other")
		s.expect(other, "queue_full")
		if other.w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d", other.w.Code)
		}
	})
}

func TestEveryWayOutGivesTheSlotBack(t *testing.T) {
	for name, opts := range map[string][]bulkhead.Option{
		"one limit": {bulkhead.Basic(1)},
		"all":       {bulkhead.WithLimit(1), bulkhead.PerTenant(byTenant, 1), bulkhead.PerOperation(1)},
	} {
		bubble(t, func(t *testing.T) {
			s := open(t, opts...)
			for _, how := range []string{"return", "panic", "abort", "goexit"} {
				v := s.send(how)
				next := s.send("after " + how)
				s.expect(next, "waiting")
				s.end(v, how)
				s.expect(next, "inside")
				s.end(next, how)
				if got := s.b.Stats().InUse; got != 0 {
					t.Fatalf("%s, %s: %d slots in use", name, how, got)
				}
			}
		})
	}
}

func TestPanicsOfTheHandlerGoOnAsTheyAre(t *testing.T) {
	for _, value := range []any{http.ErrAbortHandler, "on purpose"} {
		b := made(t)
		func() {
			defer func() {
				if got := recover(); got != value {
					t.Errorf("%v became %v", value, got)
				}
			}()
			b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) })).ServeHTTP(&nullWriter{http.Header{}}, request())
		}()
		if got := b.Stats(); got.InUse != 0 || got.Admitted != 1 {
			t.Errorf("%+v", got)
		}
	}
}

// A function of the user's that panics must not cost a slot, nor pin a key.
func TestAFunctionThatPanicsCostsNothing(t *testing.T) {
	wrong := func(*http.Request) string { panic("on purpose") }
	bubble(t, func(t *testing.T) {
		for name, opts := range map[string][]bulkhead.Option{
			"tenant":    {bulkhead.PerTenant(wrong, 1)},
			"operation": {bulkhead.PerTenant(byTenant, 1), bulkhead.WithOperation(wrong)},
			"priority":  {bulkhead.PerTenant(byTenant, 0), bulkhead.WithPriority(func(*http.Request) handrail.Priority { panic("on purpose") })},
		} {
			s := open(t, append(opts, bulkhead.WithMaxKeys(1))...)
			for range 3 {
				if v := s.send(name, "T", "a"); !v.done.Load() || v.state() != "served" {
					t.Errorf("%s: %s", name, v.state())
				}
			}
			if err := s.b.Update(bulkhead.PerTenant(byTenant, 1), bulkhead.WithOperation(byTenant), bulkhead.WithPriorityHeader("P")); err != nil {
				t.Fatal(err)
			}
			s.expect(s.send("another key", "T", "b"), "inside")
			if got := s.b.Stats(); got.SharedTenants != 0 {
				t.Errorf("%s: the first key is still held", name)
			}
		}
	})
}

func TestAClientThatLeftIsNoRejection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []bulkhead.Event
		s := open(t, bulkhead.Basic(1), bulkhead.OnReject(func(e bulkhead.Event) { told = append(told, e) }))
		first := s.send("first")
		left, next := s.send("left"), s.send("next")
		left.cancel()
		synctest.Wait()
		s.expect(left, "canceled")
		if left.w.Code != 499 {
			t.Errorf("noted as %d", left.w.Code)
		}
		s.end(first, "return")
		s.expect(next, "inside")
		// One that was gone when it came.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.expect(s.sendWith(ctx, "never there"), "canceled")
		got := s.b.Stats()
		if got.Canceled != 2 || got.Rejected != 0 || len(told) != 0 || slices.Contains(s.order, "left") {
			t.Errorf("%+v, told of %v, inside were %v", got, told, s.order)
		}
	})
}

func TestASlotGrantedToWhoHasJustLeftGoesToTheNext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range race.Either(200, 30) {
			s := open(t, bulkhead.Basic(1))
			first, second, third := s.send("first"), s.send("second"), s.send("third")
			second.cancel()
			first.end <- "return" // at the same time
			synctest.Wait()
			s.expect(second, "canceled")
			s.expect(third, "inside")
			s.end(third, "return")
		}
	})
}

func TestAWaiterLeavesAtItsDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(1))
		s.send("first")
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		v := s.sendWith(ctx, "short of time")
		s.expect(v, "waiting")
		time.Sleep(time.Second)
		synctest.Wait()
		s.expect(v, "wait_timeout")
		if took := v.finished.Sub(began); took != 300*time.Millisecond {
			t.Errorf("after %v", took)
		}
		// One that is late already does not wait at all, nor take anybody's place.
		s.expect(s.sendWith(ctx, "late"), "wait_timeout")
	})
}

func TestAHandlerThatOutlivesItsTimeoutKeepsItsSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(1))
		s.h = timeout.Middleware(timeout.Basic(100 * time.Millisecond))(s.h)
		v := s.send("outlives")
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if !v.done.Load() || v.w.Code != http.StatusServiceUnavailable {
			t.Fatalf("not answered: %d", v.w.Code)
		}
		if got := s.b.Stats().InUse; got != 1 {
			t.Fatalf("%d slots in use", got)
		}
		// Who waits leaves at the timeout, and does not run for nobody.
		waits := s.send("waits")
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if !waits.done.Load() || slices.Contains(s.order, "waits") || s.b.Stats().Waiting != 0 {
			t.Errorf("it is %s", waits.state())
		}
		v.end <- "return"
		synctest.Wait()
		if got := s.b.Stats().InUse; got != 0 {
			t.Errorf("%d slots in use", got)
		}
	})
}

func TestExemptRequestsTakeNoSlotAndAreCountedApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(0), bulkhead.WithExempt(func(r *http.Request) bool { return r.Header.Get("O") == "health" }))
		s.expect(s.send("other"), "global")
		v := s.send("health", "O", "health")
		s.expect(v, "inside")
		if got := s.b.Stats(); got.InUse != 0 || got.Exempt != 1 || got.Admitted != 0 {
			t.Errorf("%+v", got)
		}
		s.end(v, "panic")
		if got := s.b.Stats(); got.Exempt != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestARejectionTellsItsReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type told struct {
			Status               int
			Code, Reason, Detail string
			Name                 string
		}
		check := func(v *visit, status int, reason string) {
			t.Helper()
			var got told
			if err := json.Unmarshal(v.w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, v.w.Body)
			}
			if want := (told{status, bulkhead.Code, reason, "Come back.", "front"}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if v.w.Code != status || v.w.Header().Get("Content-Type") != "application/problem+json" || v.w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d, %v", v.w.Code, v.w.Header())
			}
			if n, err := strconv.Atoi(v.w.Header().Get("Retry-After")); err != nil || n < 1 || n > 30 {
				t.Errorf("Retry-After %q", v.w.Header().Get("Retry-After"))
			}
		}
		common := []bulkhead.Option{bulkhead.WithName("front"), bulkhead.WithMessage("Come back.")}
		with := func(opts ...bulkhead.Option) *site { return open(t, append(opts, common...)...) }

		check(with(bulkhead.Basic(0)).send(""), 503, "global")
		check(with(bulkhead.PerTenant(byTenant, 0)).send(""), 429, "tenant")
		check(with(bulkhead.PerOperation(0)).send(""), 503, "operation")
		check(with(bulkhead.Basic(0), bulkhead.WithStatus(529)).send(""), 529, "global")
		check(with(bulkhead.PerTenant(byTenant, 0), bulkhead.WithTenantStatus(403)).send(""), 403, "tenant")

		s := with(bulkhead.WithLimit(2), bulkhead.PerTenant(byTenant, 1), bulkhead.WithMaxQueue(1))
		s.send("first")
		slow := s.send("slow")
		check(s.send("full"), 429, "queue_full") // its own limit is in its way
		time.Sleep(time.Second)
		synctest.Wait()
		check(slow, 429, "wait_timeout")

		s = with(bulkhead.Basic(1), bulkhead.WithMaxQueue(1))
		s.send("first")
		slow = s.send("slow")
		check(s.send("full"), 503, "queue_full")
		time.Sleep(time.Second)
		synctest.Wait()
		check(slow, 503, "wait_timeout")
	})
}

func TestARejectionCanBeAnsweredInOnesOwnWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.PerTenant(byTenant, 0), bulkhead.WithName("front"), bulkhead.WithRejectionHandler(func(w http.ResponseWriter, r *http.Request, rejection handrail.Rejection) {
			w.WriteHeader(418)
			fmt.Fprint(w, rejection.Status, rejection.Code, rejection.Reason, rejection.Name, rejection.RetryAfter > 0)
		}))
		v := s.send("")
		if v.w.Code != 418 || v.w.Body.String() != "429"+bulkhead.Code+"tenantfront"+"true" && v.w.Body.String() != "429 "+bulkhead.Code+"tenantfront true" {
			t.Errorf("%d %q", v.w.Code, v.w.Body)
		}
	})
}

func TestRetryAfterGrowsWithTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(1), bulkhead.WithMaxQueue(40), bulkhead.WithMaxWait(time.Minute), bulkhead.WithMaxRetryAfter(time.Hour))
		retry := func() int {
			v := s.send("refused")
			s.expect(v, "queue_full")
			n, err := strconv.Atoi(v.w.Header().Get("Retry-After"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for range 41 {
			s.send("one")
		}
		if n := retry(); n > 2 {
			t.Errorf("nothing is known, and Retry-After is %d", n)
		}
		// One a second from here on, so 41 seconds or more and twice that at most.
		for i := range 20 {
			time.Sleep(time.Second)
			s.end(s.all[i], "return")
			s.send("one more")
			retry()
		}
		for range 100 {
			if n := retry(); n < 36 || n > 92 {
				t.Fatalf("Retry-After is %d", n)
			}
		}
	})
}

func TestEventsTellOfRejections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []bulkhead.Event
		s := open(t, bulkhead.WithName("front"), bulkhead.WithLimit(1), bulkhead.PerTenant(byTenant, 5), bulkhead.PerOperation(5),
			bulkhead.WithPriorityHeader("P"), bulkhead.OnReject(func(e bulkhead.Event) {
				told = append(told, e)
				panic("what a callback does hurts nobody")
			}))
		s.send("first", "T", "acme")
		s.send("second", "T", "acme", "P", "high")
		time.Sleep(time.Second)
		synctest.Wait()
		want := bulkhead.Event{Name: "front", Reason: bulkhead.ReasonWaitTimeout, Limit: bulkhead.ReasonGlobal, Tenant: "acme",
			Operation: "GET /orders/{id}", Priority: handrail.High, Waited: time.Second, Method: "GET", Pattern: "GET /orders/{id}", At: time.Now()}
		if len(told) != 1 || told[0] != want {
			t.Errorf("%+v", told)
		}
	})
}

func TestLimitsChangeWhileServing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		update := func(s *site, opts ...bulkhead.Option) {
			t.Helper()
			if err := s.b.Update(opts...); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for name, limit := range map[string]func(int) bulkhead.Option{
			"global":    bulkhead.WithLimit,
			"tenant":    func(n int) bulkhead.Option { return bulkhead.PerTenant(byTenant, n) },
			"operation": bulkhead.PerOperation,
		} {
			t.Log(name)
			s := open(t, limit(1))
			s.send("first")
			s.send("second")
			s.send("third")
			fourth := s.send("fourth")
			update(s, limit(3))
			s.expect(s.all[2], "inside")
			s.expect(fourth, "waiting")
			update(s, limit(1))
			// Those inside stay, and nobody comes in before they are few enough.
			s.end(s.all[0], "return")
			s.end(s.all[1], "return")
			s.expect(fourth, "waiting")
			s.end(s.all[2], "return")
			s.expect(fourth, "inside")
			update(s, limit(bulkhead.Unlimited))
			for range 200 {
				s.send("many")
			}
			if got := s.b.Stats(); name != "global" && got.InUse != 100 || name == "global" && got.InUse != 201 {
				t.Errorf("%d in use", got.InUse)
			}
			update(s, limit(0))
			if v := s.send("nobody"); !v.done.Load() {
				t.Errorf("with a limit of 0 it is %s", v.state())
			}
		}
	})
}

func TestTenantsMayBeToldApartFromNowOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(2))
		before := s.send("before", "T", "a")
		if err := s.b.Update(bulkhead.PerTenant(byTenant, 1)); err != nil {
			t.Fatal(err)
		}
		s.expect(s.send("after", "T", "a"), "inside")
		s.expect(s.send("waits", "T", "a"), "waiting")
		s.end(before, "return")
		s.expect(s.all[2], "waiting")
		if err := s.b.Update(bulkhead.Basic(2)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.expect(s.all[2], "inside")
		s.end(s.all[2], "return")
		s.expect(s.send("now", "T", "b"), "inside")
	})
}

func TestAWrongUpdateChangesNothing(t *testing.T) {
	b := made(t, bulkhead.Basic(3), bulkhead.WithName("front"))
	for _, opts := range [][]bulkhead.Option{
		{bulkhead.WithName("other"), bulkhead.WithLimit(-7)},
		{bulkhead.WithLimit(5), bulkhead.WithMaxKeys(5)},
		{bulkhead.WithLimit(5), nil},
	} {
		if err := b.Update(opts...); err == nil {
			t.Error("no error")
		}
		if s := b.Stats(); s.Limit != 3 || s.Name != "front" {
			t.Errorf("%+v", s)
		}
	}
}

func TestAMillionTenantsStayWithinTheBound(t *testing.T) {
	n := race.Either(1_000_000, 15_000)
	held := make(chan struct{})
	inside := make(chan struct{})
	b := made(t, bulkhead.PerTenant(byTenant, 1), bulkhead.WithMaxWait(0))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(inside); <-held })).
			ServeHTTP(&nullWriter{http.Header{}}, request("T", "held"))
	}()
	<-inside
	h, w, r := b.Wrap(noop), &nullWriter{http.Header{}}, request("T", "x")
	warm := func(from, to int) {
		for i := from; i < to; i++ {
			r.Header["T"][0] = "tenant-" + strconv.Itoa(i)
			h.ServeHTTP(w, r)
		}
	}
	warm(0, 10_000)
	before := heap()
	warm(10_000, n)
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	s := b.Stats()
	if s.Tenants > 4096 || s.EvictedTenants < uint64(n)-4096 || s.SharedTenants != 0 || len(s.ByTenant) > bulkhead.TopKeys {
		t.Errorf("%d tenants, %d evicted, %d shared", s.Tenants, s.EvictedTenants, s.SharedTenants)
	}
	// The one that holds a slot was not forgotten.
	if s.ByTenant[0].Key != "held" || s.ByTenant[0].InUse != 1 {
		t.Errorf("%+v", s.ByTenant[0])
	}
	r.Header["T"][0] = "held"
	h.ServeHTTP(w, r)
	if got := b.Stats().Reasons[bulkhead.ReasonTenant]; got != 1 {
		t.Errorf("%d were refused", got)
	}
	close(held)
	<-done
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestTenantsWithoutAnAccountShareOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.PerTenant(byTenant, 1), bulkhead.WithMaxKeys(2), bulkhead.WithMaxWait(0),
			bulkhead.WithTenantLimits(map[string]int{keyed.Overflow: 50}))
		for _, tenant := range []string{"a", "b", "c"} {
			s.expect(s.send(tenant, "T", tenant), "inside")
		}
		s.expect(s.send("d", "T", "d"), "tenant") // with c
		got := s.b.Stats()
		if got.Tenants != 2 || got.SharedTenants != 2 || !slices.ContainsFunc(got.ByTenant, func(k bulkhead.KeyStats) bool { return k.Shared && k.InUse == 1 && k.Limit == 1 }) {
			t.Errorf("%+v", got)
		}
	})
}

func TestLongKeysAreCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		long := make([]byte, 1000)
		s := open(t, bulkhead.PerTenant(func(r *http.Request) string { return string(long) + r.Header.Get("T") }, 1), bulkhead.WithMaxWait(0))
		s.expect(s.send("a", "T", "a"), "inside")
		s.expect(s.send("b", "T", "b"), "tenant")
		if got := s.b.Stats().ByTenant; len(got) != 1 || len(got[0].Key) != handrail.MaxKeyLen {
			t.Errorf("%+v", got)
		}
	})
}

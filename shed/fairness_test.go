package shed_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/shed"
)

// sender sends requests at a rate, at random moments.
type sender struct {
	rate    float64 // a second
	headers []string
}

// sent is what became of a sender's requests.
type sent struct{ ok, all int }

func (s sent) share() float64 { return float64(s.ok) / float64(s.all) }

// traffic sends for a time, in virtual time, and counts all but the first
// second, in which the Shedder learns how quick the handler is.
func traffic(t *testing.T, h http.Handler, seed uint64, d time.Duration, senders []sender) []sent {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 17))
	all := 0.
	for _, s := range senders {
		all += s.rate
	}
	type outcome struct {
		from int
		ok   bool
	}
	outcomes := make(chan outcome, int(2*all*d.Seconds())+1000)
	began := time.Now()
	for {
		time.Sleep(time.Duration(rng.ExpFloat64() / all * float64(time.Second)))
		at := time.Since(began)
		if at > d {
			break
		}
		from, x := 0, rng.Float64()*all
		for x > senders[from].rate && from < len(senders)-1 {
			x -= senders[from].rate
			from++
		}
		go func() {
			status := get(h, senders[from].headers...)
			if at > time.Second {
				outcomes <- outcome{from, status == http.StatusOK}
			}
		}()
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	close(outcomes)
	counts := make([]sent, len(senders))
	for o := range outcomes {
		counts[o.from].all++
		if o.ok {
			counts[o.from].ok++
		}
	}
	return counts
}

func TestANoisyTenantCannotTakeTheShareOfTheQuietOnes(t *testing.T) {
	for _, times := range []float64{2, 5} {
		t.Run(fmt.Sprintf("at %v times the capacity", times), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const capacity = 400. // four slots of 10 ms
				const quiets = 4
				s := shedder(t, trusting(fixed(4))...)
				h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) }))
				senders := []sender{{.8 * times * capacity, []string{tenantHeader, "noisy"}}}
				for i := range quiets {
					senders = append(senders, sender{.2 * times * capacity / quiets, []string{tenantHeader, "quiet-" + strconv.Itoa(i)}})
				}
				d := race.Either(10*time.Second, 6*time.Second)
				got := traffic(t, h, 5, d, senders)
				// Max–min: everybody has what all can have, and what some do
				// not need is shared by the others.
				demands, total := make([]float64, len(got)), 0.
				for i, g := range got {
					demands[i] = float64(g.all)
					total += float64(g.ok)
				}
				if all := capacity * (d - time.Second).Seconds(); total < .97*all {
					t.Errorf("%v requests were served of %v that could be", total, all)
				}
				var quiet, asked, fair float64
				for i, want := range maxMin(total, demands) {
					if share, fair := got[i].share(), want/demands[i]; math.Abs(share-fair) > .05 {
						t.Errorf("%v got %.3f of what it asked for, fair is %.3f", senders[i].headers, share, fair)
					}
					if i > 0 {
						quiet += float64(got[i].ok)
						asked += demands[i]
						fair += want
					}
				}
				if (fair-quiet)/asked > .03 {
					t.Errorf("the quiet tenants got %.3f of what they asked for, fair is %.3f", quiet/asked, fair/asked)
				}
				empty(t, s)
			})
		})
	}
}

// maxMin shares capacity max–min fairly between demands.
func maxMin(capacity float64, demands []float64) []float64 {
	got := make([]float64, len(demands))
	open := len(demands)
	for open > 0 && capacity > 1e-9 {
		each := capacity / float64(open)
		open = 0
		for i, d := range demands {
			add := min(each, d-got[i])
			got[i] += add
			capacity -= add
			if got[i] < d {
				open++
			}
		}
	}
	return got
}

func TestTheClassComesBeforeTheTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// The noisy tenant's critical requests fit; the quiet one's background
		// does not come before them, however little it has had.
		s := shedder(t, trusting(fixed(4))...)
		h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) }))
		got := traffic(t, h, 5, 5*time.Second, []sender{
			{280, []string{tenantHeader, "noisy", classHeader, "critical"}},
			{360, []string{tenantHeader, "noisy", classHeader, "background"}},
			{20, []string{tenantHeader, "quiet", classHeader, "background"}},
		})
		if got[0].share() < .995 {
			t.Errorf("critical requests of the noisy tenant: served %.3f", got[0].share())
		}
		if got[2].share() < got[1].share() {
			t.Errorf("background: quiet tenant %.3f, noisy one %.3f", got[2].share(), got[1].share())
		}
	})
}

func TestWaitingRequestsOfTheTenantWithTheLeastUseAreLetInFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, trusting(fixed(2))...)
		h := s.Wrap(desk)
		busy := fill(t, h, 2, tenantHeader, "greedy")
		older := settled(h, tenantHeader, "greedy")
		time.Sleep(time.Millisecond)
		younger := settled(h, tenantHeader, "modest")
		finish(busy[:1])
		if older.inside.Load() || !younger.inside.Load() {
			t.Errorf("greedy inside: %t, modest inside: %t", older.inside.Load(), younger.inside.Load())
		}
		finish(append(busy, younger))
		if !older.inside.Load() {
			t.Error("the greedy tenant was not served after the modest one")
		}
		finish([]*call{older})
		empty(t, s)
	})
}

func TestMillionsOfTenantsAreRememberedWithinABound(t *testing.T) {
	const bound = 64
	many := race.Either(1_000_000, 20_000)
	next := 0
	s := shedder(t, shed.WithMaxTenants(bound), shed.WithTenant(func(*http.Request) string {
		next++
		return strconv.Itoa(next)
	}))
	h := s.Wrap(noop)
	w, r := &nullWriter{http.Header{}}, request()
	for range many {
		h.ServeHTTP(w, r)
	}
	st := s.Stats()
	if st.Tenants < 1 || st.Tenants > bound {
		t.Errorf("%d tenants are told apart, the bound is %d", st.Tenants, bound)
	}
	if st.Admitted != uint64(many) || st.EvictedTenants < uint64(many-bound) {
		t.Errorf("of %d tenants %d were admitted and %d forgotten", many, st.Admitted, st.EvictedTenants)
	}
	if st.SharedTenants != 0 {
		t.Errorf("%d requests shared an account although every other was idle", st.SharedTenants)
	}
}

func TestTenantsThatWaitAreNotForgottenAndNewcomersShareAnAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, trusting(fixed(1), shed.WithMaxTenants(2))...)
		h := s.Wrap(desk)
		calls := fill(t, h, 1)
		for _, tenant := range []string{"a", "b", "c", "d"} {
			c := settled(h, tenantHeader, tenant)
			if c.over.Load() {
				t.Errorf("%s does not wait", tenant)
			}
			calls = append(calls, c)
		}
		if st := s.Stats(); st.Tenants != 2 || st.SharedTenants != 2 {
			t.Errorf("%d tenants, %d shared", st.Tenants, st.SharedTenants)
		}
		for range calls {
			finish(calls)
		}
		for i, c := range calls {
			if !c.served.Load() {
				t.Errorf("request %d was not served", i)
			}
		}
		get(h, tenantHeader, "late")
		if st := s.Stats(); st.Tenants != 2 || st.SharedTenants != 2 {
			t.Errorf("afterwards %d tenants, %d shared", st.Tenants, st.SharedTenants)
		}
		empty(t, s)
	})
}

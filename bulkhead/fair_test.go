package bulkhead

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func must(t *testing.T, opts ...Option) *Bulkhead {
	t.Helper()
	b, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func byHeader(name string) func(*http.Request) string {
	return func(r *http.Request) string { return r.Header.Get(name) }
}

// A client's half-close must reach the backend through ReverseProxy, as without the bulkhead.
func TestAHalfCloseReachesTheBackendBehindAProxy(t *testing.T) {
	for _, with := range []bool{false, true} {
		t.Run(fmt.Sprint("bulkhead=", with), func(t *testing.T) {
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, rw, _ := w.(http.Hijacker).Hijack()
				defer c.Close()
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sum\r\n\r\n")
				all, _ := io.ReadAll(rw)
				time.Sleep(50 * time.Millisecond)
				fmt.Fprintf(c, "got %d bytes", len(all))
			}))
			defer upstream.Close()
			u, _ := url.Parse(upstream.URL)
			plain := &http.Transport{}
			defer plain.CloseIdleConnections()
			p := httputil.NewSingleHostReverseProxy(u)
			p.Transport = plain
			if with {
				p.Transport = must(t).Transport(plain)
			}
			front := httptest.NewServer(p)
			defer front.Close()
			c, err := net.Dial("tcp", front.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: sum\r\n\r\n")
			br := bufio.NewReader(c)
			for {
				l, err := br.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if l == "\r\n" {
					break
				}
			}
			io.WriteString(c, "hello")
			c.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(br)
			if string(got) != "got 5 bytes" {
				t.Fatalf("%q %v", got, err)
			}
		})
	}
}

// Update(WithAgeing) with everybody Normal must not break FIFO.
func TestANewAgeingLeavesTheOrderOfThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := must(t, WithLimit(1), WithMaxWait(time.Minute), WithAgeing(0))
		var mu sync.Mutex
		var order []string
		next := make(chan struct{})
		h := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			order = append(order, r.Header.Get("N"))
			mu.Unlock()
			<-next
		}))
		send := func(n string) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("N", n)
			go h.ServeHTTP(httptest.NewRecorder(), r)
			synctest.Wait()
		}
		send("first")
		send("early1")
		time.Sleep(10 * time.Second)
		if err := b.Update(WithAgeing(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		send("late1")
		send("late2")
		if err := b.Audit(); err != nil {
			t.Error(err)
		}
		for range 4 {
			next <- struct{}{}
			synctest.Wait()
		}
		if got := fmt.Sprint(order); got != "[first early1 late1 late2]" {
			t.Errorf("%v", got)
		}
	})
}

// A newcomer must not take a slot that is being given back before those that wait.
func TestANewcomerTakesNoSlotThatIsBeingGivenBack(t *testing.T) {
	g := newGate()
	g.configure(rules{limit: 1, wait: true, queue: 10, tenantsQueue: 5, tenantLimit: endless, operationLimit: endless, ageing: time.Millisecond})
	if !g.slip() {
		t.Fatal()
	}
	w, _ := g.enter(1, g.anyone, g.anything, 2, false, false)
	if w == nil {
		t.Fatal()
	}
	g.state.Add(math.MaxUint64) // the first half of unslip
	w2, r := g.enter(2, g.anyone, g.anything, 2, false, false)
	if w2 == nil && r.why == admitted {
		t.Errorf("the newcomer is inside, the one before it waits: state %d", w.state)
	}
}

// Counters never go back.
func TestCountersNeverGoBack(t *testing.T) {
	b := must(t, WithTenant(byHeader("T")), WithTenantLimit(5), WithLimit(1))
	ref := b.tenants.Acquire("a")
	g, tn := b.gate, ref.Value()
	if !g.try(tn, g.anything) {
		t.Fatal()
	}
	w, _ := g.enter(1, tn, g.anything, 2, false, false)
	g.vacate(tn, g.anything) // grants w, whose client has left
	s1 := b.Stats()
	g.leave(2, 1, w, true, false)
	s2 := b.Stats()
	if s2.Admitted < s1.Admitted || s2.ByTenant[0].Admitted < s1.ByTenant[0].Admitted {
		t.Errorf("admitted %d, then %d; tenant %d, then %d", s1.Admitted, s2.Admitted, s1.ByTenant[0].Admitted, s2.ByTenant[0].Admitted)
	}
}

// Entitled waiters take no place in the tenant's queue.
func TestGuaranteedWaitersTakeNoPlaceInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := must(t, WithTenant(byHeader("T")), WithTenantLimit(20), WithLimit(10), WithMaxQueue(10), WithGuarantees(map[string]int{"a": 5}))
		end := make(chan struct{})
		h := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-end }))
		send := func(tenant string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("T", tenant)
			w := httptest.NewRecorder()
			go h.ServeHTTP(w, r)
			synctest.Wait()
			return w
		}
		for range 10 {
			send("b")
		}
		for range 5 {
			send("a") // entitled
		}
		w := send("a") // the first that needs a place in the queue, of which 5 are a's
		if w.Body.Len() > 0 {
			t.Errorf("%d %s; queued %d of 10", w.Code, w.Body, b.gate.queued)
		}
		close(end)
		synctest.Wait()
	})
}

// Displaced because its tenant's share of the queue is full: 429 as the newcomer would get
func TestWhoIsDisplacedByItsOwnTenantIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := must(t, WithTenant(byHeader("T")), WithTenantLimit(20), WithLimit(1), WithMaxQueue(10), WithTenantQueue(1), WithPriorityHeader("P"))
		end := make(chan struct{})
		h := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-end }))
		send := func(tenant, p string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("T", tenant)
			r.Header.Set("P", p)
			w := httptest.NewRecorder()
			go h.ServeHTTP(w, r)
			synctest.Wait()
			return w
		}
		send("b", "normal")
		low := send("a", "low")
		newcomer := send("a", "low")
		send("a", "high")
		if low.Code != newcomer.Code {
			t.Errorf("newcomer %d, displaced %d: the same cause", newcomer.Code, low.Code)
		}
		close(end)
		synctest.Wait()
	})
}

// The Retry-After of a tenant without slots, whose places in the queue are all taken, at a known pace
func TestRetryAfterOfACrowdedTenantFollowsThePace(t *testing.T) {
	g := newGate()
	g.configure(rules{limit: 10, locked: true, wait: true, queue: 100, tenantsQueue: 50, tenantLimit: 100, operationLimit: endless, ageing: time.Millisecond})
	a, c := newTenant("a"), newTenant("c")
	for range 10 {
		g.try(c, g.anything)
	}
	for range 50 {
		g.enter(1, a, g.anything, 2, false, false)
	}
	g.pace = pace{at: 1, begun: true, rate: 1}
	_, r := g.enter(1, a, g.anything, 2, false, false)
	if r.limit != ReasonTenant || r.drain < 40*time.Second {
		t.Errorf("%v %v: 50 wait at one a second, and the drain is %v", r.why, r.limit, r.drain)
	}
}

package chain

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/health"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// virtually runs a test of a service in a bubble, over both versions of HTTP,
// and looks afterwards whether anything is held or has been counted wrong.
func virtually(t *testing.T, set func() sizes, h func(*service) http.Handler, test func(t *testing.T, s *service, n *network)) {
	overBoth(t, func(t *testing.T, proto int) {
		synctest.Test(t, func(t *testing.T) {
			s := newService(still(), set())
			n := inMemory(proto, s.wrap(h(s)))
			s.ready(t)
			test(t, s, n)
			time.Sleep(time.Minute)
			if held := s.held(); held != "" {
				t.Errorf("afterwards: %s", held)
			}
			if sum, _ := s.scraped(t); sum != s.observe.Stats().Requests {
				t.Errorf("%d requests were scraped, %d observed", sum, s.observe.Stats().Requests)
			}
			n.close()
			s.close(t)
		})
	})
}

// serves wants a whole answer of the handler's.
func serves(t *testing.T, re reply, body string) {
	t.Helper()
	if re.err != nil || re.cut != nil || re.status != 200 || re.body != body {
		t.Errorf("%v, %d %q, cut %v", re.err, re.status, re.body, re.cut)
	}
}

// alive wants that the probes are answered at once, and say what they should.
func alive(t *testing.T, n *network) {
	t.Helper()
	for _, path := range []string{"/healthz", "/livez", "/readyz", "/startupz"} {
		if re := n.get(path); re.err != nil || re.status != 200 || re.body != "ok" || re.took > time.Millisecond {
			t.Errorf("%s: %v, %d %q after %v", path, re.err, re.status, re.body, re.took)
		}
	}
}

func TestABackendThatFailsIsRetriedAvoidedAndProbed(t *testing.T) {
	var down atomic.Bool
	const open = 10 * time.Second
	virtually(t, func() sizes {
		down.Store(false)
		return sizes{
			retry:   []retry.Option{retry.WithFixed(10 * time.Millisecond), retry.WithoutBudget()},
			breaker: []breaker.Option{breaker.WithConsecutiveFailures(5), breaker.WithOpenFor(open), breaker.WithSuccesses(3)},
		}
	}, func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				http.Error(w, "the backend is down", http.StatusBadGateway)
				return
			}
			io.WriteString(w, "good")
		})
	}, func(t *testing.T, s *service, n *network) {
		for range 5 {
			serves(t, n.get("/"), "good")
		}
		down.Store(true)
		// Three attempts fail; of the next request the second opens the circuit.
		before := s.calls.Load()
		if re := n.get("/"); re.status != http.StatusBadGateway || re.body != "the backend is down\n" || re.cut != nil {
			t.Errorf("%d %q", re.status, re.body)
		}
		if re := n.get("/"); re.status != 503 || re.code() != breaker.Code {
			t.Errorf("%d %q", re.status, re.body)
		}
		if n := s.calls.Load() - before; n != 5 {
			t.Errorf("the backend was asked %d times until it was left alone", n)
		}
		alive(t, n)
		before = s.calls.Load()
		for range 9 {
			time.Sleep(time.Second)
			re := n.get("/")
			after, err := strconv.Atoi(re.header.Get("Retry-After"))
			if re.status != 503 || re.code() != breaker.Code || err != nil || after < 1 || after > 10 {
				t.Errorf("while it is open: %d %q, Retry-After %d, %v", re.status, re.body, after, err)
			}
		}
		if n := s.calls.Load() - before; n != 0 {
			t.Errorf("while the circuit is open, the backend was asked %d times", n)
		}
		// The probe fails, and the circuit is open for another time.
		time.Sleep(open)
		if re := n.get("/"); re.status < 500 || s.calls.Load()-before != 1 {
			t.Errorf("%d, and the backend was asked %d times", re.status, s.calls.Load()-before)
		}
		down.Store(false)
		if re := n.get("/"); re.code() != breaker.Code {
			t.Errorf("%d %q", re.status, re.body)
		}
		time.Sleep(open)
		for range 3 {
			serves(t, n.get("/"), "good")
		}
		if st := s.breaker.Stats(); st.Circuits[0].State != breaker.Closed || st.Opened != 2 {
			t.Errorf("%v, opened %d times", st.Circuits[0].State, st.Opened)
		}
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { serves(t, n.get("/"), "good") })
		}
		group.Wait()
	})
}

// A handler that never looks at its context is answered for at its deadline, and
// keeps its slot until it returns, so that no more of them pile up than there
// are slots.
func TestAHandlerThatIgnoresItsContextCostsItsClientADeadlineAndTheServiceASlot(t *testing.T) {
	const limit, deadline, lasts = 4, time.Second, 5 * time.Second
	virtually(t, func() sizes {
		return sizes{
			timeout:  []timeout.Option{timeout.Basic(deadline)},
			bulkhead: []bulkhead.Option{bulkhead.WithLimit(limit), bulkhead.WithMaxWait(100 * time.Millisecond)},
			breaker:  []breaker.Option{breaker.WithConsecutiveFailures(1000), breaker.WithFailureRate(0, 1, time.Second, 10)},
		}
	}, func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hangs" {
				time.Sleep(lasts)
			}
			io.WriteString(w, "done")
		})
	}, func(t *testing.T, s *service, n *network) {
		var group sync.WaitGroup
		for range limit {
			group.Go(func() {
				re := n.get("/hangs")
				if re.status != 503 || re.code() != timeout.Code || re.cut != nil || re.took < deadline || re.took > deadline+10*time.Millisecond {
					t.Errorf("%d %q after %v", re.status, re.body, re.took)
				}
			})
		}
		group.Wait()
		if st := s.timeout.Stats(); st.Overdue != limit {
			t.Errorf("%d handlers are overdue", st.Overdue)
		}
		if re := n.get("/"); re.status != 503 || re.code() != bulkhead.Code || re.took > 110*time.Millisecond {
			t.Errorf("%d %q after %v", re.status, re.body, re.took)
		}
		alive(t, n)
		time.Sleep(lasts)
		serves(t, n.get("/"), "done")
		if held := s.held(); held != "" {
			t.Errorf("%s", held)
		}
	})
}

// pool is a handler with so many workers, each of which takes so long.
func pool(workers int, takes time.Duration) http.Handler {
	slots := make(chan struct{}, workers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			time.Sleep(takes)
			io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})
}

// outcomes counts what became of the requests of each kind.
type outcomes struct {
	mu   sync.Mutex
	sent map[string]int
	good map[string]int
	odd  []string // neither served nor refused
}

func (o *outcomes) add(kind string, re reply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent[kind]++
	switch {
	case re.err == nil && re.cut == nil && re.status == 200:
		o.good[kind]++
	case re.err == nil && re.cut == nil && (re.status == 503 || re.status == 429) && re.code() != "" && re.header.Get("Retry-After") != "":
	default:
		o.odd = append(o.odd, fmt.Sprintf("%s: %v, %d %.60q, cut %v", kind, re.err, re.status, re.body, re.cut))
	}
}

func (o *outcomes) share(kind string) float64 {
	return float64(o.good[kind]) / float64(max(o.sent[kind], 1))
}

// offer sends rate requests a second of each kind, whatever becomes of them, and
// returns what became of those that were sent after warm.
func offer(n *network, lasts, warm time.Duration, rates map[string]float64, header func(kind string) []string) *outcomes {
	all, late := &outcomes{sent: map[string]int{}, good: map[string]int{}}, &outcomes{sent: map[string]int{}, good: map[string]int{}}
	var group sync.WaitGroup
	began := time.Now()
	for kind, rate := range rates {
		dice := rand.New(rand.NewPCG(uint64(kind[0]), uint64(rate)))
		group.Go(func() {
			for at := time.Duration(0); at < lasts; at += time.Duration(dice.ExpFloat64() / rate * float64(time.Second)) {
				time.Sleep(time.Until(began.Add(at)))
				group.Go(func() {
					into := all
					if at >= warm {
						into = late
					}
					into.add(kind, n.get("/", header(kind)...))
				})
			}
		})
	}
	group.Wait()
	late.odd = append(late.odd, all.odd...)
	return late
}

// Under three times the load that it can serve, a service answers what matters
// most, is as useful as it can be, and its probes are answered all the time.
func TestOverloadServesWhatMattersMost(t *testing.T) {
	const workers, takes, lasts, warm = 8, 80 * time.Millisecond, 25 * time.Second, 10 * time.Second
	const capacity = workers * float64(time.Second) / float64(takes)
	virtually(t, func() sizes {
		return sizes{timeout: []timeout.Option{timeout.Basic(5 * time.Second)}}
	}, func(*service) http.Handler { return pool(workers, takes) }, func(t *testing.T, s *service, n *network) {
		stop := make(chan struct{})
		var prober sync.WaitGroup
		prober.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					alive(t, n)
				}
			}
		})
		o := offer(n, lasts, warm, map[string]float64{
			"critical": .2 * capacity, "high": .2 * capacity, "normal": capacity, "low": .8 * capacity, "background": .8 * capacity,
		}, func(kind string) []string { return []string{byPriority, kind} })
		close(stop)
		prober.Wait()
		served := 0
		for _, n := range o.good {
			served += n
		}
		if goodput := float64(served) / (lasts - warm).Seconds(); goodput < .85*capacity {
			t.Errorf("%.0f requests a second were served, of %.0f that could be", goodput, capacity)
		}
		if o.share("critical") < .99 || o.share("high") < .97 {
			t.Errorf("served: %.3f of critical, %.3f of high", o.share("critical"), o.share("high"))
		}
		if o.share("normal") < .3 || o.share("low") > .1 || o.share("background") > .1 {
			t.Errorf("served: %.3f of normal, %.3f of low, %.3f of background", o.share("normal"), o.share("low"), o.share("background"))
		}
		if len(o.odd) > 0 {
			t.Errorf("%d requests were neither served nor refused, such as %s", len(o.odd), o.odd[0])
		}
	})
}

// A tenant that sends three times what there is takes what the others leave.
func TestAGreedyTenantDoesNotStarveTheOthers(t *testing.T) {
	const workers, takes, lasts, warm = 8, 80 * time.Millisecond, 25 * time.Second, 10 * time.Second
	const capacity = workers * float64(time.Second) / float64(takes)
	for name, bounds := range map[string]sizes{
		"shared by the shedder": {timeout: []timeout.Option{timeout.Basic(5 * time.Second)}},
		"bounded by the bulkhead": {
			shed:     []shed.Option{shed.WithLimits(1000, 1000, 1000), shed.WithTenant(handrail.ByHost)},
			timeout:  []timeout.Option{timeout.Basic(5 * time.Second)},
			bulkhead: []bulkhead.Option{bulkhead.WithLimit(2 * workers), bulkhead.PerTenant(handrail.ByHeader(byTenant), workers/2), bulkhead.WithTenantQueue(20)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func() sizes { return bounds }, func(*service) http.Handler { return pool(workers, takes) },
				func(t *testing.T, s *service, n *network) {
					o := offer(n, lasts, warm, map[string]float64{
						"greedy": 3 * capacity, "a": .1 * capacity, "b": .1 * capacity, "c": .1 * capacity,
					}, func(kind string) []string { return []string{byTenant, kind} })
					for _, kind := range []string{"a", "b", "c"} {
						if o.share(kind) < .95 {
							t.Errorf("tenant %s: %d of %d were served", kind, o.good[kind], o.sent[kind])
						}
					}
					if got := float64(o.good["greedy"]) / (lasts - warm).Seconds(); got < .4*capacity {
						t.Errorf("the greedy one is served %.0f requests a second of the %.0f that are left", got, .7*capacity)
					}
					if len(o.odd) > 0 {
						t.Errorf("%d requests were neither served nor refused, such as %s", len(o.odd), o.odd[0])
					}
				})
		})
	}
}

// A thousand requests are inside at once, and then thousands of every kind go
// through a chain that is too narrow for them. Client, chain, observer and
// scrape count the same.
func TestAThousandAtOnceAreAccountedForExactly(t *testing.T) {
	const clients = 1000
	overBoth(t, func(t *testing.T, proto int) {
		leaktest.Check(t)
		sampler := must(load.New())
		s := newService(sampler, sizes{
			shed:     []shed.Option{shed.WithLimits(clients, clients, clients)},
			timeout:  []timeout.Option{timeout.Basic(time.Minute)},
			retry:    []retry.Option{retry.WithFixed(time.Millisecond), retry.WithoutBudget()},
			breaker:  []breaker.Option{breaker.WithConsecutiveFailures(1_000_000), breaker.WithFailureRate(0, 1, time.Second, 10)},
			bulkhead: []bulkhead.Option{bulkhead.WithLimit(clients)},
		})
		var gathered sync.WaitGroup
		gathered.Add(clients)
		var failed sync.Map // ids of requests whose first attempt has failed
		mux := http.NewServeMux()
		mux.HandleFunc("/gather", func(w http.ResponseWriter, r *http.Request) {
			gathered.Done()
			gathered.Wait()
			io.WriteString(w, "together")
		})
		mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Millisecond)
			io.WriteString(w, r.URL.RawQuery)
		})
		mux.HandleFunc("/missing", func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.URL.RawQuery, 404) })
		mux.HandleFunc("/once", func(w http.ResponseWriter, r *http.Request) {
			if _, second := failed.LoadOrStore(r.URL.RawQuery, true); !second {
				http.Error(w, "not yet", http.StatusBadGateway)
				return
			}
			io.WriteString(w, r.URL.RawQuery)
		})
		mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("the handler's own") })
		n, _ := onSockets(t, proto, s.wrap(mux))
		defer n.close()
		s.ready(t)
		n.get("/readyz") // over HTTP/2 one connection is enough, if there is one already

		var sent atomic.Uint64
		sent.Store(1)
		by := make([]atomic.Uint64, 600) // by status, 0 for no answer
		by[200].Store(1)
		ask := func(path, body string) {
			sent.Add(1)
			r, _ := http.NewRequest("PUT", n.url+path, nil) // which the client does not repeat
			re := n.do(r)
			by[re.status].Add(1)
			switch {
			case strings.HasPrefix(path, "/panic"):
				if re.err == nil && re.code() == "" {
					t.Errorf("%s: %d %q", path, re.status, re.body)
				}
			case re.err != nil || re.cut != nil:
				t.Errorf("%s: %v, cut %v", path, re.err, re.cut)
			case re.code() == "" && strings.TrimSuffix(re.body, "\n") != body:
				t.Errorf("%s: %d %q", path, re.status, re.body)
			}
		}
		var group sync.WaitGroup
		for range clients {
			group.Go(func() { ask("/gather", "together") })
		}
		group.Wait()
		if n := by[200].Load() - 1; n != clients {
			t.Errorf("%d were served", n)
		}
		if err := s.bulkhead.Update(bulkhead.WithLimit(10), bulkhead.WithMaxQueue(50), bulkhead.WithMaxWait(20*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for i := range clients {
			group.Go(func() {
				for j := range 4 {
					id := fmt.Sprint(i, ".", j)
					ask([]string{"/good?", "/missing?", "/once?", "/good?", "/panic?"}[(i+j)%5]+id, id)
				}
			})
		}
		group.Wait()
		s.rests(t)
		if by[503].Load() == 0 || by[404].Load() == 0 || by[0].Load() == 0 {
			t.Errorf("%d were refused, %d not found, %d without an answer", by[503].Load(), by[404].Load(), by[0].Load())
		}
		if got := s.observe.Stats().Requests; got != sent.Load() {
			t.Errorf("%d were sent, %d observed", sent.Load(), got)
		}
		sum, scraped := s.scraped(t)
		if sum != sent.Load() {
			t.Errorf("%d were sent, %d scraped", sent.Load(), sum)
		}
		for status := range by {
			label := "unknown"
			if status > 0 {
				label = strconv.Itoa(status)
			}
			if got, want := scraped[label], by[status].Load(); got != want {
				t.Errorf("status %q: %d were answered, %d scraped: %v", label, want, got, scraped)
			}
		}
		// Each attempt was judged and bounded, and only what was let in was called.
		sh, b, bh, re := s.shed.Stats(), s.breaker.Stats(), s.bulkhead.Stats(), s.retry.Stats()
		if got := sh.Admitted + sh.Shed + sh.Gone; got != sent.Load()-1 {
			t.Errorf("%d were sent, and a probe, %d decided on by the shedder", sent.Load()-1, got)
		}
		if got := s.timeout.Stats().Requests; got != sh.Admitted || re.Requests != sh.Admitted {
			t.Errorf("%d were let in, %d got a timeout, %d went through the retrier", sh.Admitted, got, re.Requests)
		}
		if got := b.Successes + b.Failures + b.Excluded + b.Rejected; got != re.Attempts || bh.Admitted+bh.Rejected+bh.Canceled != re.Attempts {
			t.Errorf("%d attempts, %d judged, %d bounded", re.Attempts, got, bh.Admitted+bh.Rejected+bh.Canceled)
		}
		if got := s.calls.Load(); uint64(got) != bh.Admitted {
			t.Errorf("%d got a slot, %d handlers were called", bh.Admitted, got)
		}
		n.close()
		s.close(t)
	})
}

// Clients send as fast as they can, and a load balancer asks for readiness. None
// of their requests fails while the instance goes down.
func TestNotOneRequestFailsWhileTheChainGoesDown(t *testing.T) {
	overBoth(t, func(t *testing.T, proto int) {
		leaktest.Check(t)
		s := newService(must(load.New()), sizes{
			health:   []health.Option{health.WithDrainDelay(time.Second)},
			shed:     []shed.Option{shed.WithLimits(100, 100, 1000)},
			timeout:  []timeout.Option{timeout.Basic(time.Minute)},
			bulkhead: []bulkhead.Option{bulkhead.WithLimit(100)},
		})
		hold := make(chan struct{})
		var held atomic.Int64
		n, server := onSockets(t, proto, s.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				held.Add(1)
				<-hold // until the server is being shut down
			}
			io.WriteString(w, "served")
		})))
		server.Config.RegisterOnShutdown(func() { close(hold) })
		s.ready(t)
		var sent atomic.Uint64
		send := func(path string) {
			sent.Add(1)
			if re := n.get(path); re.err != nil || re.cut != nil || re.status != 200 || re.body != "served" {
				t.Errorf("%s: %v, %d %q, cut %v", path, re.err, re.status, re.body, re.cut)
			}
		}
		send("/") // over HTTP/2 one connection is enough, if there is one already
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() { send("/slow") })
		}
		eventually(t, "slow requests", func() bool { return held.Load() == 4 })
		var unready atomic.Bool
		for range 8 {
			group.Go(func() {
				for !unready.Load() {
					send("/")
				}
			})
		}
		group.Go(func() {
			for !unready.Load() {
				re := n.get("/readyz")
				sent.Add(1)
				if re.err != nil || re.cut != nil || re.status != 200 && re.status != 503 {
					t.Errorf("readiness: %v, %d", re.err, re.status)
				}
				unready.Store(re.err != nil || re.status == 503)
			}
		})
		eventually(t, "some traffic", func() bool { return sent.Load() > 200 })
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.health.Shutdown(ctx, server.Config); err != nil {
			t.Error(err)
		}
		group.Wait()
		s.rests(t)
		if got := s.observe.Stats(); got.Requests != sent.Load() || got.Outcomes["answered"] != sent.Load() {
			t.Errorf("%d were sent, observed %v", sent.Load(), got.Outcomes)
		}
		n.close()
		s.close(t)
	})
}

package chain

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

const (
	soakWorkers = 16
	soakTakes   = 40 * time.Millisecond
	soakStep    = 10 * time.Second
	soakTimeout = 500 * time.Millisecond
)

// soakHandler has a pool of workers behind /work, and faults of every kind.
func soakHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/work", pool(soakWorkers, soakTakes))
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, large) })
	mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusBadGateway) })
	mux.HandleFunc("/panics", func(http.ResponseWriter, *http.Request) { panic("the handler's own") })
	mux.HandleFunc("/aborts", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half of")
		flush(w)
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { time.Sleep(2 * soakTimeout) })
	mux.HandleFunc("/leaves", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			io.WriteString(w, "data: hello\n\n")
			flush(w)
			time.Sleep(soakTimeout / 2)
		}
	})
	return mux
}

// soaked is what the client has seen in a step.
type soaked struct {
	Sent, Work, Good, Faults, Odd, Unsent int64
	Shed, Timeout, Open, Full             int64 // refusals, by who refused
	Critical, CriticalGood                int64
	Probes, ProbesFailed                  int64
	Example                               string
}

// figures of the server at the end of a step.
type soakStepFigures struct {
	soaked
	heap       float64 // MiB after a collection
	goroutines float64
	goodput    float64 // a second
}

// TestSoak offers a service with the whole chain twice what it can serve, for ten
// minutes or CI_SOAK_FOR, with faults of every kind among it. The client is a
// process of its own, so that the memory is the server's.
func TestSoak(t *testing.T) {
	if os.Getenv("CI_SOAK") == "" {
		t.Skip("takes ten minutes; CI_SOAK=1 runs it")
	}
	lasts := 10 * time.Minute
	if text := os.Getenv("CI_SOAK_FOR"); text != "" {
		lasts = must(time.ParseDuration(text))
	}
	if lasts < 8*soakStep {
		t.Fatalf("%v is too short to see a trend", lasts)
	}
	leaktest.Check(t)
	var turns notes // of the breaker
	began := time.Now()
	s := newService(must(load.New()), sizes{
		timeout: []timeout.Option{timeout.Basic(soakTimeout)},
		retry:   []retry.Option{retry.WithFixed(5 * time.Millisecond)},
		breaker: []breaker.Option{breaker.WithConsecutiveFailures(50), breaker.WithOpenFor(5 * time.Second), breaker.OnStateChange(func(e breaker.Event) {
			turns.add(fmt.Sprintf("%s: %v to %v, %v", time.Since(began).Round(time.Second), e.From, e.To, e.Cause))
		})},
		bulkhead: []bulkhead.Option{bulkhead.WithLimit(200)},
	})
	chain := s.wrap(soakHandler())
	one, _ := onSockets(t, 1, chain)
	two, _ := onSockets(t, 2, chain)
	s.ready(t)

	capacity := 0.0
	soakClient(t, one.url, two.url, 0, 5*time.Second, func(got soaked) { capacity = float64(got.Good) / 5 })
	t.Logf("capacity: %.0f requests a second, of %.0f that the workers could do", capacity, soakWorkers/soakTakes.Seconds())
	s.rests(t)
	before := s.observe.Stats().Requests

	var steps []soakStepFigures
	var sent, left uint64
	soakClient(t, one.url, two.url, 2*capacity, lasts, func(got soaked) {
		f := soakStepFigures{soaked: got, goodput: float64(got.Good) / soakStep.Seconds()}
		f.goroutines = float64(runtime.NumGoroutine())
		runtime.GC()
		runtime.GC() // what pools keep is gone with the second
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		f.heap = float64(mem.HeapAlloc) / (1 << 20)
		steps = append(steps, f)
		sent += uint64(got.Sent)
		left += uint64(got.Faults)
		s.scraped(t)
	})
	s.rests(t)
	steps = steps[:lasts/soakStep] // what comes after is no whole one
	t.Log(soakTable(steps), turns.String())

	var all soaked
	for _, f := range steps {
		all.Odd += f.Odd
		all.Unsent += f.Unsent
		all.Probes += f.Probes
		all.ProbesFailed += f.ProbesFailed
		all.Critical += f.Critical
		all.CriticalGood += f.CriticalGood
		all.Example = cmp.Or(all.Example, f.Example)
	}
	if all.Odd > 0 || all.Unsent > 0 {
		t.Errorf("%d requests were neither served nor refused, such as %s; %d could not be sent", all.Odd, all.Example, all.Unsent)
	}
	if all.ProbesFailed > 0 || all.Probes == 0 {
		t.Errorf("%d of %d probes failed", all.ProbesFailed, all.Probes)
	}
	if share := float64(all.CriticalGood) / float64(all.Critical); share < .97 {
		t.Errorf("%.3f of the critical requests were served", share)
	}
	// A client that leaves may do so before its request is on its way.
	if got := s.observe.Stats().Requests - before; got > sent || got < sent-left {
		t.Errorf("%d were sent, %d of them to be given up, and %d observed", sent, left, got)
	}
	if sum, _ := s.scraped(t); sum > s.observe.Stats().Requests {
		t.Errorf("%d scraped, %d observed", sum, s.observe.Stats().Requests)
	}
	if got := s.observe.Stats().SinkPanics; got != 0 {
		t.Errorf("%d sinks panicked", got)
	}

	calm := steps[2:] // what caches and windows hold is there by then
	flat(t, "heap in MiB", calm, func(f soakStepFigures) float64 { return f.heap }, .15, 2)
	flat(t, "goroutines", calm, func(f soakStepFigures) float64 { return f.goroutines }, .15, 60)
	flat(t, "goodput a second", calm, func(f soakStepFigures) float64 { return f.goodput }, .10, 0)
	goodput := make([]float64, len(calm))
	for i, f := range calm {
		goodput[i] = f.goodput
	}
	if usual := median(goodput); usual < .85*capacity {
		t.Errorf("goodput is %.0f a second, of %.0f", usual, capacity)
	}
	one.close()
	two.close()
	s.close(t)
}

// flat wants that the last third of the steps is like the first, and that there
// is no trend: within a share of what is usual, and so much more. Medians, and
// the median of all slopes (Theil and Sen), so that a moment in which the
// machine had something else to do is no trend.
func flat(t *testing.T, what string, steps []soakStepFigures, of func(soakStepFigures) float64, share, more float64) {
	t.Helper()
	values := make([]float64, len(steps))
	for i, f := range steps {
		values[i] = of(f)
	}
	var slopes []float64
	for i := range values {
		for j := range i {
			slopes = append(slopes, (values[i]-values[j])/float64(i-j))
		}
	}
	third := len(values) / 3
	first, last, all := median(values[:third]), median(values[len(values)-third:]), median(values)
	rise := median(slopes) * float64(len(values)-1)
	t.Logf("%s: median %.1f, of the first third %.1f, of the last %.1f, trend %+.1f from end to end", what, all, first, last, rise)
	if bound := share*all + more; math.Abs(last-first) > bound || math.Abs(rise) > bound {
		t.Errorf("%s is not flat: more than %.1f", what, bound)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func soakTable(steps []soakStepFigures) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%6s %8s %8s %8s %8s %8s %8s %8s %8s %10s %10s %9s\n", "s", "sent", "work", "good", "shed", "timeout", "open", "full", "faults", "goroutines", "heap MiB", "critical")
	for i, f := range steps {
		fmt.Fprintf(&b, "%6.0f %8d %8d %8d %8d %8d %8d %8d %8d %10.0f %10.2f %8.1f%%\n", float64(i+1)*soakStep.Seconds(), f.Sent, f.Work, f.Good, f.Shed, f.Timeout, f.Open, f.Full, f.Faults,
			f.goroutines, f.heap, 100*float64(f.CriticalGood)/float64(max(f.Critical, 1)))
	}
	return b.String()
}

// soakClient runs the client as a process, and hands on what it tells after each
// step. A rate of 0 is that of a closed loop.
func soakClient(t *testing.T, one, two string, rate float64, lasts time.Duration, step func(soaked)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSoakClient$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), "CHAIN_SOAK_CLIENT="+fmt.Sprintf("%s %s %f %s", one, two, rate, lasts))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	steps := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var got soaked
		if text, ok := strings.CutPrefix(lines.Text(), "step "); ok && json.Unmarshal([]byte(text), &got) == nil {
			steps++
			step(got)
		}
	}
	if err := cmd.Wait(); err != nil || steps == 0 {
		t.Fatalf("the client: %v, %d steps", err, steps)
	}
}

// TestSoakClient is the client of TestSoak, and nothing by itself.
func TestSoakClient(t *testing.T) {
	text := os.Getenv("CHAIN_SOAK_CLIENT")
	if text == "" {
		t.Skip("is run by TestSoak")
	}
	words := strings.Fields(text)
	rate, lasts := must(strconv.ParseFloat(words[2], 64)), must(time.ParseDuration(words[3]))
	c := &soaker{urls: [2]string{words[0], words[1]}}
	for i := range c.clients {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 2000
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is that of httptest
		c.clients[i] = &http.Client{Transport: transport}
	}
	began := time.Now()
	if rate == 0 {
		for range 2 * soakWorkers {
			c.group.Go(func() {
				for i := 0; time.Since(began) < lasts; i++ {
					c.ask(i, "/work", 2)
				}
			})
		}
		c.group.Wait()
		c.tell()
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	c.group.Go(func() { c.probe(ctx) })
	next := began.Add(soakStep)
	for i := 0; time.Since(began) < lasts; i++ {
		time.Sleep(time.Until(began.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		if time.Now().After(next) {
			c.tell()
			next = next.Add(soakStep)
		}
		if c.outstanding.Load() > 5000 {
			c.now.unsent.Add(1)
			continue
		}
		c.outstanding.Add(1)
		c.group.Go(func() {
			defer c.outstanding.Add(-1)
			c.one(i)
		})
	}
	stop()
	c.group.Wait()
	c.tell()
}

// notes are lines that several goroutines write.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, line)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, "\n")
}

var soakCodes = []string{shed.Code, timeout.Code, breaker.Code, bulkhead.Code}

// soaker is the client.
type soaker struct {
	urls        [2]string
	clients     [2]*http.Client
	group       sync.WaitGroup
	outstanding atomic.Int64
	now         struct {
		sent, work, good, faults, odd, unsent, critical, criticalGood, probes, probesFailed atomic.Int64
		refused                                                                             [4]atomic.Int64
		example                                                                             atomic.Pointer[string]
	}
}

// tell prints what has been since the last time.
func (c *soaker) tell() {
	n := &c.now
	s := soaked{Sent: n.sent.Swap(0), Work: n.work.Swap(0), Good: n.good.Swap(0), Shed: n.refused[0].Swap(0), Timeout: n.refused[1].Swap(0), Open: n.refused[2].Swap(0), Full: n.refused[3].Swap(0), Faults: n.faults.Swap(0),
		Odd: n.odd.Swap(0), Unsent: n.unsent.Swap(0), Critical: n.critical.Swap(0), CriticalGood: n.criticalGood.Swap(0),
		Probes: n.probes.Swap(0), ProbesFailed: n.probesFailed.Swap(0)}
	if text := n.example.Load(); text != nil {
		s.Example = *text
	}
	line, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	fmt.Printf("step %s\n", line)
}

// one sends the i-th request, of the kind whose turn it is.
func (c *soaker) one(i int) {
	faults := map[int]string{7: "/panics", 17: "/aborts", 27: "/slow", 37: "/leaves", 47: "/leaves", 57: "/fails", 67: "/large", 77: "/events"}
	if path := faults[i%100]; path != "" {
		c.fault(i, path)
		return
	}
	rank := [20]int{0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4}[i*7%20]
	c.ask(i, "/work", rank)
}

func (c *soaker) send(ctx context.Context, i int, path string, rank int) reply {
	n := network{client: c.clients[i/100%2]}
	method := http.MethodGet
	if path == "/panics" || path == "/aborts" {
		method = http.MethodPut // which net/http's client does not repeat by itself
	}
	r, err := http.NewRequestWithContext(ctx, method, c.urls[i/100%2]+path, nil)
	if err != nil {
		return reply{err: err}
	}
	tenant := i % 20
	if i%10 < 3 {
		tenant = 0 // is greedy
	}
	r.Header.Set(byTenant, strconv.Itoa(tenant))
	r.Header.Set(byPriority, []string{"critical", "high", "normal", "low", "background"}[rank])
	c.now.sent.Add(1)
	return n.do(r)
}

func (c *soaker) ask(i int, path string, rank int) {
	re := c.send(context.Background(), i, path, rank)
	n := &c.now
	n.work.Add(1)
	if rank == 0 {
		n.critical.Add(1)
	}
	switch {
	case re.err == nil && re.cut == nil && re.status == 200 && re.body == "done":
		n.good.Add(1)
		if rank == 0 {
			n.criticalGood.Add(1)
		}
	case re.err == nil && re.cut == nil && re.status == 503 && slices.Contains(soakCodes, re.code()):
		n.refused[slices.Index(soakCodes, re.code())].Add(1)
	default:
		n.odd.Add(1)
		text := fmt.Sprintf("%v, %d %.60q, cut %v", re.err, re.status, re.body, re.cut)
		n.example.CompareAndSwap(nil, &text)
	}
}

func (c *soaker) fault(i int, path string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if path == "/leaves" {
		time.AfterFunc(20*time.Millisecond, cancel)
	}
	c.send(ctx, i, path, 2)
	c.now.faults.Add(1)
}

// probe asks for liveness and readiness all the time.
func (c *soaker) probe(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		re := c.send(context.Background(), 100*i, []string{"/livez", "/readyz"}[i/2%2], 2)
		c.now.probes.Add(1)
		if re.err != nil || re.status != 200 {
			c.now.probesFailed.Add(1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

package deploy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/health"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
	"github.com/handrail-go/handrail/observe/prom"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// stack is a service with everything the toolkit has, over HTTP, and clients
// that give each of its policies something to do.
type stack struct {
	*httptest.Server
	registry *prometheus.Registry
	shed     *shed.Shedder
	timeout  *timeout.Timeout
	retry    *retry.Retrier
	breaker  *breaker.Breaker
	bulkhead *bulkhead.Bulkhead
	sampler  *load.Sampler
	health   *health.Health
	emf      *cloudwatch.Metrics
	emfLines lines
	logLines lines

	stop  context.CancelFunc
	users sync.WaitGroup
}

// must is for constructors whose options are written here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newStack(t *testing.T) *stack {
	old := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(8 << 30)
	t.Cleanup(func() { debug.SetMemoryLimit(old) })

	s := &stack{
		registry: prometheus.NewRegistry(),
		sampler:  must(load.New(load.WithName("api"), load.WithInterval(200*time.Millisecond), load.WithWindow(5*time.Second))),
		timeout:  must(timeout.New(timeout.WithName("api"), timeout.Basic(40*time.Millisecond))),
		retry: must(retry.New(retry.WithName("api"), retry.WithFixed(time.Millisecond),
			retry.WithBudget(must(retry.NewBudget(0.02, 1))))),
		breaker: must(breaker.New(breaker.WithName("api"), breaker.PerOperation(),
			breaker.WithOpenFor(200*time.Millisecond), breaker.WithConsecutiveFailures(5))),
		bulkhead: must(bulkhead.New(bulkhead.WithName("api"), bulkhead.WithLimit(32),
			bulkhead.WithOperation(handrail.ByRoute), bulkhead.WithOperationLimit(16),
			bulkhead.WithOperationLimits(map[string]int{"GET /tight": 1}), bulkhead.WithMaxWait(10*time.Millisecond))),
	}
	s.shed = must(shed.New(shed.WithName("api"), shed.WithSampler(s.sampler), shed.WithLimits(4, 8, 8),
		shed.WithMaxWait(20*time.Millisecond), shed.WithPriorityHeader("X-Priority"),
		shed.WithLongLived(func(r *http.Request) bool { return r.URL.Path == "/events" })))
	s.health = newHealth()
	metrics := must(prom.New())
	// As deploy/README.md says for the dashboard and the alarms of CloudWatch.
	s.emf = must(cloudwatch.NewMetrics(&s.emfLines,
		cloudwatch.WithService("api"),
		cloudwatch.WithDimensions(
			[]string{cloudwatch.Service},
			[]string{cloudwatch.Service, cloudwatch.Method, cloudwatch.Route, cloudwatch.StatusClass}),
		cloudwatch.WithSources(s.sampler, s.shed, s.timeout, s.retry, s.breaker, s.bulkhead, s.health)))
	access := must(observe.NewAccessLog(slog.NewJSONHandler(&s.logLines, nil), observe.WithRefusals(100*time.Millisecond)))
	watch := must(observe.New(observe.WithName("api"), observe.WithSink(span{}, metrics, s.emf, access), observe.WithRequestIDs()))
	s.registry.MustRegister(metrics,
		prom.NewCollector(s.sampler, s.shed, s.timeout, s.retry, s.breaker, s.bulkhead, s.health, watch),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	scrape := promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	root := http.NewServeMux()
	root.Handle("/metrics", scrape)
	root.HandleFunc("/metrics/text", func(w http.ResponseWriter, r *http.Request) {
		// As a scraper without native histograms would ask.
		r.Header.Set("Accept", "text/plain;version=0.0.4")
		scrape.ServeHTTP(w, r)
	})
	root.Handle("/", handrail.Chain(watch.Wrap, s.health.Wrap, s.shed.Wrap)(s.routes()))
	s.Server = httptest.NewUnstartedServer(root)
	s.Config.ErrorLog = quiet
	s.Start()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.use(ctx)
	t.Cleanup(func() {
		s.quiet()
		s.CloseClientConnections()
		s.Close()
		if err := s.emf.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		for _, c := range []io.Closer{s.sampler, s.health, access} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// span is a sink that begins a span, as one of package trace does.
type span struct{}

func (span) Start(x *observe.Exchange) {
	x.Trace = observe.TraceIDs{TraceID: [16]byte{1}, SpanID: [8]byte{2}, Flags: 1}
}

func (span) Observe(*observe.Exchange) {}

// lines keeps what is written to it.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// read returns what was written, line by line.
func (l *lines) read() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Split(bytes.TrimSpace(bytes.Clone(l.buf.Bytes())), []byte("\n"))
}

// newHealth has a check of every kind: one that passes, one that warns, one that
// flaps, and one that hangs for a while.
func newHealth() *health.Health {
	var runs atomic.Uint64
	return must(health.New(health.WithName("api"), health.WithLogger(slog.New(slog.DiscardHandler)), health.WithDefaults(health.Every(100*time.Millisecond), health.Timeout(50*time.Millisecond)),
		health.WithCheck("database", func(context.Context) error { return nil }, health.In(health.All)),
		health.WithCheck("disk", func(context.Context) error { return health.Warning(errors.New("filling up")) }),
		health.WithCheck("cache", func(context.Context) error {
			if runs.Add(1)%4 < 2 {
				return errors.New("no answer")
			}
			return nil
		}, health.FailAfter(1), health.Degrading()),
		health.WithCheck("queue", func(context.Context) error {
			time.Sleep(400 * time.Millisecond)
			return nil
		}, health.FailAfter(2)),
	))
}

// quiet ends the traffic.
func (s *stack) quiet() {
	s.stop()
	s.users.Wait()
}

// routes is what the service does, each route under the policies that need to
// know it.
func (s *stack) routes() http.Handler {
	policies := handrail.Chain(s.timeout.Wrap, s.retry.Wrap, s.breaker.Wrap, s.bulkhead.Wrap)
	mux := http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, policies(h)) }
	answer := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }
	handle("GET /items/{id}", answer)
	handle("POST /items", answer)
	var calls atomic.Uint64
	handle("GET /flaky", func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%8 == 1 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
	})
	handle("GET /broken", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no", http.StatusInternalServerError)
	})
	handle("GET /failing", func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%3 == 0 {
			http.Error(w, "no", http.StatusInternalServerError)
		}
	})
	handle("POST /panic", func(http.ResponseWriter, *http.Request) {
		if calls.Add(1)%2 == 0 {
			panic("a fault of the handler")
		}
	})
	handle("POST /slow", func(w http.ResponseWriter, r *http.Request) { pause(r.Context(), 10*time.Second) })
	handle("POST /deaf", func(w http.ResponseWriter, r *http.Request) {
		pause(context.Background(), 300*time.Millisecond)
	})
	handle("POST /halfway", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half of it")
		http.NewResponseController(w).Flush()
		pause(r.Context(), 10*time.Second)
	})
	handle("GET /tight", func(w http.ResponseWriter, r *http.Request) { pause(r.Context(), 8*time.Millisecond) })
	mux.HandleFunc("GET /heavy", func(w http.ResponseWriter, r *http.Request) { pause(r.Context(), 10*time.Millisecond) })
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 20 {
			io.WriteString(w, "data: tick\n\n")
			http.NewResponseController(w).Flush()
			pause(r.Context(), 20*time.Millisecond)
		}
	})
	return mux
}

// pause is work that takes a while.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// use sends requests until ctx is done.
func (s *stack) use(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	user := func(users int, every time.Duration, method, path, priority string, patience time.Duration) {
		for range users {
			s.users.Go(func() {
				for ctx.Err() == nil {
					s.request(ctx, client, method, path, priority, patience)
					pause(ctx, every)
				}
			})
		}
	}
	const patient = 5 * time.Second
	user(1, 10*time.Millisecond, "GET", "/items/7", "high", patient)
	user(1, 20*time.Millisecond, "POST", "/items", "critical", patient)
	user(1, 20*time.Millisecond, "GET", "/nowhere", "", patient)
	user(1, 15*time.Millisecond, "GET", "/flaky", "", patient)
	user(1, 20*time.Millisecond, "GET", "/broken", "", patient)
	user(1, 20*time.Millisecond, "GET", "/failing", "", patient)
	user(1, 50*time.Millisecond, "POST", "/panic", "", patient)
	user(1, 50*time.Millisecond, "POST", "/slow", "high", patient)
	user(1, 60*time.Millisecond, "POST", "/deaf", "high", patient)
	user(1, 60*time.Millisecond, "POST", "/halfway", "high", patient)
	user(1, 50*time.Millisecond, "POST", "/slow", "high", 15*time.Millisecond)
	user(6, 5*time.Millisecond, "GET", "/tight", "high", patient)
	user(24, time.Millisecond, "GET", "/heavy", "background", patient)
	user(2, 20*time.Millisecond, "GET", "/events", "", patient)
}

func (s *stack) request(ctx context.Context, client *http.Client, method, path, priority string, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := must(http.NewRequestWithContext(ctx, method, s.URL+path, nil))
	if priority != "" {
		r.Header.Set("X-Priority", priority)
	}
	res, err := client.Do(r)
	if err != nil {
		return // aborted, or given up: the service counts it
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

// settled waits until everything that the dashboards show has happened at least
// once, and says what has not.
func (s *stack) settled(t *testing.T) {
	t.Helper()
	missing := func() []string {
		var none []string
		need := func(what string, n uint64) {
			if n == 0 {
				none = append(none, what)
			}
		}
		sh, ti, re, br, bu := s.shed.Stats(), s.timeout.Stats(), s.retry.Stats(), s.breaker.Stats(), s.bulkhead.Stats()
		for _, c := range sh.ByPriority {
			if c.Priority == handrail.Background {
				need("shed background", c.Reasons[shed.ReasonLimit]+c.Reasons[shed.ReasonTimeout]+c.Reasons[shed.ReasonDisplaced])
			}
			if c.Priority == handrail.High {
				need("admitted high", c.Admitted)
			}
		}
		need("timeouts", ti.Timeouts-ti.Aborted)
		need("aborted answers", ti.Aborted)
		need("clients that left", ti.Canceled)
		need("retried requests", re.Retried)
		need("recovered requests", re.Recovered)
		need("denied retries", re.BudgetDenied)
		need("opened circuits", br.Opened)
		need("refused by the breaker", br.Rejected)
		need("refused by the bulkhead", bu.Rejected)
		need("waited in the bulkhead", bu.Waits.Count)
		for _, c := range s.health.Stats().Checks {
			need("results of the check "+c.Name, c.Passes+c.Warnings+c.Failures)
		}
		if snap := s.sampler.Snapshot(); !snap.CPU.Known || !snap.HostCPU.Known || !snap.Scheduler.Known || snap.Samples == 0 {
			need("readings of the load", 0)
		}
		for outcome, n := range s.endings(t) {
			need("requests that ended as "+outcome, n)
		}
		return none
	}
	for until := time.Now().Add(30 * time.Second); ; {
		none := missing()
		if len(none) == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("the traffic did not cause: %q", none)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// endings counts requests by error type, as the HTTP metrics tell, and those
// that were long-lived.
func (s *stack) endings(t *testing.T) map[string]uint64 {
	t.Helper()
	const longLived = "long-lived"
	out := map[string]uint64{"": 0, "shed": 0, "timeout": 0, "breaker_open": 0, "bulkhead_full": 0, "canceled": 0, "panic": 0, "500": 0, longLived: 0}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "http_server_long_lived_requests_total":
				out[longLived] += uint64(m.GetCounter().GetValue())
			case "http_server_request_duration_seconds":
				for _, l := range m.GetLabel() {
					if l.GetName() == "error_type" {
						out[l.GetValue()] += m.GetHistogram().GetSampleCount()
					}
				}
			}
		}
	}
	return out
}

// page is what a scrape in text sees.
func (s *stack) page(t *testing.T) []byte {
	t.Helper()
	res, err := http.Get(s.URL + "/metrics/text")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s, %v: %s", res.Status, err, body)
	}
	return bytes.Clone(body)
}

func TestTrafficReachesEveryPolicy(t *testing.T) {
	s := newStack(t)
	s.settled(t)
	if page := s.page(t); !bytes.Contains(page, []byte("http_server_request_duration_seconds_bucket")) {
		t.Errorf("no classic histogram in the page:\n%s", page)
	}
}

// quiet takes the log of panics, which are wanted here.
var quiet = log.New(io.Discard, "", 0)

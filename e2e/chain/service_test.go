package chain

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/health"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// service is one with the whole chain in the recommended order, and with the
// observability that goes with it.
type service struct {
	registry *prometheus.Registry
	scrape   http.Handler
	lines    *observe.AccessLog
	observe  *observe.Observer
	health   *health.Health
	shed     *shed.Shedder
	timeout  *timeout.Timeout
	retry    *retry.Retrier
	breaker  *breaker.Breaker
	bulkhead *bulkhead.Bulkhead
	sampler  *load.Sampler

	inside atomic.Int64 // handlers that run now
	calls  atomic.Int64 // and have been called
}

// sizes are what differs between the services of the tests.
type sizes struct {
	health   []health.Option
	shed     []shed.Option
	timeout  []timeout.Option
	retry    []retry.Option
	breaker  []breaker.Option
	bulkhead []bulkhead.Option
}

const (
	byTenant   = "X-Tenant"
	byPriority = "X-Priority"
)

// still is a sampler of a machine that has nothing else to do, for a bubble.
func still() *load.Sampler {
	return must(load.New(load.WithInterval(time.Second),
		load.WithSource(func() (load.Usage, error) { return load.Usage{}, nil }),
		load.WithScheduler(func() load.Scheduler { return load.Scheduler{Known: true} })))
}

func newService(sampler *load.Sampler, set sizes) *service {
	s := &service{registry: prometheus.NewRegistry(), sampler: sampler}
	s.lines = must(observe.NewAccessLog(slog.NewJSONHandler(io.Discard, nil), observe.WithAsync(1<<16)))
	metrics := must(prom.New())
	s.observe = must(observe.New(observe.WithSink(metrics, s.lines), observe.WithRequestIDs()))
	s.health = must(health.New(append([]health.Option{health.WithLogger(quietLogger),
		health.WithCheck("load", health.Load(s.sampler.Pressure, 1, 1e6))}, set.health...)...))
	s.shed = must(shed.New(append([]shed.Option{shed.WithSampler(s.sampler),
		shed.WithTenant(handrail.ByHeader(byTenant)), shed.WithPriorityHeader(byPriority)}, set.shed...)...))
	s.timeout = must(timeout.New(set.timeout...))
	s.retry = must(retry.New(set.retry...))
	s.breaker = must(breaker.New(set.breaker...))
	s.bulkhead = must(bulkhead.New(append([]bulkhead.Option{bulkhead.WithPriorityHeader(byPriority)}, set.bulkhead...)...))
	s.registry.MustRegister(metrics, prom.NewCollector(s.sampler, s.shed, s.timeout, s.retry, s.breaker, s.bulkhead, s.health, s.observe))
	s.scrape = promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
	return s
}

// wrap puts the chain around h.
func (s *service) wrap(h http.Handler) http.Handler {
	return handrail.Chain(s.observe.Wrap, s.health.Wrap, s.shed.Wrap, s.timeout.Wrap, s.retry.Wrap, s.breaker.Wrap, s.bulkhead.Wrap)(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.calls.Add(1)
			s.inside.Add(1)
			defer s.inside.Add(-1)
			h.ServeHTTP(w, r)
		}))
}

// ready waits for the first result of the checks.
func (s *service) ready(t testing.TB) {
	t.Helper()
	eventually(t, "readiness", func() bool { return s.health.Stats().Ready != health.Fail })
}

func (s *service) close(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.lines.Flush(ctx); err != nil {
		t.Error(err)
	}
	for _, c := range []io.Closer{s.lines, s.health, s.sampler} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// held is what is not zero although no request is there.
func (s *service) held() (what string) {
	stack := stack{observe: s.observe, shed: s.shed, timeout: s.timeout, breaker: s.breaker, bulkhead: s.bulkhead}
	what = stack.held()
	if n := s.inside.Load(); n != 0 {
		what += fmt.Sprintf("handlers: %d; ", n)
	}
	return what
}

// rests waits until no request is there.
func (s *service) rests(t testing.TB) {
	t.Helper()
	if !eventually(t, "rest", func() bool { return s.held() == "" }) {
		t.Errorf("there still is: %s", s.held())
	}
}

// scraped adds up what a scrape says of requests that are over, by status.
func (s *service) scraped(t testing.TB) (sum uint64, by map[string]uint64) {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	by = map[string]uint64{}
	for _, f := range families {
		if f.GetName() != "http_server_request_duration_seconds" {
			continue
		}
		for _, m := range f.Metric {
			status := ""
			for _, l := range m.Label {
				if l.GetName() == "http_response_status_code" {
					status = l.GetValue()
				}
			}
			n := m.GetHistogram().GetSampleCount()
			sum += n
			by[status] += n
		}
	}
	return sum, by
}

// code is that of a refusal, "" for an answer of the handler's.
func (re reply) code() string {
	_, rest, found := strings.Cut(re.body, `"code":"`)
	if !found {
		return ""
	}
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
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
	"github.com/handrail-go/handrail/observe/live"
	"github.com/handrail-go/handrail/observe/prom"
	"github.com/handrail-go/handrail/observe/trace"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// settings are what differs from place to place.
type settings struct {
	lines     slog.Handler  // of the access log
	logger    *slog.Logger  // of everything else
	drain     time.Duration // how long to serve on once readiness has failed
	warehouse string        // URL of the dependency
}

// stack is all that stands around the service.
type stack struct {
	handler  http.Handler
	access   *observe.AccessLog
	sampler  *load.Sampler
	timeouts *timeout.Timeout
	health   *health.Health
	registry *prometheus.Registry
	live     *live.Display
	traces   func(context.Context) error // sends what is left
}

// newStack puts the chain in front of a service, and gives it the client by
// which it calls its dependency.
func newStack(ctx context.Context, service *service, set settings) (s *stack, err error) {
	s = &stack{traces: func(context.Context) error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()

	// Whose a request is. Only the gateway in front of this service sets the
	// header; if clients could, one of them could pretend to be many.
	tenant := handrail.ByHeader(tenantHeader)
	// What a request is for. The chain stands outside of the mux, so the mux is
	// asked: the path itself could be varied without end.
	route := handrail.ByMux(service.ServeMux)

	// One sampler for all, so that the system is read once.
	if s.sampler, err = load.New(); err != nil {
		return s, err
	}

	// shed: when there is more than can be served, orders go before reports.
	// Nothing else needs to be said, the limit is found from the traffic.
	shedder, err := shed.New(
		shed.WithName("orders"),
		shed.WithSampler(s.sampler),
		shed.WithTenant(tenant), // in a class, everybody gets a fair share
		shed.WithPriority(func(r *http.Request) handrail.Priority {
			switch route(r) {
			case "POST /orders":
				return handrail.High
			case "GET /orders":
				return handrail.Low
			default:
				return handrail.Normal
			}
		}),
	)
	if err != nil {
		return s, err
	}

	// timeout: the client has an answer after two seconds, whatever happens
	// within. It is outside of the retries, so it is the time for all attempts.
	if s.timeouts, err = timeout.New(
		timeout.WithName("orders"),
		timeout.PerOperation(2*time.Second, map[string]time.Duration{
			"GET /orders/{id}": 500 * time.Millisecond, // reads only memory
		}),
		timeout.WithOperation(route),
		timeout.WithMaxOverdue(1000), // handlers that ignore their context must not pile up
	); err != nil {
		return s, err
	}

	// retry: an answer 502 is the warehouse's. A GET may be repeated, a POST
	// where it has an Idempotency-Key, which the service heeds. The budget adds
	// a fifth of the load at most, however much fails.
	retries, err := retry.New(
		retry.WithName("orders"),
		retry.WithExponential(50*time.Millisecond, time.Second, 2),
	)
	if err != nil {
		return s, err
	}

	// breaker: while the warehouse is down, orders are refused at once. There is
	// a circuit for each route, so that what can be read still is.
	circuits, err := breaker.New(
		breaker.WithName("orders"),
		breaker.WithKey(route),
		breaker.WithOpenFor(5*time.Second),
		breaker.WithGrowth(2, time.Minute), // less often, the longer it is down
		breaker.OnStateChange(func(e breaker.Event) {
			set.logger.Warn("circuit changed", "route", e.Key, "from", e.From.String(), "to", e.To.String(), "cause", e.Cause.String())
		}),
	)
	if err != nil {
		return s, err
	}

	// bulkhead: as many as the warehouse can bear, and of those no tenant has
	// more than a quarter. It is innermost, because a handler that outlives its
	// timeout still has its slot.
	slots, err := bulkhead.New(
		bulkhead.WithName("orders"),
		bulkhead.WithLimit(64),
		bulkhead.PerTenant(tenant, 16),
		bulkhead.WithMaxWait(500*time.Millisecond), // a part of the timeout
	)
	if err != nil {
		return s, err
	}

	// health: what answers probes. No request reaches the warehouse through
	// here; the checks run in the background.
	if s.health, err = health.New(
		health.WithDrainDelay(set.drain),
		health.WithLogger(set.logger),
		// Orders can be read without it, and if it is down, it is so for all
		// instances: nobody is helped by taking them out of service.
		health.WithCheck("warehouse", health.HTTP(nil, set.warehouse+"/healthz"), health.Degrading()),
		health.WithCheck("circuits", health.Breaker(circuits.Degraded)),
		health.WithCheck("load", health.Load(s.sampler.Pressure, 1, 0)),
	); err != nil {
		return s, err
	}

	// observe: sees all answers, refusals included, and tells the sinks. The
	// one for traces comes first, so that log lines and metrics name the trace.
	if s.traces, err = exportTraces(ctx); err != nil {
		return s, err
	}
	tracer, err := trace.New()
	if err != nil {
		return s, err
	}
	metrics, err := prom.New()
	if err != nil {
		return s, err
	}
	// Requests do not wait for the disk or the pipe that the lines go to.
	if s.access, err = observe.NewAccessLog(set.lines, observe.WithAsync(4096), observe.WithSlow(time.Second)); err != nil {
		return s, err
	}
	observer, err := observe.New(
		observe.WithTrustedRequestID(), // of the gateway
		observe.WithAttrs(8),           // what handlers add
		observe.WithSink(tracer, metrics, s.access),
		observe.WithFilter(func(r *http.Request) bool { return !s.health.IsProbe(r) }), // probes are noise
	)
	if err != nil {
		return s, err
	}

	// The client's side: each call has a part of the time, and a span. Retries
	// and circuits are on the server's side here; having both would multiply
	// the attempts.
	calls, err := timeout.New(timeout.WithName("warehouse"), timeout.Basic(600*time.Millisecond))
	if err != nil {
		return s, err
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 64 // as many as there are slots, not 2
	service.client = &http.Client{Transport: calls.Transport(tracer.Transport(base))}

	s.handler = handrail.Chain(
		observer.Wrap,
		s.health.Wrap,
		shedder.Wrap,
		s.timeouts.Wrap,
		retries.Wrap,
		circuits.Wrap,
		slots.Wrap,
	)(service)

	// All of them tell their figures to whoever asks: here to Prometheus and to
	// the live page.
	sources := []handrail.Source{observer, s.health, shedder, s.timeouts, retries, circuits, slots, s.sampler, calls}
	s.registry = prometheus.NewRegistry()
	s.registry.MustRegister(
		metrics,
		prom.NewCollector(sources...),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	s.live = live.Page(sources...)
	return s, nil
}

// server is the one that clients reach. Its own timeouts fit those of the chain.
func (s *stack) server() (*http.Server, error) {
	server := &http.Server{Handler: s.handler}
	return server, s.timeouts.ConfigureServer(server)
}

// admin is for those who run the service.
func (s *stack) admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("/debug/live/", s.live)
	return mux
}

// close ends what runs in the background, when nothing is served any more, and
// writes what is left.
func (s *stack) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.traces(ctx)
	if s.live != nil {
		err = errors.Join(err, s.live.Close())
	}
	if s.health != nil {
		err = errors.Join(err, s.health.Close())
	}
	if s.access != nil {
		err = errors.Join(err, s.access.Close())
	}
	if s.sampler != nil {
		err = errors.Join(err, s.sampler.Close())
	}
	return err
}

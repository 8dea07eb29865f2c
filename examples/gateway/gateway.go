package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/health"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// settings are what the flags say.
type settings struct {
	keys   map[string]string // API keys and whose they are
	share  int               // of a tenant, in requests under way
	drain  time.Duration
	logger *slog.Logger
}

// gateway is the proxy with all that stands around it.
type gateway struct {
	http.Handler
	sampler  *load.Sampler
	timeouts *timeout.Timeout
	retries  *retry.Retrier
	circuits *breaker.Breaker
	balancer *balancer
	health   *health.Health
	access   *observe.AccessLog
	tally    *tally
	base     *http.Transport
}

// newGateway makes a gateway in front of upstreams, which names call by shorter
// names than their hosts if there are any.
func newGateway(upstreams []*url.URL, names []string, set settings) (g *gateway, err error) {
	g = &gateway{tally: new(tally)}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()

	// Whose a request is: who has the key. All without one share a share.
	tenant := func(r *http.Request) string { return set.keys[r.Header.Get("X-Api-Key")] }

	if g.sampler, err = load.New(); err != nil {
		return g, err
	}
	shedder, err := shed.New(shed.WithName("gateway"), shed.WithSampler(g.sampler), shed.WithTenant(tenant))
	if err != nil {
		return g, err
	}
	// The time for all attempts together. 504 is what a gateway says.
	if g.timeouts, err = timeout.New(
		timeout.WithName("gateway"),
		timeout.Basic(5*time.Second),
		timeout.WithStatus(http.StatusGatewayTimeout),
	); err != nil {
		return g, err
	}
	// A tenant that asks for slow pages keeps its own slots busy, and no others.
	slots, err := bulkhead.New(
		bulkhead.WithName("gateway"),
		bulkhead.WithLimit(256),
		bulkhead.PerTenant(tenant, set.share),
	)
	if err != nil {
		return g, err
	}

	// Behind the proxy. One Breaker has a circuit for each host.
	if g.circuits, err = breaker.New(
		breaker.WithName("upstream"),
		breaker.WithOpenFor(time.Second),
		breaker.WithGrowth(2, 30*time.Second),
		breaker.WithRetryAfter(time.Minute), // of an upstream that knows when it is back
		breaker.OnStateChange(func(e breaker.Event) {
			set.logger.Warn("circuit changed", "upstream", e.Key, "from", e.From.String(), "to", e.To.String(), "cause", e.Cause.String())
		}),
	); err != nil {
		return g, err
	}
	// A budget begins empty. Ten retries a second are enough to hide an upstream
	// that is down from the start, until its circuit is open.
	budget, err := retry.NewBudget(0.2, 10)
	if err != nil {
		return g, err
	}
	if g.retries, err = retry.New(
		retry.WithName("upstream"),
		retry.HTTP(),
		retry.WithBudget(budget),
		retry.WithExponential(20*time.Millisecond, time.Second, 2), // it goes to another upstream
		retry.WithAttemptHeader("X-Attempt"),                       // by which services shed repetitions first
	); err != nil {
		return g, err
	}
	g.base = http.DefaultTransport.(*http.Transport).Clone()
	g.base.MaxIdleConnsPerHost = 256
	g.base.Proxy = nil
	g.balancer = newBalancer(upstreams, names, g.circuits.Transport(g.base))
	proxy := &httputil.ReverseProxy{
		Transport: g.retries.Transport(g.balancer),
		Rewrite: func(p *httputil.ProxyRequest) {
			g.balancer.prepare(p)
			p.SetXForwarded()
			// What services behind believe is said here and nowhere else.
			for _, h := range []string{"X-Api-Key", "X-Tenant", "X-Priority", "X-Attempt"} {
				p.Out.Header.Del(h)
			}
			p.Out.Header.Set("X-Tenant", tenant(p.In))
			p.Out.Header.Set("X-Request-Id", observe.RequestID(p.In.Context()))
		},
		ErrorHandler: failed,
		ErrorLog:     slog.NewLogLogger(set.logger.Handler(), slog.LevelWarn),
	}

	if g.health, err = health.New(
		health.WithDrainDelay(set.drain),
		health.WithLogger(set.logger),
		health.WithCheck("upstreams", health.Breaker(g.circuits.Degraded)),
	); err != nil {
		return g, err
	}
	if g.access, err = observe.NewAccessLog(set.logger.Handler(), observe.WithAsync(4096)); err != nil {
		return g, err
	}
	observer, err := observe.New(
		observe.WithRequestIDs(), // its own: nobody outside chooses them
		observe.WithSink(g.access, observe.SinkFunc(g.tally.count)),
	)
	if err != nil {
		return g, err
	}
	g.Handler = handrail.Chain(
		observer.Wrap,
		g.health.Wrap,
		shedder.Wrap,
		g.timeouts.Wrap,
		slots.Wrap,
	)(proxy)
	return g, nil
}

// failed answers where there is no answer of an upstream.
func failed(w http.ResponseWriter, r *http.Request, err error) {
	var refusal http.Handler // of a circuit, which says when to come back
	if errors.As(err, &refusal) {
		refusal.ServeHTTP(w, r)
		return
	}
	// Whether the client left or its time is over, those further out know: it
	// gets nothing of this then.
	http.Error(w, "The service behind did not answer.", http.StatusBadGateway)
}

// close ends what runs in the background, when nothing is served any more.
func (g *gateway) close() error {
	var err error
	if g.health != nil {
		err = errors.Join(err, g.health.Close())
	}
	if g.access != nil {
		err = errors.Join(err, g.access.Close())
	}
	if g.sampler != nil {
		err = errors.Join(err, g.sampler.Close())
	}
	if g.base != nil {
		g.base.CloseIdleConnections()
	}
	return err
}

package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/handrail-go/handrail/breaker"
)

// upstream is one instance of the service behind.
type upstream struct {
	url  *url.URL
	name string
	key  string        // of its circuit
	sent atomic.Uint64 // attempts that its circuit let through
}

// balancer is a RoundTripper that sends each request to the next upstream whose
// circuit lets it through.
type balancer struct {
	upstreams []*upstream
	turn      atomic.Uint64
	through   http.RoundTripper // has a circuit for each host
}

func newBalancer(upstreams []*url.URL, names []string, through http.RoundTripper) *balancer {
	b := &balancer{through: through}
	for i, u := range upstreams {
		name := u.Host
		if i < len(names) {
			name = names[i]
		}
		b.upstreams = append(b.upstreams, &upstream{url: u, name: name, key: breaker.ByTarget(&http.Request{URL: u})})
	}
	return b
}

// String names the upstreams.
func (b *balancer) String() string {
	var all []string
	for _, u := range b.upstreams {
		all = append(all, u.name)
	}
	return strings.Join(all, " and ")
}

type lastKey struct{}

// prepare gives a request that is to be sent a memory of where it was sent last,
// so that a retry goes elsewhere. The upstream is chosen later.
func (b *balancer) prepare(p *httputil.ProxyRequest) {
	p.Out = p.Out.WithContext(context.WithValue(p.Out.Context(), lastKey{}, new(atomic.Pointer[upstream])))
	p.Out.URL.Scheme, p.Out.URL.Host = "http", "upstream" // replaced, but it must be a URL
	p.Out.Host = ""                                       // that of the upstream
}

// RoundTrip implements http.RoundTripper. When all circuits are open, the error
// is the *breaker.OpenError of the one that lets requests through first.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	last, _ := r.Context().Value(lastKey{}).(*atomic.Pointer[upstream])
	n := uint64(len(b.upstreams))
	first := b.turn.Add(1)
	if last != nil && b.upstreams[first%n] == last.Load() {
		first++
	}
	// A circuit that refuses a request closes its body, as every RoundTripper
	// does. The next upstream still needs it.
	body := keep(r)
	var soonest *breaker.OpenError
	for i := range n {
		u := b.upstreams[(first+i)%n]
		out := r.WithContext(r.Context()) // a copy: a request must not be changed
		target := *r.URL
		target.Scheme, target.Host = u.url.Scheme, u.url.Host
		out.URL = &target
		if body != nil {
			out.Body = body
		}
		resp, err := b.through.RoundTrip(out)
		open := new(breaker.OpenError)
		if errors.As(err, &open) {
			if soonest == nil || open.RetryAfter < soonest.RetryAfter {
				soonest = open
			}
			if body != nil {
				body.again()
			}
			continue
		}
		if body != nil {
			body.release()
		}
		u.sent.Add(1)
		if last != nil {
			last.Store(u)
		}
		return resp, err
	}
	if body != nil {
		body.release()
		body.Close()
	}
	return nil, soonest
}

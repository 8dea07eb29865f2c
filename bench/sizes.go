package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// curve is a cost against a size.
type curve struct {
	name, of string
	sizes    []int
	over     []spread // ns per request over the bare handler, one for each size
}

var (
	keyCounts    = []int{1, 10, 100, 1_000, 10_000, 100_000}
	flightCounts = []int{1, 10, 100, 1_000, 10_000}
)

const tenantHeader = "X-Tenant"

// measureSizes measures all curves.
func measureSizes(e effort) []curve {
	most := keyCounts[len(keyCounts)-1]
	tenant := handrail.ByHeader(tenantHeader)
	curves := []curve{
		{name: "a map and a mutex", of: "keys"},
		{name: "breaker", of: "keys"}, {name: "bulkhead", of: "keys"}, {name: "shed", of: "keys"},
		{name: "shed", of: "in flight"}, {name: "bulkhead", of: "in flight"}, {name: "timeout", of: "in flight"},
	}
	for i, mw := range []func() middleware{
		countedByKey,
		func() middleware { return breaker.Middleware(breaker.WithKey(tenant), breaker.WithMaxKeys(2*most)) },
		func() middleware {
			return bulkhead.Middleware(bulkhead.PerTenant(tenant, 100), bulkhead.WithMaxKeys(2*most))
		},
		func() middleware { return shed.Middleware(shed.WithTenant(tenant), shed.WithMaxTenants(2*most)) },
	} {
		curves[i].sizes = keyCounts
		for _, n := range keyCounts {
			curves[i].over = append(curves[i].over, withKeys(mw(), n, e))
		}
	}
	limit := 2 * flightCounts[len(flightCounts)-1]
	for i, mw := range []func() middleware{
		func() middleware { return shed.Middleware(shed.WithLimits(limit, limit, limit)) },
		func() middleware { return bulkhead.Middleware(bulkhead.Basic(limit)) },
		func() middleware { return timeout.Middleware(timeout.Basic(time.Hour)) },
	} {
		c := &curves[i+4]
		c.sizes = flightCounts
		for _, n := range flightCounts {
			c.over = append(c.over, inFlight(mw(), n, e))
		}
	}
	return curves
}

// countedByKey is the least that anything by key can do: find what belongs to the
// key under a lock, and write to it.
func countedByKey() middleware {
	var mu sync.Mutex
	counts := map[string]*int{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := r.Header[tenantHeader][0]
			mu.Lock()
			n := counts[key]
			if n == nil {
				n = new(int)
				counts[key] = n
			}
			*n++
			mu.Unlock()
			next.ServeHTTP(w, r)
		})
	}
}

// withKeys is the cost of a request whose key is any of n, all of which are
// known.
func withKeys(mw middleware, n int, e effort) spread {
	keys := make([][]string, n)
	for i := range keys {
		keys[i] = []string{"tenant-" + strconv.Itoa(i)}
	}
	rand.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	c := connect("")
	defer c.close()
	w, r, end := c.request()
	defer end()
	ask := func(h http.Handler, from, requests int) {
		for i := range requests {
			r.Header[tenantHeader] = keys[(from+i)%n]
			h.ServeHTTP(w, r)
		}
	}
	h := mw(noop)
	ask(h, 0, n)
	return overBare(h, ask, e)
}

// inFlight is the cost of a request while n-1 others are in their handlers.
func inFlight(mw middleware, n int, e effort) spread {
	inside, leave := make(chan struct{}), make(chan struct{})
	h := mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "HOLD" {
			inside <- struct{}{}
			<-leave
		}
	}))
	for range n - 1 {
		go func() {
			c := connect("")
			defer c.close()
			w, r, end := c.request()
			defer end()
			r.Method = "HOLD"
			h.ServeHTTP(w, r)
		}()
		<-inside
	}
	defer close(leave)
	c := connect("")
	defer c.close()
	w, r, end := c.request()
	defer end()
	return overBare(h, func(h http.Handler, _, requests int) {
		for range requests {
			h.ServeHTTP(w, r)
		}
	}, e)
}

// overBare interleaves h with the bare handler.
func overBare(h http.Handler, ask func(h http.Handler, from, requests int), e effort) spread {
	const probe = 4096
	began := time.Now()
	ask(h, 0, probe)
	requests := max(probe, int(probe*float64(e.sample)/float64(time.Since(began))))
	took := func(h http.Handler, round int) float64 {
		began := time.Now()
		ask(h, round*requests, requests)
		return float64(time.Since(began)) / float64(requests)
	}
	var samples, bare []float64
	runtime.GC()
	for round := range e.rounds {
		samples = append(samples, took(h, round))
		bare = append(bare, took(noop, round))
	}
	return over(samples, bare, bare)
}

func printCurves(w io.Writer, curves []curve) {
	if len(curves) == 0 {
		return
	}
	fmt.Fprintf(w, "## Cost against size\n\nµs over the bare handler, one goroutine. *keys*: each request has the key of another tenant, in an order without a pattern, and all are known. *in flight*: so many requests are in the handler, this one included, while one after the other passes. The first row of keys is the least that anything by key can do, a Go map under a lock: what it grows by is the memory that no longer fits in the processor's caches, which all have to wait for.\n\n")
	for _, of := range []string{"keys", "in flight"} {
		var head, rule string
		for _, c := range curves {
			if c.of == of && head == "" {
				for _, n := range c.sizes {
					head += fmt.Sprintf(" %d |", n)
					rule += "---:|"
				}
			}
		}
		fmt.Fprintf(w, "| %s |%s largest through smallest |\n|---|%s---:|\n", of, head, rule)
		for _, c := range curves {
			if c.of != of {
				continue
			}
			fmt.Fprintf(w, "| %s |", c.name)
			for _, s := range c.over {
				fmt.Fprintf(w, " %s (%s–%s) |", figure(s.median), figure(s.low), figure(s.high))
			}
			fmt.Fprintf(w, " %.2f |\n", c.over[len(c.over)-1].median/c.over[0].median)
		}
		fmt.Fprintln(w)
	}
}

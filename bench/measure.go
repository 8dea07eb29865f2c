package main

import (
	"math/rand/v2"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// mode is a way to ask for answers.
type mode struct {
	name            string
	fresh, parallel bool
}

const (
	reused = iota
	fresh
	reusedParallel
	freshParallel
)

var modes = [...]mode{
	reused:         {name: "reused"},
	fresh:          {name: "fresh", fresh: true},
	reusedParallel: {name: "reused-parallel", parallel: true},
	freshParallel:  {name: "fresh-parallel", fresh: true, parallel: true},
}

// took is how long h takes for n requests. In parallel each processor has a
// connection of its own, and n is the sum.
func (m mode) took(h http.Handler, n int, path string) time.Duration {
	if !m.parallel {
		c := connect(path)
		defer c.close()
		began := time.Now()
		c.serve(h, n, m.fresh)
		return time.Since(began)
	}
	procs := runtime.GOMAXPROCS(0)
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	for i := range procs {
		ready.Add(1)
		done.Go(func() {
			c := connect(path)
			defer c.close()
			ready.Done()
			<-begin
			c.serve(h, (n+i)/procs, m.fresh)
		})
	}
	ready.Wait()
	began := time.Now()
	close(begin)
	done.Wait()
	return time.Since(began)
}

// effort is how thoroughly is measured.
type effort struct {
	rounds int
	// sample is how long a row is measured in one round and mode.
	sample time.Duration
	// second is how long a server is under load in one round.
	second time.Duration
}

// lane is a row while it is measured.
type lane struct {
	h       http.Handler
	n       [len(modes)]int
	samples [len(modes)][]float64 // ns per request, one for each round
}

func (l *lane) calibrate(e effort, path string) {
	for i, m := range modes {
		n := 16
		for {
			d := m.took(l.h, n, path)
			if d > e.sample/8 {
				l.n[i] = max(1, int(float64(n)*float64(e.sample)/float64(d)))
				break
			}
			n *= 4
		}
	}
}

func (l *lane) measure(path string) {
	modes[fresh].took(l.h, l.n[fresh]/4, path) // pools and caches are empty after a collection
	for i, m := range modes {
		d := m.took(l.h, l.n[i], path)
		l.samples[i] = append(l.samples[i], float64(d)/float64(l.n[i]))
	}
}

// result is what was found of a row.
type result struct {
	row
	// over is ns per request over the bare handler.
	over [len(modes)]spread
	// allocs and bytes are per request over the bare handler, for a reused and
	// a fresh one.
	allocs, bytes [2]float64
}

// comparison is what was found of a kind.
type comparison struct {
	kind
	results []result // ours first, as in the kind
	// bare is ns per request of the bare handler, noise how far two rows of it
	// were apart.
	bare, noise [len(modes)]spread
}

func (c comparison) find(name string) (result, bool) {
	for _, r := range c.results {
		if r.name == name {
			return r, true
		}
	}
	return result{}, false
}

// measure has every row of k take part in each round once, in an order that
// changes, and compares with the bare handler of the same round.
func (k kind) measure(e effort) comparison {
	rows := append([]row{{name: "bare", wrap: bare}, {name: "bare again", wrap: bare}}, k.rows()...)
	lanes := make([]*lane, len(rows))
	c := comparison{kind: k}
	for i, r := range rows {
		lanes[i] = &lane{h: r.wrap(k.inner())}
		lanes[i].calibrate(e, k.path)
	}
	for range e.rounds {
		for _, i := range rand.Perm(len(lanes)) {
			runtime.GC()
			lanes[i].measure(k.path)
		}
	}
	for i, r := range rows[2:] {
		c.results = append(c.results, result{row: r})
		found := &c.results[i]
		for m := range modes {
			found.over[m] = over(lanes[i+2].samples[m], lanes[0].samples[m], lanes[1].samples[m])
		}
		for at, fresh := range []bool{false, true} {
			found.allocs[at], found.bytes[at] = k.allocations(lanes[i+2].h, fresh)
		}
	}
	for m := range modes {
		c.bare[m] = spreadOf(append(append([]float64(nil), lanes[0].samples[m]...), lanes[1].samples[m]...))
		c.noise[m] = apart(lanes[0].samples[m], lanes[1].samples[m])
	}
	return c
}

// allocations are those of one request over the bare handler. They are exact:
// what runs beside can only add to them, so the least of several runs is what
// the handler itself does.
func (k kind) allocations(h http.Handler, fresh bool) (allocs, bytes float64) {
	allocs, bytes = allocated(h, k.path, fresh)
	none, nothing := allocated(k.inner(), k.path, fresh)
	return allocs - none, bytes - nothing
}

func allocated(h http.Handler, path string, fresh bool) (allocs, bytes float64) {
	const runs, requests = 7, 256
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // pools stay filled
	c := connect(path)
	defer c.close()
	c.serve(h, requests, fresh)
	var before, after runtime.MemStats
	for i := range runs {
		runtime.ReadMemStats(&before)
		c.serve(h, requests, fresh)
		runtime.ReadMemStats(&after)
		a := float64((after.Mallocs - before.Mallocs) / requests)
		b := float64((after.TotalAlloc - before.TotalAlloc) / requests)
		if i == 0 {
			allocs, bytes = a, b
		}
		allocs, bytes = min(allocs, a), min(bytes, b)
	}
	return allocs, bytes
}

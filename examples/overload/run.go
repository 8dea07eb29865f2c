package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// stager starts a server and returns where it listens and how to end it.
type stager func(context.Context, serverSettings) (addresses, func(), error)

// trial takes the measurements that the settings ask for.
type trial struct {
	*settings
	stage    stager
	progress *progress

	known float64       // capacity of a target, measured once
	calm  time.Duration // pulse of a target before anything was done to it
}

// run measures the capacity of a freshly started service and drives the load
// against it. A nil result without an error means that it was interrupted
// before there was anything to report.
func (t *trial) run(ctx context.Context, protected bool) (*measured, error) {
	name := "bare"
	if protected {
		name = "shed"
	}
	at, end, err := t.stage(ctx, t.server(protected))
	if err != nil {
		return nil, unless(ctx, err)
	}
	defer end()
	bare, done := t.connector(at.Bare)
	defer done()
	capacity, err := t.measure(ctx, name, bare)
	if err != nil || ctx.Err() != nil {
		return nil, unless(ctx, err)
	}
	if err := t.affordable(capacity); err != nil {
		return nil, err
	}
	connect := bare
	if protected {
		var done func()
		connect, done = t.connector(at.Protected)
		defer done()
	}
	m := &measured{
		name: name, capacity: capacity, shape: t.shape, deadline: t.deadline,
		list: schedule(t.shape, capacity, t.even, t.seed),
	}
	g := &generator{connect: connect, deadline: t.deadline, most: t.conns, watch: &watch{}}
	t.progress.show("%s: capacity %.0f/s, load %v", name, capacity, t.shape)
	stop := t.progress.follow(name, m, g.watch)
	defer stop()
	runtime.GC() // rather now than in the first phase
	before := cpuTime()
	m.reached = g.drive(ctx, m.list, t.shape.total())
	m.clientCPU = cpuTime() - before
	m.interrupted = ctx.Err() != nil
	return m, nil
}

// affordable is an error if the load would be more requests than fit.
func (t *trial) affordable(capacity float64) error {
	if n := t.shape.arrivals(capacity); n > maxArrivals {
		return fmt.Errorf("at a capacity of %.0f requests a second this load takes %.0f requests, more than %d; give a shorter -shape or -duration", capacity, n, maxArrivals)
	}
	return nil
}

// unless hides an error that only an interruption caused.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// measure returns the capacity of the service in requests a second.
func (t *trial) measure(ctx context.Context, name string, bare connector) (float64, error) {
	if t.service != "target" {
		if t.capacity > 0 {
			return t.capacity, nil
		}
		t.progress.show("%s: measuring capacity", name)
		// Enough to keep it busy without a queue worth mentioning.
		n := 2 * t.workers
		if t.service == "cpu" {
			n = 4 * t.procs
		}
		rps := saturate(ctx, bare, n, t.effort)
		if rps == 0 {
			return 0, errNoAnswer
		}
		return rps, nil
	}
	if t.known > 0 {
		t.progress.show("%s: waiting for the service to be calm again", name)
		if !settle(ctx, bare, t.calm, calming) && ctx.Err() == nil {
			t.progress.warn("the service had not come back to its own latency after %v; the second run starts on a service in trouble", calming)
		}
		return t.known, nil
	}
	var ok bool
	if t.calm, ok = pulse(ctx, bare); !ok && ctx.Err() == nil {
		return 0, fmt.Errorf("%s does not answer GET with a status of 2xx or 3xx", t.target)
	}
	t.known = t.capacity
	if t.known == 0 {
		t.known = climb(ctx, bare, t.effort, func(n int, rps float64) {
			t.progress.show("%s: measuring capacity: %.0f/s, %d at a time", name, rps, n)
		})
	}
	if t.known == 0 {
		return 0, errNoAnswer
	}
	return t.known, nil
}

// calming is how long a target may take to recover from the bare run.
const calming = 30 * time.Second

func (t *trial) server(protected bool) serverSettings {
	return serverSettings{
		Service: t.service, Workers: t.workers, Work: t.work, Procs: t.procs,
		HTTP2: t.http2, Target: t.target, Seed: t.seed, Protected: protected,
	}
}

// connector returns what opens connections to addr and what ends them all.
func (t *trial) connector(addr string) (connect connector, done func()) {
	if t.http2 {
		return newMultiplexer(addr)
	}
	requests := rendered(addr)
	return func(ctx context.Context) connection {
		return &wire{ctx: ctx, addr: addr, requests: requests}
	}, func() {}
}

// clientProcs is how many processors the client takes: beside a service that
// burns CPU those that the server leaves, and at least one; else as many as
// there are, which 0 stands for.
func (set *settings) clientProcs() int {
	if set.service != "cpu" {
		return 0
	}
	return max(1, runtime.NumCPU()-set.procs)
}

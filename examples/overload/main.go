package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Exit codes, as the manual promises them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitMisused     = 2
	exitInterrupted = 130
)

func main() {
	if text, ok := os.LookupEnv(childEnv); ok {
		os.Exit(serveAsChild(text, os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for anything
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, newProgress(os.Stderr), stageProcess))
}

// run is the program. The servers are started by stage; what becomes of them
// is told on progress, what went wrong on stderr, the result on stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, p *progress, stage stager) int {
	set, faults, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, manual)
		return exitDone
	}
	if len(faults) > 0 {
		for _, f := range faults {
			fmt.Fprintln(stderr, "overload:", f)
		}
		return exitMisused
	}
	if n := set.clientProcs(); n > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	}
	r, err := set.runs(ctx, p, stage)
	p.clear()
	if err != nil {
		fmt.Fprintln(stderr, "overload:", err)
		if len(r.list()) == 0 {
			return exitFailed
		}
	}
	if set.json {
		if err := writeJSON(stdout, r); err != nil {
			fmt.Fprintln(stderr, "overload:", err)
			return exitFailed
		}
	} else {
		writeTable(stdout, set, r)
	}
	r.warn(stderr)
	if set.html != "" && len(r.list()) > 0 {
		if err := saveHTML(set.html, set, r); err != nil {
			fmt.Fprintln(stderr, "overload:", err)
			return exitFailed
		}
		fmt.Fprintf(stderr, "The curves are in %s\n", set.html)
	}
	switch {
	case err != nil:
		return exitFailed
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return exitDone
}

// runs takes the bare run and the protected one, or the one asked for. What
// was measured is returned also when the second fails or both are cut short.
func (set *settings) runs(ctx context.Context, p *progress, stage stager) (r results, err error) {
	t := &trial{settings: set, stage: stage, progress: p}
	for _, protected := range []bool{false, true} {
		if set.only == "bare" && protected || set.only == "shed" && !protected {
			continue
		}
		take := t.run
		if set.sim {
			take = t.simulate
		}
		m, err := take(ctx, protected)
		if err != nil || m == nil {
			return r, err
		}
		if protected {
			r.Shed = m.figure()
		} else {
			r.Bare = m.figure()
		}
		if m.interrupted {
			break
		}
	}
	return r, nil
}

// warn says where the figures are not what they seem.
func (r results) warn(w io.Writer) {
	for _, run := range r.list() {
		f := run.figures
		if f.ClientLag != nil && *f.ClientLag > 50 {
			fmt.Fprintf(w, "overload: in the %s run the client itself was up to %.0f ms late (p99), so the machine was too busy for figures to trust.\n", f.run.name, *f.ClientLag)
		}
		if f.Outcomes.Overflow > 0 {
			fmt.Fprintf(w, "overload: in the %s run all connections were in use %d times; those requests count as failed. -conns allows more.\n", f.run.name, f.Outcomes.Overflow)
		}
	}
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	connections = 16
	// mostOfThroughput is what the whole stack may take of it.
	mostOfThroughput = .05
)

// loopback is what was found of a real server.
type loopback struct {
	effort     effort
	processors int
	sites      []visit
}

// visit is what was found of one site.
type visit struct {
	site
	rate, p50, p99, used    []float64 // one for each round; used is ns of the server per request
	answers, refused, wrong int
}

// child is the server.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	addrs []string
}

func startChild() (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, serveCommand)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	for range sites {
		addr, err := c.line()
		if err != nil {
			c.stop()
			return nil, err
		}
		c.addrs = append(c.addrs, addr)
	}
	return c, nil
}

func (c *child) line() (string, error) {
	if !c.out.Scan() {
		return "", fmt.Errorf("the server ended: %w", c.out.Err())
	}
	return c.out.Text(), nil
}

// ask returns the processor time that the server has used.
func (c *child) ask(what string) (float64, error) {
	if _, err := fmt.Fprintln(c.in, what); err != nil {
		return 0, err
	}
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(line, 64)
}

func (c *child) stop() {
	c.in.Close()
	c.cmd.Wait()
}

// measureLoopback visits each site once in every round.
func measureLoopback(e effort) (*loopback, error) {
	server, err := startChild()
	if err != nil {
		return nil, err
	}
	defer server.stop()
	found := &loopback{effort: e, processors: runtime.GOMAXPROCS(0)}
	clients := make([]*client, len(sites))
	for i, s := range sites {
		found.sites = append(found.sites, visit{site: s})
		if clients[i], err = newClient(server.addrs[i], connections); err != nil {
			return nil, err
		}
		defer clients[i].close()
		if _, err := clients[i].load(e.second / 2); err != nil { // warm
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for range e.rounds {
		for _, i := range rand.Perm(len(sites)) {
			if err := found.sites[i].add(server, clients[i], e.second); err != nil {
				return nil, fmt.Errorf("%s: %w", sites[i].name, err)
			}
		}
	}
	return found, nil
}

func (v *visit) add(server *child, c *client, d time.Duration) error {
	before, err := server.ask(settle)
	if err != nil {
		return err
	}
	got, err := c.load(d)
	if err != nil {
		return err
	}
	after, err := server.ask(used)
	if err != nil {
		return err
	}
	slices.Sort(got.latencies)
	v.rate = append(v.rate, got.rate())
	v.p50 = append(v.p50, quantile(got.latencies, .5))
	v.p99 = append(v.p99, quantile(got.latencies, .99))
	v.used = append(v.used, (after-before)/float64(len(got.latencies)))
	v.answers += len(got.latencies)
	v.refused += got.refused
	v.wrong += got.wrong
	return nil
}

func (l *loopback) find(name string) *visit {
	for i := range l.sites {
		if l.sites[i].name == name {
			return &l.sites[i]
		}
	}
	panic("no site " + name)
}

// titles are what the page calls the sites.
var titles = map[string]string{
	"bare":     "bare",
	"whole":    "the whole stack",
	"shed":     "refused by shed, in the whole stack",
	"breaker":  "refused by breaker, in the whole stack",
	"bulkhead": "refused by bulkhead, in the whole stack",
}

func (l *loopback) print(w io.Writer) {
	fmt.Fprintf(w, "## A real server over loopback\n\n")
	fmt.Fprintf(w, "A server in a process of its own and a client with %d connections that are kept alive; on each the next request is sent when the answer to the last was read. Both share the machine. %s The stack's log goes to nowhere. Each round of %v visits all sites, in an order that changes; there were %d, and the figures are medians, with the quartiles in brackets. The processor time is the server's, user and system, through the requests of the round.\n\n",
		connections, aboutOrders(), l.effort.second, l.effort.rounds)
	base := l.find("bare")
	var met, missed []string
	say := func(ok bool, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); ok {
			met = append(met, text)
		} else {
			missed = append(missed, text)
		}
	}
	share := relation(l.find("whole").rate, base.rate)
	say(share.median >= 1-mostOfThroughput, "the whole stack serves %.1f %% (%.1f–%.1f) of what the bare server does, at least %.0f %%",
		100*share.median, 100*share.low, 100*share.high, 100*(1-mostOfThroughput))
	for _, v := range l.sites {
		if !v.refuses {
			continue
		}
		cost := relation(v.used, base.used)
		say(cost.median <= 1, "a request %s costs the server %.2f (%.2f–%.2f) of a bare answer, at most 1", titles[v.name], cost.median, cost.low, cost.high)
	}
	fmt.Fprint(w, "**Verdict.** ")
	if len(missed) > 0 {
		fmt.Fprintf(w, "Not within budget: %s. ", strings.Join(missed, "; "))
	}
	if len(met) > 0 {
		fmt.Fprintf(w, "Within budget: %s.", strings.Join(met, "; "))
	}
	request := float64(l.processors) * 1e9 / spreadOf(base.rate).median
	more := make([]float64, len(base.used))
	for i := range more {
		more[i] = l.find("whole").used[i] - base.used[i]
	}
	fmt.Fprintf(w, "\n\nWhat that means: with %d processors between them, client and server have %s µs for a request to the bare server, so %.0f %% are %s µs. The whole stack costs the server %s µs (%s–%s) of processor time more than nothing, with the garbage it makes.",
		l.processors, figure(request), 100*mostOfThroughput, figure(request*mostOfThroughput), figure(spreadOf(more).median), figure(spreadOf(more).low), figure(spreadOf(more).high))
	fmt.Fprintf(w, " Where it goes, from counts and profiles of other runs: each request is answered by one write, with the stack as without it, and there are no further wake-ups, so nothing is wasted on the system; but code and data are cold. The same request in process takes 1.5 times as long where 512 kB of the cache are evicted before it, and 2.1 times with 2 MB, which is what a server's system calls and other connections do between two requests. While goroutines queue for a processor, shed's step back lets net/http read once more for nothing, 1 to 1.5 µs.")
	fmt.Fprintf(w, "\n\n| | requests/s | of bare | p50 ms | p99 ms | processor µs per request | of bare | answers | refused | wrong |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, v := range l.sites {
		rate, used := spreadOf(v.rate), spreadOf(v.used)
		fmt.Fprintf(w, "| %s | %.0f (%.0f–%.0f) | %.3f | %.2f | %.2f | %.1f (%.1f–%.1f) | %.3f | %d | %d | %d |\n", titles[v.name],
			rate.median, rate.low, rate.high, relation(v.rate, base.rate).median,
			spreadOf(v.p50).median/1e6, spreadOf(v.p99).median/1e6,
			used.median/1e3, used.low/1e3, used.high/1e3, relation(v.used, base.used).median,
			v.answers, v.refused, v.wrong)
	}
	fmt.Fprintln(w)
}

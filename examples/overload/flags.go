package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// settings are the flags, complete and valid.
type settings struct {
	service  string // pool, cpu or target
	target   string
	workers  int
	work     time.Duration
	procs    int
	shape    shape
	deadline time.Duration
	capacity float64 // 0: measured
	effort   effort
	only     string
	even     bool
	http2    bool
	sim      bool
	conns    int
	seed     uint64
	json     bool
	html     string
}

// parser collects the flags and what is wrong with them.
type parser struct {
	settings
	total    time.Duration
	quick    bool
	arrivals string
	given    map[string]bool
	faults   []string
}

func (p *parser) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

func whole(to *int, lo, hi int) func(string) string {
	return func(v string) string {
		n, err := strconv.Atoi(v)
		if err != nil || n < lo || n > hi {
			return fmt.Sprintf("a whole number between %d and %d", lo, hi)
		}
		*to = n
		return ""
	}
}

func lasting(to *time.Duration, lo, hi time.Duration) func(string) string {
	return func(v string) string {
		d, err := time.ParseDuration(v)
		if err != nil || d < lo || d > hi {
			return fmt.Sprintf("a duration between %v and %v, such as %v", lo, hi, min(hi, lo*2))
		}
		*to = d
		return ""
	}
}

func oneOf(to *string, names ...string) func(string) string {
	return func(v string) string {
		for _, name := range names {
			if v == name {
				*to = v
				return ""
			}
		}
		return strings.Join(names, " or ")
	}
}

func on(to *bool) func(string) string {
	return func(v string) string {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return "true or false, or nothing at all"
		}
		*to = b
		return ""
	}
}

// newParser has the defaults that do not depend on other flags.
func newParser() *parser {
	p := &parser{given: map[string]bool{}}
	p.service, p.seed, p.html, p.conns = "pool", 1, "overload.html", 4096
	return p
}

// flags are all there are; the manual describes them.
func (p *parser) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("overload", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	value := func(name string, set func(string) string) {
		fs.Func(name, "", p.record(name, set))
	}
	boolean := func(name string, to *bool) {
		fs.BoolFunc(name, "", p.record(name, on(to)))
	}
	boolean("quick", &p.quick)
	boolean("json", &p.json)
	boolean("sim", &p.sim)
	boolean("http2", &p.http2)
	value("html", p.setHTML)
	value("service", oneOf(&p.service, "pool", "cpu"))
	value("target", p.setTarget)
	value("workers", whole(&p.workers, 1, 1000))
	value("work", lasting(&p.work, 100*time.Microsecond, time.Second))
	value("procs", whole(&p.procs, 1, 1024))
	value("duration", lasting(&p.total, time.Second, maxShape))
	value("shape", p.setShape)
	value("deadline", lasting(&p.deadline, 10*time.Millisecond, 10*time.Second))
	value("capacity", p.setCapacity)
	value("only", oneOf(&p.only, "bare", "shed"))
	value("arrivals", oneOf(&p.arrivals, "poisson", "even"))
	value("conns", whole(&p.conns, 1, 20000))
	value("seed", p.setSeed)
	return fs
}

// parse reads the command line. It reports every fault at once, each as one
// sentence that says what would be right; flag.ErrHelp when help was asked for.
func parse(args []string) (*settings, []string, error) {
	p := newParser()
	fs := p.flags()
	for {
		err := fs.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return nil, nil, err
		}
		args = fs.Args()
		if err != nil {
			p.fault("%s", malformed(err))
			// What follows a flag that does not exist is most likely its value.
			if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:]
			}
			continue
		}
		if len(args) == 0 {
			break
		}
		p.fault("%q is no flag; every setting is a flag, such as -service cpu.", clip(args[0]))
		args = args[1:]
	}
	p.even = p.arrivals == "even"
	p.complete()
	return &p.settings, p.faults, nil
}

// malformed says in our own words what package flag found: a flag that does
// not exist, or one without its value.
func malformed(err error) string {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		return clip(name) + " is no flag; -h lists them."
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return name + " needs a value; -h says which."
	}
	return clip(text) + "; -h lists the flags."
}

// record keeps a wrong value as a fault instead of ending the parse.
func (p *parser) record(name string, set func(string) string) func(string) error {
	return func(v string) error {
		p.given[name] = true
		if right := set(v); right != "" {
			p.fault("-%s must be %s, not %q.", name, right, clip(v))
		}
		return nil
	}
}

func clip(v string) string {
	if len(v) > 60 {
		return v[:60] + "…"
	}
	return v
}

func (p *parser) setTarget(v string) string {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "the http or https URL of your service, such as http://127.0.0.1:8080/"
	}
	p.target = v
	return ""
}

// setHTML refuses now what would otherwise fail when all is measured.
func (p *parser) setHTML(v string) string {
	p.html = v
	if v == "" {
		return ""
	}
	if dir, err := os.Stat(filepath.Dir(v)); err != nil || !dir.IsDir() {
		return "a file in a folder that exists, or empty for none"
	}
	if file, err := os.Stat(v); err == nil && file.IsDir() {
		return "a file, not a folder, or empty for none"
	}
	return ""
}

func (p *parser) setShape(v string) string {
	s, err := parseShape(v)
	if err != nil {
		return fmt.Sprintf("loads as multiples of capacity, each with its time, such as 0.5:5s,5:10s,0.5:10s (%v)", err)
	}
	p.shape = s
	return ""
}

func (p *parser) setSeed(v string) string {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return "a whole number from 0"
	}
	p.seed = n
	return ""
}

func (p *parser) setCapacity(v string) string {
	c, err := strconv.ParseFloat(v, 64)
	if err != nil || !(c >= 1 && c <= 1e6) {
		return "requests a second, between 1 and 1000000"
	}
	p.capacity = c
	return ""
}

// complete fills in what depends on other flags and finds contradictions.
func (p *parser) complete() {
	if p.given["target"] {
		for _, name := range []string{"service", "workers", "work"} {
			if p.given[name] {
				p.fault("-%s describes the built-in service; leave it out with -target.", name)
			}
		}
		p.service = "target"
	}
	if p.service == "cpu" && p.given["workers"] {
		p.fault("-workers is the size of the pool; with -service cpu use -procs.")
	}
	if p.given["shape"] && p.given["duration"] {
		p.fault("-shape holds the times already; leave out -duration.")
	}
	if p.quick && p.given["shape"] {
		p.fault("-quick chooses a short shape; leave it out with -shape.")
	}
	if p.quick && p.given["duration"] {
		p.fault("-quick chooses the duration; leave out -duration or -quick.")
	}
	if p.sim {
		for _, name := range []string{"target", "capacity", "conns", "http2"} {
			if p.given[name] {
				p.fault("-%s has no meaning in a simulation; leave it out with -sim.", name)
			}
		}
	}
	p.effort = effort{300 * time.Millisecond, 1500 * time.Millisecond}
	if p.total == 0 {
		p.total = 24 * time.Second
		if p.quick {
			p.total = 6 * time.Second
		}
	}
	if p.quick {
		p.effort = effort{200 * time.Millisecond, 700 * time.Millisecond}
	}
	if p.service == "target" { // many measurements, not one
		p.effort = effort{p.effort.warm / 2, p.effort.long / 2}
	}
	if p.shape == nil {
		p.shape = spike(p.total)
	}
	p.workers = cmp.Or(p.workers, 20)
	switch p.service {
	case "cpu":
		p.work = cmp.Or(p.work, 5*time.Millisecond)
		p.deadline = cmp.Or(p.deadline, 250*time.Millisecond)
		if p.procs == 0 {
			p.procs = 1
			if n, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil && n > 0 {
				p.procs = n
			}
		}
	default:
		p.work = cmp.Or(p.work, 20*time.Millisecond)
		p.deadline = cmp.Or(p.deadline, 500*time.Millisecond)
	}
}

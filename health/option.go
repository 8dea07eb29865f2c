package health

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/notify"
	"github.com/handrail-go/handrail/internal/option"
)

// Option changes one setting of a [Health]. A later option wins.
type Option func(*settings)

// settings are all that options can say. They do not change after New.
type settings struct {
	option.Faults

	name  string
	paths Paths
	about About

	usual  []CheckOption
	checks []registration

	authorize       func(*http.Request) bool
	readyOnDegraded bool
	drainDelay      time.Duration

	logger   *slog.Logger
	onChange *notify.Queue[Transition]

	clock func() time.Time // time.Now, but for tests
	// sleep waits for a duration or the context, whichever is over first.
	sleep func(context.Context, time.Duration)
}

// registration is a check as an option told it.
type registration struct {
	name  string
	check Check
	opts  []CheckOption
}

// Paths are where the middleware answers; an empty one is not served. Each is a
// path that begins with a slash and does not end with one, and is compared
// exactly; below it are the single checks, /readyz/db.
type Paths struct {
	// Health is for all checks, Live, Ready and Startup for those of a group.
	Health, Live, Ready, Startup string
}

func (p Paths) each() [views]string { return [views]string{p.Health, p.Live, p.Ready, p.Startup} }

// About describes the service in application/health+json, to whom WithAuthorize
// lets see it; see the draft, sections 3.2 to 3.9. Links are relations and URIs.
type About struct {
	Version, ReleaseID, ServiceID, Description string
	Notes                                      []string
	Links                                      map[string]string
}

func defaults() settings {
	s := settings{Faults: option.Faults{Package: "health"}, readyOnDegraded: true, drainDelay: 5 * time.Second, clock: time.Now, sleep: sleep}
	Kubernetes()(&s)
	return s
}

func (s *settings) apply(opts []Option) {
	option.Apply(&s.Faults, s, opts)
	served := s.paths.each()
	for i, p := range served {
		if p != "" && slices.Contains(served[:i], p) {
			s.Fault("WithPaths", p, "is given to two groups")
		}
	}
}

// Kubernetes serves /healthz, /livez, /readyz and /startupz, as it is without
// this option, and drains for 5 s.
func Kubernetes() Option {
	return func(s *settings) {
		s.paths = Paths{Health: "/healthz", Live: "/livez", Ready: "/readyz", Startup: "/startupz"}
		s.drainDelay = 5 * time.Second
	}
}

// Basic serves /healthz alone, for a load balancer that asks one path, and
// drains for 15 s: such a one asks every 5 s or so, and believes the third
// failure.
func Basic() Option {
	return func(s *settings) {
		s.paths = Paths{Health: "/healthz"}
		s.drainDelay = 15 * time.Second
	}
}

// WithName names this instance in metrics, logs and transitions. At most 64
// bytes; empty without this option.
func WithName(name string) Option {
	return func(s *settings) {
		s.Name("WithName", name)
		s.name = name
	}
}

// WithCheck adds a check; check is a function or one of this package's Checks.
// Without [In] it counts for readiness. The name is one to 64 of letters,
// digits, "-", "_", "." and "/", not "shutdown", not taken, and without a slash
// at either end. There may be 256 checks. See also [Health.Add].
func WithCheck[C Checkable](name string, check C, opts ...CheckOption) Option {
	return func(s *settings) { s.checks = append(s.checks, registration{name, checkOf(check), opts}) }
}

// WithDefaults are settings of every check that neither brings its own nor is
// given them. Checks added later have them too.
func WithDefaults(opts ...CheckOption) Option {
	return func(s *settings) {
		// Tried here as well, so that a fault is told once and without checks.
		tried := usualSettings()
		tried.apply(opts)
		if err := tried.Err(); err != nil {
			s.Add(within("WithDefaults", err)...)
			return
		}
		s.usual = slices.Clone(opts)
	}
}

// WithPaths says where the middleware answers.
func WithPaths(p Paths) Option {
	return func(s *settings) {
		for _, path := range p.each() {
			if path != "" && (path[0] != '/' || len(path) < 2 || strings.HasSuffix(path, "/") || len(path) > 256 || strings.ContainsAny(path, "?#")) {
				s.Fault("WithPaths", path, "must begin with a slash, not end with one, and be a path of at most 256 bytes")
			}
		}
		s.paths = p
	}
}

// WithAbout describes the service.
func WithAbout(a About) Option {
	return func(s *settings) {
		size := len(a.Version) + len(a.ReleaseID) + len(a.ServiceID) + len(a.Description)
		for _, note := range a.Notes {
			size += len(note)
		}
		for relation, uri := range a.Links {
			size += len(relation) + len(uri)
		}
		if size > 16<<10 {
			s.Fault("WithAbout", size, "must not be more than 16 KiB of text")
		}
		s.about = a.clone()
	}
}

// WithAuthorize says who may see what checks found: the text of errors, what was
// measured, and what [WithAbout] tells. All others see names and statuses. It is
// asked only where there is something to see, on the goroutine of the probe, so
// it has to be quick; one that panics has said no.
func WithAuthorize(may func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithAuthorize", may != nil)
		s.authorize = may
	}
}

// WithReadyOnDegraded says whether an instance is ready while a check warns, as
// it is without this option. With false, a warning fails readiness and /healthz.
func WithReadyOnDegraded(ready bool) Option {
	return func(s *settings) { s.readyOnDegraded = ready }
}

// WithDrainDelay is for how long Shutdown serves on after readiness has failed,
// 0 to 10 min; 5 s without this option. It has to be longer than what asks for
// readiness needs to notice: its period times the failures it waits for, and
// the time until the last router knows.
func WithDrainDelay(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithDrainDelay", d, 0, 10*time.Minute)
		s.drainDelay = d
	}
}

// WithLogger logs transitions, each once, with the error; slog.Default() without
// this option. Logging runs on a goroutine of its own, outside of every lock.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) {
		s.Given("WithLogger", l != nil, "a logger; one of slog.DiscardHandler logs nothing")
		s.logger = l
	}
}

// OnChange is told of every transition, in order, on a goroutine of its own,
// outside of every lock. While it blocks, events beyond 1024 are dropped and
// counted.
func OnChange(f func(Transition)) Option {
	return func(s *settings) {
		s.Func("OnChange", f != nil)
		s.onChange = notify.New(f)
	}
}

// within names the option that faults were made in.
func within(option string, err error) (all []error) {
	switch e := err.(type) {
	case nil:
	case *handrail.OptionError:
		all = append(all, &handrail.OptionError{Package: e.Package, Option: option + ": " + e.Option, Value: e.Value, Reason: e.Reason})
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, within(option, one)...)
		}
	}
	return all
}

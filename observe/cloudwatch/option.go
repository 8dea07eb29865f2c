package cloudwatch

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/handrail-go/handrail"
)

// Option changes one setting of [Metrics]. A later option wins.
type Option func(*settings)

// Mode is when the figures of requests are written.
type Mode uint8

const (
	// Aggregated writes some lines per interval, whatever the traffic.
	Aggregated Mode = iota
	// PerRequest writes one line per request, which is its log entry too.
	PerRequest
)

// String returns "aggregated" or "per_request".
func (m Mode) String() string {
	if m == PerRequest {
		return "per_request"
	}
	return "aggregated"
}

type constant struct{ name, value string }

type settings struct {
	name       string
	namespace  string
	service    string
	constants  []constant
	dimensions [][]string // nil is the default
	mode       Mode
	interval   time.Duration
	sources    []handrail.Source
	maxSeries  int
	maxSamples int
	highRes    bool
	logGroup   string
	level      string

	faults []error
}

func defaults() settings {
	return settings{
		namespace:  "Handrail",
		interval:   time.Minute,
		maxSeries:  500,
		maxSamples: 1000,
	}
}

func (s *settings) apply(opts []Option) error {
	for i, o := range opts {
		if o == nil {
			s.fault("Option", i, "is nil")
			continue
		}
		o(s)
	}
	s.check()
	return errors.Join(s.faults...)
}

func (s *settings) fault(option string, value any, reason string) {
	s.faults = append(s.faults, &handrail.OptionError{Package: "cloudwatch", Option: option, Value: value, Reason: reason})
}

// check resolves the dimensions, and finds the faults that no option has alone.
func (s *settings) check() {
	if s.dimensions == nil {
		set := []string{Method, Route, StatusClass}
		if s.service != "" {
			set = append([]string{Service}, set...)
		}
		s.dimensions = [][]string{set}
		return
	}
	var p parts
	for i, set := range s.dimensions {
		for _, name := range set {
			if !p.add(name) && !s.isConstant(name) {
				s.fault(fmt.Sprintf("WithDimensions[%d]", i), name, "must be one that requests have, or the name of a constant")
			}
		}
	}
}

func (s *settings) isConstant(name string) bool {
	return slices.ContainsFunc(s.all(), func(c constant) bool { return c.name == name })
}

// all are the constants, with the service's name as the first.
func (s *settings) all() []constant {
	if s.service == "" {
		return s.constants
	}
	return append([]constant{{Service, s.service}}, s.constants...)
}

// everywhere are the constants that are in every set of dimensions.
func (s *settings) everywhere() (all []constant) {
	for _, c := range s.all() {
		if !slices.ContainsFunc(s.dimensions, func(set []string) bool { return !slices.Contains(set, c.name) }) {
			all = append(all, c)
		}
	}
	return all
}

func (s *settings) within(option string, n, lo, hi int) {
	if n < lo || n > hi {
		s.fault(option, n, fmt.Sprintf("must be between %d and %d", lo, hi))
	}
}

func (s *settings) lasting(option string, d, lo, hi time.Duration) {
	if d < lo || d > hi {
		s.fault(option, d, fmt.Sprintf("must be between %v and %v", lo, hi))
	}
}

// WithName names this instance in its own figures. At most 64 bytes; empty
// without this option.
func WithName(name string) Option {
	return func(s *settings) {
		if len(name) > 64 {
			s.fault("WithName", name, "must not be longer than 64 bytes")
		}
		s.name = name
	}
}

// WithNamespace is where CloudWatch files the metrics: 1 to 255 of letters,
// digits, spaces and .-_/#: that do not begin with a colon or with "AWS/", which
// is reserved; "Handrail" without this option.
func WithNamespace(namespace string) Option {
	return func(s *settings) {
		if !validNamespace(namespace) {
			s.fault("WithNamespace", namespace, "must be 1 to 255 of letters, digits, spaces and .-_/#: and begin with neither a colon nor AWS/")
		}
		s.namespace = namespace
	}
}

// WithService names the service, as a field of every line and as a dimension,
// [Service], unless WithDimensions says otherwise: 1 to 1024 characters of
// printable ASCII.
func WithService(name string) Option {
	return func(s *settings) {
		if !validDimensionValue(name) {
			s.fault("WithService", name, "must be 1 to 1024 characters of printable ASCII")
		}
		s.service = name
	}
}

// WithConstant puts a field with the same value on every line, such as the
// stage. It becomes a dimension only where WithDimensions names it, and in those
// of the sources where it is in every set. The name has 1 to 250 characters of
// printable ASCII, does not begin with a colon and is none that lines have
// anyway; the value is as that of WithService. At most 20.
//
// CloudWatch relates metrics to an entity in its console by fields such as
// Service and Environment, EKS.Cluster, or ECS.Cluster: they are constants too.
func WithConstant(name, value string) Option {
	return func(s *settings) {
		switch {
		case !validDimensionName(name):
			s.fault("WithConstant", name, "the name must be 1 to 250 characters of printable ASCII and not begin with a colon")
			return
		case taken[name]:
			s.fault("WithConstant", name, "is a field that lines have anyway")
			return
		case !validDimensionValue(value):
			s.fault(fmt.Sprintf("WithConstant[%q]", name), value, "must be 1 to 1024 characters of printable ASCII")
			return
		}
		s.constants = slices.DeleteFunc(slices.Clone(s.constants), func(c constant) bool { return c.name == name })
		if len(s.constants) == 20 {
			s.fault("WithConstant", name, "must not be more than 20")
			return
		}
		s.constants = append(s.constants, constant{name, value})
	}
}

// WithDimensions sets the sets of dimensions under which the figures of requests
// are filed, at most 10 of at most 30 each; the names are [Method] and those
// beside it, and those of constants. Without this option there is one set:
// [Service] if it is known, [Method], [Route] and [StatusClass]. The empty set
// is legal: all requests together. Two sets of the same names are a fault,
// because every request would count twice.
//
// Each set multiplies the bill: a metric is billed for every combination of
// values that occurs, and here there are three metrics. A set for alarms, such
// as {Service}, beside one to look closer is usually worth it; a dimension that
// comes from the request never is, which is why there are none.
func WithDimensions(sets ...[]string) Option {
	return func(s *settings) {
		if len(sets) < 1 || len(sets) > 10 {
			s.fault("WithDimensions", len(sets), "must be 1 to 10 sets")
			return
		}
		s.dimensions = [][]string{}
		var known [][]string
		for i, set := range sets {
			if len(set) > MaxDimensions {
				s.fault(fmt.Sprintf("WithDimensions[%d]", i), len(set), "must not be more than 30 dimensions")
				continue
			}
			sorted := slices.Sorted(slices.Values(set))
			if len(slices.Compact(sorted)) < len(set) {
				s.fault(fmt.Sprintf("WithDimensions[%d]", i), set, "names a dimension twice")
				continue
			}
			if slices.ContainsFunc(known, func(o []string) bool { return slices.Equal(o, sorted) }) {
				s.fault(fmt.Sprintf("WithDimensions[%d]", i), set, "is there already")
				continue
			}
			known = append(known, sorted)
			s.dimensions = append(s.dimensions, append([]string{}, set...))
		}
	}
}

// WithMode says when the figures of requests are written; [Aggregated] without
// this option. The manual says which is right where.
func WithMode(mode Mode) Option {
	return func(s *settings) {
		if mode > PerRequest {
			s.fault("WithMode", uint8(mode), "is none of the modes")
		}
		s.mode = mode
	}
}

// WithInterval is how often aggregated figures and those of sources are written,
// 1 s to 1 min; 1 min without this option, which is also how finely CloudWatch
// stores what is not of high resolution. Intervals begin at multiples of it on
// the clock, so that none is split between two minutes where it divides one.
func WithInterval(d time.Duration) Option {
	return func(s *settings) {
		s.lasting("WithInterval", d, time.Second, time.Minute)
		s.interval = d
	}
}

// WithSources adds components whose figures are written every interval in both
// modes, at most 100. Counters are written as what they grew by, if they did.
func WithSources(sources ...handrail.Source) Option {
	return func(s *settings) {
		for i, src := range sources {
			if src == nil {
				s.fault(fmt.Sprintf("WithSources[%d]", i), nil, "is nil")
			}
		}
		s.sources = append(slices.Clone(s.sources), sources...)
		if len(s.sources) > 100 {
			s.fault("WithSources", len(s.sources), "must not be more than 100")
		}
	}
}

// WithMaxSeries bounds how many label sets of requests are told apart while the
// process lives, 1 to 10,000; 500 without this option. Further ones share one
// whose dimensions are all "_other". It bounds the bill: each label set is three
// metrics for each set of dimensions that tells it apart.
func WithMaxSeries(n int) Option {
	return func(s *settings) {
		s.within("WithMaxSeries", n, 1, 10_000)
		s.maxSeries = n
	}
}

// WithMaxSamples bounds how many durations are kept of a label set in an
// interval, 1 to 100,000; 1000 without this option, at 8 bytes. Where there are
// more, a uniform sample of them is written and the longest.
func WithMaxSamples(n int) Option {
	return func(s *settings) {
		s.within("WithMaxSamples", n, 1, 100_000)
		s.maxSamples = n
	}
}

// WithHighResolution has CloudWatch store the metrics by the second and not by
// the minute. For an alarm on them choose an interval of at most 5 s.
func WithHighResolution() Option { return func(s *settings) { s.highRes = true } }

// WithLogGroup tells the CloudWatch agent the log group that lines go to, which
// it needs where it is sent them over TCP or UDP: 1 to 512 of letters, digits and
// .-_/#. Elsewhere it is ignored.
func WithLogGroup(name string) Option {
	return func(s *settings) {
		if !validLogGroup(name) {
			s.fault("WithLogGroup", name, "must be 1 to 512 of letters, digits and .-_/#")
		}
		s.logGroup = name
	}
}

// WithLineLevel gives every line a field "level": TRACE, DEBUG, INFO, WARN, ERROR
// or FATAL. Where Lambda filters logs in JSON by level, lines without one are
// INFO, so metrics would vanish where only WARN and above pass.
func WithLineLevel(level string) Option {
	return func(s *settings) {
		if !slices.Contains([]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}, level) {
			s.fault("WithLineLevel", level, "must be TRACE, DEBUG, INFO, WARN, ERROR or FATAL")
		}
		s.level = level
	}
}

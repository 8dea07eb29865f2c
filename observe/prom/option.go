package prom

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail"
)

// Option changes one setting of [Metrics]. A later option wins.
type Option func(*settings)

// settings are all that options can say.
type settings struct {
	classicNames bool

	buckets []float64
	native  bool

	sizes       bool
	sizeBuckets []float64

	exemplars bool
	maxSeries int

	constLabels prometheus.Labels

	faults []error
}

const (
	maxSeries  = 10_000
	maxBuckets = 100
)

func defaults() settings {
	return settings{
		// The advice of the semantic conventions for
		// http.server.request.duration.
		buckets:   []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10},
		native:    true,
		exemplars: true,
		maxSeries: 2000,
	}
}

// defaultSizes are powers of four from 256 B to 64 MiB.
func defaultSizes() []float64 { return prometheus.ExponentialBuckets(256, 4, 10) }

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
	s.faults = append(s.faults, &handrail.OptionError{Package: "prom", Option: option, Value: value, Reason: reason})
}

// check finds the faults that no option has alone.
func (s *settings) check() {
	if len(s.buckets) == 0 && !s.native {
		s.fault("WithNativeHistograms", false, "needs WithBuckets to name bounds: a histogram must have buckets of one kind")
	}
	if s.sizes && s.sizeBuckets == nil && len(s.buckets) > 0 {
		s.sizeBuckets = defaultSizes()
	}
	own := semantic.labels
	if s.classicNames {
		own = classic.labels
	}
	for _, name := range slices.Sorted(maps.Keys(s.constLabels)) {
		if slices.Contains(own, name) {
			s.fault("WithConstLabels", name, "is a label that the metrics have themselves")
		}
	}
}

// bounds checks those of a classic histogram.
func (s *settings) bounds(option string, bounds []float64) []float64 {
	if len(bounds) > maxBuckets {
		s.fault(option, len(bounds), fmt.Sprintf("must not be more than %d bounds", maxBuckets))
	}
	for i, b := range bounds {
		switch {
		case !(b > 0) || math.IsInf(b, 0):
			s.fault(option, b, "a bound must be finite and above 0")
			return nil
		case i > 0 && b <= bounds[i-1]:
			s.fault(option, b, "bounds must ascend")
			return nil
		}
	}
	return bounds
}

// WithClassicNames calls the metrics what promhttp's users are used to:
// http_requests_total, http_request_duration_seconds and the others with the
// labels code, method and route, methods in lower case. See the package comment
// for all of them.
func WithClassicNames() Option {
	return func(s *settings) { s.classicNames = true }
}

// WithBuckets are the upper bounds of the classic histogram of durations, in
// seconds, at most 100, above 0 and ascending; without this option they are
// 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5 and 10.
// With no bound at all there is no classic histogram, only the native one.
func WithBuckets(bounds ...float64) Option {
	bounds = slices.Clone(bounds)
	return func(s *settings) { s.buckets = s.bounds("WithBuckets", bounds) }
}

// WithNativeHistograms turns native histograms on or off; they are on without
// this option. A scrape that does not ask for them gets the classic buckets.
func WithNativeHistograms(on bool) Option {
	return func(s *settings) { s.native = on }
}

// WithSizes adds histograms of the sizes of request and response bodies, in
// bytes. The bounds are those of the classic histogram and follow the rules of
// WithBuckets; without any they are powers of four from 256 B to 64 MiB, or
// none where WithBuckets names none either.
func WithSizes(bounds ...float64) Option {
	bounds = slices.Clone(bounds)
	return func(s *settings) {
		s.sizes, s.sizeBuckets = true, nil
		if len(bounds) > 0 {
			s.sizeBuckets = s.bounds("WithSizes", bounds)
		}
	}
}

// WithExemplars turns exemplars on or off; they are on without this option. An
// exemplar shows the ids of a sampled trace to whoever may scrape.
func WithExemplars(on bool) Option {
	return func(s *settings) { s.exemplars = on }
}

// WithMaxSeries bounds how many combinations of route, method, status and error
// are told apart, 1 to 10,000; 2000 without this option. Those beyond share 108
// series of each metric at most, with the route "_other". One combination takes as many lines of a
// scrape as a histogram has buckets.
func WithMaxSeries(n int) Option {
	return func(s *settings) {
		if n < 1 || n > maxSeries {
			s.fault("WithMaxSeries", n, fmt.Sprintf("must be between 1 and %d", maxSeries))
		}
		s.maxSeries = n
	}
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// WithConstLabels puts labels on every metric, such as those that tell two
// Metrics in one registry apart. It replaces those of an earlier option. What is
// the same for the whole process belongs into the configuration of the scrape.
func WithConstLabels(labels prometheus.Labels) Option {
	labels = maps.Clone(labels)
	return func(s *settings) {
		s.constLabels = labels
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			switch {
			case !labelName.MatchString(name), strings.HasPrefix(name, "__"):
				s.fault("WithConstLabels", name, "must be letters, digits and underscores, not begin with a digit, and not with two underscores")
			case name == "le" || name == "quantile":
				s.fault("WithConstLabels", name, "is reserved for histograms and summaries")
			case !utf8.ValidString(labels[name]):
				s.fault(fmt.Sprintf("WithConstLabels[%q]", name), labels[name], "must be valid UTF-8")
			}
		}
	}
}

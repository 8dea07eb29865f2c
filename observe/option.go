package observe

import (
	"net/http"

	"github.com/handrail-go/handrail/internal/option"
)

// Option changes one setting of an [Observer]. A later option wins.
type Option func(*settings)

// settings are all that options can say. They are immutable once an Observer
// uses them.
type settings struct {
	option.Faults
	name  string
	sinks []Sink

	skip      func(*http.Request) bool
	route     func(*http.Request) string // nil is the pattern
	maxRoutes int

	ids      bool
	idHeader string
	trusted  bool // the id of the request
	maxAttrs int  // 0 is off
	bodies   bool
}

// DefaultRequestIDHeader is the header of WithRequestIDs.
const DefaultRequestIDHeader = "X-Request-Id"

func defaults() settings {
	return settings{Faults: option.Faults{Package: "observe"}, maxRoutes: 500, idHeader: DefaultRequestIDHeader}
}

// WithName names this instance in its metrics. At most 64 bytes; empty without
// this option.
func WithName(name string) Option {
	return func(s *settings) {
		s.Name("WithName", name)
		s.name = name
	}
}

// WithSink adds sinks, which are told in the order in which they are given, also
// over several of these options. A tracing sink comes before those that are to
// know its ids.
func WithSink(sinks ...Sink) Option {
	return func(s *settings) {
		for i, sink := range sinks {
			if sink == nil {
				s.Fault("WithSink", i, "is nil")
				continue
			}
			s.sinks = append(s.sinks, sink)
		}
	}
}

// WithFilter leaves out requests for which observe is false, such as probes and
// scrapes: they are only counted. It runs before anything else on the serving
// goroutine. Choose them by path, not by anything a client can claim.
func WithFilter(observe func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithFilter", observe != nil)
		s.skip = func(r *http.Request) bool { return !observe(r) }
	}
}

// WithRoute tells the route of a request where no [http.ServeMux] does: the
// pattern that a router matched, "" for none. It runs after the handler
// returned, with the request that the handler was given. Without this option it
// is the request's Pattern without the method.
//
// A route longer than 256 bytes is cut. How many there may be is bounded by
// WithMaxRoutes, so a function that returns paths costs the route, not memory.
// One that panics returns "".
func WithRoute(route func(*http.Request) string) Option {
	return func(s *settings) {
		s.Func("WithRoute", route != nil)
		s.route = route
	}
}

// WithMaxRoutes bounds how many routes are told apart, 1 to 100,000; 500 without
// this option. The first ones keep their names, and all others are "_other".
func WithMaxRoutes(n int) Option {
	return func(s *settings) {
		s.Count("WithMaxRoutes", n, 1, 100_000)
		s.maxRoutes = n
	}
}

// WithRequestIDs gives each request an id of 128 random bits in hexadecimal,
// puts it on the response in the header X-Request-Id, and hands it to the
// handler in the context (see [RequestID]) and to the sinks. The bits are good
// for telling requests apart, not for keeping secrets. Where an observer
// further out has made one, it is that.
func WithRequestIDs() Option { return func(s *settings) { s.ids = true } }

// WithRequestIDHeader names the header of WithRequestIDs, which it includes.
func WithRequestIDHeader(name string) Option {
	return func(s *settings) {
		s.ids, s.idHeader = true, s.Header("WithRequestIDHeader", name)
	}
}

// WithTrustedRequestID takes the id from the request's header of that name, if
// there is exactly one and [ValidRequestID] says so, and makes one otherwise. It
// includes WithRequestIDs.
//
// Who can set the header chooses the id under which its requests are found: use
// it where a gateway of yours sets it, or where all callers are your own.
func WithTrustedRequestID() Option {
	return func(s *settings) { s.ids, s.trusted = true, true }
}

// WithAttrs lets handlers tell the sinks more with [AddAttrs], up to max
// attributes for a request, 1 to 256; 32 is a good one to begin with. Without
// this option AddAttrs does nothing.
func WithAttrs(max int) Option {
	return func(s *settings) {
		s.Count("WithAttrs", max, 1, 256)
		s.maxAttrs = max
	}
}

// WithBodyCount counts what is read of a request's body where its length is not
// declared. Without this option it is not known, -1.
func WithBodyCount() Option { return func(s *settings) { s.bodies = true } }

package live

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/option"
)

// Option changes one setting of a [Display]. A later option wins.
type Option func(*settings)

type settings struct {
	option.Faults
	sources    []handrail.Source
	title      string
	interval   time.Duration
	maxViewers int
	runtime    bool
	authorize  func(*http.Request) bool
}

func defaults() settings {
	return settings{
		Faults: option.Faults{Package: "live"}, title: "handrail",
		interval: time.Second, maxViewers: 16, runtime: true,
	}
}

func (s *settings) check() {
	if len(s.sources) == 0 {
		s.Fault("WithSource", nil, "needs a source")
	}
}

// WithSource adds sources, also over several of these options: policies, an
// observer, a sampler, health. At least one is needed. Sources of one kind are
// told apart by the names of their instances, and by their order where they
// have none.
func WithSource(sources ...handrail.Source) Option {
	return func(s *settings) {
		for i, source := range sources {
			if source == nil {
				s.Fault("WithSource", i, "is nil")
				continue
			}
			s.sources = append(s.sources, source)
		}
	}
}

// WithTitle is the heading and the title of the page, 1 to 64 bytes of text;
// "handrail" without this option.
func WithTitle(title string) Option {
	return func(s *settings) {
		if title == "" {
			s.Fault("WithTitle", nil, "needs a title")
		}
		s.Name("WithTitle", title)
		s.title = title
	}
}

// WithInterval is how often the sources are asked while somebody looks, 1 s to
// 1 min; 1 s without this option. The page keeps 600 points, and for its ranges
// of 1, 5 and 10 min shows at most 60, 300 and 600: that is why a shorter
// interval is refused.
func WithInterval(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithInterval", d, time.Second, time.Minute)
		s.interval = d
	}
}

// WithMaxViewers bounds how many browsers are served at once, 1 to 1000; 16
// without this option. Those beyond get 503.
func WithMaxViewers(n int) Option {
	return func(s *settings) {
		s.Count("WithMaxViewers", n, 1, 1000)
		s.maxViewers = n
	}
}

// WithRuntimePlots says whether goroutines, heap and pauses of the Go runtime
// are drawn below the rest, as they are without this option.
func WithRuntimePlots(on bool) Option {
	return func(s *settings) { s.runtime = on }
}

// WithAuthorize says who may see the page: it is asked for the page, for its
// files, and for the stream of figures, on the goroutine of the request. All
// others get 403, which no browser answers with a password; one that panics ends
// the request. Without this option it is everybody who can reach it.
func WithAuthorize(may func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithAuthorize", may != nil)
		s.authorize = may
	}
}

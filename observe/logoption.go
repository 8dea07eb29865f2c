package observe

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/handrail-go/handrail/internal/option"
)

// LogOption changes one setting of an [AccessLog]. A later option wins.
type LogOption func(*logSettings)

// logSettings are all that options can say. They are immutable once an AccessLog
// uses them.
type logSettings struct {
	option.Faults
	name   string
	schema Schema
	group  string
	level  func(*Exchange) slog.Level
	slow   time.Duration

	sampling   float64
	errorRate  float64 // 0 is without limit
	errorBurst int
	refusals   time.Duration // 0 is one line each

	query, host bool
	client      func(*http.Request) string
	headers     []string // as in http.Header
	headerKeys  []key    // as in the line
	redacted    redacted
	maxValue    int

	queue int // 0 is not asynchronous

}

func defaultLog() logSettings {
	return logSettings{
		Faults:     option.Faults{Package: "observe"},
		group:      "app",
		sampling:   1,
		errorRate:  10,
		errorBurst: 100,
		refusals:   time.Second,
		redacted:   newRedacted(secrets...),
		maxValue:   1024,
	}
}

// WithLogName names this instance in its metrics. At most 64 bytes; empty
// without this option.
func WithLogName(name string) LogOption {
	return func(s *logSettings) {
		s.Name("WithLogName", name)
		s.name = name
	}
}

// WithSchema chooses how the attributes are called; OTEL without this option.
func WithSchema(schema Schema) LogOption {
	return func(s *logSettings) {
		if schema >= schemas {
			s.Fault("WithSchema", schema, "must be OTEL or ECS")
		}
		s.schema = schema
	}
}

// WithGroup names the group of what handlers add with [AddAttrs], so that it
// cannot take the place of anything else in the line; "app" without this
// option. 1 to 64 bytes.
func WithGroup(name string) LogOption {
	return func(s *logSettings) {
		if name == "" || len(name) > 64 {
			s.Fault("WithGroup", name, "must be between 1 and 64 bytes")
		}
		s.group = name
	}
}

// WithLevel chooses the level of a line. Without this option it is ERROR for
// panics and for statuses of 500 and above that no policy chose by refusing the
// request, and INFO for all others. WithSlow may raise it. A level below what
// the handler takes costs no line.
func WithLevel(level func(*Exchange) slog.Level) LogOption {
	return func(s *logSettings) {
		s.Func("WithLevel", level != nil)
		s.level = level
	}
}

// WithSlow raises the level of requests that took longer to WARN, if it is not
// there already, and keeps their lines whatever the sampling, 1 µs to 1 h.
// Long-lived exchanges are not slow.
func WithSlow(than time.Duration) LogOption {
	return func(s *logSettings) {
		s.Lasting("WithSlow", than, time.Microsecond, time.Hour)
		s.slow = than
	}
}

// WithSampling keeps a share of the lines, 0 to 1, of requests at which there is
// nothing wrong: those with a level below WARN and without an error.type. 1
// without this option. It goes by the trace id where there is one, as a sampler
// of traces by ratio does, so that what is kept has its trace; else by chance.
func WithSampling(ratio float64) LogOption {
	return func(s *logSettings) {
		s.Within("WithSampling", ratio, 0, 1)
		s.sampling = ratio
	}
}

// WithErrorLimit bounds how many lines a second there are of one route and one
// error.type, 0.001 to 1,000,000, with bursts of 1 to 1,000,000; 10 and 100
// without this option. What is suppressed is counted in the next line that is
// written of these, in its attribute "suppressed", or when the log is flushed
// or closed. 0 and 0 suppress nothing.
func WithErrorLimit(perSecond float64, burst int) LogOption {
	return func(s *logSettings) {
		if perSecond != 0 || burst != 0 {
			if !(perSecond >= 0.001 && perSecond <= 1e6) {
				s.Fault("WithErrorLimit", perSecond, "must be between 0.001 and 1,000,000, or 0 and 0 for no limit")
			}
			s.Count("WithErrorLimit", burst, 1, 1_000_000)
		}
		s.errorRate, s.errorBurst = perSecond, burst
	}
}

// WithRefusals is how long refused requests are counted before there is a line
// that tells how many there were, one for each policy and reason, 100 ms to
// 1 h; 1 s without this option. 0 writes a line for each of them.
func WithRefusals(every time.Duration) LogOption {
	return func(s *logSettings) {
		if every != 0 {
			s.Lasting("WithRefusals", every, 100*time.Millisecond, time.Hour)
		}
		s.refusals = every
	}
}

// WithQuery logs the query of the URL. The values of names that WithRedacted
// knows are replaced, and those whose name cannot be read. What secrets are
// called elsewhere, only you know: add it there.
func WithQuery() LogOption { return func(s *logSettings) { s.query = true } }

// WithServerAddress logs the host that the request was sent to. It is what the
// client says.
func WithServerAddress() LogOption { return func(s *logSettings) { s.host = true } }

// WithClientAddress tells the client's address; without this option it is the
// peer's, which behind a proxy is the proxy. It runs before the handler. What
// reads a header must know that it was the proxy that set it.
func WithClientAddress(address func(*http.Request) string) LogOption {
	return func(s *logSettings) {
		s.Func("WithClientAddress", address != nil)
		s.client = address
	}
}

// WithHeaders logs these headers of requests, at most 32, each as
// http.request.header.<name>, its values joined by a comma. It replaces those of
// an earlier option. Those that WithRedacted knows are named only.
func WithHeaders(names ...string) LogOption {
	return func(s *logSettings) {
		s.Count("WithHeaders", len(names), 0, 32)
		s.headers, s.headerKeys = nil, nil
		for _, name := range names {
			if name = s.Header("WithHeaders", name); !slices.Contains(s.headers, name) {
				s.headers = append(s.headers, name)
				s.headerKeys = append(s.headerKeys, named("http.request.header."+strings.ToLower(name)))
			}
		}
	}
}

// WithRedacted adds names whose values are never logged, of headers, of
// parameters of the query, and of attributes that handlers add. Letter case does
// not matter, nor whether there is a - or _ in it: access_token is accessToken
// and access-token too. The usual ones are there without this option, among them
// authorization, cookie, password, secret, token, access_token, api_key and
// session. A name is compared whole: "token" does not stand for "csrf_token_2",
// but for "user[token]" in a query. What is within the value of an attribute, as
// in a map, is not looked at.
func WithRedacted(names ...string) LogOption {
	return func(s *logSettings) {
		for i, name := range names {
			if name == "" || len(name) > maxNameLen {
				s.Fault("WithRedacted", i, fmt.Sprintf("a name must be between 1 and %d bytes", maxNameLen))
			}
		}
		s.redacted = s.redacted.with(names...)
	}
}

// WithMaxValue bounds each value in bytes, 16 to 65,536; 1024 without this
// option. What is longer is cut between two characters. It does not concern
// stacks, and of attributes that handlers add it concerns texts and errors.
func WithMaxValue(n int) LogOption {
	return func(s *logSettings) {
		s.Count("WithMaxValue", n, 16, 1<<16)
		s.maxValue = n
	}
}

// WithAsync writes lines on a goroutine of its own, so that nobody waits for a
// writer that is slow or stands still. Up to queue lines wait, 1 to 1,000,000;
// those beyond are dropped and counted. Call Close at the end. The goroutine
// lives only while there is something to write.
func WithAsync(queue int) LogOption {
	return func(s *logSettings) {
		s.Count("WithAsync", queue, 1, 1_000_000)
		s.queue = queue
	}
}

// threshold is a share of the numbers of 63 bits.
func threshold(ratio float64) uint64 {
	if ratio >= 1 {
		return math.MaxUint64
	}
	return uint64(ratio * (1 << 63))
}

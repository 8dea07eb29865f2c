package cloudwatch

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/notify"
)

// LogOption changes one setting of a [Handler]. A later option wins.
type LogOption func(*logSettings)

// Overflow is what becomes of a record that does not fit into the buffer.
type Overflow uint8

const (
	// DropNewest drops the record.
	DropNewest Overflow = iota
	// DropOldest drops the oldest that are not on their way, to make room.
	DropOldest
)

// String returns "newest" or "oldest".
func (o Overflow) String() string {
	if o == DropOldest {
		return "oldest"
	}
	return "newest"
}

type logSettings struct {
	name     string
	level    slog.Leveler
	source   bool
	replace  func([]string, slog.Attr) slog.Attr
	interval time.Duration

	batchEvents, batchBytes   int
	bufferEvents, bufferBytes int
	maxEvent                  int
	overflow                  Overflow

	timeout             time.Duration
	attempts            int
	firstPause, longest time.Duration

	onError *notify.Queue[error]

	faults []error
}

func logDefaults() logSettings {
	return logSettings{
		level:        slog.LevelInfo,
		interval:     5 * time.Second,
		batchEvents:  MaxBatchEvents,
		batchBytes:   MaxBatchBytes,
		bufferEvents: 100_000,
		bufferBytes:  16 << 20,
		maxEvent:     MaxBatchBytes - EventOverhead,
		timeout:      10 * time.Second,
		attempts:     8,
		firstPause:   200 * time.Millisecond,
		longest:      30 * time.Second,
	}
}

func (s *logSettings) apply(opts []LogOption) error {
	for i, o := range opts {
		if o == nil {
			s.fault("LogOption", i, "is nil")
			continue
		}
		o(s)
	}
	s.maxEvent = min(s.maxEvent, s.batchBytes-EventOverhead)
	if len(s.faults) == 0 && s.bufferBytes < s.maxEvent+EventOverhead {
		s.fault("WithBuffer", s.bufferBytes, fmt.Sprintf("must have room for the largest event, %d bytes", s.maxEvent+EventOverhead))
	}
	return errors.Join(s.faults...)
}

func (s *logSettings) fault(option string, value any, reason string) {
	s.faults = append(s.faults, &handrail.OptionError{Package: "cloudwatch", Option: option, Value: value, Reason: reason})
}

func (s *logSettings) within(option string, n, lo, hi int) {
	if n < lo || n > hi {
		s.fault(option, n, fmt.Sprintf("must be between %d and %d", lo, hi))
	}
}

func (s *logSettings) lasting(option string, d, lo, hi time.Duration) {
	if d < lo || d > hi {
		s.fault(option, d, fmt.Sprintf("must be between %v and %v", lo, hi))
	}
}

// WithLogName names the handler in its own figures. At most 64 bytes; empty
// without this option.
func WithLogName(name string) LogOption {
	return func(s *logSettings) {
		if len(name) > 64 {
			s.fault("WithLogName", name, "must not be longer than 64 bytes")
		}
		s.name = name
	}
}

// WithLevel is the lowest level that is logged; slog.LevelInfo without this
// option. Give a *slog.LevelVar to change it while running.
func WithLevel(level slog.Leveler) LogOption {
	return func(s *logSettings) {
		if level == nil {
			s.fault("WithLevel", nil, "needs a level")
			return
		}
		s.level = level
	}
}

// WithSource adds where in the code the record was made, as
// [slog.HandlerOptions] does.
func WithSource() LogOption { return func(s *logSettings) { s.source = true } }

// WithReplaceAttr rewrites attributes, as [slog.HandlerOptions] does. It is
// called concurrently. A record at which it panics is dropped, and so are all
// records of a logger at whose attributes (With) it does.
func WithReplaceAttr(replace func(groups []string, a slog.Attr) slog.Attr) LogOption {
	return func(s *logSettings) {
		if replace == nil {
			s.fault("WithReplaceAttr", nil, "needs a function")
		}
		s.replace = replace
	}
}

// WithFlushInterval is how long a record waits at most for others before it is
// put, 10 ms to 5 min; 5 s without this option.
func WithFlushInterval(d time.Duration) LogOption {
	return func(s *logSettings) {
		s.lasting("WithFlushInterval", d, 10*time.Millisecond, 5*time.Minute)
		s.interval = d
	}
}

// WithBatch is how large a batch may be, 1 to [MaxBatchEvents] events and 1 KiB
// to [MaxBatchBytes] bytes with [EventOverhead] for each event; the most without
// this option. So much is put without waiting for the interval, and less where it is
// half of what WithBuffer allows.
func WithBatch(events, bytes int) LogOption {
	return func(s *logSettings) {
		s.within("WithBatch.events", events, 1, MaxBatchEvents)
		s.within("WithBatch.bytes", bytes, 1<<10, MaxBatchBytes)
		s.batchEvents, s.batchBytes = events, bytes
	}
}

// WithBuffer bounds what may be pending, those on their way included: 1 to
// 10,000,000 events, and 1 KiB to 4 GiB that are counted as in WithBatch and must
// have room for the largest event; 100,000 and 16 MiB without this option. The
// memory it takes is that and some 150 bytes per event.
func WithBuffer(events, bytes int) LogOption {
	return func(s *logSettings) {
		s.within("WithBuffer.events", events, 1, 10_000_000)
		s.within("WithBuffer.bytes", bytes, 1<<10, min(1<<32, 1<<(intBits-2)))
		s.bufferEvents, s.bufferBytes = events, bytes
	}
}

const intBits = 32 << (^uint(0) >> 63)

// WithOverflow says what is dropped when the buffer is full; [DropNewest]
// without this option.
func WithOverflow(o Overflow) LogOption {
	return func(s *logSettings) {
		if o > DropOldest {
			s.fault("WithOverflow", uint8(o), "is neither DropNewest nor DropOldest")
		}
		s.overflow = o
	}
}

// WithMaxEvent is how long a message may be, in bytes, 512 to 1,048,550, which
// with its overhead is the largest event; that without this option. Of a longer
// record the time, the level and the beginning of its message are logged, and
// how long it was, rewritten by WithReplaceAttr as others are; where that makes it
// too long again, only the time, the level and the length.
func WithMaxEvent(bytes int) LogOption {
	return func(s *logSettings) {
		s.within("WithMaxEvent", bytes, 512, MaxBatchBytes-EventOverhead)
		s.maxEvent = bytes
	}
}

// WithCallTimeout bounds one call of the client, 10 ms to 5 min; 10 s without
// this option.
func WithCallTimeout(d time.Duration) LogOption {
	return func(s *logSettings) {
		s.lasting("WithCallTimeout", d, 10*time.Millisecond, 5*time.Minute)
		s.timeout = d
	}
}

// WithAttempts is how often a batch is put before it is dropped, 1 to 1000; 8
// without this option.
func WithAttempts(n int) LogOption {
	return func(s *logSettings) {
		s.within("WithAttempts", n, 1, 1000)
		s.attempts = n
	}
}

// WithBackoff is how long to wait after a first failure, 1 ms to 1 min, and how
// long at most, up to 10 min, doubling each time; 200 ms and 30 s without this
// option. Half of it is random, so that instances do not come back together.
func WithBackoff(first, most time.Duration) LogOption {
	return func(s *logSettings) {
		s.lasting("WithBackoff.first", first, time.Millisecond, time.Minute)
		s.lasting("WithBackoff.most", most, max(first, 0), 10*time.Minute)
		s.firstPause, s.longest = first, most
	}
}

// OnError is told of every failed call, on a goroutine of its own and in order.
// It must not log through the handler, which would feed on its own failures.
func OnError(callback func(error)) LogOption {
	return func(s *logSettings) {
		if callback == nil {
			s.fault("OnError", nil, "needs a function")
		}
		s.onError = notify.New(callback)
	}
}

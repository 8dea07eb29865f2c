package health

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// clock is the time with what may happen to it.
type clock struct {
	set    atomic.Int64 // by which somebody has set the wall clock
	frozen atomic.Int64 // for which the process did not run
}

func (c *clock) now() time.Time {
	return stepped(time.Now().Add(time.Duration(c.frozen.Load())), time.Duration(c.set.Load()))
}

func (c *clock) option() Option { return func(s *settings) { s.clock = c.now } }

// stepped is a reading taken after the wall clock was set: its wall time is
// another, and its monotonic time is not. It is put together here because the
// clock of a synctest bubble has no monotonic time of its own.
func stepped(t time.Time, by time.Duration) time.Time {
	var t2 time.Time
	type reading struct {
		wall uint64 // a flag, 33 bits of seconds since 1885, 30 bits of nanoseconds
		ext  int64  // monotonic nanoseconds
		loc  *time.Location
	}
	r := (*reading)(unsafe.Pointer(&t2))
	since1885 := t.Add(by).Unix() + 2_682_288_000
	r.wall = 1<<63 | uint64(since1885)<<30 | uint64(t.Nanosecond())
	r.ext = int64(t.Sub(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)))
	if got := t2.Round(0).Sub(t.Round(0)); got != by {
		panic("package time keeps readings in another way: " + got.String())
	}
	return t2
}

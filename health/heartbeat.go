package health

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Heartbeat tells whether something goes on: a loop beats, and its Check fails
// when it has been silent for too long. It is the best check for liveness there
// is, as it fails for what a restart cures, such as a deadlock. Its methods are
// safe for concurrent use; make one with [NewHeartbeat].
type Heartbeat struct {
	silence time.Duration
	epoch   time.Time
	last    atomic.Int64 // since epoch
}

// NewHeartbeat returns a Heartbeat that has just beaten. silence is how long it
// may be silent, above 0: more than the longest round of the loop takes.
func NewHeartbeat(silence time.Duration) *Heartbeat {
	return &Heartbeat{silence: silence, epoch: time.Now()}
}

// Beat says that it goes on. It costs a look at the clock and no allocation.
func (b *Heartbeat) Beat() { b.last.Store(int64(time.Since(b.epoch))) }

// Check is a check of the Heartbeat. It fails at the first silence, since that
// is measured already, unless an option says otherwise.
func (b *Heartbeat) Check() Check {
	c := Check{usual: []CheckOption{FailAfter(1)}}
	if b.silence <= 0 {
		c.fault("NewHeartbeat", b.silence, "must be above 0")
	}
	c.run = func(ctx context.Context) error {
		silent := time.Since(b.epoch) - time.Duration(b.last.Load())
		Observe(ctx, "silence", silent.Seconds(), "s")
		if silent > b.silence {
			return fmt.Errorf("no heartbeat for %v", silent.Round(time.Millisecond))
		}
		return nil
	}
	return c
}

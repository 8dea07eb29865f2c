package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// effort is how long a closed loop runs for a measurement.
type effort struct {
	warm time.Duration // does not count
	long time.Duration
}

var errNoAnswer = errors.New("the capacity could not be measured, because no request was answered with a status of 2xx or 3xx")

// climb finds the capacity of a service nobody knows anything about: a closed
// loop with twice the concurrency each time, until two doublings in a row have
// not gained 3 %.
func climb(ctx context.Context, connect connector, e effort, say func(n int, rps float64)) float64 {
	best, idle := 0.0, 0
	for n := 1; n <= 2048 && idle < 2 && ctx.Err() == nil; n *= 2 {
		rps := saturate(ctx, connect, n, e)
		say(n, rps)
		if rps < best*1.03 {
			idle++
		} else {
			idle = 0
		}
		best = max(best, rps)
	}
	return best
}

// pulse is the median time of a few requests, one after the other, and false
// if one of them fails.
func pulse(ctx context.Context, connect connector) (time.Duration, bool) {
	c := connect(ctx)
	defer c.close()
	var took [5]time.Duration
	for i := range took {
		start := time.Now()
		status, err := c.do(0, start.Add(patience))
		if judge(status, err, 0, patience) != good {
			return 0, false
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took[:])
	return took[len(took)/2], true
}

// patience is how long a measurement waits for one answer.
const patience = 10 * time.Second

// settle waits until the pulse is about what it was when all was calm, and
// reports whether it is: a service of the user's own may still be working on
// what the bare run left it.
func settle(ctx context.Context, connect connector, calm, most time.Duration) bool {
	for end := time.Now().Add(most); time.Now().Before(end) && ctx.Err() == nil; {
		if now, ok := pulse(ctx, connect); ok && now <= 3*calm+20*time.Millisecond {
			return true
		}
		sleepUntil(ctx, time.Now(), 100*time.Millisecond)
	}
	return false
}

package health

import (
	"fmt"
	"sync"
)

// leave is the share of a threshold that a value has to fall below to leave it.
const leave = 0.9

// thresholds judge a value that is the worse the higher it is, with hysteresis:
// a threshold that was reached is left at 90 % of it. 0 is never reached.
type thresholds struct {
	warn, fail float64

	mu sync.Mutex
	at Status
}

func (t *thresholds) judge(value float64) Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	reached := func(threshold float64, s Status) bool {
		if threshold > 0 && t.at >= s {
			threshold *= leave
		}
		return threshold > 0 && value >= threshold
	}
	switch {
	case reached(t.fail, Fail):
		t.at = Fail
	case reached(t.warn, Warn):
		t.at = Warn
	default:
		t.at = Pass
	}
	return t.at
}

// verdict is the result of a check for a value.
func (t *thresholds) verdict(value float64, format string, args ...any) error {
	switch t.judge(value) {
	case Fail:
		return fmt.Errorf(format, args...)
	case Warn:
		return Warning(fmt.Errorf(format, args...))
	}
	return nil
}

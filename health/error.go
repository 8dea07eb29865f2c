package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// TimeoutError is the result of a check that did not return in time.
type TimeoutError struct {
	// After is how long it had been running.
	After time.Duration
	// Stuck says that it ignored its context and is still running. It is not
	// started again before it returns.
	Stuck bool
}

// Error says how long the check has been running.
func (e *TimeoutError) Error() string {
	if e.Stuck {
		return fmt.Sprintf("stuck: running for %v", e.After)
	}
	return fmt.Sprintf("timed out after %v", e.After)
}

// Timeout returns true.
func (e *TimeoutError) Timeout() bool { return true }

// Is says that it is a [context.DeadlineExceeded].
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// PanicError is the result of a check that panicked.
type PanicError struct {
	Value any
	// Stack is where, cut to 16 KiB. It is logged with the transition that the
	// panic causes, and shown nowhere.
	Stack []byte
}

// Error tells the value and not the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

var (
	// ErrGoexit is the result of a check that ended its goroutine.
	ErrGoexit = errors.New("the check called runtime.Goexit")
	// ErrStale is the result of a check that has not returned for its MaxAge.
	ErrStale = errors.New("stale")
)

// maxText bounds the text of an error wherever it is shown or logged.
const maxText = 1024

// printable is one line of text that can be shown: bounded, valid UTF-8, and
// without control characters, which could forge further lines.
func printable(s string) string {
	cut := len(s) > maxText
	if cut {
		s = s[:maxText]
		for len(s) > 0 {
			if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if cut {
		s += "..."
	}
	return s
}

package health

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Transition is a change of status: of one check, or of a group.
type Transition struct {
	// Name is that of the Health.
	Name string
	// Check is the check's name, and "" where a group changed.
	Check string
	// Group is what the check counts for, or the group that changed.
	Group    Group
	From, To Status
	// Err is the result that To is for: what the check returned, a
	// *[TimeoutError], a *[PanicError], [ErrGoexit] or [ErrStale]. It is nil for
	// Pass and for groups.
	Err error
	At  time.Time

	text string
}

// write logs a transition.
func (h *Health) write(t Transition) {
	logger := h.set.logger
	if logger == nil {
		logger = slog.Default()
	}
	at := map[Status]slog.Level{Warn: slog.LevelWarn, Fail: slog.LevelError}[t.To]
	attrs := make([]slog.Attr, 0, 7)
	if t.Name != "" {
		attrs = append(attrs, slog.String("health", t.Name))
	}
	message := "health of a group changed"
	if t.Check != "" {
		message = "health check changed"
		attrs = append(attrs, slog.String("check", t.Check))
	}
	attrs = append(attrs, slog.String("group", t.Group.String()), slog.String("from", t.From.String()), slog.String("to", t.To.String()))
	if t.Err != nil {
		attrs = append(attrs, slog.String("error", t.text))
		if p, ok := t.Err.(*PanicError); ok {
			attrs = append(attrs, slog.String("stack", string(p.Stack)))
		}
	}
	logger.LogAttrs(context.Background(), at, message, attrs...)
}

// tell raises a transition. It is called with the lock held, which keeps the
// order, and returns at once.
func (h *Health) tell(t Transition) {
	t.Name, t.At = h.set.name, h.set.clock()
	h.log.Raise(t)
	h.set.onChange.Raise(t)
}

// reason is what a check's status is for.
func (c *check) reason(status Status, stale bool) (text string, err error) {
	switch {
	case stale:
		return ErrStale.Error() + ": no result in time for " + c.set.maxAge.String(), ErrStale
	case status == Pass:
		return "", nil
	case c.concern == nil:
		return errInitially.Error(), errInitially
	default:
		return c.text, c.concern
	}
}

var errInitially = errors.New("not checked yet")

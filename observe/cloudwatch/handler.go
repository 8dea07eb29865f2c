package cloudwatch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/handrail-go/handrail"
)

// Handler is a [slog.Handler] that formats records as [slog.JSONHandler] does
// and puts them in batches. Handle never waits for the client and never fails;
// what becomes of a record is in Stats. It is safe for concurrent use, and those
// that WithAttrs and WithGroup derive share everything with it.
type Handler struct {
	sender *sender
	json   slog.Handler // nil where its attributes could not be formatted
}

var (
	_ slog.Handler    = (*Handler)(nil)
	_ handrail.Source = (*Handler)(nil)
)

// NewHandler returns a Handler in front of a client. It begins a goroutine, which
// Close ends.
func NewHandler(client Client, opts ...LogOption) (*Handler, error) {
	set := logDefaults()
	err := set.apply(opts)
	if client == nil {
		err = errors.Join(&handrail.OptionError{Package: "cloudwatch", Option: "NewHandler", Reason: "needs a client"}, err)
	}
	if err != nil {
		return nil, err
	}
	json := slog.NewJSONHandler(capture{set.maxEvent}, set.options())
	return &Handler{newSender(client, &set), json}, nil
}

// Enabled implements [slog.Handler].
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.sender.set.level.Level()
}

// Handle implements [slog.Handler]. It keeps nothing of the record, takes about
// twice as long as [slog.JSONHandler] with a writer that does nothing, and
// returns nil always.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	formatted := false
	defer func() {
		if !formatted {
			recover()
			h.sender.queue.refuse(LossFormat)
		}
	}()
	message, shortened, ok := h.format(ctx, r)
	if !ok {
		return nil
	}
	formatted = true
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	h.sender.queue.offer(at, message, shortened)
	return nil
}

// WithAttrs implements [slog.Handler].
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.derive(func(json slog.Handler) slog.Handler { return json.WithAttrs(attrs) })
}

// WithGroup implements [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.derive(func(json slog.Handler) slog.Handler { return json.WithGroup(name) })
}

// derive formats attributes at once: what they point to may change later.
func (h *Handler) derive(with func(slog.Handler) slog.Handler) (child *Handler) {
	child = &Handler{sender: h.sender}
	defer func() {
		if child.json == nil {
			recover() // records of the child are dropped instead
		}
	}()
	if h.json != nil {
		child.json = with(h.json)
	}
	return child
}

// capture is the writer of the JSONHandler that all share, which formats without
// a lock and holds one while it writes. What is written comes back to the caller
// of Handle as the error of the writer.
type capture struct{ most int }

type captured struct {
	message string // without its end; "" where it is too long
	length  int
}

func (*captured) Error() string { return "cloudwatch: a record was captured" }

var captures = sync.Pool{New: func() any { return &captured{} }}

func (c capture) Write(line []byte) (int, error) {
	text := bytes.TrimSuffix(line, []byte("\n"))
	got := captures.Get().(*captured)
	got.length = len(text)
	if len(text) <= c.most {
		got.message = string(text)
	}
	return len(line), got
}

func (s *logSettings) options() *slog.HandlerOptions {
	return &slog.HandlerOptions{AddSource: s.source, ReplaceAttr: s.replace, Level: slog.Level(math.MinInt)}
}

// format returns a record as one line without its end, unless it cannot.
func (h *Handler) format(ctx context.Context, r slog.Record) (message string, shortened, ok bool) {
	if h.json == nil {
		return "", false, false
	}
	got, ok := h.json.Handle(ctx, r).(*captured)
	if !ok {
		return "", false, false
	}
	message, length := got.message, got.length
	got.message = ""
	captures.Put(got)
	if !utf8.ValidString(message) { // a json.RawMessage may hold anything
		message = strings.ToValidUTF8(message, "\ufffd")
	}
	if most := h.sender.set.maxEvent; length > most || len(message) > most {
		return h.shorten(r, length), true, true
	}
	return message, false, true
}

// shorten is the record without its attributes, and with as much of its message
// as there is room for: still JSON, which a line that is cut would not be.
func (h *Handler) shorten(r slog.Record, length int) string {
	bare := func(message string, options *slog.HandlerOptions) string {
		short := slog.NewRecord(r.Time, r.Level, message, 0)
		short.AddAttrs(slog.Int("shortened_from_bytes", length))
		var buf bytes.Buffer
		slog.NewJSONHandler(&buf, options).Handle(context.Background(), short)
		return strings.ToValidUTF8(strings.TrimSuffix(buf.String(), "\n"), "\ufffd")
	}
	// Escaping makes up to six bytes of one.
	text := strings.ToValidUTF8(cut(r.Message, (h.sender.set.maxEvent-256)/6), "\ufffd")
	line := bare(text, &slog.HandlerOptions{ReplaceAttr: h.sender.set.replace})
	if len(line) > h.sender.set.maxEvent {
		// What WithReplaceAttr would make of it has no room, and the message as
		// it was may be what it is there to hide.
		line = bare("", nil)
	}
	return line
}

package cloudwatch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
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
	sender  *sender
	derived []derivation
	formats *sync.Pool
}

var (
	_ slog.Handler    = (*Handler)(nil)
	_ handrail.Source = (*Handler)(nil)
)

// derivation is a WithAttrs or a WithGroup.
type derivation struct {
	attrs []slog.Attr
	group string
}

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
	h := &Handler{sender: newSender(client, &set)}
	h.formats = h.pool()
	return h, nil
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
	message, shortened := h.format(ctx, r)
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
	return h.derive(derivation{attrs: slices.Clone(attrs)})
}

// WithGroup implements [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.derive(derivation{group: name})
}

func (h *Handler) derive(d derivation) *Handler {
	child := &Handler{sender: h.sender, derived: append(slices.Clone(h.derived), d)}
	child.formats = child.pool()
	return child
}

// format is a buffer and a JSONHandler that writes into it. One that is shared
// would have to be locked while it formats.
type format struct {
	buf  bytes.Buffer
	json slog.Handler
}

func (h *Handler) pool() *sync.Pool {
	return &sync.Pool{New: func() any {
		f := &format{}
		f.json = slog.NewJSONHandler(&f.buf, h.sender.set.options())
		for _, d := range h.derived {
			if d.group != "" {
				f.json = f.json.WithGroup(d.group)
			} else {
				f.json = f.json.WithAttrs(d.attrs)
			}
		}
		return f
	}}
}

func (s *logSettings) options() *slog.HandlerOptions {
	return &slog.HandlerOptions{AddSource: s.source, ReplaceAttr: s.replace, Level: slog.Level(math.MinInt)}
}

// format returns a record as one line without its end.
func (h *Handler) format(ctx context.Context, r slog.Record) (message string, shortened bool) {
	f := h.formats.Get().(*format)
	f.buf.Reset()
	f.json.Handle(ctx, r)
	line := bytes.TrimSuffix(f.buf.Bytes(), []byte("\n"))
	if !utf8.Valid(line) { // a json.RawMessage may hold anything
		line = bytes.ToValidUTF8(line, []byte("\ufffd"))
	}
	if most := h.sender.set.maxEvent; len(line) > most {
		message, shortened = h.shorten(r, len(line)), true
	} else {
		message = string(line)
	}
	if f.buf.Cap() <= 64<<10 { // one huge record must not be kept for ever
		h.formats.Put(f)
	}
	return message, shortened
}

// shorten is the record without its attributes, and with as much of its message
// as there is room for: still JSON, which a line that is cut would not be.
func (h *Handler) shorten(r slog.Record, length int) string {
	// Escaping makes up to six bytes of one.
	text := strings.ToValidUTF8(cut(r.Message, (h.sender.set.maxEvent-256)/6), "\ufffd")
	bare := slog.NewRecord(r.Time, r.Level, text, 0)
	bare.AddAttrs(slog.Int("shortened_from_bytes", length))
	var buf bytes.Buffer
	slog.NewJSONHandler(&buf, nil).Handle(context.Background(), bare)
	return strings.TrimSuffix(buf.String(), "\n")
}

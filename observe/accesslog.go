package observe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
	"github.com/handrail-go/handrail/internal/option"
	"github.com/handrail-go/handrail/internal/text"
)

// The messages of an [AccessLog]. They are constant, so that lines can be
// counted by them.
const (
	MessageRequest    = "http request"
	MessageRefused    = "http requests refused"
	MessageSuppressed = "http requests suppressed"
)

// AccessLog is a [Sink] that writes a line for each request to a slog.Handler.
// It is safe for concurrent use, and may be the sink of any number of
// observers.
type AccessLog struct {
	set  logSettings
	name names
	// to writes the lines. Where it is one of package slog's or of ours it is
	// known to keep nothing of them and not to ask the context. It is json as
	// well where it takes lines that are written already.
	to    slog.Handler
	known bool
	json  *jsonHandler

	samples uint64
	lines   sync.Pool
	errors  errorLimits
	refused refusals
	queue   *queue
	// flushing is full while somebody flushes.
	flushing chan struct{}

	tally struct {
		logged, written, dropped, failed atomic.Uint64
		sampledOut, suppressed, counted  atomic.Uint64
		filtered                         atomic.Uint64
	}
	closed atomic.Bool
}

// NewAccessLog returns an access log that writes to h, such as
// [NewJSONHandler](os.Stdout, nil), with which a line costs least, or
// logger.Handler(), or all the faults of its arguments, joined, each an
// [*handrail.OptionError]. Without options it tells of every request, but of
// refused ones once a second how many there were, and of repeated errors at
// most ten a second.
func NewAccessLog(h slog.Handler, opts ...LogOption) (*AccessLog, error) {
	l := &AccessLog{set: defaultLog(), flushing: make(chan struct{}, 1)}
	option.Apply(&l.set.Faults, &l.set, opts)
	l.set.Given("NewAccessLog", h != nil, "a handler")
	if l.set.schema < schemas {
		l.name = schemaNames[l.set.schema]
		if l.set.reserved(l.set.group) {
			l.set.Fault("WithGroup", l.set.group, "is the name of something else in the line")
		}
	}
	if err := l.set.Err(); err != nil {
		return nil, err
	}
	for ids, ok := h.(*idHandler); ok; ids, ok = h.(*idHandler) {
		h = ids.next // the lines have the ids already
	}
	l.to = h
	switch h := h.(type) {
	case *slog.JSONHandler, *slog.TextHandler:
		l.known = true
	case *jsonHandler:
		l.known = true
		if h.plain {
			l.json = h
		}
	}
	l.samples = threshold(l.set.sampling)
	l.lines.New = func() any {
		if l.json != nil {
			return &line{json: make([]byte, 0, lineBytes)}
		}
		return &line{attrs: make([]slog.Attr, 0, lineAttrs)}
	}
	l.errors.init(l.set.errorRate, l.set.errorBurst)
	l.refused.init(l.set.refusals, l.writeRefused)
	if l.set.queue > 0 {
		l.queue = newQueue(l.set.queue, l.write)
	}
	return l, nil
}

// Start implements [Starter]: it notes what a handler could change.
func (l *AccessLog) Start(x *Exchange) {
	n := &x.note
	if !n.taken {
		n.take(x.Request)
	}
	if l.set.client == nil && len(l.set.headers) == 0 || n.of(l) {
		return
	}
	if n.own == nil {
		n.own = make([]notedValue, 0, 1+len(l.set.headers))
	}
	if l.set.client != nil {
		n.own = append(n.own, notedValue{l, l.name.client, text.Cut(l.set.client(x.Request), l.set.maxValue)})
	}
	for i, name := range l.set.headers {
		values := x.Request.Header[name]
		if len(values) == 0 {
			continue
		}
		value := Redacted
		if !l.set.redacted.has(name) {
			value = joined(values, l.set.maxValue)
		}
		n.own = append(n.own, notedValue{l, l.set.headerKeys[i], value})
	}
}

// joined are the values of a header, cut to n bytes.
func joined(values []string, n int) string {
	if len(values) == 1 {
		return text.Cut(values[0], n)
	}
	var all []byte
	for i, v := range values {
		if i > 0 {
			all = append(all, ", "...)
		}
		if all = append(all, text.Cut(v, n)...); len(all) > n {
			break
		}
	}
	return text.Cut(string(all), n)
}

// Observe implements [Sink].
func (l *AccessLog) Observe(x *Exchange) {
	if x.Cause.Refused() && x.Panic == nil && x.Status >= http.StatusBadRequest && l.set.refusals > 0 {
		if l.to.Enabled(x.Context(), slog.LevelWarn) {
			l.tally.counted.Add(1)
			l.refused.add(x.Cause)
		} else {
			l.tally.filtered.Add(1)
		}
		return
	}
	level := l.level(x)
	slow := l.set.slow > 0 && x.Duration > l.set.slow && !x.LongLived
	if slow {
		level = max(level, slog.LevelWarn)
	}
	if !l.to.Enabled(x.Context(), level) {
		l.tally.filtered.Add(1)
		return
	}
	var of *errorLimit
	var suppressed uint64
	switch {
	case x.ErrorType != "":
		var admitted bool
		if of, suppressed, admitted = l.errors.admit(x, level); !admitted {
			l.tally.suppressed.Add(1)
			return
		}
	case level < slog.LevelWarn && !l.sampled(x):
		l.tally.sampledOut.Add(1)
		return
	}
	if !x.note.taken {
		x.note.take(x.Request)
	}
	ln := l.lines.Get().(*line)
	ln.fill(l, x, level, suppressed)
	if !l.known {
		ln.ctx = detached{x.Context()}
	}
	if !l.log(ln) && suppressed > 0 {
		l.errors.keep(of, level, suppressed)
	}
}

// level is that of the line.
func (l *AccessLog) level(x *Exchange) slog.Level {
	switch {
	case l.set.level != nil:
		return l.set.level(x)
	case x.Panic != nil, x.Status >= http.StatusInternalServerError && !x.Cause.Refused():
		return slog.LevelError
	}
	return slog.LevelInfo
}

// sampled says whether an exchange is one of those that are kept.
func (l *AccessLog) sampled(x *Exchange) bool {
	if l.set.sampling == 1 {
		return true
	}
	if x.Trace.Valid() {
		var n uint64
		for _, b := range x.Trace.TraceID[8:] {
			n = n<<8 | uint64(b)
		}
		return n>>1 < l.samples
	}
	return rand.Uint64()>>1 < l.samples
}

// log writes a line, or has it written. It reports false where there is no room
// now, but may be later.
func (l *AccessLog) log(ln *line) bool {
	l.tally.logged.Add(1)
	if l.queue == nil {
		l.write(ln)
		return true
	}
	if l.queue.add(ln) {
		return true
	}
	l.tally.dropped.Add(1)
	l.free(ln)
	return l.closed.Load()
}

// write hands a line to the handler, whose panic costs no more than the line.
func (l *AccessLog) write(ln *line) {
	done := false
	defer func() {
		if !done {
			l.tally.failed.Add(1)
			_ = recover()
		}
	}()
	var err error
	if ln.to != nil {
		err = ln.to.write(ln)
	} else {
		err = l.hand(ln)
	}
	done = true
	if err != nil {
		l.tally.failed.Add(1)
	} else {
		l.tally.written.Add(1)
	}
	l.free(ln)
}

// hand hands a line to the handler as a record.
func (l *AccessLog) hand(ln *line) error {
	rec := slog.NewRecord(ln.at, ln.level, ln.message, 0)
	if !l.known {
		rec.AddAttrs(ln.attrs...)
		return l.to.Handle(ln.ctx, rec)
	}
	// A group without a name is written as if its attributes stood alone, and is
	// not copied.
	rec.AddAttrs(slog.Attr{Value: slog.GroupValue(ln.attrs...)})
	return l.to.Handle(context.Background(), rec)
}

// free makes a line reusable: either the handler is known to keep nothing of it,
// or it was given a copy, but for the group.
func (l *AccessLog) free(ln *line) {
	clear(ln.attrs)
	ln.attrs, ln.ctx, ln.to = ln.attrs[:0], nil, nil
	if l.known {
		clear(ln.app)
		ln.app = ln.app[:0]
	} else {
		ln.app = nil
	}
	if cap(ln.json) > mostBytes {
		ln.json = nil // one huge line must not be kept for ever
	}
	l.lines.Put(ln)
}

// writeRefused writes the line of refused requests.
func (l *AccessLog) writeRefused(c Cause, n uint64) bool {
	ln := l.lines.Get().(*line)
	ln.begin(l.json, time.Now(), slog.LevelWarn, MessageRefused)
	ln.text(errorTypeKey, c.Outcome)
	ln.cause(c)
	ln.uint(countKey, n)
	ln.ctx = context.Background()
	return l.log(ln)
}

// writeSuppressed writes the line of what was suppressed since the last one.
func (l *AccessLog) writeSuppressed(of errorKey, level slog.Level, n uint64) bool {
	ln := l.lines.Get().(*line)
	ln.begin(l.json, time.Now(), level, MessageSuppressed)
	ln.text(l.name.route, of.route)
	ln.text(errorTypeKey, of.errorType)
	ln.uint(suppressedKey, n)
	ln.ctx = context.Background()
	return l.log(ln)
}

// Flush writes what was only counted until now, and returns when all lines so
// far are written, or dropped by Close, or ctx is done: then it returns its
// error. Of several at a time each waits for its turn.
func (l *AccessLog) Flush(ctx context.Context) error {
	select {
	case l.flushing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	flushed := make(chan struct{})
	if l.queue == nil {
		// The handler may stand still.
		go func() {
			defer close(flushed)
			defer func() { <-l.flushing }()
			l.tell()
		}()
	} else {
		l.tell()
		l.queue.passed(flushed)
		<-l.flushing
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		if l.queue != nil {
			l.queue.forget(flushed)
		}
		return ctx.Err()
	}
}

// tell writes what was only counted.
func (l *AccessLog) tell() {
	l.refused.flush()
	l.errors.flush(l.writeSuppressed)
}

// CloseTimeout is how long Close waits for a handler at most.
const CloseTimeout = 5 * time.Second

// Close is Flush for at most [CloseTimeout]. If the log is asynchronous, lines
// that are not written then, and all that come later, are dropped and counted;
// else it goes on writing. It is for the end, when the server has been shut
// down; a second Close does nothing.
func (l *AccessLog) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), CloseTimeout)
	defer cancel()
	err := l.Flush(ctx)
	if l.queue != nil {
		l.tally.dropped.Add(uint64(l.queue.close()))
	}
	return err
}

// LogStats are the figures of an AccessLog at one moment. Counts are since it
// was made.
type LogStats struct {
	// Logged lines were to be written: Logged is Written + Failed + Dropped +
	// Queued. Failed ones are those of which the handler returned an error or
	// panicked; Dropped ones found the queue full or the log closed.
	Logged, Written, Failed, Dropped uint64
	// Queued lines wait to be written, or are just being.
	Queued int
	// SampledOut, Suppressed, Counted and Filtered are requests without a line:
	// by WithSampling, by WithErrorLimit, counted by WithRefusals, and below
	// the level of the handler.
	SampledOut, Suppressed, Counted, Filtered uint64
}

// Stats returns the figures.
func (l *AccessLog) Stats() LogStats {
	t := &l.tally
	out := LogStats{
		Written: t.written.Load(), Failed: t.failed.Load(), Dropped: t.dropped.Load(),
		SampledOut: t.sampledOut.Load(), Suppressed: t.suppressed.Load(),
		Counted: t.counted.Load(), Filtered: t.filtered.Load(),
	}
	out.Logged = t.logged.Load()
	out.Queued = int(max(out.Logged-out.Written-out.Failed-out.Dropped, 0))
	return out
}

// Collect implements [handrail.Source].
func (l *AccessLog) Collect(emit func(handrail.Metric)) {
	s := l.Stats()
	m := metric.New("handrail_observe_log_", l.set.name, emit)
	for _, lines := range []struct {
		result string
		n      uint64
	}{{"written", s.Written}, {"failed", s.Failed}, {"dropped", s.Dropped}} {
		m.Counter("lines", "Lines of the access log.", lines.n, handrail.Label{Name: "result", Value: lines.result})
	}
	for _, without := range []struct {
		reason string
		n      uint64
	}{{"sampling", s.SampledOut}, {"error_limit", s.Suppressed}, {"refused", s.Counted}, {"level", s.Filtered}} {
		m.Counter("omitted_requests", "Requests without a line of their own.", without.n,
			handrail.Label{Name: "reason", Value: without.reason})
	}
	m.Gauge("queued_lines", "Lines that wait to be written.", float64(s.Queued))
}

// detached is a request's context for a handler that may look into it: it does
// not end with the request, and shows no ids, which the line has already.
type detached struct{ context.Context }

func (detached) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}                   { return nil }
func (detached) Err() error                              { return nil }

func (d detached) Value(key any) any {
	if key == (holderKey{}) {
		return nil
	}
	return d.Context.Value(key)
}

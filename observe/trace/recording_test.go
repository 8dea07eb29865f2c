package trace_test

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otel "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/handrail-go/handrail/observe/trace"
)

// recording is a tracer provider that keeps what it is told, and no more than
// the API: it goes on with the trace of the context, and asks sample.
type recording struct {
	embedded.TracerProvider
	sample func(parent otel.SpanContext) bool // nil is all

	mu    sync.Mutex
	last  uint64
	spans []*span
	scope string
}

func (p *recording) Tracer(name string, _ ...otel.TracerOption) otel.Tracer {
	p.scope = name
	return &tracer{p: p}
}

type tracer struct {
	embedded.Tracer
	p *recording
}

// span is one that was begun. What is not recorded has no attributes.
type span struct {
	embedded.Span
	p         *recording
	sc        otel.SpanContext
	parent    otel.SpanContext
	kind      otel.SpanKind
	recording bool
	links     []otel.Link

	mu          sync.Mutex
	name        string
	atStart     []attribute.KeyValue
	attrs       []attribute.KeyValue
	status      codes.Code
	description string
	events      []event
	ended       int
	late        int // calls after the end
}

type event struct {
	name  string
	attrs map[attribute.Key]attribute.Value
}

func (t *tracer) Start(ctx context.Context, name string, opts ...otel.SpanStartOption) (context.Context, otel.Span) {
	c := otel.NewSpanStartConfig(opts...)
	parent := otel.SpanContextFromContext(ctx)
	if c.NewRoot() {
		parent = otel.SpanContext{}
	}
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	id := otel.SpanContextConfig{TraceID: parent.TraceID(), TraceState: parent.TraceState()}
	binary.BigEndian.PutUint64(id.SpanID[:], p.last)
	if !id.TraceID.IsValid() {
		binary.BigEndian.PutUint64(id.TraceID[:], p.last<<32|0xaa)
	}
	s := &span{p: p, name: name, parent: parent, kind: c.SpanKind(), links: c.Links(), atStart: c.Attributes(), recording: p.sample == nil || p.sample(parent)}
	if s.recording {
		id.TraceFlags = otel.FlagsSampled
		s.attrs = slices.Clone(c.Attributes())
	}
	s.sc = otel.NewSpanContext(id)
	p.spans = append(p.spans, s)
	return otel.ContextWithSpan(ctx, s), s
}

func (s *span) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended > 0 {
		s.late++
	} else if s.recording {
		f()
	}
}

func (s *span) End(...otel.SpanEndOption) {
	s.mu.Lock()
	s.ended++
	s.mu.Unlock()
}
func (s *span) AddEvent(name string, opts ...otel.EventOption) {
	c := otel.NewEventConfig(opts...)
	s.do(func() { s.events = append(s.events, event{name, table(c.Attributes())}) })
}
func (s *span) AddLink(l otel.Link) { s.do(func() { s.links = append(s.links, l) }) }
func (s *span) IsRecording() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recording && s.ended == 0
}
func (s *span) RecordError(err error, opts ...otel.EventOption) { s.AddEvent("exception", opts...) }
func (s *span) SpanContext() otel.SpanContext                   { return s.sc }
func (s *span) SetStatus(c codes.Code, d string)                { s.do(func() { s.status, s.description = c, d }) }
func (s *span) SetName(name string)                             { s.do(func() { s.name = name }) }
func (s *span) SetAttributes(kv ...attribute.KeyValue) {
	s.do(func() { s.attrs = append(s.attrs, kv...) })
}
func (s *span) TracerProvider() otel.TracerProvider { return s.p }

func table(all []attribute.KeyValue) map[attribute.Key]attribute.Value {
	m := map[attribute.Key]attribute.Value{}
	for _, kv := range all {
		m[kv.Key] = kv.Value
	}
	return m
}

// get is an attribute as text, "" where it is missing.
func (s *span) get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := table(s.attrs)[attribute.Key(key)]
	if !ok {
		return ""
	}
	return v.String()
}

// all are the attributes as text.
func (s *span) all() map[string]string {
	m := map[string]string{}
	for k, v := range table(s.attrs) {
		m[string(k)] = v.String()
	}
	return m
}

// take returns the spans there were, each of which must have ended once and
// been left alone after that.
func (p *recording) take(t testing.TB) []*span {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.spans
	p.spans = nil
	for _, s := range all {
		s.mu.Lock()
		if s.ended != 1 || s.late != 0 {
			t.Errorf("span %q was ended %d times, and used %d times after that", s.name, s.ended, s.late)
		}
		s.mu.Unlock()
	}
	return all
}

// one is the only span there was.
func (p *recording) one(t testing.TB) *span {
	t.Helper()
	all := p.take(t)
	if len(all) != 1 {
		t.Fatalf("there were %d spans", len(all))
	}
	return all[0]
}

func newTracer(t testing.TB, p *recording, opts ...trace.Option) *trace.Tracer {
	t.Helper()
	tr, err := trace.New(append([]trace.Option{trace.WithTracerProvider(p)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

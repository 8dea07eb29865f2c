package trace_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail/observe/trace"
)

const (
	root    = "1-5759e988-bd862e3fe1be46a994272793"
	traceID = "5759e988bd862e3fe1be46a994272793"
	parent  = "53995c3f42cd8ad8"
	header  = "X-Amzn-Trace-Id"
)

func carry(values ...string) propagation.HeaderCarrier {
	return propagation.HeaderCarrier(http.Header{header: values})
}

// The forms that AWS services, their SDKs and proxies between them send.
func TestTheTraceGoesOnInEveryFormOfTheHeader(t *testing.T) {
	standIn := traceID[16:]
	for name, tt := range map[string]struct {
		header  []string
		trace   string // "" is none
		parent  string
		sampled bool
		dropped bool // the parent, which had not decided
	}{
		"an SDK's":                           {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled=1"}, traceID, parent, true, false},
		"not sampled":                        {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled=0"}, traceID, parent, false, false},
		"in another order":                   {[]string{"Sampled=1;Parent=" + parent + ";Root=" + root}, traceID, parent, true, false},
		"a load balancer's":                  {[]string{"Root=" + root}, traceID, "", false, false},
		"a load balancer's behind another":   {[]string{"Self=1-67891234-12456789abcdef012345678a;Root=" + root}, traceID, "", false, false},
		"with Self behind":                   {[]string{"Root=" + root + ";Self=1-67891234-12456789abcdef012345678a"}, traceID, "", false, false},
		"an API gateway's":                   {[]string{"Root=" + root + ";Sampled=1"}, traceID, "", true, false},
		"refused without a parent":           {[]string{"Root=" + root + ";Sampled=0"}, traceID, standIn, false, false},
		"not decided":                        {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled=?"}, traceID, "", false, true},
		"nothing said of a decision":         {[]string{"Root=" + root + ";Parent=" + parent}, traceID, "", false, true},
		"nothing that is a decision":         {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled=yes"}, traceID, "", false, true},
		"an empty decision":                  {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled="}, traceID, "", false, true},
		"Lambda's":                           {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled=1;Lineage=25:3d2d01e7:0|1:a87bd80c:0"}, traceID, parent, true, false},
		"with spaces":                        {[]string{" Root=" + root + " ; Parent = " + parent + " ;\tSampled=1 "}, traceID, parent, true, false},
		"with an end":                        {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled=1;"}, traceID, parent, true, false},
		"with empty fields":                  {[]string{";;Root=" + root + ";;Parent=" + parent + ";Sampled=1"}, traceID, parent, true, false},
		"with a field of an application":     {[]string{"Root=" + root + ";CalledFrom=app;Parent=" + parent + ";Sampled=1"}, traceID, parent, true, false},
		"with a word that is no field":       {[]string{"verbose;Root=" + root + ";Parent=" + parent + ";Sampled=1"}, traceID, parent, true, false},
		"in small letters":                   {[]string{"root=" + root + ";parent=" + parent + ";sampled=1"}, traceID, parent, true, false},
		"with digits in capitals":            {[]string{"Root=" + strings.ToUpper(root) + ";Parent=" + strings.ToUpper(parent) + ";Sampled=1"}, traceID, parent, true, false},
		"a root of another time":             {[]string{"Root=1-ffffffff-bd862e3fe1be46a994272793"}, "ffffffffbd862e3fe1be46a994272793", "", false, false},
		"twice the same field":               {[]string{"Root=" + root + ";Root=1-00000001-bd862e3fe1be46a994272793;Parent=" + parent + ";Parent=1111111111111111;Sampled=1;Sampled=0"}, traceID, parent, true, false},
		"a bad parent":                       {[]string{"Root=" + root + ";Parent=53995c3f42cd8ad;Sampled=1"}, traceID, "", true, false},
		"a parent that is too long":          {[]string{"Root=" + root + ";Parent=" + parent + "ff;Sampled=1"}, traceID, "", true, false},
		"a parent of zeros":                  {[]string{"Root=" + root + ";Parent=0000000000000000;Sampled=1"}, traceID, "", true, false},
		"a parent that is no number":         {[]string{"Root=" + root + ";Parent=53995c3f42cd8adg;Sampled=?"}, traceID, "", false, false},
		"two headers":                        {[]string{"Root=nonsense", "Root=" + root + ";Parent=" + parent + ";Sampled=1"}, traceID, parent, true, false},
		"two headers in one":                 {[]string{"Root=nonsense, Root=" + root + ";Parent=" + parent + ";Sampled=1"}, traceID, parent, true, false},
		"the first of two in one":            {[]string{"Root=" + root + ";Parent=" + parent + ";Sampled=1, Root=1-00000001-bd862e3fe1be46a994272793"}, traceID, parent, true, false},
		"at most 8 headers":                  {[]string{"", "", "", "", "", "", "", "", "Root=" + root}, "", "", false, false},
		"nothing":                            {nil, "", "", false, false},
		"empty":                              {[]string{""}, "", "", false, false},
		"no root":                            {[]string{"Parent=" + parent + ";Sampled=1"}, "", "", false, false},
		"Self only":                          {[]string{"Self=" + root}, "", "", false, false},
		"a root of zeros":                    {[]string{"Root=1-00000000-000000000000000000000000;Parent=" + parent + ";Sampled=1"}, "", "", false, false},
		"a root of another version":          {[]string{"Root=2-5759e988-bd862e3fe1be46a994272793"}, "", "", false, false},
		"a root that is too short":           {[]string{"Root=" + root[:34]}, "", "", false, false},
		"a root that is too long":            {[]string{"Root=" + root + "0"}, "", "", false, false},
		"a root that is no number":           {[]string{"Root=1-5759e988-bd862e3fe1be46a99427279x"}, "", "", false, false},
		"a root with a dash out of place":    {[]string{"Root=1-5759e9880-d862e3fe1be46a994272793"}, "", "", false, false},
		"a traceparent":                      {[]string{"00-" + traceID + "-" + parent + "-01"}, "", "", false, false},
		"as long as is read":                 {[]string{"Root=" + root + ";x=" + strings.Repeat("x", 1024-len("Root="+root+";x="))}, traceID, "", false, false},
		"longer than is read":                {[]string{"Root=" + root + ";x=" + strings.Repeat("x", 1025-len("Root="+root+";x="))}, "", "", false, false},
		"a megabyte of fields":               {[]string{strings.Repeat("a=b;", 1<<18) + "Root=" + root}, "", "", false, false},
		"a key that only begins like one":    {[]string{"Rooted=" + root + ";Root=" + root}, traceID, "", false, false},
		"a value with another equals sign":   {[]string{"x=a=b;Root=" + root}, traceID, "", false, false},
		"letters that fold to those of Root": {[]string{"Roo\u0166=" + root}, "", "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := context.Background()
			ctx := trace.XRay{}.Extract(before, carry(tt.header...))
			sc := otel.SpanContextFromContext(ctx)
			if tt.trace == "" {
				if ctx != before {
					t.Fatalf("there is a trace %v", sc)
				}
				return
			}
			wantParent := tt.parent
			if wantParent == "" {
				wantParent = "0000000000000000"
			}
			if sc.TraceID().String() != tt.trace || sc.SpanID().String() != wantParent || sc.IsSampled() != tt.sampled || !sc.IsRemote() {
				t.Errorf("trace %v, parent %v, sampled %v, remote %v", sc.TraceID(), sc.SpanID(), sc.IsSampled(), sc.IsRemote())
			}
			// Without a span of our own the header goes on, and with it the
			// parent that was dropped.
			out := http.Header{}
			trace.XRay{}.Inject(ctx, propagation.HeaderCarrier(out))
			if strings.Contains(out.Get(header), "Parent="+parent+";Sampled=?") != tt.dropped {
				t.Errorf("goes on as %q", out.Get(header))
			}
		})
	}
}

func TestAnotherFormatThatCameBeforeWins(t *testing.T) {
	both := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, trace.XRay{})
	h := http.Header{header: {"Root=" + root + ";Parent=" + parent + ";Sampled=0"}}
	h.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx := both.Extract(t.Context(), propagation.HeaderCarrier(h))
	if got := otel.SpanContextFromContext(ctx).TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the trace is %s", got)
	}
	h.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331") // broken
	ctx = both.Extract(t.Context(), propagation.HeaderCarrier(h))
	if got := otel.SpanContextFromContext(ctx).TraceID().String(); got != traceID {
		t.Errorf("beside a broken traceparent the trace is %s", got)
	}
	// A local span is no format: whoever extracts wants what the header says.
	local := otel.ContextWithSpanContext(t.Context(), otel.NewSpanContext(otel.SpanContextConfig{TraceID: otel.TraceID{1}, SpanID: otel.SpanID{1}}))
	ctx = trace.XRay{}.Extract(local, carry("Root="+root))
	if got := otel.SpanContextFromContext(ctx).TraceID().String(); got != traceID {
		t.Errorf("inside of a local span the trace is %s", got)
	}
}

func TestLambdaSaysToWhichTraceAnInvocationBelongs(t *testing.T) {
	in := func(trace string) string {
		return "Root=1-0000000" + trace + "-bd862e3fe1be46a994272793;Parent=" + parent + ";Sampled=1"
	}
	got := func(x trace.XRay, ctx context.Context) string {
		return otel.SpanContextFromContext(x.Extract(ctx, carry(in("1")))).TraceID().String()[7:8]
	}
	invocation := context.WithValue(t.Context(), "x-amzn-trace-id", in("3")) //lint:ignore SA1029 it is Lambda's key
	t.Setenv("_X_AMZN_TRACE_ID", in("2"))
	if got := got(trace.XRay{}, invocation); got != "1" {
		t.Errorf("without the option trace %s goes on", got)
	}
	if got := got(trace.XRay{Lambda: true}, invocation); got != "3" {
		t.Errorf("where context and environment differ trace %s goes on", got)
	}
	if got := got(trace.XRay{Lambda: true}, t.Context()); got != "2" {
		t.Errorf("with an environment trace %s goes on", got)
	}
	t.Setenv("_X_AMZN_TRACE_ID", "nonsense")
	broken := context.WithValue(t.Context(), "x-amzn-trace-id", 7) //lint:ignore SA1029 it is Lambda's key
	if got := got(trace.XRay{Lambda: true}, broken); got != "1" {
		t.Errorf("where Lambda says nothing trace %s goes on", got)
	}
}

func TestTheHeaderIsWrittenAsAWSDocumentsIt(t *testing.T) {
	form := regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01]$`)
	for flags, want := range map[otel.TraceFlags]string{0: "0", otel.FlagsSampled: "1", otel.FlagsSampled | otel.FlagsRandom: "1"} {
		id, _ := otel.TraceIDFromHex(traceID)
		span, _ := otel.SpanIDFromHex(parent)
		ctx := otel.ContextWithSpanContext(t.Context(), otel.NewSpanContext(otel.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags}))
		h := http.Header{}
		trace.XRay{}.Inject(ctx, propagation.HeaderCarrier(h))
		if got := h.Get(header); got != "Root="+root+";Parent="+parent+";Sampled="+want || !form.MatchString(got) {
			t.Errorf("flags %v: %q", flags, got)
		}
	}
	h := http.Header{}
	trace.XRay{}.Inject(t.Context(), propagation.HeaderCarrier(h))
	if len(h) != 0 {
		t.Errorf("without a span there is %v", h)
	}
	if f := (trace.XRay{}).Fields(); len(f) != 1 || f[0] != header {
		t.Errorf("the fields are %v", f)
	}
}

// An AWS SDK in a Lambda function has set the header before the transport sees
// the request.
func TestTheLineageOfAHeaderThatIsThereIsKept(t *testing.T) {
	ctx := trace.XRay{}.Extract(t.Context(), carry("Root="+root+";Parent="+parent+";Sampled=1"))
	for before, want := range map[string]string{
		"Root=1-00000001-000000000000000000000001;Parent=1111111111111111;Sampled=0;Lineage=25:3d2d01e7:0|1:a87bd80c:0": ";Lineage=25:3d2d01e7:0|1:a87bd80c:0",
		"lineage = a:b:0":                          ";Lineage=a:b:0",
		"Lineage=" + strings.Repeat("a", 129):      "",
		"Lineage=a\r\nX: y":                        "",
		"Lineage=" + strings.Repeat(";", 2000):     "",
		"Root=1-00000001-000000000000000000000001": "",
		"Lineage": "",
	} {
		h := http.Header{header: {before}}
		trace.XRay{}.Inject(ctx, propagation.HeaderCarrier(h))
		if got := h.Get(header); got != "Root="+root+";Parent="+parent+";Sampled=1"+want || len(h[header]) != 1 {
			t.Errorf("%.50q became %q", before, h[header])
		}
	}
}

// plain is a carrier that knows one value of a key.
type plain map[string]string

func (p plain) Get(key string) string { return p[key] }
func (p plain) Set(key, value string) { p[key] = value }
func (p plain) Keys() []string        { return nil }

func FuzzXRayHeader(f *testing.F) {
	for _, s := range []string{
		"Root=" + root, "Root=" + root + ";Parent=" + parent + ";Sampled=1", "Root=" + root + ";Parent=" + parent + ";Sampled=?",
		"Self=" + root + "; Root=" + root + " ;Sampled=0", "Root=" + root + ",Root=" + root, ";;=;=,;", "Root=;Parent=;Sampled=",
		"Lineage=25:3d2d01e7:0|1:a87bd80c:0;Root=" + root, "ROOT=" + strings.ToUpper(root), "Root=1-00000000-000000000000000000000000",
	} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}(;Parent=[0-9a-f]{16})?(;Sampled=[01?])?(;Lineage=[0-9a-fA-F:|]{1,128})?$`)
	f.Fuzz(func(t *testing.T, s string) {
		ctx := trace.XRay{}.Extract(context.Background(), plain{header: s})
		sc := otel.SpanContextFromContext(ctx)
		if ctx != context.Background() != sc.HasTraceID() {
			t.Fatalf("the context changed without a trace: %v", sc)
		}
		if !sc.HasTraceID() {
			return
		}
		if sc.TraceFlags() > 1 || sc.TraceState().Len() != 0 || !sc.IsRemote() {
			t.Errorf("more than ids was taken over: %v", sc)
		}
		if id := sc.TraceID().String(); !strings.Contains(strings.ToLower(strings.ReplaceAll(s, "-", "")), id) {
			t.Errorf("the trace %s is not the header's", id)
		}
		// What goes on has nothing of the client's but digits, and says the same.
		out := plain{header: s}
		trace.XRay{}.Inject(ctx, out)
		if !form.MatchString(out[header]) {
			t.Fatalf("goes on as %q", out[header])
		}
		if again := otel.SpanContextFromContext(trace.XRay{}.Extract(context.Background(), out)); !again.Equal(sc) {
			t.Errorf("%v became %v", sc, again)
		}
	})
}

package trace

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/roundtrip"
	"github.com/handrail-go/handrail/observe"
)

// Transport is [New] and [Tracer.Transport] in one. It panics where New returns
// an error.
func Transport(base http.RoundTripper, opts ...Option) http.RoundTripper {
	t, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return t.Transport(base)
}

// Transport returns a client's side: a [http.RoundTripper] that begins a span for
// each request and tells the other side of it in the request's header. The
// parent is the span of the request's context. base does the work, nil stands
// for [http.DefaultTransport].
//
// A span ends with the body of the response: at its end, where reading it fails,
// or where the caller closes it, which it has to, as ever. After a response 101
// (RFC 9110, section 15.2.2) and one without a body it ends at once. An error, a
// status of 400 or above and a body that breaks off make its status an error.
//
// The span tells of the URL scheme, host, port and path only.
//
// What the request's header says of a trace already, as one that a proxy passes
// on does, is replaced whole; without a span there is to tell of, it stays.
//
// The caller's request is not changed, nor is a response of status 101.
func (t *Tracer) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{roundtrip.Over(base), t}
}

type transport struct {
	roundtrip.Base
	t *Tracer
}

func (p *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t, sent := p.t, false
	defer func() {
		// Where a function of the user's panics.
		if !sent && r.Body != nil {
			r.Body.Close()
		}
	}()
	if t.set.filter != nil && !t.set.filter(r) {
		t.counts.filtered.Add(1)
		sent = true
		return p.Base.RoundTrip(r)
	}
	method := methodOf(r.Method)
	opts := t.sending
	if t.set.sampler {
		opts = append(opts[:len(opts):len(opts)], trace.WithAttributes(t.ofSent(r, method)...))
	}
	ctx, span := t.tracer.Start(r.Context(), nameOf(method), opts...)
	over := false
	defer func() {
		if !over {
			// A panic, or the end of the goroutine.
			span.SetAttributes(errorType.String("panic"))
			span.SetStatus(codes.Error, "panic")
			span.End()
		}
	}()
	t.counts.sent.Add(1)
	recording := span.IsRecording()
	if recording {
		t.counts.recordedSent.Add(1)
		if !t.set.sampler {
			span.SetAttributes(t.ofSent(r, method)...)
		}
	}
	out := r.WithContext(ctx)
	out.Header = r.Header.Clone()
	if out.Header == nil {
		out.Header = http.Header{}
	}
	if span.SpanContext().IsValid() {
		// A proxy passes on what came from its client, such as a tracestate, and
		// propagators write only what there is.
		for _, field := range t.stale {
			delete(out.Header, field)
		}
	}
	t.set.propagators.Inject(ctx, carrier(out.Header))

	sent = true
	resp, err := p.Base.RoundTrip(out)
	over = true
	switch {
	case err != nil:
		fail(span, r.Context(), err)
		span.End()
		return resp, err
	case resp == nil: // of a base that is wrong, which the client tells
		span.End()
		return nil, nil
	}
	stream := httpwrap.IsEventStream(resp.Header)
	if recording {
		received(span, resp, stream)
	}
	if !recording || resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == nil || resp.Body == http.NoBody {
		span.End()
		return resp, nil
	}
	resp.Body = &body{ReadCloser: resp.Body, span: span, ctx: r.Context(), stream: stream}
	return resp, nil
}

// ofSent are the attributes of a request that goes out.
func (t *Tracer) ofSent(r *http.Request, method string) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 10)
	attrs = append(attrs, requestMethod.String(method))
	if method != r.Method && r.Method != "" {
		attrs = append(attrs, methodOriginal.String(original(r.Method)))
	}
	if u := r.URL; u != nil {
		attrs = append(attrs, urlFull.String(fullOf(u)))
		if host := u.Hostname(); host != "" {
			attrs = append(attrs, serverAddress.String(bounded(host, maxValue)))
		}
		if port := portOf(u); port != 0 {
			attrs = append(attrs, serverPort.Int(port))
		}
	}
	if t.set.attempt != "" {
		if n := number(r.Header[t.set.attempt]); n > 0 {
			attrs = append(attrs, resendCount.Int(n))
		}
	}
	if t.set.attributes != nil {
		attrs = extra(attrs, t.set.attributes(r))
	}
	return attrs
}

// received adds what the header of a response tells.
func received(span trace.Span, resp *http.Response, stream bool) {
	attrs := make([]attribute.KeyValue, 0, 4)
	attrs = append(attrs, responseStatus.Int(resp.StatusCode))
	if v := version(resp.ProtoMajor, resp.ProtoMinor); v != "" {
		attrs = append(attrs, protocolVersion.String(v))
	}
	if stream || resp.StatusCode == http.StatusSwitchingProtocols {
		attrs = append(attrs, longLived.Bool(true))
	}
	if resp.StatusCode >= 400 {
		attrs = append(attrs, errorType.String(strconv.Itoa(resp.StatusCode)))
		span.SetStatus(codes.Error, "")
	}
	span.SetAttributes(attrs...)
}

// methodOf is the method as an attribute; for a client "" is GET.
func methodOf(method string) string {
	switch {
	case method == "":
		return http.MethodGet
	case known(method):
		return method
	}
	return observe.OtherMethod
}

// fullOf is the URL without what may hold secrets: user, password, query and
// fragment.
func fullOf(u *url.URL) string {
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return bounded(plain.String(), maxURL)
}

// portOf is the port that a request goes to, 0 where it is not known.
func portOf(u *url.URL) int {
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			return int(n)
		}
		return 0
	}
	switch {
	case strings.EqualFold(u.Scheme, "https"):
		return 443
	case strings.EqualFold(u.Scheme, "http"):
		return 80
	}
	return 0
}

// number reads up to four digits.
func number(values []string) int {
	if len(values) == 0 || len(values[0]) > 4 {
		return 0
	}
	n, err := strconv.ParseUint(values[0], 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

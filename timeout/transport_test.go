package timeout_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

// pipes is a network in memory, which works in virtual time.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// remote is a server in memory that speaks HTTP/1.1 or HTTP/2, and returns
// what sends requests to it.
func remote(t *testing.T, proto int, h http.HandlerFunc, configure ...func(*http.Server)) *http.Transport {
	network, protocols := newPipes(), new(http.Protocols)
	protocols.SetHTTP1(proto == 1)
	protocols.SetUnencryptedHTTP2(proto == 2)
	srv := &http.Server{Protocols: protocols, Handler: h}
	for _, f := range configure {
		f(srv)
	}
	base := &http.Transport{Protocols: protocols, DialContext: network.dial}
	go srv.Serve(network)
	t.Cleanup(func() {
		base.CloseIdleConnections()
		srv.Close()
	})
	return base
}

// withRemote runs a test for both protocols in virtual time.
func withRemote(t *testing.T, test func(t *testing.T, remote func(http.HandlerFunc) *http.Transport)) {
	for _, proto := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP", proto), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(t, func(h http.HandlerFunc) *http.Transport { return remote(t, proto, h) })
			})
		})
	}
}

func newTimeout(t testing.TB, opts ...timeout.Option) *timeout.Timeout {
	t.Helper()
	to, err := timeout.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func outgoing(ctx context.Context, method, target string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		panic(err)
	}
	return r
}

func plainGet() *http.Request { return outgoing(context.Background(), "GET", "http://remote/", nil) }

// gone is a handler that waits until nobody waits for it.
func gone(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// checkOwn fails t unless err says that the timeout called "remote" of 2 s is
// over.
func checkOwn(t *testing.T, err error) {
	t.Helper()
	var own *timeout.Error
	if !errors.As(err, &own) || own.Name != "remote" || own.After != 2*time.Second {
		t.Errorf("the error is %v (%T)", err, err)
	}
	var timed net.Error
	if !errors.As(err, &timed) || !timed.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not known as a timeout", err)
	}
}

func checkStats(t *testing.T, to *timeout.Timeout, want timeout.Stats) {
	t.Helper()
	synctest.Wait()
	got := to.Stats()
	want.Name, want.MinTimeout, want.MeanTimeout, want.MaxTimeout = got.Name, got.MinTimeout, got.MeanTimeout, got.MaxTimeout
	want.MinDuration, want.MeanDuration, want.Ratio = got.MinDuration, got.MeanDuration, got.Ratio
	if got != want {
		t.Errorf("statistics %+v, want %+v", got, want)
	}
}

func TestARequestWithoutAnAnswerEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	withRemote(t, func(t *testing.T, remote func(http.HandlerFunc) *http.Transport) {
		to := newTimeout(t, timeout.Basic(2*time.Second), timeout.WithName("remote"))
		rt := to.Transport(remote(gone))
		start := time.Now()
		resp, err := rt.RoundTrip(plainGet())
		if _, itself := err.(*timeout.Error); resp != nil || !itself {
			t.Errorf("%v, %T", resp, err)
		}
		checkOwn(t, err)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("after %v", took)
		}
		_, err = (&http.Client{Transport: rt}).Get("http://remote/")
		checkOwn(t, err)
		checkStats(t, to, timeout.Stats{Requests: 2, Timeouts: 2, MaxDuration: 2 * time.Second})
	})
}

func TestABodyThatStallsFailsAtTheDeadline(t *testing.T) {
	t.Parallel()
	withRemote(t, func(t *testing.T, remote func(http.HandlerFunc) *http.Transport) {
		to := newTimeout(t, timeout.Basic(2*time.Second), timeout.WithName("remote"))
		start := time.Now()
		resp, err := to.Transport(remote(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})).RoundTrip(plainGet())
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if _, itself := err.(*timeout.Error); string(body) != "half" || !itself {
			t.Errorf("%q, %T", body, err)
		}
		checkOwn(t, err)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("after %v", took)
		}
		_, err = resp.Body.Read(make([]byte, 1))
		checkOwn(t, err)
		resp.Body.Close()
		checkStats(t, to, timeout.Stats{Requests: 1, Timeouts: 1, Aborted: 1, MaxDuration: 2 * time.Second})
	})
}

func TestABodyThatComesSlowlyAndInTimeIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	withRemote(t, func(t *testing.T, remote func(http.HandlerFunc) *http.Transport) {
		to := newTimeout(t, timeout.Basic(2*time.Second), timeout.WithName("remote"))
		const pieces, size = 15, 100_000
		resp, err := to.Transport(remote(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			for range pieces {
				time.Sleep(100 * time.Millisecond)
				w.Write(make([]byte, size))
				http.NewResponseController(w).Flush()
			}
			w.Header().Set("X-Sum", "all")
		})).RoundTrip(plainGet())
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if n != pieces*size || err != nil || resp.Trailer.Get("X-Sum") != "all" {
			t.Errorf("%d bytes, %v, trailer %v", n, err, resp.Trailer)
		}
		time.Sleep(time.Hour)
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		checkStats(t, to, timeout.Stats{Requests: 1, MaxDuration: pieces * 100 * time.Millisecond})
	})
}

func TestTheCallersCancellationIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	withRemote(t, func(t *testing.T, remote func(http.HandlerFunc) *http.Transport) {
		to := newTimeout(t, timeout.Basic(2*time.Second))
		base := remote(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		})
		for i, path := range []string{"/header", "/body"} {
			// The same, bare and with the timeout.
			var errs [2]error
			for j, rt := range []http.RoundTripper{base, to.Transport(base)} {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(time.Second, cancel)
				resp, err := rt.RoundTrip(outgoing(ctx, "GET", "http://remote"+path, nil))
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				errs[j] = err
			}
			if !errors.Is(errs[1], context.Canceled) || errs[0].Error() != errs[1].Error() {
				t.Errorf("%s: %v with the timeout, %v without", path, errs[1], errs[0])
			}
			checkStats(t, to, timeout.Stats{Requests: uint64(i + 1), Canceled: uint64(i + 1), MaxDuration: time.Second})
		}
	})
}

func TestTheCallersEarlierDeadlineIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	withRemote(t, func(t *testing.T, remote func(http.HandlerFunc) *http.Transport) {
		to := newTimeout(t, timeout.Basic(2*time.Second))
		base := remote(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		})
		mine := errors.New("mine")
		for _, path := range []string{"/header", "/body"} {
			for _, cause := range []error{nil, mine} {
				var errs [2]error
				for j, rt := range []http.RoundTripper{base, to.Transport(base)} {
					ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, cause)
					resp, err := rt.RoundTrip(outgoing(ctx, "GET", "http://remote"+path, nil))
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						resp.Body.Close()
					}
					errs[j] = err
					cancel()
				}
				if own := new(timeout.Error); errors.As(errs[1], &own) || errs[0].Error() != errs[1].Error() {
					t.Errorf("%s: %v with the timeout, %v without", path, errs[1], errs[0])
				}
			}
		}
		checkStats(t, to, timeout.Stats{Requests: 4, Timeouts: 4, Aborted: 2, MaxDuration: time.Second})
	})
}

func TestTheHeaderTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	withRemote(t, func(t *testing.T, remote func(http.HandlerFunc) *http.Transport) {
		for _, c := range []struct {
			header   string
			came     []string
			deadline time.Duration // of the caller
			wait     time.Duration // before it is sent
			want     string
		}{
			{"x-budget", nil, 0, 0, "2000"},
			{"x-budget", nil, 5 * time.Second, 0, "2000"},
			{"x-budget", nil, time.Second, 250 * time.Millisecond, "750"},
			{"x-budget", nil, time.Second, 999*time.Millisecond + 999*time.Microsecond, "1"},
			{"x-budget", []string{"500"}, 0, 0, "500"},
			{"x-budget", []string{"5000"}, 0, 0, "2000"},
			{"x-budget", []string{"soon"}, 0, 0, "2000"},
			{"x-budget", []string{"500", "500"}, 0, 0, "2000"},
			{"grpc-timeout", nil, 0, 0, "2000000u"},
			{"grpc-timeout", []string{"1500m"}, time.Second, 400 * time.Millisecond, "600000u"},
		} {
			to := newTimeout(t, timeout.Basic(2*time.Second), timeout.WithDeadlineHeader(c.header))
			ctx, cancel := context.WithCancel(context.Background())
			if c.deadline != 0 {
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
			}
			r := outgoing(ctx, "GET", "http://remote/", nil)
			canonical := http.CanonicalHeaderKey(c.header)
			if c.came != nil {
				r.Header[canonical] = slices.Clone(c.came)
			}
			before := r.Header.Clone()
			time.Sleep(c.wait)
			resp, err := to.Transport(remote(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.Header[canonical])
			})).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(resp.Body); string(got) != "["+c.want+"]" {
				t.Errorf("%+v: the wire says %s", c, got)
			}
			resp.Body.Close()
			if fmt.Sprint(r.Header) != fmt.Sprint(before) {
				t.Errorf("the caller's header was %v and is %v", before, r.Header)
			}
			cancel()
		}
	})
}

func TestATransportSetsNoHeaderUnlessToldTo(t *testing.T) {
	to := newTimeout(t)
	rt := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
		if len(r.Header) != 1 {
			t.Errorf("header %v", r.Header)
		}
		return empty(r), nil
	}))
	r := plainGet()
	r.Header.Set("X-Mine", "1")
	rt.RoundTrip(r)
}

// tripper is a function as a RoundTripper.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func empty(r *http.Request) *http.Response {
	return &http.Response{StatusCode: 204, Body: http.NoBody, Request: r}
}

// content is a body that counts how often it was closed.
type content struct {
	io.Reader
	closed atomic.Int32
	err    error
}

func (b *content) Close() error {
	b.closed.Add(1)
	return b.err
}

func TestTheContextLivesUntilTheBodyIsDone(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		body io.Reader
		use  func(body io.ReadCloser)
		ends bool
	}{
		"nothing read":   {strings.NewReader("body"), func(io.ReadCloser) {}, false},
		"partly read":    {strings.NewReader("body"), func(b io.ReadCloser) { io.ReadFull(b, make([]byte, 2)) }, false},
		"all but EOF":    {strings.NewReader("body"), func(b io.ReadCloser) { io.ReadFull(b, make([]byte, 4)) }, false},
		"read to EOF":    {strings.NewReader("body"), func(b io.ReadCloser) { io.ReadAll(b) }, true},
		"closed":         {strings.NewReader("body"), func(b io.ReadCloser) { b.Close() }, true},
		"closed twice":   {strings.NewReader("body"), func(b io.ReadCloser) { b.Close(); b.Close() }, true},
		"read, closed":   {strings.NewReader("body"), func(b io.ReadCloser) { io.ReadAll(b); b.Close(); b.Close() }, true},
		"failed":         {io.MultiReader(strings.NewReader("bo"), failing{broken}), func(b io.ReadCloser) { io.ReadAll(b) }, true},
		"failed, closed": {failing{broken}, func(b io.ReadCloser) { io.ReadAll(b); b.Close() }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			to := newTimeout(t, timeout.Basic(2*time.Second))
			body := &content{Reader: c.body}
			var ctx context.Context
			resp, err := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
				ctx = r.Context()
				return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
			})).RoundTrip(plainGet())
			if err != nil || ctx.Err() != nil {
				t.Fatalf("%s: %v, and the context: %v", name, err, ctx.Err())
			}
			time.Sleep(time.Second)
			c.use(resp.Body)
			if ended := ctx.Err() != nil; ended != c.ends {
				t.Errorf("%s: the context says %v", name, ctx.Err())
			}
			if c.ends {
				checkStats(t, to, timeout.Stats{Requests: 1, MaxDuration: time.Second})
				return
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if ctx.Err() != context.DeadlineExceeded {
				t.Errorf("%s: at the deadline the context says %v", name, ctx.Err())
			}
			resp.Body.Close()
			checkStats(t, to, timeout.Stats{Requests: 1, Timeouts: 1, Aborted: 1, MaxDuration: 2 * time.Second})
		})
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestErrorsOfTheBodyThatAreNoTimeoutStayThemselves(t *testing.T) {
	broken, unclosable := errors.New("broken"), errors.New("unclosable")
	to := newTimeout(t)
	resp, err := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: &content{Reader: failing{broken}, err: unclosable}}, nil
	})).RoundTrip(plainGet())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := resp.Body.Read(make([]byte, 1)); err != broken {
			t.Errorf("Read says %v", err)
		}
		if err := resp.Body.Close(); err != unclosable {
			t.Errorf("Close says %v", err)
		}
	}
	if _, err := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
		return nil, broken
	})).RoundTrip(plainGet()); err != broken {
		t.Errorf("RoundTrip says %v", err)
	}
}

// A body whose Close tells why it was cut off.
func TestCloseAfterTheDeadlineTellsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := newTimeout(t, timeout.Basic(2*time.Second), timeout.WithName("remote"))
		resp, err := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: &content{Reader: strings.NewReader("body"), err: io.ErrClosedPipe}}, nil
		})).RoundTrip(plainGet())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		checkOwn(t, resp.Body.Close())
		checkStats(t, to, timeout.Stats{Requests: 1, Timeouts: 1, Aborted: 1, MaxDuration: 3 * time.Second})
	})
}

func TestTheResponseStaysWhatItIs(t *testing.T) {
	to := newTimeout(t, timeout.WithDeadlineHeader("X-Budget"))
	var sent *http.Request
	var theirs *http.Response
	r := plainGet()
	resp, err := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
		sent = r
		theirs = &http.Response{StatusCode: 200, Header: http.Header{"A": {"b"}}, ContentLength: 17, Uncompressed: true,
			Trailer: http.Header{"Sum": nil}, Body: &content{Reader: strings.NewReader("body")}, Request: r}
		return theirs, nil
	})).RoundTrip(r)
	if err != nil || resp != theirs || resp.Request != sent || resp.ContentLength != 17 || !resp.Uncompressed {
		t.Errorf("%v: %+v", err, resp)
	}
	if sent == r || sent.URL != r.URL || sent.Method != r.Method || sent.Header.Get("X-Budget") != "30000" {
		t.Errorf("%+v was sent", sent)
	}
	theirs.Trailer["Sum"] = []string{"1"}
	if resp.Trailer.Get("Sum") != "1" {
		t.Error("the trailer is another one")
	}
	if _, writable := resp.Body.(io.Writer); writable {
		t.Error("an ordinary body can be written to")
	}
}

func TestWithoutABodyTheCallIsOverAtOnce(t *testing.T) {
	for _, body := range []io.ReadCloser{http.NoBody, nil} {
		to := newTimeout(t)
		var ctx context.Context
		resp, err := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
			ctx = r.Context()
			return &http.Response{StatusCode: 204, Body: body}, nil
		})).RoundTrip(plainGet())
		if err != nil || resp.Body != body || ctx.Err() == nil {
			t.Errorf("%v, body %v, and the context says %v", err, resp.Body, ctx.Err())
		}
	}
}

func TestNothingIsSentOnceTheTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mine := errors.New("mine")
		background := context.Background()
		canceled, cancel := context.WithCancelCause(background)
		cancel(mine)
		passed, stop := context.WithTimeout(background, time.Second)
		defer stop()
		time.Sleep(time.Hour)
		for name, c := range map[string]struct {
			ctx     context.Context
			left    string
			want    error
			expired uint64
		}{
			"canceled":               {canceled, "", mine, 0},
			"deadline passed":        {passed, "", context.DeadlineExceeded, 0},
			"passed, not yet known":  {late{background}, "", context.DeadlineExceeded, 1},
			"nothing left to a user": {background, "0", nil, 1},
		} {
			to := newTimeout(t, timeout.WithDeadlineHeader("X-Budget"), timeout.WithName("remote"))
			body := &content{Reader: strings.NewReader("body")}
			r := outgoing(c.ctx, "POST", "http://remote/", body)
			if c.left != "" {
				r.Header.Set("X-Budget", c.left)
			}
			resp, err := to.Transport(tripper(func(*http.Request) (*http.Response, error) {
				t.Errorf("%s: it was sent", name)
				return nil, nil
			})).RoundTrip(r)
			if c.want == nil {
				if own, ok := err.(*timeout.Error); !ok || own.Name != "remote" || own.After != 0 {
					t.Errorf("%s: %v", name, err)
				}
			} else if err != c.want {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if resp != nil || body.closed.Load() != 1 {
				t.Errorf("%s: response %v, body closed %d times", name, resp, body.closed.Load())
			}
			checkStats(t, to, timeout.Stats{Expired: c.expired})
		}
	})
}

// late is a context whose deadline has passed, and that has yet to notice.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestAPanicReleasesEverything(t *testing.T) {
	for name, opts := range map[string][]timeout.Option{
		"of the base": nil,
		"of a calculator": {timeout.WithCalculator(timeout.CalculatorFunc(func(*http.Request, time.Duration) time.Duration {
			panic("mine")
		}))},
	} {
		to := newTimeout(t, opts...)
		var ctx context.Context
		body := &content{Reader: strings.NewReader("body")}
		func() {
			defer func() {
				if got := recover(); got != "mine" {
					t.Errorf("%s: %v", name, got)
				}
			}()
			to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
				ctx = r.Context()
				panic("mine")
			})).RoundTrip(outgoing(context.Background(), "POST", "http://remote/", body))
		}()
		if ctx != nil && ctx.Err() == nil {
			t.Errorf("%s: the context lives on", name)
		}
		if body.closed.Load() != 1 {
			t.Errorf("%s: the request's body was closed %d times", name, body.closed.Load())
		}
	}
}

func TestTheRequestsBodyIsTheBasesToClose(t *testing.T) {
	for name, fails := range map[string]error{"answered": nil, "failed": errors.New("no route")} {
		body := &content{Reader: strings.NewReader("body")}
		newTimeout(t).Transport(tripper(func(r *http.Request) (*http.Response, error) {
			if r.Body != io.ReadCloser(body) {
				t.Errorf("%s: another body was sent", name)
			}
			r.Body.Close()
			if fails != nil {
				return nil, fails
			}
			return empty(r), nil
		})).RoundTrip(outgoing(context.Background(), "POST", "http://remote/", body))
		if n := body.closed.Load(); n != 1 {
			t.Errorf("%s: the body was closed %d times", name, n)
		}
	}
}

func TestAnExemptRequestIsSentAsItIs(t *testing.T) {
	to := newTimeout(t, timeout.WithDeadlineHeader("X-Budget"), timeout.WithExempt(func(*http.Request) bool { return true }))
	r := plainGet()
	body := &content{Reader: strings.NewReader("body")}
	resp, err := to.Transport(tripper(func(sent *http.Request) (*http.Response, error) {
		if sent != r || len(sent.Header) != 0 {
			t.Error("another request was sent")
		}
		return &http.Response{StatusCode: 200, Body: body}, nil
	})).RoundTrip(r)
	if err != nil || resp.Body != io.ReadCloser(body) || to.Stats().Requests != 0 {
		t.Errorf("%v, %+v, %+v", err, resp, to.Stats())
	}
}

func TestABaseThatIsWrongIsNotMadeWorse(t *testing.T) {
	for _, c := range []struct {
		resp *http.Response
		err  error
	}{{nil, nil}, {&http.Response{}, io.ErrNoProgress}} {
		var ctx context.Context
		resp, err := newTimeout(t).Transport(tripper(func(r *http.Request) (*http.Response, error) {
			ctx = r.Context()
			return c.resp, c.err
		})).RoundTrip(plainGet())
		if resp != nil || err != c.err || ctx.Err() == nil {
			t.Errorf("%v, %v, and the context says %v", resp, err, ctx.Err())
		}
	}
}

type closer struct {
	http.RoundTripper
	n int
}

func (c *closer) CloseIdleConnections() { c.n++ }

func TestIdleConnectionsAreClosedThroughTheTransport(t *testing.T) {
	base := new(closer)
	to := newTimeout(t)
	(&http.Client{Transport: to.Transport(to.Transport(base))}).CloseIdleConnections()
	if base.n != 1 {
		t.Errorf("forwarded %d times", base.n)
	}
	(&http.Client{Transport: to.Transport(tripper(nil))}).CloseIdleConnections() // which has none
}

func TestWithoutABaseItIsTheDefaultTransport(t *testing.T) {
	standard := http.DefaultTransport
	defer func() { http.DefaultTransport = standard }()
	used := false
	http.DefaultTransport = tripper(func(r *http.Request) (*http.Response, error) {
		used = true
		return empty(r), nil
	})
	newTimeout(t).Transport(nil).RoundTrip(plainGet())
	if !used {
		t.Error("it was not used")
	}
}

func TestNestedTransportsTellWhoseTimeoutItWas(t *testing.T) {
	t.Parallel()
	withRemote(t, func(t *testing.T, remote func(http.HandlerFunc) *http.Transport) {
		base := remote(gone)
		named := func(name string, d time.Duration) *timeout.Timeout {
			return newTimeout(t, timeout.Basic(d), timeout.WithName(name))
		}
		for _, c := range []struct {
			inner, outer time.Duration
			want         string
		}{{time.Second, 2 * time.Second, "inner"}, {2 * time.Second, time.Second, "outer"}} {
			_, err := named("outer", c.outer).Transport(named("inner", c.inner).Transport(base)).RoundTrip(plainGet())
			if own, ok := err.(*timeout.Error); !ok || own.Name != c.want {
				t.Errorf("%v within %v: %v", c.inner, c.outer, err)
			}
		}
	})
}

func TestOnlyWholeAnswersAndTimeoutsAreLearntFrom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		use    func(io.ReadCloser)
		learns bool
	}{
		"read":           {200, func(b io.ReadCloser) { io.ReadAll(b) }, true},
		"client's fault": {404, func(b io.ReadCloser) { io.ReadAll(b) }, true},
		"failure":        {500, func(b io.ReadCloser) { io.ReadAll(b) }, false},
		"left early":     {200, func(b io.ReadCloser) { b.Close() }, false},
		"too late":       {200, func(b io.ReadCloser) { time.Sleep(5 * time.Second); b.Close() }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			calc := timeout.ByQuantile(0.99, timeout.QuantileSettings{MinSamples: 10})
			rt := newTimeout(t, timeout.Dynamic(2*time.Second, calc)).Transport(tripper(func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Second / 2)
				return &http.Response{StatusCode: c.status, Body: &content{Reader: strings.NewReader("body")}}, nil
			}))
			for range 12 {
				resp, err := rt.RoundTrip(plainGet())
				if err != nil {
					t.Fatal(err)
				}
				c.use(resp.Body)
			}
			time.Sleep(time.Second)
			if got := calc.Timeout(plainGet(), time.Hour); (got < time.Hour) != c.learns {
				t.Errorf("%s: then the timeout is %v", name, got)
			}
		})
	}
}

func TestTimeoutsOfATransportAreReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events []timeout.Event
		to := newTimeout(t, timeout.Basic(2*time.Second), timeout.WithName("remote"),
			timeout.OnTimeout(func(e timeout.Event) { e.At = time.Time{}; events = append(events, e) }))
		rt := to.Transport(tripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("body"))}, nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		rt.RoundTrip(outgoing(context.Background(), "PUT", "http://remote/", nil))
		resp, _ := rt.RoundTrip(plainGet())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		resp.Body.Close()
		rt.RoundTrip(plainGet().WithContext(late{context.Background()}))
		synctest.Wait()
		want := []timeout.Event{
			{Name: "remote", Reason: timeout.ReasonDeadline, Timeout: 2 * time.Second, Method: "PUT"},
			{Name: "remote", Reason: timeout.ReasonDeadline, Timeout: 2 * time.Second, Method: "GET", Aborted: true},
			{Name: "remote", Reason: timeout.ReasonExpired, Timeout: -time.Second, Method: "GET"},
		}
		if !slices.Equal(events, want) {
			t.Errorf("told %+v, want %+v", events, want)
		}
	})
}

// A connection that was upgraded through a proxy is used long after the
// deadline.
func TestAnUpgradedConnectionOutlivesTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := newTimeout(t, timeout.Basic(2*time.Second))
		backend := remote(t, 1, func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			io.Copy(conn, rw)
		})
		target, _ := url.Parse("http://backend/")
		front := remote(t, 1, (&httputil.ReverseProxy{
			Rewrite:   func(pr *httputil.ProxyRequest) { pr.SetURL(target) },
			Transport: to.Transport(backend),
		}).ServeHTTP)
		conn, err := front.DialContext(t.Context(), "tcp", "front")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", resp, err)
		}
		for i := range 5 {
			word := fmt.Sprint("word ", i, "\n")
			go io.WriteString(conn, word)
			if got, err := in.ReadString('\n'); got != word || err != nil {
				t.Fatalf("%v after the deadline: %q, %v", time.Duration(i)*time.Hour, got, err)
			}
			time.Sleep(time.Hour)
		}
		checkStats(t, to, timeout.Stats{Requests: 1})
	})
}

func TestTheSwitchedBodyIsTheConnectionItself(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	resp, err := newTimeout(t).Transport(tripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: ours}, nil
	})).RoundTrip(plainGet())
	if err != nil || resp.Body != io.ReadCloser(ours) {
		t.Errorf("%v, %v", resp, err)
	}
}

// The rest is over real connections.

func realServer(t *testing.T, proto int, h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	if proto == 2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

func TestManyRequestsLeaveNothingBehindAndShareConnections(t *testing.T) {
	for _, proto := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP", proto), func(t *testing.T) {
			leaktest.Check(t)
			srv := realServer(t, proto, func(w http.ResponseWriter, r *http.Request) {
				n, _ := strconv.Atoi(r.URL.Query().Get("n"))
				w.Write(make([]byte, n))
			})
			to := newTimeout(t, timeout.Basic(time.Hour), timeout.WithDeadlineHeader("X-Budget"))
			base := srv.Client().Transport.(*http.Transport)
			client := &http.Client{Transport: to.Transport(base)}
			defer client.CloseIdleConnections()
			var fresh atomic.Int32
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
				if !info.Reused {
					fresh.Add(1)
				}
			}})
			requests := race.Either(1000, 240)
			for i := range requests {
				n := (i % 3) * 20_000 // nothing, what fits into a buffer, and what does not
				resp, err := client.Do(outgoing(ctx, "GET", srv.URL+"/?n="+strconv.Itoa(n), nil))
				if err != nil {
					t.Fatal(err)
				}
				if resp.ProtoMajor != proto {
					t.Fatalf("over %s", resp.Proto)
				}
				if got, err := io.Copy(io.Discard, resp.Body); got != int64(n) || err != nil {
					t.Fatalf("%d of %d bytes, %v", got, n, err)
				}
				resp.Body.Close()
			}
			if n := fresh.Load(); n != 1 {
				t.Errorf("%d connections for one request after the other", n)
			}
			if s := to.Stats(); s.Requests != uint64(requests) || s.Timeouts+s.Canceled != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestManyRequestsThatFailLeaveNothingBehind(t *testing.T) {
	for _, proto := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP", proto), func(t *testing.T) {
			leaktest.Check(t)
			srv := realServer(t, proto, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) // or a server does not notice that the client leaves
				if r.URL.Path == "/body" {
					io.WriteString(w, "half")
					http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			})
			to := newTimeout(t, timeout.Basic(5*time.Millisecond))
			client := &http.Client{Transport: to.Transport(srv.Client().Transport)}
			defer client.CloseIdleConnections()
			var all sync.WaitGroup
			rounds := race.Either(20, 4)
			for worker := range 50 {
				all.Go(func() {
					for i := range rounds {
						path := []string{"/header", "/body"}[(worker+i)%2]
						resp, err := client.Post(srv.URL+path, "text/plain", strings.NewReader("body"))
						if err == nil {
							_, err = io.ReadAll(resp.Body)
							resp.Body.Close()
						}
						if own := new(timeout.Error); !errors.As(err, &own) || !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("%s: %v", path, err)
						}
					}
				})
			}
			all.Wait()
			if s := to.Stats(); s.Requests != uint64(50*rounds) || s.Timeouts != s.Requests {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Reading and closing at the same time is how a body is given up.
func TestABodyIsReadAndClosedAtTheSameTime(t *testing.T) {
	for _, proto := range []int{1, 2} {
		leaktest.Check(t)
		srv := realServer(t, proto, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		to := newTimeout(t, timeout.Basic(time.Hour))
		base := srv.Client().Transport.(*http.Transport)
		for range 20 {
			resp, err := to.Transport(base).RoundTrip(outgoing(t.Context(), "GET", srv.URL, nil))
			if err != nil {
				t.Fatal(err)
			}
			io.ReadFull(resp.Body, make([]byte, 4))
			var all sync.WaitGroup
			all.Go(func() {
				if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
					t.Error("Read does not fail")
				}
			})
			all.Go(func() { resp.Body.Close() })
			all.Wait()
		}
		base.CloseIdleConnections()
		if s := to.Stats(); s.Requests != 20 || s.Timeouts != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func BenchmarkTransport(b *testing.B) {
	bare := tripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(""))}, nil
	})
	for name, rt := range map[string]http.RoundTripper{
		"bare":    bare,
		"timeout": newTimeout(b).Transport(bare),
		"header":  newTimeout(b, timeout.WithDeadlineHeader("X-Budget")).Transport(bare),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := plainGet()
			for b.Loop() {
				resp, err := rt.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

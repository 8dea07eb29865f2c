package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/leaktest"
)

type base func(*http.Request) (*http.Response, error)

func (f base) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// scripted is a response body that ends as it is told.
type scripted struct {
	text   string
	err    error
	closed int
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, s.err
	}
	n := copy(p, s.text)
	s.text = s.text[n:]
	return n, nil
}

func (s *scripted) Close() error {
	s.closed++
	return nil
}

func answer(status int, body io.ReadCloser, headers ...string) base {
	return func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: body, Request: r}
		for i := 0; i < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

func errs(err error) base {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send does a round trip and reads what comes.
func send(t *testing.T, b *breaker.Breaker, f base, url string) error {
	t.Helper()
	resp, err := b.Transport(f).RoundTrip(request(t, url))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func TestEachHostHasACircuitOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t)
		for range 5 {
			send(t, b, answer(502, http.NoBody), "http://Down.example/path")
		}
		for _, url := range []string{"http://down.example:80/other", "http://DOWN.EXAMPLE"} {
			if err := send(t, b, answer(200, http.NoBody), url); !errors.Is(err, breaker.ErrOpen) {
				t.Errorf("%s: %v", url, err)
			}
		}
		for _, url := range []string{"http://up.example/", "http://down.example:81/", "https://down.example:8443/"} {
			if err := send(t, b, answer(200, http.NoBody), url); err != nil {
				t.Errorf("%s: %v", url, err)
			}
		}
		keys := []string{}
		for _, c := range b.Stats().Circuits {
			keys = append(keys, c.Key)
		}
		if want := []string{"", "down.example", "down.example:81", "down.example:8443", "up.example"}; !slices.Equal(keys, want) {
			t.Errorf("%q", keys)
		}
	})
}

func TestARefusedRequestIsNotSentItsBodyIsClosedAndTheErrorIsTyped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithName("client"))
		for range 5 {
			send(t, b, answer(500, http.NoBody), "http://h/")
		}
		wait(30 * time.Second)
		body := &scripted{text: "upload"}
		r := request(t, "http://h/")
		r.Body = body
		resp, err := b.Transport(base(func(*http.Request) (*http.Response, error) {
			t.Error("was sent")
			return nil, nil
		})).RoundTrip(r)
		var e *breaker.OpenError
		if resp != nil || !errors.Is(err, breaker.ErrOpen) || !errors.As(err, &e) || body.closed != 1 {
			t.Fatalf("%v, %v, closed %d times", resp, err, body.closed)
		}
		if e.Name != "client" || e.Key != "h" || e.Reason != breaker.ReasonOpen || e.RetryAfter != 30*time.Second {
			t.Errorf("%+v", e)
		}
		if got := e.Rejection(); got.Code != breaker.Code || got.Status != 503 || got.RetryAfter != 30*time.Second || got.Reason != "open" {
			t.Errorf("%+v", got)
		}
		if got := e.Error(); got != `breaker: client: "h" refused (open): circuit breaker is open, retry after 30s` {
			t.Error(got)
		}
	})
}

// refusing is how another policy refuses.
type refusing struct{ error }

func (refusing) Rejection() rejection { return rejection{} }

func TestWhatCountsForAClient(t *testing.T) {
	broken := errors.New("connection reset")
	canceled := func(f base) base {
		return func(r *http.Request) (*http.Response, error) {
			r.Context().Value(callKey{}).(context.CancelFunc)()
			return f(r)
		}
	}
	late := func(f base) base {
		return func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Hour)
			return f(r)
		}
	}
	text := func(err error) io.ReadCloser { return &scripted{text: "text", err: err} }
	for name, tc := range map[string]struct {
		f    base
		want breaker.Verdict
	}{
		"a response":                     {answer(200, text(io.EOF)), breaker.Success},
		"a response without body":        {answer(204, http.NoBody), breaker.Success},
		"a nil body":                     {answer(204, nil), breaker.Success},
		"not found":                      {answer(404, text(io.EOF)), breaker.Success},
		"a failing status":               {answer(503, text(io.EOF)), breaker.Failure},
		"a failing status without body":  {answer(500, http.NoBody), breaker.Failure},
		"a failing status that is cut":   {answer(503, text(broken)), breaker.Failure},
		"not implemented":                {answer(501, text(io.EOF)), breaker.Success},
		"a body that is cut":             {answer(200, text(io.ErrUnexpectedEOF)), breaker.Failure},
		"an error":                       {errs(broken), breaker.Failure},
		"an error of another's context":  {errs(context.Canceled), breaker.Failure},
		"a refusal":                      {errs(fmt.Errorf("wrapped: %w", refusing{broken})), breaker.Excluded},
		"a breaker further in":           {errs(&breaker.OpenError{}), breaker.Excluded},
		"a caller that leaves":           {canceled(errs(context.Canceled)), breaker.Excluded},
		"a caller that leaves, any err":  {canceled(errs(broken)), breaker.Excluded},
		"a caller that leaves the body":  {canceled(answer(200, text(context.Canceled))), breaker.Excluded},
		"a deadline":                     {late(errs(context.DeadlineExceeded)), breaker.Failure},
		"a deadline in the body":         {late(answer(200, text(context.DeadlineExceeded))), breaker.Failure},
		"neither response nor error":     {func(*http.Request) (*http.Response, error) { return nil, nil }, breaker.Failure},
		"an event stream":                {answer(200, text(broken), "Content-Type", "text/event-stream"), breaker.Success},
		"an event stream that is failed": {answer(503, text(broken), "Content-Type", "text/event-stream"), breaker.Failure},
		"a panic":                        {func(*http.Request) (*http.Response, error) { panic(broken) }, breaker.Failure},
		"the end of the goroutine":       {func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil }, breaker.Failure},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := made(t)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				r := request(t, "http://h/").WithContext(context.WithValue(ctx, callKey{}, cancel))
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					resp, err := b.Transport(tc.f).RoundTrip(r)
					if err == nil && resp != nil && resp.Body != nil {
						io.Copy(io.Discard, resp.Body)
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						resp.Body.Close()
					}
				}()
				<-done
				want := [3]uint64{}
				want[tc.want] = 1
				if got := figures(b); got != want {
					t.Errorf("successes, failures, excluded: %v, want %v", got, want)
				}
			})
		})
	}
}

func TestABodyThatIsNotWantedIsNoFailure(t *testing.T) {
	b := made(t)
	body := &scripted{text: "text", err: io.ErrUnexpectedEOF}
	resp, err := b.Transport(answer(200, body)).RoundTrip(request(t, "http://h/"))
	if err != nil {
		t.Fatal(err)
	}
	if got := figures(b); got != [3]uint64{} {
		t.Errorf("%v before the body is done", got)
	}
	resp.Body.Close()
	if got := figures(b); got != [3]uint64{1, 0, 0} || body.closed != 1 {
		t.Errorf("%v, closed %d times", got, body.closed)
	}
}

func TestACallerThatLeavesABodyIsNoNews(t *testing.T) {
	b := made(t)
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := b.Transport(answer(200, &scripted{text: "text", err: io.EOF})).RoundTrip(request(t, "http://h/").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	if got := figures(b); got != [3]uint64{0, 0, 1} {
		t.Errorf("%v", got)
	}
}

func TestAProbeEndsWithTheBodyOfItsResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithSuccesses(1), breaker.WithProbeTimeout(time.Second))
		trip := func() {
			for range 5 {
				send(t, b, errs(errors.New("down")), "http://h/")
			}
			wait(time.Minute)
		}
		trip()
		resp, err := b.Transport(answer(200, &scripted{text: "text", err: io.EOF})).RoundTrip(request(t, "http://h/"))
		if err != nil {
			t.Fatal(err)
		}
		if err := send(t, b, answer(200, http.NoBody), "http://h/"); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("beside the probe: %v", err)
		}
		io.Copy(io.Discard, resp.Body)
		if err := send(t, b, answer(200, http.NoBody), "http://h/"); err != nil {
			t.Errorf("behind the probe: %v", err)
		}
		b.Reset()
		trip()
		if resp, err = b.Transport(answer(200, &scripted{text: "text", err: io.EOF})).RoundTrip(request(t, "http://h/")); err != nil {
			t.Fatal(err)
		}
		wait(time.Second) // nobody reads
		if got := circuitOf(b, "h").State; got != breaker.Open {
			t.Errorf("with a body that hangs it is %v", got)
		}
		resp.Body.Close()
		if got := b.Stats(); got.HungProbes != 1 || got.Late != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnUpstreamSetsTheOpenTimeWithinBounds(t *testing.T) {
	for given, want := range map[string]time.Duration{
		"": time.Minute, "soon": time.Minute, "-1": time.Minute, "0": time.Minute, "5": 5 * time.Second, "120": 2 * time.Minute,
		"999999999999999999999999": 10 * time.Minute, "3600": 10 * time.Minute,
		"Sat, 01 Jan 2000 00:00:30 GMT": 30 * time.Second, "Fri, 31 Dec 1999 00:00:00 GMT": time.Minute,
	} {
		bubble(t, func(t *testing.T) { // whose time begins with the year 2000
			b := made(t, breaker.WithRetryAfter(10*time.Minute))
			for i := range 5 {
				after := "77"
				if i == 4 {
					after = given
				}
				send(t, b, answer(503, http.NoBody, "Retry-After", after), "http://h/")
			}
			if got := circuitOf(b, "h").OpenFor; got != want {
				t.Errorf("Retry-After %q: open for %v, want %v", given, got, want)
			}
		})
	}
	b := made(t)
	for range 5 {
		send(t, b, answer(503, http.NoBody, "Retry-After", "5"), "http://h/")
	}
	if got := circuitOf(b, "h").OpenFor; got != time.Minute {
		t.Errorf("without the option it is open for %v", got)
	}
}

func TestSlownessOfAClientIsTheTimeToItsResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithSlowCall(time.Second, 0))
		resp, err := b.Transport(answer(200, &scripted{text: "text", err: io.EOF})).RoundTrip(request(t, "http://h/"))
		if err != nil {
			t.Fatal(err)
		}
		wait(time.Hour)
		io.Copy(io.Discard, resp.Body)
		if got := figures(b); got != [3]uint64{1, 0, 0} {
			t.Errorf("%v", got)
		}
		send(t, b, func(r *http.Request) (*http.Response, error) {
			wait(time.Second)
			return answer(200, http.NoBody)(r)
		}, "http://h/")
		if got := figures(b); got != [3]uint64{1, 1, 0} {
			t.Errorf("%v", got)
		}
	})
}

func TestAClassifierSeesTheResponseAndWhatBecomesOfItsBody(t *testing.T) {
	var seen []string
	b := made(t, breaker.WithClassifier(func(r breaker.Result) breaker.Verdict {
		seen = append(seen, fmt.Sprint(r.Status, r.Response != nil, r.Err, r.Verdict))
		if r.Status == 429 {
			return breaker.Failure
		}
		return r.Verdict
	}))
	send(t, b, answer(429, &scripted{text: "text", err: io.EOF}), "http://h/")
	send(t, b, answer(200, &scripted{text: "text", err: io.ErrUnexpectedEOF}), "http://h/")
	send(t, b, errs(io.ErrNoProgress), "http://h/")
	want := []string{"429 true <nil> success", "200 true <nil> success", "200 true unexpected EOF failure", "0 false " + io.ErrNoProgress.Error() + " failure"}
	if !slices.Equal(seen, want) || figures(b) != [3]uint64{0, 3, 0} {
		t.Errorf("%q, want %q; %v", seen, want, figures(b))
	}
}

func TestARequestThatIsExemptOrOfADisabledBreakerIsHandedOnAsItIs(t *testing.T) {
	for name, opt := range map[string]breaker.Option{
		"exempt":   breaker.WithExempt(func(*http.Request) bool { return true }),
		"disabled": breaker.WithMode(breaker.Disabled),
	} {
		b := made(t, opt)
		r := request(t, "http://h/")
		body := &scripted{}
		var got *http.Request
		resp, err := b.Transport(base(func(r *http.Request) (*http.Response, error) {
			got = r
			return answer(500, body)(r)
		})).RoundTrip(r)
		if err != nil || got != r || resp.Body != io.ReadCloser(body) || figures(b) != [3]uint64{} {
			t.Errorf("%s: %v, %v", name, err, figures(b))
		}
	}
}

func TestTheRequestIsNotChanged(t *testing.T) {
	b := made(t)
	r := request(t, "http://h/")
	before := fmt.Sprintf("%+v", *r)
	b.Transport(base(func(got *http.Request) (*http.Response, error) {
		if got != r {
			t.Error("another request is sent")
		}
		return answer(200, http.NoBody)(r)
	})).RoundTrip(r)
	if after := fmt.Sprintf("%+v", *r); after != before {
		t.Errorf("%s, was %s", after, before)
	}
}

func TestTheBodyOfAnAnswerWithAnErrorIsClosed(t *testing.T) {
	b := made(t)
	body := &scripted{}
	resp, err := b.Transport(base(func(r *http.Request) (*http.Response, error) {
		resp, _ := answer(200, body)(r)
		return resp, errors.New("both")
	})).RoundTrip(request(t, "http://h/"))
	if resp != nil || err == nil || body.closed != 1 {
		t.Errorf("%v, %v, closed %d times", resp, err, body.closed)
	}
}

type idle struct {
	base
	closed int
}

func (i *idle) CloseIdleConnections() { i.closed++ }

func TestIdleConnectionsAreClosedThroughIt(t *testing.T) {
	b, i := made(t), &idle{}
	c := &http.Client{Transport: b.Transport(i)}
	c.CloseIdleConnections()
	if i.closed != 1 {
		t.Errorf("closed %d times", i.closed)
	}
	(&http.Client{Transport: b.Transport(i.base)}).CloseIdleConnections()
}

func TestAFunctionThatPanicsLeavesNoBodyOpen(t *testing.T) {
	for name, opt := range map[string]breaker.Option{
		"key":    breaker.WithKey(func(*http.Request) string { panic("the key's own") }),
		"exempt": breaker.WithExempt(func(*http.Request) bool { panic("the exemption's own") }),
	} {
		body := &scripted{}
		r := request(t, "http://h/")
		r.Body = body
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: did not panic", name)
				}
			}()
			made(t, opt).Transport(errs(io.EOF)).RoundTrip(r)
		}()
		if body.closed != 1 {
			t.Errorf("%s: closed %d times", name, body.closed)
		}
	}
}

func TestARealHostThatCutsItsBodiesIsLeftAlone(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half of")
			http.NewResponseController(w).Flush()
			if r.URL.Path == "/cut" {
				panic(http.ErrAbortHandler)
			}
		}))
		b := made(t, breaker.WithConsecutiveFailures(3))
		c := &http.Client{Transport: b.Transport(s.Client().Transport)}
		fetch := func(path string) error {
			resp, err := c.Get(s.URL + path)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			return err
		}
		if err := fetch("/whole"); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := fetch("/cut"); err == nil {
				t.Error("looks whole")
			}
		}
		if got := figures(b); got != [3]uint64{1, 3, 0} {
			t.Errorf("%v", got)
		}
		if err := fetch("/whole"); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("%v", err)
		}
	})
}

func TestAHostThatIsNotThereIsAFailure(t *testing.T) {
	leaktest.Check(t)
	s := httptest.NewServer(noop)
	s.Close()
	b := made(t)
	c := &http.Client{Transport: b.Transport(&http.Transport{})}
	for range 5 {
		c.Get(s.URL)
	}
	if _, err := c.Get(s.URL); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("%v", err)
	}
}

// An upgraded connection belongs to the caller, who can write to it, and its
// probe is over.
func TestAnUpgradePassesThroughAProxyWithTheTransport(t *testing.T) {
	leaktest.Check(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(conn, strings.ToUpper(line))
	}))
	defer backend.Close()
	to, _ := url.Parse(backend.URL)
	client, server := made(t), made(t)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = client.Transport(&http.Transport{})
	front := httptest.NewServer(server.Wrap(proxy))
	defer front.Close()
	r := request(t, front.URL)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	tr := &http.Transport{}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 {
		t.Fatal(resp.Status)
	}
	conn := resp.Body.(io.ReadWriteCloser)
	if figures(client) != [3]uint64{1, 0, 0} || figures(server) != [3]uint64{1, 0, 0} {
		t.Errorf("client %v, server %v while the connection lives", figures(client), figures(server))
	}
	io.WriteString(conn, "hello\n")
	if got, _ := io.ReadAll(conn); string(got) != "HELLO\n" {
		t.Errorf("%q", got)
	}
	conn.Close()
}

// Trailers are filled in on the response that the caller has.
func TestTrailersArriveThroughTheBody(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Sum")
			io.WriteString(w, "text")
			w.Header().Set("Sum", "4")
		}))
		resp, err := made(t).Transport(s.Client().Transport).RoundTrip(request(t, s.URL))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if io.Copy(io.Discard, resp.Body); resp.Trailer.Get("Sum") != "4" {
			t.Errorf("%v", resp.Trailer)
		}
	})
}

func TestClientsAndHandlersMayShareABreakerByKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant()...)
		for range 5 {
			r := request(t, "http://h/")
			r.Header.Set("X-Tenant", "acme")
			b.Transport(errs(io.EOF)).RoundTrip(r)
		}
		if drive(b).do(fine, "X-Tenant", "acme") {
			t.Error("the handler's circuit is another one")
		}
		synctest.Wait()
	})
}

var _ handrail.Source = (*breaker.Breaker)(nil)

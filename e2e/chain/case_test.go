package chain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// verdict is what a breaker is to make of an attempt.
type verdict int

const (
	success verdict = iota
	failure
	excluded
)

// scene is a request, a handler, and what its client gets whatever the order.
type scene struct {
	name string
	on   int // the only version of HTTP, 0 for both
	// method is GET unless it says otherwise. PUT is repeated by package retry
	// and never by net/http's client.
	method, path, body string

	// handle is the n-th attempt at the request, counted from 1.
	handle func(p *play, n int, w http.ResponseWriter, r *http.Request)
	// attempts are what they are worth, the last one what is answered. Where
	// the retrier stands outside of the timeout, late ones are repeated.
	attempts []verdict
	late     bool

	// ask plays the client, where that is more than sending a request.
	ask  func(p *play, n *network) reply
	want func(p *play, re reply) string // "" for right

	// status and outcome are what an observer tells that sees everything.
	status  int
	outcome string
	long    bool
}

// play is a scene that is being played.
type play struct {
	*scene
	short  time.Duration
	calls  atomic.Int32
	inside chan struct{} // the handler says that it is there
	cue    chan struct{} // and waits for the client
}

func (c *scene) begin(short time.Duration) *play {
	p := &play{scene: c, short: short, inside: make(chan struct{}, 16), cue: make(chan struct{})}
	return p
}

// ServeHTTP is the handler within the chain.
func (p *play) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(p.calls.Add(1))
	w.Header().Set("X-Attempt", fmt.Sprint(n))
	p.handle(p, n, w, r)
}

// request is what the client sends by itself.
func (p *play) request(ctx context.Context, n *network) *http.Request {
	var body io.Reader
	if p.scene.body != "" {
		body = strings.NewReader(p.scene.body)
	}
	method := p.method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, n.url+p.path, body)
	if err != nil {
		panic(err)
	}
	return r
}

// run has the client ask.
func (p *play) run(n *network) reply {
	if p.ask != nil {
		return p.ask(p, n)
	}
	var infos atomic.Int32
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { infos.Add(1); return nil },
	})
	re := n.do(p.request(ctx, n))
	re.infos = int(infos.Load())
	return re
}

// expected are the attempts in a chain of this order. Over HTTP/1 the answer to
// a request whose upload is still under way is sent at once, which makes it the
// last one.
func (c *scene) expected(o order, proto int, patience time.Duration) []verdict {
	if patience > 0 && c.late && o.outside(retrying, timing) && (proto == 2 || c.body == "") {
		return []verdict{failure, failure, failure}
	}
	return c.attempts
}

// told is what an observer outside of all tells. Where a handler that outlives
// its deadline runs on a goroutine of its own, its route is not known: it may be
// being chosen.
func (c *scene) told(o order, proto int) exchange {
	x := exchange{route: c.path, status: c.status, outcome: c.outcome, long: c.long}
	if c.outcome == "timeout" {
		x.policy = "the timeout"
		if proto == 2 || o.outside(retrying, timing) {
			x.route = ""
		}
	}
	return x
}

// answers wants a whole response of the last attempt, and nothing of another.
func answers(status int, body string, header ...string) func(*play, reply) string {
	return func(p *play, re reply) string {
		switch {
		case re.err != nil || re.cut != nil:
			return fmt.Sprintf("error %v, cut %v", re.err, re.cut)
		case re.status != status || re.body != body:
			return fmt.Sprintf("%d %.80q of %d bytes", re.status, re.body, len(re.body))
		case strings.Join(re.header["X-Attempt"], ",") != fmt.Sprint(p.calls.Load()):
			return fmt.Sprintf("the answer of attempt %q of %d", re.header["X-Attempt"], p.calls.Load())
		case len(re.header["X-Dropped"]) > 0:
			return "a header of a dropped attempt"
		}
		for i := 0; i+1 < len(header); i += 2 {
			if got := strings.Join(re.header[header[i]], "|"); got != header[i+1] {
				return fmt.Sprintf("%s: %q, not %q", header[i], got, header[i+1])
			}
		}
		return ""
	}
}

// refuses wants a whole answer of a policy, and nothing of the handler's.
func refuses(code string) func(*play, reply) string {
	return func(p *play, re reply) string {
		switch {
		case re.err != nil || re.cut != nil:
			return fmt.Sprintf("error %v, cut %v", re.err, re.cut)
		case re.status != 503 || strings.Count(re.body, `"code":`) != 1 || !strings.Contains(re.body, `"code":"`+code+`"`):
			return fmt.Sprintf("%d %.80q", re.status, re.body)
		case re.header.Get("Content-Type") != "application/problem+json" || re.header.Get("Retry-After") == "":
			return fmt.Sprint(re.header)
		case len(re.header["X-Attempt"]) > 0 || len(re.header["X-Dropped"]) > 0:
			return fmt.Sprintf("a header of the handler's: %v", re.header)
		}
		return ""
	}
}

// nothing wants that the client sees that there is no answer.
func nothing(p *play, re reply) string {
	if re.err == nil {
		return fmt.Sprintf("%d %.80q, cut %v", re.status, re.body, re.cut)
	}
	return ""
}

// cutShort wants that the client sees that a response has no end.
func cutShort(body string) func(*play, reply) string {
	return func(p *play, re reply) string {
		if re.err != nil || re.status != 200 || re.cut == nil || re.body != body {
			return fmt.Sprintf("%v, %d %.80q, cut %v", re.err, re.status, re.body, re.cut)
		}
		return ""
	}
}

func flush(w http.ResponseWriter) { http.NewResponseController(w).Flush() }

// leaves is a client that goes when the handler is there, and has read this much.
func leaves(read int) func(*play, *network) reply {
	return func(p *play, n *network) reply {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if read == 0 {
			go func() {
				<-p.inside
				cancel()
			}()
			return n.do(p.request(ctx, n))
		}
		resp, err := n.client.Do(p.request(ctx, n))
		if err != nil {
			return reply{err: err}
		}
		got, err := io.ReadAll(io.LimitReader(resp.Body, int64(read)))
		cancel()
		resp.Body.Close()
		return reply{status: resp.StatusCode, header: resp.Header, body: string(got), cut: err}
	}
}

var (
	large = strings.Repeat("0123456789abcdef", 1<<13)
	upped = strings.Repeat("up", 5000)
)

var scenes = []*scene{
	{
		name: "200", path: "/ok", attempts: []verdict{success}, status: 200,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			io.WriteString(w, "hello")
		},
		want: answers(200, "hello", "X-Handler", "yes", "Content-Length", "5"),
	},
	{
		name: "nothing is written", path: "/silent", attempts: []verdict{success}, status: 200,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Handler", "yes") },
		want:   answers(200, "", "X-Handler", "yes", "Content-Length", "0"),
	},
	{
		name: "404", path: "/missing", attempts: []verdict{success}, status: 404,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) { http.Error(w, "not here", 404) },
		want:   answers(404, "not here\n"),
	},
	{
		name: "204", path: "/empty", method: "DELETE", attempts: []verdict{success}, status: 204,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) },
		want:   answers(204, ""),
	},
	{
		name: "HEAD", path: "/head", method: "HEAD", attempts: []verdict{success}, status: 200,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hello")
		},
		want: answers(200, "", "Content-Length", "5"),
	},
	{
		name: "500 and then good", path: "/again", attempts: []verdict{failure, success}, status: 200,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.Header().Set("X-Dropped", "yes")
				w.WriteHeader(500)
				io.WriteString(w, "nobody reads this")
				return
			}
			io.WriteString(w, "good")
		},
		want: answers(200, "good"),
	},
	{
		name: "500 and then good, with an upload", path: "/again/up", method: "PUT", body: upped,
		attempts: []verdict{failure, success}, status: 201,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			if n == 1 {
				w.WriteHeader(502)
				return
			}
			w.WriteHeader(201)
			fmt.Fprintf(w, "%t %v", string(got) == upped, err)
		},
		want: answers(201, "true <nil>"),
	},
	{
		name: "503 three times", path: "/down", attempts: []verdict{failure, failure, failure}, status: 503,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			fmt.Fprint(w, "failure ", n)
		},
		want: answers(503, "failure 3"),
	},
	{
		name: "500 to a POST", path: "/post", method: "POST", body: upped, attempts: []verdict{failure}, status: 500,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(500)
			io.WriteString(w, "once")
		},
		want: answers(500, "once"),
	},
	{
		name: "503 that asks for patience", path: "/patience", attempts: []verdict{failure}, status: 503,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(503)
			io.WriteString(w, "tomorrow")
		},
		want: answers(503, "tomorrow", "Retry-After", "7200"),
	},
	{
		name: "a failure too long to be held back", path: "/long/failure", attempts: []verdict{failure}, status: 500,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			io.WriteString(w, large[:80_000])
		},
		want: answers(500, large[:80_000]),
	},
	{
		name: "a large body", path: "/large", attempts: []verdict{success}, status: 200,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			io.Copy(w, strings.NewReader(large))
		},
		want: answers(200, large),
	},
	{
		name: "an informational response and trailers", path: "/trailers", attempts: []verdict{failure, success}, status: 200,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.Header().Set("Trailer", "X-Dropped")
				w.WriteHeader(500)
				w.Header().Set("X-Dropped", "yes")
				return
			}
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "body")
			flush(w)
			w.Header().Set("X-Sum", "4")
		},
		want: func(p *play, re reply) string {
			if fault := answers(200, "body")(p, re); fault != "" {
				return fault
			}
			if re.infos != 1 || len(re.trail) != 1 || re.trail.Get("X-Sum") != "4" {
				return fmt.Sprintf("%d informational responses, trailers %v", re.infos, re.trail)
			}
			return ""
		},
	},
	{
		name: "a panic", path: "/panic", method: "PUT", attempts: []verdict{failure}, outcome: "panic",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) { panic("the handler's own") },
		want:   nothing,
	},
	{
		name: "a panic after something was written", path: "/panic/written", method: "PUT", attempts: []verdict{failure}, outcome: "panic",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half of")
			panic("the handler's own")
		},
		want: nothing,
	},
	{
		name: "ErrAbortHandler", path: "/abort", method: "PUT", attempts: []verdict{failure}, outcome: "aborted",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		want:   nothing,
	},
	{
		name: "ErrAbortHandler in the middle of a body", path: "/abort/body", attempts: []verdict{failure}, status: 200, outcome: "aborted",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half of")
			flush(w)
			panic(http.ErrAbortHandler)
		},
		want: cutShort("half of"),
	},
	{
		name: "Goexit", path: "/goexit", method: "PUT", attempts: []verdict{failure}, outcome: "aborted",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) { runtime.Goexit() },
		want:   nothing,
	},
	{
		name: "too slow, and heeds its context", path: slow + "/heeds", attempts: []verdict{failure}, late: true, status: 503, outcome: "timeout",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Dropped", "yes")
			io.WriteString(w, "not enough")
			<-r.Context().Done()
			io.WriteString(w, "and too late")
		},
		want: refuses(timeout.Code),
	},
	{
		name: "too slow, and ignores its context", path: slow + "/ignores", attempts: []verdict{failure}, late: true, status: 503, outcome: "timeout",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Dropped", "yes")
			time.Sleep(3 * p.short)
			w.WriteHeader(200)
			io.WriteString(w, "too late")
		},
		want: refuses(timeout.Code),
	},
	{
		name: "too slow, with an upload", path: slow + "/up", method: "PUT", body: upped, attempts: []verdict{failure}, late: true, status: 503, outcome: "timeout",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 100)
			time.Sleep(3 * p.short)
			io.Copy(w, r.Body)
		},
		want: refuses(timeout.Code),
	},
	{
		name: "too slow, and panics then", path: slow + "/panic", attempts: []verdict{failure}, late: true, status: 503, outcome: "timeout",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(p.short)
			panic("the handler's own")
		},
		want: refuses(timeout.Code),
	},
	{
		name: "too slow, and has begun", path: slow + "/begun", attempts: []verdict{failure}, status: 200, outcome: "timeout",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half of")
			flush(w)
			time.Sleep(3 * p.short)
			io.WriteString(w, "too late")
		},
		want: cutShort("half of"),
	},
	{
		name: "an event stream", path: slow + "/events", attempts: []verdict{success}, status: 200, long: true,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for range 4 {
				io.WriteString(w, "data: hello\n\n")
				flush(w)
				time.Sleep(p.short / 2)
			}
		},
		want: answers(200, strings.Repeat("data: hello\n\n", 4), "Content-Type", "text/event-stream"),
	},
	{
		name: "hijack", on: 1, path: slow + "/hijack", attempts: []verdict{success}, status: 101, long: true,
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			time.Sleep(2 * p.short)
			if line, err := rw.ReadString('\n'); err == nil && r.Context().Err() == nil {
				io.WriteString(conn, line)
			}
		},
		ask: func(p *play, n *network) reply {
			conn, err := n.dial()
			if err != nil {
				return reply{err: err}
			}
			defer conn.Close()
			go io.WriteString(conn, "GET "+p.path+" HTTP/1.1\r\nHost: chain.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return reply{err: err}
			}
			go io.WriteString(conn, "echo\n")
			rest, err := io.ReadAll(in)
			return reply{status: resp.StatusCode, header: resp.Header, body: string(rest), cut: err}
		},
		want: func(p *play, re reply) string {
			if re.err != nil || re.status != 101 || re.body != "echo\n" {
				return fmt.Sprintf("%v, %d %q", re.err, re.status, re.body)
			}
			return ""
		},
	},
	{
		name: "a client that leaves", path: "/leaves", method: "PUT", attempts: []verdict{excluded}, status: 499, outcome: "canceled",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			p.inside <- struct{}{}
			<-r.Context().Done()
		},
		ask: leaves(0), want: nothing,
	},
	{
		name: "a client that leaves a failure", path: "/leaves/failure", method: "PUT", attempts: []verdict{excluded}, status: 500, outcome: "canceled",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			p.inside <- struct{}{}
			<-r.Context().Done()
			w.WriteHeader(500)
		},
		ask: leaves(0), want: nothing,
	},
	{
		name: "a client that leaves a body", path: "/leaves/body", attempts: []verdict{excluded}, status: 200, outcome: "canceled",
		handle: func(p *play, n int, w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := io.WriteString(w, large[:10_000]); err != nil {
					return
				}
				flush(w)
			}
		},
		ask: leaves(15_000),
		want: func(p *play, re reply) string {
			if re.err != nil || re.cut != nil || re.status != 200 || re.body != large[:10_000]+large[:5000] {
				return fmt.Sprintf("%v, %d %d bytes, %v", re.err, re.status, len(re.body), re.cut)
			}
			return ""
		},
	},
}

// refusal is a policy that refuses everything for a while.
type refusal struct {
	by      layer
	code    string
	outcome string
	name    string
	on, off func(*stack) error
}

var refusals = []refusal{
	{
		by: shedding, code: shed.Code, outcome: "shed", name: "the shedder",
		on: func(s *stack) error {
			return s.shed.Update(shed.Using(func(shed.Snapshot, *http.Request) bool { return true }))
		},
		off: func(s *stack) error { return s.shed.Update(shed.WithStrategy(shed.Adaptive)) },
	},
	{
		by: breaking, code: breaker.Code, outcome: "breaker_open", name: "the breaker",
		on:  func(s *stack) error { s.breaker.ForceOpen(); return nil },
		off: func(s *stack) error { s.breaker.Automatic(); return nil },
	},
	{
		by: bounding, code: bulkhead.Code, outcome: "bulkhead_full", name: "the bulkhead",
		on:  func(s *stack) error { return s.bulkhead.Update(bulkhead.WithLimit(0)) },
		off: func(s *stack) error { return s.bulkhead.Update(bulkhead.WithLimit(64)) },
	},
}

package chain

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/health"
	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/internal/leaktest"
)

// stage is a chain of some order on a server. What is played there is played
// one after the other.
type stage struct {
	t     testing.TB
	stack *stack
	net   *network
	now   *play
	// short is the timeout of what is too slow, and patience the retrier's.
	short, patience time.Duration
	// rest lets everything end that was begun.
	rest func()
}

func newStage(t testing.TB, o order, short, patience time.Duration) *stage {
	return &stage{t: t, stack: newStack(o, short, patience), short: short, patience: patience}
}

// handler is the chain around a mux, with a route for each scene.
func (s *stage) handler() http.Handler {
	mux := http.NewServeMux()
	within := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.now.ServeHTTP(w, r) })
	for _, c := range scenes {
		mux.Handle(c.path, within)
	}
	return s.stack.wrap(mux)
}

func (s *stage) errorf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("HTTP/%d, %v: %s", s.net.proto, s.stack.order, fmt.Sprintf(format, args...))
}

// acts are all that can be played on a stage.
func (s *stage) acts() (acts []func()) {
	for _, c := range scenes {
		if c.on == 0 || c.on == s.net.proto {
			acts = append(acts, func() { s.play(c) })
		}
	}
	for _, f := range refusals {
		acts = append(acts, func() { s.refuse(f) })
	}
	return append(acts, s.probe)
}

// playAll plays everything, as long as all is well: on sockets what does not
// come is waited for.
func (s *stage) playAll() {
	for _, act := range s.acts() {
		if s.t.Failed() {
			return
		}
		act()
	}
}

func (s *stage) play(c *scene) {
	s.t.Helper()
	before := s.stack.figures()
	p := c.begin(s.short)
	s.now = p
	re := p.run(s.net)
	s.rest()
	o := s.stack.order
	if fault := c.want(p, re); fault != "" {
		s.errorf("%s: the client got %s", c.name, fault)
	}
	attempts := c.expected(o, s.net.proto, s.patience)
	if n := int(p.calls.Load()); n != len(attempts) {
		s.errorf("%s: the handler was called %d times, not %d", c.name, n, len(attempts))
	}
	var want figures
	for l := range layers {
		switch {
		case l == probing, l == retrying && c.method == "POST":
		case o.outside(retrying, l):
			want.passed[l] = uint64(len(attempts))
		default:
			want.passed[l] = 1
		}
	}
	judged := attempts
	if !o.outside(retrying, breaking) {
		judged = attempts[len(attempts)-1:]
	}
	for _, v := range judged {
		want.verdicts[v]++
	}
	s.counted(c.name, before, want)
	s.told(c.name, re, c.told(o, s.net.proto))
}

// counted checks what the layers have counted, and that nothing is left.
func (s *stage) counted(name string, before, want figures) {
	s.t.Helper()
	if s.patience == 0 { // in real time, what stands outside counts a little after its client has the answer
		for end := time.Now().Add(20 * time.Second); s.stack.figures().since(before) != want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	if got := s.stack.figures().since(before); got != want {
		s.errorf("%s: counted %+v, want %+v", name, got, want)
	}
	if held := s.stack.held(); held != "" {
		s.errorf("%s: afterwards: %s", name, held)
	}
}

// told checks what the observer told where it sees everything, and else that
// nothing was told of twice, which counted has.
func (s *stage) told(name string, re reply, want exchange) {
	s.t.Helper()
	all := s.stack.seen.take()
	if s.stack.order[0] != observing {
		return
	}
	if len(all) != 1 {
		s.errorf("%s: %d exchanges were told of", name, len(all))
		return
	}
	got := all[0]
	if ids := re.header["X-Request-Id"]; re.err == nil && re.status != 101 && (len(ids) != 1 || ids[0] != got.id) {
		s.errorf("%s: the id is %q for the client and %q for the log", name, ids, got.id)
	}
	got.id = ""
	if got != want {
		s.errorf("%s: told of %+v, want %+v", name, got, want)
	}
}

// probe asks for readiness.
func (s *stage) probe() {
	s.t.Helper()
	before := s.stack.figures()
	re := s.net.get("/readyz")
	s.rest()
	if re.err != nil || re.status != 200 || re.body != "ok" {
		s.errorf("readiness: %v %d %q", re.err, re.status, re.body)
	}
	var want figures
	for l := range layers {
		if s.stack.order.outside(l, probing) {
			want.passed[l] = 1
		}
	}
	want.verdicts[success] = want.passed[breaking]
	s.counted("readiness", before, want)
	s.told("readiness", re, exchange{status: 200})
}

// refuse has a policy refuse a request.
func (s *stage) refuse(f refusal) {
	s.t.Helper()
	if err := f.on(s.stack); err != nil {
		s.errorf("%v", err)
	}
	before := s.stack.figures()
	p := scenes[0].begin(s.short)
	s.now = p
	re := p.run(s.net)
	s.rest()
	if err := f.off(s.stack); err != nil {
		s.errorf("%v", err)
	}
	o := s.stack.order
	if fault := refuses(f.code)(p, re); fault != "" {
		s.errorf("%v refuses: the client got %s", f.by, fault)
	}
	if n := p.calls.Load(); n != 0 {
		s.errorf("%v refuses: the handler was called %d times", f.by, n)
	}
	var want figures
	for l := range layers {
		if l != probing && (l == f.by || o.outside(l, f.by)) {
			want.passed[l] = 1
		}
	}
	if f.by == breaking {
		want.verdicts[3] = 1
	} else {
		want.verdicts[excluded] = want.passed[breaking]
	}
	name := f.by.String() + " refuses"
	s.counted(name, before, want)
	s.told(name, re, exchange{status: 503, outcome: f.outcome, policy: f.name})
}

// Each order has a bubble of its own, which does not end while a goroutine is
// left. It plays a sixth of what there is, over one version of HTTP, another
// one than the next order, so that whatever some layers can make of each other
// comes hundreds of times. With CI_SOAK every order plays everything, over both.
func TestAnyOrderComposes(t *testing.T) {
	all := allOrders()
	if len(all) != 5040 || !slices.Contains(all, recommended) {
		t.Fatalf("%d orders", len(all))
	}
	thorough := os.Getenv("CI_SOAK") != ""
	lanes := max(2, runtime.GOMAXPROCS(0))
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			for i := lane; i < len(all); i += lanes {
				t.Run(all[i].String(), func(t *testing.T) {
					if thorough {
						inBubble(t, all[i], 1, (*stage).playAll)
						inBubble(t, all[i], 2, (*stage).playAll)
						return
					}
					inBubble(t, all[i], 1+i/6%2, func(s *stage) {
						acts := s.acts()
						for j := i % 6; j < len(acts); j += 6 {
							acts[j]()
						}
					})
				})
			}
		})
	}
}

func inBubble(t *testing.T, o order, proto int, play func(*stage)) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, o, time.Second, 10*time.Second)
		s.net = inMemory(proto, s.handler())
		s.rest = func() {
			time.Sleep(20 * time.Second)
			synctest.Wait()
		}
		s.rest()
		play(s)
		s.net.close()
		if err := s.stack.close(); err != nil {
			t.Error(err)
		}
	})
}

// On sockets and in real time, a sample of the orders plays everything.
func TestAnyOrderComposesOnSockets(t *testing.T) {
	leaktest.Check(t)
	overBoth(t, func(t *testing.T, proto int) {
		orders := append([]order{recommended, recommended.reversed()}, allOrders()[:50]...)
		next := make(chan order, len(orders))
		for _, o := range orders {
			next <- o
		}
		close(next)
		var lanes sync.WaitGroup
		for range 26 { // they spend most of their time waiting
			lanes.Go(func() {
				for o := range next {
					onRealSockets(t, o, proto)
				}
			})
		}
		lanes.Wait()
	})
}

func onRealSockets(t *testing.T, o order, proto int) {
	s := newStage(t, o, 100*time.Millisecond, 0)
	s.net, _ = onSockets(t, proto, s.handler())
	defer s.net.close()
	s.rest = func() {
		eventually(t, "an end", func() bool { return s.stack.held() == "" })
	}
	if eventually(t, "readiness", func() bool { return s.stack.health.Stats().Ready == health.Pass }) {
		s.playAll()
	}
	if err := s.stack.close(); err != nil {
		t.Error(err)
	}
}

// For some orders, what a handler can do to its response, its request and its
// connection is gone through case by case.
func TestAHandlerBehavesInAnyOrderAsWithoutTheChain(t *testing.T) {
	all := allOrders()
	for _, o := range []order{recommended, recommended.reversed(), all[0]} {
		t.Run(o.String(), func(t *testing.T) {
			s := newStack(o, time.Minute, time.Minute)
			defer func() {
				if err := s.close(); err != nil {
					t.Error(err)
				}
			}()
			s.plain()
			eventually(t, "the goroutines of the stack", func() bool {
				s.sampler.Usage()
				return s.health.Stats().Ready == health.Pass
			})
			httptorture.Run(t, s.wrap, httptorture.Without("a source that is no file may keep the server waiting, so it is not handed on",
				"HTTP1/copy-reaches-the-connection"))
			if held := s.held(); held != "" {
				t.Errorf("afterwards: %s", held)
			}
		})
	}
}

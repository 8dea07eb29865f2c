package retry_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail/retry"
)

func made(t testing.TB, opts ...retry.Option) *retry.Retrier {
	t.Helper()
	p, err := retry.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// eager repeats at once and as often as attempts allow.
func eager(opts ...retry.Option) []retry.Option {
	return append([]retry.Option{retry.WithFixed(1), retry.WithoutBudget()}, opts...)
}

// scene is a server of which each case has its own.
type scene struct {
	*testing.T
	srv      *httptest.Server
	client   *http.Client
	p        *retry.Retrier
	attempts atomic.Int32
	proto    int
	gaveUp   chan retry.GiveUp
}

// stage serves handler, which is told the number of each attempt, from 1.
func stage(t *testing.T, proto int, opts []retry.Option, outer func(http.Handler) http.Handler,
	handler func(s *scene, n int, w http.ResponseWriter, r *http.Request)) *scene {
	s := &scene{T: t, proto: proto, gaveUp: make(chan retry.GiveUp, 100)}
	s.p = made(t, append(eager(retry.OnGiveUp(func(g retry.GiveUp) { s.gaveUp <- g })), opts...)...)
	h := s.p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != proto {
			t.Errorf("served over %s", r.Proto)
		}
		handler(s, int(s.attempts.Add(1)), w, r)
	}))
	if outer != nil {
		h = outer(h)
	}
	s.srv = httptest.NewUnstartedServer(h)
	s.srv.EnableHTTP2 = proto == 2
	s.srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if proto == 2 {
		s.srv.StartTLS()
	} else {
		s.srv.Start()
	}
	t.Cleanup(s.srv.Close)
	s.client = s.srv.Client()
	s.client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	return s
}

func (s *scene) request(method string, body io.Reader, header ...string) *http.Request {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	s.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, s.srv.URL, body)
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// send returns the response with its body read.
func (s *scene) send(r *http.Request) (*http.Response, string) {
	s.Helper()
	resp, err := s.client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Errorf("reading the body: %v", err)
	}
	return resp, string(body)
}

// reason waits for what the callback is told.
func (s *scene) reason(want retry.Reason) {
	s.Helper()
	select {
	case g := <-s.gaveUp:
		if g.Reason != want {
			s.Errorf("gave up for %v, want %v", g.Reason, want)
		}
	case <-time.After(10 * time.Second):
		s.Errorf("did not report %v", want)
	}
}

func (s *scene) tried(want int) {
	s.Helper()
	if got := int(s.attempts.Load()); got != want {
		s.Errorf("%d attempts, want %d", got, want)
	}
}

package observe_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail/observe"
)

// seen is what a sink kept of the exchanges it was shown.
type seen struct {
	mu  sync.Mutex
	all []observe.Exchange
	// ready is sent one value for each.
	ready chan struct{}
}

func newSeen() *seen { return &seen{ready: make(chan struct{}, 10_000)} }

func (s *seen) Observe(x *observe.Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, *x)
	s.ready <- struct{}{}
}

// one waits for one exchange, of which there must be no more.
func (s *seen) one(t *testing.T) *observe.Exchange {
	t.Helper()
	<-s.ready
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != 1 {
		t.Fatalf("%d exchanges were observed, want 1", len(s.all))
	}
	x := s.all[0]
	s.all = nil
	return &x
}

// both serves h over HTTP/1.1 and over HTTP/2.
func both(t *testing.T, h http.Handler, try func(t *testing.T, srv *httptest.Server)) {
	t.Helper()
	for _, proto := range []string{"HTTP1", "HTTP2"} {
		t.Run(proto, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(h)
			srv.EnableHTTP2 = proto == "HTTP2"
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.StartTLS()
			defer srv.Close()
			try(t, srv)
		})
	}
}

func get(t *testing.T, srv *httptest.Server, path string) (status int, header http.Header) {
	t.Helper()
	resp, err := srv.Client().Get(srv.URL + path)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header
}

func observer(t testing.TB, opts ...observe.Option) *observe.Observer {
	t.Helper()
	o, err := observe.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// settled are o's figures once nothing is in flight: sinks are told before the
// end, and a server of HTTP/2 does not wait for its handlers.
func settled(t *testing.T, o *observe.Observer) observe.Stats {
	t.Helper()
	for began := time.Now(); ; runtime.Gosched() {
		if s := o.Stats(); s.InFlight == 0 && s.LongLived == 0 || time.Since(began) > 10*time.Second {
			return s
		}
	}
}

func handle(f func(w http.ResponseWriter, r *http.Request)) http.Handler { return http.HandlerFunc(f) }

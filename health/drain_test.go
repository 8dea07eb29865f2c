package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
)

// serverFunc is a Server.
type serverFunc func(context.Context) error

func (f serverFunc) Shutdown(ctx context.Context) error { return f(ctx) }

func TestReadinessIsDownForTheDelayBeforeAServerIsShutDown(t *testing.T) {
	for _, c := range []struct {
		name   string
		opts   []Option
		within time.Duration // of the context, 0 for none
		before time.Duration // Drain was called
		want   time.Duration
	}{
		{"by default", nil, 0, 0, 5 * time.Second},
		{"by option", []Option{WithDrainDelay(20 * time.Second)}, time.Minute, 0, 20 * time.Second},
		{"none", []Option{WithDrainDelay(0)}, 0, 0, 0},
		{"half of what there is", []Option{WithDrainDelay(time.Minute)}, 10 * time.Second, 0, 5 * time.Second},
		{"drained before", nil, 0, 3 * time.Second, 2 * time.Second},
		{"drained long before", nil, 0, time.Hour, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := made(t, append(c.opts, steady, WithCheck("db", passing, In(All)))...)
				synctest.Wait()
				if c.before > 0 {
					h.Drain()
					time.Sleep(c.before)
				}
				ctx, cancel := context.WithCancel(context.Background())
				if c.within > 0 {
					ctx, cancel = context.WithTimeout(context.Background(), c.within)
				}
				defer cancel()
				began, order := time.Now(), ""
				first := errors.New("first")
				down := func(name string, err error) Server {
					return serverFunc(func(got context.Context) error {
						order += name
						if got != ctx || time.Since(began) != c.want {
							t.Errorf("shut down after %v with %v", time.Since(began), got)
						}
						return err
					})
				}
				var prober sync.WaitGroup
				prober.Go(func() {
					time.Sleep(time.Nanosecond)
					says(t, h, "/readyz", 503, "[+]db ok\n[-]shutdown failed: the instance is going down\nreadyz check failed\n")
					has(t, h, "/healthz", 503, "[-]shutdown failed")
					has(t, h, "/readyz/shutdown", 503, "[-]shutdown failed")
					says(t, h, "/readyz?exclude=shutdown", 200, "ok")
					says(t, h, "/livez", 200, "ok")
				})
				err := h.Shutdown(ctx, down("a", first), down("b", nil), nil, down("c", errDown))
				if order != "abc" || !errors.Is(err, first) || !errors.Is(err, errDown) || !strings.Contains(err.Error(), "server 2 is nil") {
					t.Errorf("%s, %v", order, err)
				}
				prober.Wait()
				// Once more, and at once.
				began, order, c.want = time.Now(), "", 0
				if err := h.Shutdown(ctx, down("a", nil)); err != nil || order != "a" {
					t.Errorf("%s, %v", order, err)
				}
				says(t, h, "/livez", 200, "ok")
				if s := h.Stats(); !s.Draining || s.Ready != Fail || s.Live != Pass {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestTheDelayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		err := h.Shutdown(ctx, serverFunc(func(ctx context.Context) error { return ctx.Err() }))
		if took := time.Since(began); took != time.Second || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", took, err)
		}
	})
}

func TestShutdownFromEverywhereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t)
		began := time.Now()
		var group sync.WaitGroup
		for range 64 {
			group.Go(func() {
				h.Drain()
				if err := h.Shutdown(context.Background(), &http.Server{}); err != nil || time.Since(began) != 5*time.Second {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		}
		group.Wait()
	})
}

// A client sends as fast as it can, and asks for readiness as a load balancer
// does. The delay lasts here until it has seen that and stopped, however long
// that takes on this machine.
func TestNotOneRequestFailsWhileTheInstanceGoesDown(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			leaktest.Check(t)
			drained, noticed, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
			var listening atomic.Bool
			listening.Store(true)
			h := made(t, WithCheck("db", passing), func(s *settings) {
				s.sleep = func(ctx context.Context, d time.Duration) {
					if d > 5*time.Second || d < 4*time.Second {
						t.Errorf("the delay is %v", d)
					}
					close(drained)
					<-noticed
				}
			})
			for get(h, "/readyz").Code != 200 {
				time.Sleep(time.Millisecond)
			}
			var slow atomic.Int64
			hold := make(chan struct{})
			mux := http.NewServeMux()
			mux.HandleFunc("/fast", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
			mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
				slow.Add(1)
				<-hold
				io.WriteString(w, r.Proto)
			})
			server := httptest.NewUnstartedServer(h.Wrap(mux))
			server.Listener = &watched{server.Listener, &listening}
			if server.EnableHTTP2 = protocol == "HTTP/2.0"; server.EnableHTTP2 {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			client := server.Client()
			ask := func(path string) (int, bool, error) {
				resp, err := client.Get(server.URL + path)
				if err != nil {
					return 0, false, err
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err == nil && resp.StatusCode == 200 && path != "/readyz" && string(body) != protocol {
					err = fmt.Errorf("served %q", body)
				}
				return resp.StatusCode, resp.Close, err
			}

			var ready, stop atomic.Bool
			ready.Store(true)
			var sent, sentWhileDraining, closes, seen atomic.Int64
			var senders sync.WaitGroup
			send := func(path string) {
				draining := h.draining.Load()
				code, closing, err := ask(path)
				if err != nil || code != 200 {
					t.Errorf("%s: %d %v", path, code, err)
				}
				sent.Add(1)
				if draining {
					sentWhileDraining.Add(1)
					if closing {
						closes.Add(1)
					}
				}
			}
			send("/fast") // one HTTP/2 connection is enough, if there is one already
			for range 4 {
				senders.Go(func() { send("/slow") }) // answered while the server shuts down
			}
			var fast sync.WaitGroup
			for range 8 {
				fast.Go(func() {
					for !stop.Load() {
						send("/fast")
					}
				})
			}
			fast.Go(func() { // the load balancer
				for ready.Load() {
					code, _, err := ask("/readyz")
					if err != nil || code != 200 && code != 503 {
						t.Errorf("readiness: %d %v", code, err)
						return
					}
					if code == 503 {
						if !listening.Load() {
							t.Error("the listener was closed before readiness failed")
						}
						seen.Add(1)
						ready.Store(false)
					}
				}
			})
			for sent.Load() < 100 || slow.Load() < 4 {
				time.Sleep(time.Millisecond)
			}
			done := make(chan error)
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			go func() { done <- h.Shutdown(ctx, server.Config) }()
			<-drained
			for ready.Load() || sentWhileDraining.Load() < 100 {
				time.Sleep(time.Millisecond)
			}
			stop.Store(true) // nobody is sent here any more
			fast.Wait()
			client.CloseIdleConnections() // one that was never used holds up a server that shuts down
			if !listening.Load() {
				t.Error("the listener was closed within the delay")
			}
			close(noticed)
			go func() {
				for listening.Load() {
					time.Sleep(time.Millisecond)
				}
				close(closed)
			}()
			<-closed // the server is shutting down, and four requests are under way
			close(hold)
			senders.Wait()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if want := protocol == "HTTP/1.1"; closes.Load() > 0 != want || want && closes.Load() < sentWhileDraining.Load()-4 {
				t.Errorf("%d of %d answers closed their connection", closes.Load(), sentWhileDraining.Load())
			}
			if seen.Load() != 1 || sent.Load() < 205 {
				t.Errorf("sent %d, noticed %d", sent.Load(), seen.Load())
			}
		})
	}
}

// watched is a listener that tells when it is closed.
type watched struct {
	net.Listener
	open *atomic.Bool
}

func (l *watched) Close() error {
	l.open.Store(false)
	return l.Listener.Close()
}

func TestAnUpgradeIsNotToldToClose(t *testing.T) {
	h := made(t)
	w := h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	ask := func(fields ...string) string { return get(w, "/", fields...).Header().Get("Connection") }
	if got := ask(); got != "" {
		t.Errorf("before: %q", got)
	}
	h.Drain()
	if got := ask(); got != "close" {
		t.Errorf("drained: %q", got)
	}
	if got := ask("Upgrade", "websocket", "Connection", "Upgrade"); got != "" {
		t.Errorf("upgrade: %q", got)
	}
	if got := get(w, "/livez").Header().Get("Connection"); got != "close" {
		t.Errorf("a probe: %q", got)
	}
	r, rec := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	if w.ServeHTTP(rec, r); rec.Header().Get("Connection") != "" {
		t.Error("HTTP/2 was told to close, by a GOAWAY before its time")
	}
}

func TestAfterCloseReadinessFailsAndTheRestStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t, steady, WithCheck("db", passing, In(All)))
		synctest.Wait()
		for range 2 {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour)
		has(t, h, "/readyz", 503, "[+]db ok\n[-]shutdown failed")
		says(t, h, "/livez", 200, "ok")
		if n := h.Stats().Checks[0].Runs; n != 1 {
			t.Errorf("%d runs", n)
		}
	})
}

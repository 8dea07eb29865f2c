package shed_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

// serve starts a real server and returns its address and a client for it.
func serve(t *testing.T, http2 bool, h http.Handler) (url string, client *http.Client) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	if http2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	client = srv.Client()
	t.Cleanup(func() {
		client.CloseIdleConnections()
		srv.Close()
	})
	return srv.URL, client
}

// await waits until the figures please. The patience is spent only where they
// never do.
func await(t *testing.T, s *shed.Shedder, what string, pleases func(shed.Stats) bool) shed.Stats {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		st := s.Stats()
		if pleases(st) {
			return st
		}
		if time.Now().After(end) {
			t.Fatalf("%s: in flight %d, long-lived %d; the sampler counts %d and %d", what, st.InFlight, st.LongLived, st.Load.InFlight, st.Load.LongLived)
		}
	}
}

// aside is true while one exchange is counted apart and nothing else is there.
func aside(st shed.Stats) bool {
	return st.LongLived == 1 && st.InFlight == 0 && st.Load.LongLived == 1 && st.Load.InFlight == 0
}

func ended(st shed.Stats) bool {
	return st.LongLived == 0 && st.InFlight == 0 && st.Load.LongLived == 0 && st.Load.InFlight == 0
}

func plainGet(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

var strategiesUnderTest = map[string]shed.Option{
	"adaptive": fixed(1),
	"random":   shed.WithStrategy(shed.Random),
}

func TestAnEventStreamGivesItsSlotBackAndFeedsNoLatency(t *testing.T) {
	for name, strategy := range strategiesUnderTest {
		for proto, http2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
			t.Run(name+"/"+proto, func(t *testing.T) {
				leaktest.Check(t)
				s := shedder(t, strategy, shed.WithMaxWait(0))
				finish := make(chan struct{})
				url, client := serve(t, http2, s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/events" {
						return
					}
					w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
					w.Write([]byte("data: 1\n\n"))
					http.NewResponseController(w).Flush()
					<-finish
				})))
				resp, err := client.Get(url + "/events")
				if err != nil {
					t.Fatal(err)
				}
				line, err := bufio.NewReader(resp.Body).ReadString('\n')
				if line != "data: 1\n" || err != nil {
					t.Fatalf("read %q, %v", line, err)
				}
				if st := s.Stats(); !aside(st) {
					t.Errorf("while the stream is open %d are in flight and %d long-lived", st.InFlight, st.LongLived)
				}
				if got := plainGet(t, client, url); got != http.StatusOK {
					t.Errorf("beside the stream: status %d", got)
				}
				close(finish)
				resp.Body.Close()
				if st := await(t, s, "after the stream", ended); st.Load.Samples != 1 || st.Admitted != 2 {
					t.Errorf("%d latencies of %d requests, want 1 of 2", st.Load.Samples, st.Admitted)
				}
			})
		}
	}
}

func TestAHijackedConnectionGivesItsSlotBackAndFeedsNoLatency(t *testing.T) {
	for name, strategy := range strategiesUnderTest {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			s := shedder(t, strategy, shed.WithMaxWait(0))
			finish := make(chan struct{})
			url, client := serve(t, false, s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/upgrade" {
					return
				}
				conn, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				rw.Flush()
				<-finish
			})))
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, err := bufio.NewReader(conn).ReadString('\n')
			if !strings.Contains(line, "101") || err != nil {
				t.Fatalf("read %q, %v", line, err)
			}
			if st := s.Stats(); !aside(st) {
				t.Errorf("while it is hijacked %d are in flight and %d long-lived", st.InFlight, st.LongLived)
			}
			if got := plainGet(t, client, url); got != http.StatusOK {
				t.Errorf("beside it: status %d", got)
			}
			close(finish)
			if st := await(t, s, "after it", ended); st.Load.Samples != 1 || st.Admitted != 2 {
				t.Errorf("%d latencies of %d requests, want 1 of 2", st.Load.Samples, st.Admitted)
			}
		})
	}
}

func TestRequestsThatAnOptionMarksAsLongHoldNoSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(2), shed.WithMaxWait(0),
			shed.WithLongLived(func(r *http.Request) bool { return r.Header.Get("X-Watch") != "" }))
		h := s.Wrap(desk)
		var watches []*call
		for i := range 5 {
			c := settled(h, "X-Watch", "1")
			if !c.inside.Load() {
				t.Fatalf("watch %d was not let in", i)
			}
			watches = append(watches, c)
		}
		if st := s.Stats(); st.LongLived != 5 || st.InFlight != 0 || st.Load.LongLived != 5 {
			t.Errorf("%d long-lived, %d in flight", st.LongLived, st.InFlight)
		}
		others := fill(t, h, 2)
		if c := settled(h, "X-Watch", "1"); c.inside.Load() {
			t.Error("a watch was let in although no slot was free")
		}
		time.Sleep(time.Minute)
		for i, end := range []func(http.ResponseWriter, *http.Request){
			nil, status(500), func(http.ResponseWriter, *http.Request) { panic("boom") },
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Write([]byte("data: 1\n\n"))
			},
		} {
			watches[i].release <- end
		}
		synctest.Wait()
		if st := s.Stats(); st.Load.Samples != 0 || st.LongLived != 1 || st.InFlight != 2 {
			t.Errorf("%d samples, %d long-lived, %d in flight", st.Load.Samples, st.LongLived, st.InFlight)
		}
		finish(append(watches[4:], others...))
		empty(t, s)
	})
}

func TestAFreedSlotGoesToWhoWaitsWhenAStreamBegins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1))
		h := s.Wrap(desk)
		begin := make(chan struct{})
		stream := settled(h)
		stream.release <- func(w http.ResponseWriter, _ *http.Request) {
			<-begin
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			time.Sleep(time.Minute)
		}
		next := settled(h)
		if next.inside.Load() {
			t.Fatal("two inside with one slot")
		}
		close(begin)
		synctest.Wait()
		if !next.inside.Load() || s.Stats().LongLived != 1 {
			t.Errorf("next inside: %t, long-lived %d", next.inside.Load(), s.Stats().LongLived)
		}
		time.Sleep(2 * time.Minute)
		finish([]*call{next})
		empty(t, s)
	})
}

func TestAStreamThatBeginsAfterTheHandlerReturnedIsNotCountedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sampler := idle(t)
		s := shedder(t, fixed(1), shed.WithSampler(sampler))
		inner := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
		}))
		// A package further out that owns the wrapper and commits the answer.
		outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rw, rec, _ := httpwrap.Wrap(w)
			defer rec.Release()
			inner.ServeHTTP(rw, r)
			rw.Write([]byte("data: 1\n\n"))
		})
		for range 3 {
			get(outer)
		}
		empty(t, s)
		calls := fill(t, s.Wrap(desk), 1)
		if c := settled(s.Wrap(desk)); c.inside.Load() {
			t.Error("two requests inside with one slot")
		}
		finish(calls)
	})
}

func TestAClosedSamplerDoesNotChangeWhatIsCounted(t *testing.T) {
	sampler, err := load.New()
	if err != nil {
		t.Fatal(err)
	}
	sampler.Close()
	s := shedder(t, shed.WithSampler(sampler))
	if got := get(s.Wrap(noop)); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if st := s.Stats(); st.Admitted != 1 || st.Load.CPU.Known {
		t.Errorf("admitted %d, CPU %v", st.Admitted, st.Load.CPU)
	}
	empty(t, s)
}

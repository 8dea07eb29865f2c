package bulkhead_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/leaktest"
)

var protocols = []string{"HTTP/1.1", "HTTP/2.0"}

func TestOverARealServerTheRestWaitsAndIsRefused(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			leaktest.Check(t)
			b := made(t, bulkhead.Basic(2), bulkhead.WithMaxQueue(1), bulkhead.WithMaxWait(time.Minute))
			inside, release := make(chan struct{}, 10), make(chan struct{})
			s := server(t, proto, b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inside <- struct{}{}
				<-release
				io.WriteString(w, r.Proto)
			})))
			type answer struct {
				status int
				body   string
			}
			answers := make(chan answer, 10)
			send := func() {
				resp, err := s.Client().Get(s.URL)
				if err != nil {
					t.Error(err)
					answers <- answer{}
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				answers <- answer{resp.StatusCode, string(body)}
			}
			for range 2 {
				go send()
				<-inside
			}
			go send()
			eventually(t, func() bool { return b.Stats().Waiting == 1 })
			send()
			if got := <-answers; got.status != 503 || !strings.Contains(got.body, `"reason":"queue_full"`) {
				t.Errorf("%+v", got)
			}
			close(release)
			for range 3 {
				if got := <-answers; got.status != 200 || got.body != proto {
					t.Errorf("%+v", got)
				}
			}
			eventually(t, func() bool { return b.Stats().InUse == 0 })
			s.Client().CloseIdleConnections()
		})
	}
}

var errLeft = errors.New("noted as gone")

func TestAClientThatLeavesARealServerLeavesTheQueue(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			leaktest.Check(t)
			b := made(t, bulkhead.Basic(1), bulkhead.WithMaxWait(time.Minute))
			inside, release := make(chan struct{}, 10), make(chan struct{})
			s := server(t, proto, b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inside <- struct{}{}
				<-release
			})))
			done := make(chan error, 2)
			send := func(ctx context.Context) {
				r, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
				resp, err := s.Client().Do(r)
				if err == nil {
					resp.Body.Close()
					// TLS takes leave before it closes the connection, and what
					// is noted may come just in between.
					if resp.StatusCode == 499 {
						err = errLeft
					}
				}
				done <- err
			}
			go send(context.Background())
			<-inside
			ctx, leave := context.WithCancel(context.Background())
			go send(ctx)
			eventually(t, func() bool { return b.Stats().Waiting == 1 })
			leave()
			if err := <-done; err == nil {
				t.Error("it did not leave")
			}
			eventually(t, func() bool { s := b.Stats(); return s.Waiting == 0 && s.Canceled == 1 })
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := b.Stats(); got.Admitted != 1 || got.Rejected != 0 {
				t.Errorf("%+v", got)
			}
			s.Client().CloseIdleConnections()
		})
	}
}

func TestAnEventStreamHoldsItsSlotUntilItEnds(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			leaktest.Check(t)
			b := made(t)
			more := make(chan struct{})
			s := server(t, proto, b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for range more {
					fmt.Fprint(w, "data: x\n\n")
					http.NewResponseController(w).Flush()
				}
			})))
			defer s.Client().CloseIdleConnections()
			resp := make(chan *http.Response, 1)
			go func() {
				got, err := s.Client().Get(s.URL)
				if err != nil {
					t.Error(err)
				}
				resp <- got
			}()
			more <- struct{}{}
			events := <-resp
			if events == nil {
				return
			}
			lines := bufio.NewReader(events.Body)
			for range 3 {
				if line, err := lines.ReadString('\n'); err != nil || line != "data: x\n" {
					t.Fatalf("%q, %v", line, err)
				}
				lines.ReadString('\n')
				if got := b.Stats().InUse; got != 1 {
					t.Errorf("%d slots in use", got)
				}
				more <- struct{}{}
			}
			close(more)
			io.Copy(io.Discard, lines)
			events.Body.Close()
			eventually(t, func() bool { return b.Stats().InUse == 0 })
		})
	}
}

func TestAHijackedConnectionHoldsItsSlotUntilTheHandlerReturns(t *testing.T) {
	leaktest.Check(t)
	b := made(t)
	s := server(t, "HTTP/1.1", b.Wrap(echo))
	conn := dial(t, s.Client().Transport.(*http.Transport), s.Listener.Addr())
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping\n")
	readUntil(t, conn, "\r\n\r\n")
	if got := readUntil(t, conn, "\n"); got != "ping\n" {
		t.Errorf("%q", got)
	}
	inUse(t, b, 1)
	conn.Close()
	eventually(t, func() bool { return b.Stats().InUse == 0 })
}

// A body that does not arrive must not hold up a refusal.
func TestARefusedUploadIsAnsweredBeforeItsBodyIsThere(t *testing.T) {
	leaktest.Check(t)
	b := made(t, bulkhead.Basic(0))
	s := server(t, "HTTP/1.1", b.Wrap(noop))
	conn := dial(t, s.Client().Transport.(*http.Transport), s.Listener.Addr())
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	if head := readUntil(t, conn, "\r\n\r\n"); !strings.HasPrefix(head, "HTTP/1.1 503") {
		t.Errorf("%q", head)
	}
}

func TestPanicsOverARealServerLoseNoSlot(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			leaktest.Check(t)
			b := made(t, bulkhead.Basic(2), bulkhead.WithMaxWait(0))
			s := server(t, proto, b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })))
			for range 20 {
				if resp, err := s.Client().Get(s.URL); err == nil {
					t.Errorf("status %d", resp.StatusCode)
					resp.Body.Close()
				}
				eventually(t, func() bool { return b.Stats().InUse == 0 })
			}
			if got := b.Stats(); got.Rejected != 0 {
				t.Errorf("%+v", got)
			}
			s.Client().CloseIdleConnections()
		})
	}
}

// dial opens a connection that gives up at last.
func dial(t *testing.T, transport *http.Transport, addr net.Addr) net.Conn {
	t.Helper()
	conn, err := tlsDial(transport, addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func tlsDial(transport *http.Transport, addr net.Addr) (net.Conn, error) {
	config := transport.TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", nil
	return tls.Dial("tcp", addr.String(), config)
}

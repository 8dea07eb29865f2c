package health

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A connection whose handshake ends after the server began to shut down is not
// told, since HTTP/2 tells those that there are. It ends when it has been idle.
func TestAnIdleTimeoutEndsASpareConnectionThatHoldsUpTheShutdown(t *testing.T) {
	h := made(t, WithDrainDelay(0))
	server := httptest.NewUnstartedServer(h.Wrap(http.NotFoundHandler()))
	accepted, begun := make(chan struct{}, 1), make(chan struct{})
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted <- struct{}{}
		}
	}
	server.Config.IdleTimeout = 300 * time.Millisecond
	var open atomic.Bool
	open.Store(true)
	server.Listener = &watched{server.Listener, &open}
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	server.Config.RegisterOnShutdown(func() { close(begun) }) // after that of HTTP/2
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-accepted
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	go func() { done <- h.Shutdown(ctx, server.Config) }()
	<-begun
	time.Sleep(20 * time.Millisecond) // for that of HTTP/2 to have looked; if it has not, the spare one is told
	spare := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := spare.Handshake(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(spare, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	go io.Copy(io.Discard, spare)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if open.Load() {
		t.Error("the listener is open")
	}
}

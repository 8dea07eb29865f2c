package httptorture

import (
	"bufio"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

var proxyCases = []testCase{
	{"proxied-stream", both, true, proxiedStream},
	{"proxied-upgrade", http1, true, proxiedUpgrade},
	{"proxied-response-that-breaks-off", both, true, proxiedAbort},
}

// proxy returns a httputil.ReverseProxy in front of a backend.
func (e *env) proxy(backend *site) http.Handler {
	e.Helper()
	target, err := url.Parse(backend.srv.URL)
	if err != nil {
		e.Fatalf("backend: %v", err)
	}
	transport := &http.Transport{DisableCompression: true}
	backend.atClose(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
}

// proxiedStream sends a line only after the client has the one before.
func proxiedStream(e *env) {
	seen := make(chan struct{})
	backend := e.serveAsIs(http1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		for _, line := range []string{"one\n", "two\n", "three\n"} {
			io.WriteString(w, line)
			w.(http.Flusher).Flush()
			if !e.await(seen) {
				return
			}
		}
		w.Header().Set("X-Sum", "6")
	}))
	s := e.serveAsIs(e.proto, e.mw(e.proxy(backend)))
	resp := s.send(s.request("GET", "/", nil))
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		e.expect(in, line)
		e.give(seen, "the handler waits for the client")
	}
	if rest, err := io.ReadAll(in); len(rest) != 0 || err != nil {
		e.Errorf("after the last line: %q, %v", rest, err)
	}
	if got := resp.Trailer.Get("X-Sum"); got != "6" {
		e.Errorf("trailer %q", got)
	}
}

// proxiedUpgrade switches protocols through the proxy.
func proxiedUpgrade(e *env) {
	backend := e.serveAsIs(http1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn := statusUpgrade(w); conn != nil {
			conn.echo()
		}
	}))
	s := e.serveAsIs(e.proto, e.mw(e.proxy(backend)))
	conn := s.dial()
	defer conn.Close()
	io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	e.expect(in, switching)
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(conn, line)
		e.expect(in, line)
	}
}

// proxiedAbort has the backend break off in the middle of a body. The proxy
// panics with http.ErrAbortHandler then, and the client must notice.
func proxiedAbort(e *env) {
	seen := make(chan struct{})
	backend := e.serveAsIs(http1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		e.await(seen)
		panic(http.ErrAbortHandler)
	}))
	endings := make(chan ending, 1)
	s := e.serveAsIs(e.proto, watch(e.mw(e.proxy(backend)), endings))
	resp := s.send(s.request("GET", "/", nil))
	close(seen)
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "half" || err == nil {
		e.Errorf("the client got %q with error %v, want half a body that is visibly cut", body, err)
	}
	if end := receive(e, endings, "the middleware is done"); end.value != any(http.ErrAbortHandler) {
		e.Errorf("outside arrives %v, want http.ErrAbortHandler itself", end.value)
	}
	e.settle()
	if logged := s.log.String(); logged != "" {
		e.Errorf("the server's log is not empty after an abort: %s", logged)
	}
}

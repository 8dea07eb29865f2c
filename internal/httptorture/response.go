package httptorture

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"time"
)

var responseCases = []testCase{
	scripted("status-and-headers", both, true, script{handle: statusAndHeaders}),
	scripted("nothing-written", both, false, script{handle: func(http.ResponseWriter, *http.Request, notes) {}}),
	scripted("empty-write-commits", both, true, script{handle: emptyWrite}),
	scripted("write-string", both, false, script{handle: writeString}),
	scripted("content-type-is-sniffed", both, false, script{handle: writes("<!doctype html><p>hello")}),
	scripted("small-body-has-a-length", both, false, script{handle: writes("a", "bc", "", "def")}),
	scripted("large-body", both, false, script{handle: largeBody}),
	scripted("large-body-of-known-length", both, false, script{handle: largeBodyOfKnownLength}),
	scripted("http-1.0-client", http1, false, script{handle: writes("a", "b"), request: http10}),
	{"file", both, false, fromFile},
	scripted("range-of-a-file", both, false, script{handle: serveContent, request: withHeader("Range", "bytes=1000-1999")}),
	scripted("copy-of-nothing-commits-nothing", both, false, script{handle: copyOfNothing}),
	scripted("first-status-stays", both, true, script{handle: statuses(404, 200, 500)}),
	scripted("status-after-a-write-is-superfluous", both, false, script{handle: statusAfterWrite}),
	scripted("status-after-a-flush-is-superfluous", both, true, script{handle: statusAfterFlush}),
	scripted("status-799-is-legal", both, false, script{handle: statuses(799)}),
	scripted("status-999-is-legal", both, false, script{handle: statuses(999)}),
	scripted("status-0-panics-in-the-server", both, false, script{handle: statusZero}),
	scripted("no-content-has-no-body", both, true, script{handle: noBodyAllowed(http.StatusNoContent)}),
	scripted("not-modified-has-no-body", both, false, script{handle: noBodyAllowed(http.StatusNotModified)}),
	scripted("body-beyond-its-length", both, true, script{handle: bodyBeyondItsLength}),
	scripted("body-short-of-its-length", both, false, script{handle: bodyShortOfItsLength}),
	scripted("head-of-a-small-body", both, false, script{handle: writes("hello"), request: head}),
	scripted("head-of-a-large-body", both, false, script{handle: quiet(largeBodyOfKnownLength), request: head}),
	{"connection-is-reused", http1, false, connectionIsReused},
	scripted("headers-set-outside", both, true, script{handle: headersSetOutside, around: settingHeaders}),
	scripted("declared-trailers", both, true, script{handle: declaredTrailers}),
	scripted("undeclared-trailers", both, true, script{handle: undeclaredTrailers}),
	{"early-hints", both, true, earlyHints},
	scripted("early-hints-keep-their-headers", both, false, script{handle: earlyHintsHeaders}),
}

func head(s *site) *http.Request { return s.request("HEAD", "/", nil) }

func withHeader(name, value string) func(*site) *http.Request {
	return func(s *site) *http.Request {
		r := s.request("GET", "/", nil)
		r.Header.Set(name, value)
		return r
	}
}

func statusAndHeaders(w http.ResponseWriter, _ *http.Request, note notes) {
	h := w.Header()
	h.Set("X-One", "1")
	h.Add("X-Many", "a")
	h.Add("X-Many", "b")
	h.Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusTeapot)
	w.Header().Set("X-Late", "too late")
	h.Set("X-One", "too late")
	n, err := w.Write([]byte("short and stout"))
	note("Write: %d, %s", n, describeError(err))
}

func emptyWrite(w http.ResponseWriter, _ *http.Request, note notes) {
	n, err := w.Write(nil)
	note("Write: %d, %s", n, describeError(err))
	w.WriteHeader(http.StatusInternalServerError)
}

func writeString(w http.ResponseWriter, _ *http.Request, note notes) {
	s, ok := w.(io.StringWriter)
	if !ok {
		note("no WriteString")
		return
	}
	n, err := s.WriteString("hello")
	note("WriteString: %d, %s", n, describeError(err))
}

func writes(parts ...string) func(http.ResponseWriter, *http.Request, notes) {
	return func(w http.ResponseWriter, _ *http.Request, note notes) {
		for _, p := range parts {
			n, err := io.WriteString(w, p)
			note("Write: %d, %s", n, describeError(err))
		}
	}
}

func largeBody(w http.ResponseWriter, _ *http.Request, note notes) {
	body := noise(700_001)
	for size := 1; len(body) > 0; size = size*3 + 1 {
		size = min(size, len(body))
		n, err := w.Write(body[:size])
		note("Write: %d, %s", n, describeError(err))
		body = body[size:]
	}
}

func largeBodyOfKnownLength(w http.ResponseWriter, r *http.Request, note notes) {
	w.Header().Set("Content-Length", "300001")
	n, err := io.Copy(struct{ io.Writer }{w}, noiseReader(300_001))
	note("Copy: %d, %s", n, describeError(err))
}

// quiet notes nothing, where what a handler sees depends on who is faster.
func quiet(handle func(http.ResponseWriter, *http.Request, notes)) func(http.ResponseWriter, *http.Request, notes) {
	return func(w http.ResponseWriter, r *http.Request, _ notes) {
		handle(w, r, func(string, ...any) {})
	}
}

func http10(s *site) *http.Request {
	conn := s.dial()
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	raw, _ := io.ReadAll(conn)
	if bytes.Contains(raw, []byte("Transfer-Encoding")) || !bytes.Contains(raw, []byte("Content-Length: 2\r\n")) {
		s.e.Errorf("a client of HTTP/1.0 gets %q", raw)
	}
	s.e.must(s.served, "the handler returns")
	return s.request("GET", "/", nil)
}

// fromFile copies a file into the writer as http.FileServer does.
func fromFile(e *env) {
	e.Helper()
	f, err := os.CreateTemp("", "httptorture-")
	if err != nil {
		e.Fatalf("a file to send: %v", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(noise(400_000)); err != nil {
		e.Fatalf("a file to send: %v", err)
	}
	script{name: "file", handle: func(w http.ResponseWriter, _ *http.Request, note notes) {
		_, err := f.Seek(1, io.SeekStart)
		note("Seek: %v", err)
		n, err := io.Copy(w, f)
		note("Copy: %d, %s", n, describeError(err))
		n, err = io.CopyN(w, io.NewSectionReader(f, 0, 100), 50)
		note("CopyN: %d, %s", n, describeError(err))
	}}.run(e)
}

func serveContent(w http.ResponseWriter, r *http.Request, _ notes) {
	modified := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	http.ServeContent(w, r, "noise.bin", modified, bytes.NewReader(noise(100_000)))
}

// copyOfNothing looks for a ReadFrom that commits before there is a body.
func copyOfNothing(w http.ResponseWriter, _ *http.Request, note notes) {
	n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("")})
	note("Copy: %d, %s", n, describeError(err))
	http.Error(w, "nothing there", http.StatusNotFound)
}

func statuses(codes ...int) func(http.ResponseWriter, *http.Request, notes) {
	return func(w http.ResponseWriter, _ *http.Request, _ notes) {
		for _, code := range codes {
			w.WriteHeader(code)
		}
		io.WriteString(w, "body")
	}
}

func statusAfterWrite(w http.ResponseWriter, _ *http.Request, _ notes) {
	io.WriteString(w, "body")
	w.WriteHeader(http.StatusInternalServerError)
}

func statusAfterFlush(w http.ResponseWriter, _ *http.Request, note notes) {
	note("Flush: %s", describeError(http.NewResponseController(w).Flush()))
	w.WriteHeader(http.StatusInternalServerError)
	io.WriteString(w, "body")
}

func statusZero(w http.ResponseWriter, _ *http.Request, note notes) {
	func() {
		defer func() { note("panic: %v", recover()) }()
		w.WriteHeader(0)
	}()
	w.WriteHeader(http.StatusAccepted)
}

func noBodyAllowed(code int) func(http.ResponseWriter, *http.Request, notes) {
	return func(w http.ResponseWriter, _ *http.Request, note notes) {
		w.WriteHeader(code)
		n, err := io.WriteString(w, "body")
		note("Write: %d, %s", n, describeError(err))
	}
}

func bodyBeyondItsLength(w http.ResponseWriter, _ *http.Request, note notes) {
	w.Header().Set("Content-Length", "5")
	for _, s := range []string{"hello", " and more"} {
		n, err := io.WriteString(w, s)
		note("Write: %d, %s", n, describeError(err))
		note("Flush: %s", describeError(http.NewResponseController(w).Flush()))
	}
}

func bodyShortOfItsLength(w http.ResponseWriter, _ *http.Request, _ notes) {
	w.Header().Set("Content-Length", "50")
	io.WriteString(w, "hello")
}

// connectionIsReused sends different requests, one after the other, over what
// has to be one connection.
func connectionIsReused(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/flush":
			w.(http.Flusher).Flush()
		case "/error":
			http.Error(w, "no", http.StatusServiceUnavailable)
		default:
			io.WriteString(w, "hello")
		}
	})
	d := s.dialogue()
	for _, what := range []string{"GET /", "HEAD /", "GET /none", "GET /flush", "GET /error", "POST /", "GET /"} {
		method, path, _ := strings.Cut(what, " ")
		var body io.Reader
		if method == "POST" {
			body = strings.NewReader("nobody reads this")
		}
		if re := d.ask(s.request(method, path, body)); re.Close {
			e.Fatalf("the server closes the connection after %s", what)
		}
	}
}

func settingHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outside", "set")
		w.Header().Set("X-Removed", "set")
		w.Header().Set("X-Replaced", "set")
		next.ServeHTTP(w, r)
	})
}

func headersSetOutside(w http.ResponseWriter, _ *http.Request, note notes) {
	h := w.Header()
	note("sees %q, %q, %q", h["X-Outside"], h["X-Removed"], h["X-Replaced"])
	h.Del("X-Removed")
	h.Set("X-Replaced", "again")
	io.WriteString(w, "body")
}

func declaredTrailers(w http.ResponseWriter, _ *http.Request, _ notes) {
	w.Header().Set("Trailer", "X-Sum, X-Unset")
	w.Header().Set("X-Plain", "header")
	io.WriteString(w, "body")
	w.Header().Set("X-Sum", "42")
	w.Header().Set("X-Undeclared", "not sent")
}

func undeclaredTrailers(w http.ResponseWriter, _ *http.Request, _ notes) {
	io.WriteString(w, "body")
	http.NewResponseController(w).Flush()
	w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
	w.Header().Set("X-Undeclared", "not sent")
}

// earlyHints sends a 103 that must be with the client before the handler goes
// on, and must not become the status.
func earlyHints(e *env) {
	arrived := make(chan struct{}, 2)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		if !e.await(arrived) {
			return
		}
		w.Header().Del("Link")
		w.Header().Set("X-Final", "yes")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "nothing there")
	})
	r := s.request("GET", "/", nil)
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h["Link"]))
		arrived <- struct{}{}
		return nil
	}}
	re, err := s.fetch(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		e.Fatalf("after early hints: %v", err)
	}
	if got, want := fmt.Sprint(hints), "[103 [</style.css>; rel=preload]]"; got != want {
		e.Errorf("informational responses %s, want %s", got, want)
	}
	if re.StatusCode != http.StatusNotFound || string(re.body) != "nothing there" ||
		re.Header.Get("X-Final") != "yes" || re.Header.Get("Link") != "" {
		e.Errorf("after early hints the response is %d %q, header %v", re.StatusCode, re.body, re.Header)
	}
}

// earlyHintsHeaders keeps the header map: what was hinted is sent again.
func earlyHintsHeaders(w http.ResponseWriter, _ *http.Request, note notes) {
	w.Header().Set("Link", "</style.css>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	note("Link is %q after the hints", w.Header()["Link"])
	w.WriteHeader(http.StatusOK)
}

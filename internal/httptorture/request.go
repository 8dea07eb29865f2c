package httptorture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
)

var requestCases = []testCase{
	scripted("request-arrives-as-sent", both, false, script{handle: requestAsSent, request: fullRequest}),
	scripted("request-trailers", both, true, script{handle: requestTrailers, request: requestWithTrailers}),
	scripted("context-of-the-server", both, false, script{handle: contextOfTheServer, around: settingContext}),
	scripted("refused-upload-closes-the-connection", http1, false, script{handle: statuses(413), request: largeUpload}),
	{"unread-body-keeps-the-connection", http1, true, unreadBody},
	{"body-is-the-servers-outside", both, true, bodyIsTheServersOutside},
	{"pattern-is-visible-outside", both, true, patternIsVisibleOutside},
	{"multipart-files-are-removed", both, true, multipartFiles},
	{"client-that-leaves-cancels-the-context", both, true, clientLeaves},
	{"expect-continue-refused", both, true, func(e *env) { expectContinue(e, false) }},
	{"expect-continue-accepted", both, false, func(e *env) { expectContinue(e, true) }},
}

func fullRequest(s *site) *http.Request {
	r := s.request("PUT", "/a%2Fb/c?x=1&y=%20", noiseReader(100_000))
	r.Header["X-Many"] = []string{"a", "b"}
	r.Header.Set("Cookie", "k=v")
	r.Host = "shop.example"
	return r
}

func requestAsSent(w http.ResponseWriter, r *http.Request, note notes) {
	note("%s %s %s host %s", r.Method, r.RequestURI, r.URL, r.Host)
	note("length %d, transfer encoding %v, close %v, TLS %v, peer %v", r.ContentLength, r.TransferEncoding, r.Close, r.TLS != nil, r.RemoteAddr != "")
	h := r.Header.Clone()
	var b strings.Builder
	describeHeader(&b, "header", h)
	note("%s", b.String())
	body, err := io.ReadAll(r.Body)
	note("body of %d bytes, %x, %s", len(body), sha256.Sum256(body), describeError(err))
	n, err := r.Body.Read(make([]byte, 1))
	note("after its end: %d, %s", n, describeError(err))
}

func requestWithTrailers(s *site) *http.Request {
	r := s.request("POST", "/", nil)
	r.Trailer = http.Header{"X-Sum": nil}
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("body"), atEnd(func() { r.Trailer.Set("X-Sum", "42") })))
	r.ContentLength = -1
	return r
}

// atEnd is an empty reader that does something when it is read.
type atEnd func()

func (f atEnd) Read([]byte) (int, error) { f(); return 0, io.EOF }

func requestTrailers(w http.ResponseWriter, r *http.Request, note notes) {
	_, declared := r.Trailer["X-Sum"]
	io.Copy(io.Discard, r.Body)
	note("declared %v, value %q", declared, r.Trailer.Get("X-Sum"))
}

type contextKey struct{}

func settingContext(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, "set outside")))
	})
}

func contextOfTheServer(w http.ResponseWriter, r *http.Request, note notes) {
	ctx := r.Context()
	_, server := ctx.Value(http.ServerContextKey).(*http.Server)
	_, addr := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	note("server %v, address %v, value of an outer middleware %v", server, addr, ctx.Value(contextKey{}))
	note("ends with the request %v, error %v", ctx.Done() != nil, ctx.Err())
}

func largeUpload(s *site) *http.Request {
	// More than net/http would drain, and Expect keeps the client from
	// sending it into a connection that closes.
	r := s.request("POST", "/", noiseReader(600_000))
	r.Header.Set("Expect", "100-continue")
	return r
}

// unreadBody leaves a body unread that is short enough for the server to
// drain it and go on.
func unreadBody(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	d := s.dialogue()
	for range 3 {
		re := d.ask(s.request("POST", "/", noiseReader(50_000)))
		if string(re.body) != "fine" || re.Close {
			e.Fatalf("response %q, closes the connection: %v", re.body, re.Close)
		}
	}
}

// bodyIsTheServersOutside is about what the server finds in its own request
// when it decides about the rest of the body, and about who may close it.
func bodyIsTheServersOutside(e *env) {
	kept := make(chan bool, 1)
	h := e.mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	s := e.serveAsIs(e.proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		h.ServeHTTP(w, r)
		kept <- r.Body == body
	}))
	re, err := s.fetch(s.request("POST", "/", strings.NewReader("hello")))
	if err != nil || string(re.body) != "hello" {
		e.Fatalf("response: %v", err)
	}
	if !receive(e, kept, "the middleware returns") {
		e.Errorf("the body of the server's own request was replaced")
	}
}

// patternIsVisibleOutside is about the names of routes in logs and metrics.
func patternIsVisibleOutside(e *env) {
	seen := make(chan string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}/parts", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Pattern, " ", r.PathValue("id"))
	})
	h := e.mw(mux)
	s := e.serveAsIs(e.proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		seen <- r.Pattern
	}))
	const pattern = "GET /things/{id}/parts"
	if re := s.get("/things/7/parts"); string(re.body) != pattern+" 7" {
		e.Errorf("the handler sees %q", re.body)
	}
	if got := receive(e, seen, "the middleware returns"); got != pattern {
		e.Errorf("outside the pattern is %q, want %q", got, pattern)
	}
}

// multipartFiles uploads a file that goes to disk. The server removes it when
// the request is over, if it finds the form in its own request.
func multipartFiles(e *env) {
	names := make(chan string, 1)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		name := ""
		defer func() { names <- name }()
		if err := r.ParseMultipartForm(1); err != nil {
			e.Errorf("ParseMultipartForm: %v", err)
			return
		}
		f, err := r.MultipartForm.File["upload"][0].Open()
		if err != nil {
			e.Errorf("Open: %v", err)
			return
		}
		defer f.Close()
		if file, ok := f.(*os.File); ok {
			name = file.Name()
		}
	})
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("upload", "noise.bin")
	if err != nil {
		e.Fatalf("form: %v", err)
	}
	part.Write(noise(100_000))
	form.Close()
	r := s.request("POST", "/", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	if _, err := s.fetch(r); err != nil {
		e.Fatalf("response: %v", err)
	}
	name := receive(e, names, "the handler returns")
	if name == "" {
		e.Fatalf("the upload did not go to disk, so that nothing is tried")
	}
	e.settle()
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		e.Errorf("the uploaded file is still on disk when its request is over (%v)", err)
		os.Remove(name)
	}
}

// clientLeaves has a client give up while its handler waits for exactly that.
func clientLeaves(e *env) {
	started := make(chan struct{})
	result := make(chan error, 1)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		if !e.await(r.Context().Done()) {
			result <- nil
			return
		}
		result <- r.Context().Err()
	})
	leave := s.leaving("/")
	e.must(started, "the handler starts")
	leave()
	if err := receive(e, result, "the handler notices"); err != context.Canceled {
		e.Errorf("the context of a client that left ends with %v", err)
	}
}

// expectContinue waits for a go-ahead before it sends a body. It must come if
// the handler reads, and only then.
func expectContinue(e *env, accept bool) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if !accept {
			http.Error(w, "go away", http.StatusForbidden)
			return
		}
		io.Copy(w, r.Body)
	})
	r := s.request("POST", "/", strings.NewReader("hello"))
	r.Header.Set("Expect", "100-continue")
	continued := make(chan struct{}, 1)
	trace := &httptrace.ClientTrace{Got100Continue: func() { continued <- struct{}{} }}
	re, err := s.fetch(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		e.Fatalf("response: %v", err)
	}
	status, body := http.StatusForbidden, "go away\n"
	if accept {
		status, body = http.StatusOK, "hello"
	}
	if re.StatusCode != status || string(re.body) != body {
		e.Errorf("response %d %q", re.StatusCode, re.body)
	}
	if got := len(continued) == 1; got != accept {
		e.Errorf("the client was told to go ahead: %v, but the handler reads the body: %v", got, accept)
	}
}

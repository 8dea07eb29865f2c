package httptorture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
)

// What follows are middlewares as they are found in the wild, each with the
// defect that its name tells. around changes what the handler gets, and may
// do something before and after.

func around(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, next) })
	}
}

func writing(f func(w http.ResponseWriter) http.ResponseWriter) middleware {
	return around(func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(f(w), r) })
}

func asking(f func(r *http.Request) *http.Request) middleware {
	return around(func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, f(r)) })
}

// hiding has nothing but the three methods.
type hiding struct{ http.ResponseWriter }

// unwrapping has Unwrap and not the methods themselves.
type unwrapping struct{ http.ResponseWriter }

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hijackable claims what HTTP/2 does not have.
type hijackable struct {
	http.ResponseWriter
	http.Flusher
	http.Hijacker
}

// mute flushes without telling what came of it.
type mute struct{ unwrapping }

func (w mute) Flush() { http.NewResponseController(w.ResponseWriter).Flush() }

// copying has its own idea of ReadFrom.
type copying struct{ unwrapping }

func (w copying) ReadFrom(src io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, src) }

// lastStatus sends the last status and not the first.
type lastStatus struct {
	unwrapping
	status int
	sent   bool
}

func (w *lastStatus) WriteHeader(status int) { w.status = status }
func (w *lastStatus) Write(p []byte) (int, error) {
	w.send()
	return w.ResponseWriter.Write(p)
}
func (w *lastStatus) send() {
	if !w.sent && w.status != 0 {
		w.sent = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// earlyStatus takes an informational status for the final one.
type earlyStatus struct {
	unwrapping
	done bool
}

func (w *earlyStatus) WriteHeader(status int) {
	if !w.done {
		w.done = true
		w.ResponseWriter.WriteHeader(status)
	}
}

// clearing empties the header map after an informational status.
type clearing struct{ unwrapping }

func (w clearing) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	if status < 200 {
		clear(w.Header())
	}
}

// strict refuses what net/http allows.
type strict struct{ unwrapping }

func (w strict) WriteHeader(status int) {
	if status < 100 || status > 599 {
		panic("invalid status")
	}
	w.ResponseWriter.WriteHeader(status)
}

// lenient allows what net/http refuses.
type lenient struct{ unwrapping }

func (w lenient) WriteHeader(status int) {
	if status == 0 {
		status = http.StatusOK
	}
	w.ResponseWriter.WriteHeader(status)
}

// thrifty spares the server empty writes.
type thrifty struct{ unwrapping }

func (w thrifty) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return w.ResponseWriter.Write(p)
}

// corrupting changes the last byte of each write.
type corrupting struct{ hiding }

func (w corrupting) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	if len(p) > 0 {
		p[len(p)-1] ^= 1
	}
	return w.ResponseWriter.Write(p)
}

// discarding keeps the body of a HEAD response to itself.
type discarding struct{ unwrapping }

func (w discarding) Write(p []byte) (int, error) { return len(p), nil }

// private has a header map of its own and copies it when it is sent.
type private struct {
	unwrapping
	h    http.Header
	sent bool
}

func (w *private) Header() http.Header { return w.h }
func (w *private) WriteHeader(status int) {
	w.sent = true
	maps.Copy(w.ResponseWriter.Header(), w.h)
	w.ResponseWriter.WriteHeader(status)
}
func (w *private) Write(p []byte) (int, error) {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// buffering keeps everything until the handler is done.
type buffering struct {
	hiding
	body   bytes.Buffer
	status int
}

func (w *buffering) WriteHeader(status int)      { w.status = status }
func (w *buffering) Write(p []byte) (int, error) { return w.body.Write(p) }
func (w *buffering) Flush()                      {}
func (w *buffering) send() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.Header().Set("Content-Length", fmt.Sprint(w.body.Len()))
	w.ResponseWriter.WriteHeader(w.status)
	w.ResponseWriter.Write(w.body.Bytes())
}

// emptied is a request body that is not the server's.
type emptied struct{ io.ReadCloser }

// broken is a middleware with a defect.
type broken struct {
	defect string
	mw     middleware
	// fails names the cases that must notice it.
	fails []string
}

func brokenOnes(release <-chan struct{}) []broken {
	permits := make(chan struct{}, parallel)
	for range parallel {
		permits <- struct{}{}
	}
	var (
		one       sync.Mutex
		lastQuery atomic.Value
	)
	lastQuery.Store("")
	return []broken{
		{"hides the optional interfaces", writing(func(w http.ResponseWriter) http.ResponseWriter { return hiding{w} }), []string{
			"optional-interfaces", "response-controller", "copy-reaches-the-connection", "push-is-refused-by-the-server",
			"close-notify", "read-deadline", "write-deadline", "write-string", "status-after-a-flush-is-superfluous",
			"flush-sends-the-header", "flush-tells-of-a-client-that-left", "event-stream", "full-duplex",
			"upgrade", "upgrade-through-the-controller", "upgrade-by-status",
			"proxied-stream", "proxied-upgrade", "undeclared-trailers",
		}},
		{"only unwraps", writing(func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} }), []string{
			"optional-interfaces", "event-stream", "HTTP1/upgrade", "close-notify",
		}},
		{"claims to be hijackable", writing(func(w http.ResponseWriter) http.ResponseWriter {
			f, _ := w.(http.Flusher)
			h, _ := w.(http.Hijacker)
			return hijackable{w, f, h}
		}), []string{"optional-interfaces"}},
		{"flushes without an error", writing(func(w http.ResponseWriter) http.ResponseWriter { return mute{unwrapping{w}} }), []string{
			"optional-interfaces", "flush-tells-of-a-client-that-left", "write-deadline",
		}},
		{"copies instead of passing a file on", writing(func(w http.ResponseWriter) http.ResponseWriter { return copying{unwrapping{w}} }), []string{
			"copy-reaches-the-connection",
		}},
		{"commits at once", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.WriteHeader(http.StatusOK)
			next.ServeHTTP(w, r)
		}), []string{
			"status-and-headers", "first-status-stays", "status-799-is-legal", "status-999-is-legal",
			"no-content-has-no-body", "not-modified-has-no-body", "copy-of-nothing-commits-nothing",
			"early-hints", "large-body-of-known-length", "declared-trailers", "flush-sends-the-header",
			"range-of-a-file", "HTTP1/upgrade-by-status",
		}},
		{"sends the last status", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			last := &lastStatus{unwrapping: unwrapping{w}}
			defer last.send()
			next.ServeHTTP(last, r)
		}), []string{"first-status-stays", "early-hints", "status-0-panics-in-the-server"}},
		{"takes 103 for the final status", writing(func(w http.ResponseWriter) http.ResponseWriter {
			return &earlyStatus{unwrapping: unwrapping{w}}
		}), []string{"early-hints", "HTTP1/first-status-stays"}},
		{"clears the headers after 103", writing(func(w http.ResponseWriter) http.ResponseWriter {
			return clearing{unwrapping{w}}
		}), []string{"early-hints-keep-their-headers"}},
		{"refuses unusual statuses", writing(func(w http.ResponseWriter) http.ResponseWriter { return strict{unwrapping{w}} }), []string{
			"status-799-is-legal", "status-999-is-legal", "status-0-panics-in-the-server",
		}},
		{"makes 200 of 0", writing(func(w http.ResponseWriter) http.ResponseWriter { return lenient{unwrapping{w}} }), []string{
			"status-0-panics-in-the-server",
		}},
		{"drops empty writes", writing(func(w http.ResponseWriter) http.ResponseWriter { return thrifty{unwrapping{w}} }), []string{
			"empty-write-commits",
		}},
		{"corrupts the body", writing(func(w http.ResponseWriter) http.ResponseWriter { return corrupting{hiding{w}} }), []string{
			"status-and-headers", "large-body", "large-body-of-known-length", "file", "range-of-a-file",
			"content-type-is-sniffed", "http-1.0-client", "expect-continue-accepted", "upload-is-streamed",
		}},
		{"discards the body of HEAD", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodHead {
				w = discarding{unwrapping{w}}
			}
			next.ServeHTTP(w, r)
		}), []string{"head-of-a-small-body", "head-of-a-large-body"}},
		{"copies headers once", writing(func(w http.ResponseWriter) http.ResponseWriter {
			return &private{unwrapping: unwrapping{w}, h: http.Header{}}
		}), []string{"declared-trailers", "undeclared-trailers", "headers-set-outside"}},
		{"buffers the response", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			b := &buffering{hiding: hiding{w}}
			next.ServeHTTP(b, r)
			b.send()
		}), []string{
			"first-status-stays", "status-after-a-write-is-superfluous", "status-after-a-flush-is-superfluous",
			"no-content-has-no-body", "not-modified-has-no-body", "body-beyond-its-length", "body-short-of-its-length",
			"flush-sends-the-header", "event-stream", "early-hints", "proxied-stream",
			"panic-after-half-a-body", "abort-after-half-a-body", "proxied-response-that-breaks-off",
		}},
		{"flushes at the end", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r)
			http.NewResponseController(w).Flush()
		}), []string{
			"small-body-has-a-length", "content-type-is-sniffed", "http-1.0-client", "head-of-a-small-body", "nothing-written",
		}},
		{"adds a header", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("X-Powered-By", "middleware")
			next.ServeHTTP(w, r)
		}), []string{"nothing-written", "status-and-headers"}},
		{"closes the connection", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("Connection", "close")
			next.ServeHTTP(w, r)
		}), []string{"connection-is-reused", "unread-body-keeps-the-connection"}},

		{"answers panics", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			defer func() {
				if recover() != nil {
					http.Error(w, "internal error", http.StatusInternalServerError)
				}
			}()
			next.ServeHTTP(w, r)
		}), []string{
			"panic", "panic-of-the-runtime", "panic-after-half-a-body", "abort", "abort-after-half-a-body",
			"panics-lose-nothing", "proxied-response-that-breaks-off",
		}},
		{"wraps panic values", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			defer func() {
				if v := recover(); v != nil {
					panic(fmt.Errorf("recovered: %v", v))
				}
			}()
			next.ServeHTTP(w, r)
		}), []string{"panic", "panic-of-the-runtime", "panic-after-half-a-body", "abort", "abort-after-half-a-body", "proxied-response-that-breaks-off"}},
		{"takes an exit for a return", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			done := make(chan any, 1)
			go func() {
				defer func() { done <- recover() }()
				next.ServeHTTP(w, r)
			}()
			if v := <-done; v != nil {
				panic(v)
			}
		}), []string{"goexit", "goexits-lose-nothing"}},
		{"releases its permit after the call", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			select {
			case <-permits:
			default:
				http.Error(w, "full", http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
			permits <- struct{}{}
		}), []string{"panics-lose-nothing", "goexits-lose-nothing"}},

		{"copies the request", asking(func(r *http.Request) *http.Request { return r.WithContext(r.Context()) }), []string{
			"pattern-is-visible-outside", "multipart-files-are-removed",
		}},
		{"clones the request", asking(func(r *http.Request) *http.Request { return r.Clone(r.Context()) }), []string{
			"request-trailers", "pattern-is-visible-outside",
		}},
		{"replaces the body in place", asking(func(r *http.Request) *http.Request {
			r.Body = emptied{r.Body}
			return r
		}), []string{"body-is-the-servers-outside"}},
		{"reads the body first", asking(func(r *http.Request) *http.Request {
			body, err := io.ReadAll(r.Body)
			r.Body.Close()
			r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
			return r
		}), []string{
			"expect-continue-refused", "upload-is-streamed", "full-duplex", "read-deadline",
			"refused-upload-closes-the-connection",
		}},
		{"drops the body", asking(func(r *http.Request) *http.Request {
			r2 := *r
			r2.Body = http.NoBody
			return &r2
		}), []string{"expect-continue-accepted", "request-arrives-as-sent", "upload-is-streamed"}},
		{"adds a request header", asking(func(r *http.Request) *http.Request {
			r.Header.Set("X-Request-Id", "1")
			return r
		}), []string{"request-arrives-as-sent"}},
		{"starts a fresh context", asking(func(r *http.Request) *http.Request { return r.WithContext(context.Background()) }), []string{
			"context-of-the-server", "client-that-leaves-cancels-the-context",
		}},
		{"serves one at a time", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			one.Lock()
			defer one.Unlock()
			next.ServeHTTP(w, r)
		}), []string{"concurrent-requests"}},
		{"mixes requests up", asking(func(r *http.Request) *http.Request {
			r.URL.RawQuery = lastQuery.Swap(r.URL.RawQuery).(string)
			return r
		}), []string{"concurrent-requests"}},
		{"leaves a goroutine behind", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			go func() { <-release }()
			next.ServeHTTP(w, r)
		}), []string{"nothing-is-left-behind", "nothing-written", "event-stream"}},
	}
}

// failing returns an error that may be nil for none.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil && !errors.Is(f.err, io.EOF) {
		return 0, f.err
	}
	return 0, io.EOF
}

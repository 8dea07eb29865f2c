package timeout_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/timeout"
)

// A client that does not send what it announced has its answer at the deadline
// all the same, the handler that waits for it comes free, and none takes what
// came so far for the whole.
func TestAStalledUploadIsAnsweredAtTheDeadline(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	try(t, uploads)
}

// post is a request by hand.
func post(body string, headers ...string) string {
	return "POST / HTTP/1.1\r\nHost: test\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

// stalling sends raw and no more, and wants the server to end the connection
// once the handler has ended, without any help of the client.
func stalling(raw string) func(*stage) *reply {
	return func(s *stage) *reply {
		c := s.dial()
		c.send(raw)
		re := c.receive("POST")
		s.finally = func() {
			defer c.Close()
			if rest, err := c.rest(); rest != "" || errors.Is(err, os.ErrDeadlineExceeded) {
				s.Errorf("after the answer comes %q, %v", rest, err)
			}
		}
		return re
	}
}

// drip is a body that gives some bytes and then waits for the end of the
// stage, as a client does whose network is gone.
type drip struct {
	s    *stage
	give string
	over chan struct{}
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.give) > 0 {
		n := copy(p, d.give)
		d.give = d.give[n:]
		return n, nil
	}
	select {
	case <-d.s.answered:
	case <-d.over:
	}
	return 0, io.ErrUnexpectedEOF
}

func (d *drip) Close() error {
	close(d.over)
	return nil
}

// dripping is a request of HTTP/2 that never comes to its end.
func dripping(length int64, give string) func(*stage) *http.Request {
	return func(s *stage) *http.Request {
		r := s.request("POST", "/", &drip{s, give, make(chan struct{})})
		r.ContentLength = length
		return r
	}
}

// reading reads the body to its end, which never comes.
func reading(s *stage, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.incomplete(body, err)
}

// readingLate reads the body when the client has its answer.
func readingLate(s *stage, w http.ResponseWriter, r *http.Request) {
	s.outlive()
	reading(s, w, r)
}

// incomplete wants the error that a truncated body must have, and that it
// stays.
func (s *stage) incomplete(body []byte, err error) {
	if err == nil {
		s.note("%d bytes %.20q pass for the whole body", len(body), body)
	}
}

// ignoring does not even look at the body.
func ignoring(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() }

// readAgain reads in the hope that a later read is well.
func readAgain(s *stage, w http.ResponseWriter, r *http.Request) {
	reading(s, w, r)
	s.outlive()
	for range 3 {
		if n, err := r.Body.Read(make([]byte, 100)); err == nil || err == io.EOF {
			s.note("a later read returns %d, %v", n, err)
		}
	}
	r.Body.Close()
	if n, err := r.Body.Read(make([]byte, 100)); err == nil || err == io.EOF {
		s.note("a read after Close returns %d, %v", n, err)
	}
}

var uploads = uploadTrials()

func uploadTrials() (trials []trial) {
	half := strings.Repeat("x", 50)
	for _, handler := range []struct {
		name    string
		handle  func(*stage, http.ResponseWriter, *http.Request)
		overdue bool
	}{
		{"reads the body", reading, false},
		{"reads the body late", readingLate, true},
		{"reads the body again", readAgain, true},
		{"ignores the body", ignoring, true},
	} {
		for _, upload := range []struct {
			name, raw string
			// expects says that nothing is sent before 100 Continue.
			expects bool
		}{
			{"nothing of 100 bytes", post("", "Content-Length: 100"), false},
			{"half of 100 bytes", post(half, "Content-Length: 100"), false},
			{"some of 200 KB", post(half, "Content-Length: 200000"), false},
			{"some of 10 MB", post(strings.Repeat("x", 10_000), "Content-Length: 10000000"), false},
			{"no chunk", post("", "Transfer-Encoding: chunked"), false},
			{"one chunk", post("5\r\nhello\r\n", "Transfer-Encoding: chunked"), false},
			{"half a chunk", post("5\r\nhe", "Transfer-Encoding: chunked"), false},
			{"half a trailer", post("5\r\nhello\r\n0\r\nA: ", "Transfer-Encoding: chunked", "Trailer: A"), false},
			{"nothing of 100 bytes, wants close", post("", "Content-Length: 100", "Connection: close"), false},
			{"nothing of 100 bytes, waits for 100", post("", "Content-Length: 100", "Expect: 100-continue"), true},
			{"nothing of 10 MB, waits for 100", post("", "Content-Length: 10000000", "Expect: 100-continue"), true},
		} {
			trials = append(trials, trial{
				name: fmt.Sprintf("%s, %s", handler.name, upload.name), on: onHTTP1,
				client: stalling(upload.raw), handle: handler.handle, overdue: handler.overdue,
				want: func(s *stage, re *reply) {
					timedOut(s, re)
					reads := handler.name == "reads the body" || handler.name == "reads the body again"
					if want := upload.expects && reads; len(re.hints) > 1 || (len(re.hints) == 1) != want {
						s.Errorf("informational responses %q, but the handler reads in time: %v", re.hints, want)
					}
				},
				counts: asTimeout, outcome: httpwrap.Timeout,
			})
		}
		for _, upload := range []struct {
			name   string
			length int64
			give   string
		}{
			{"nothing of 100 bytes", 100, ""},
			{"half of 100 bytes", 100, half},
			{"some of 10 MB", 10_000_000, strings.Repeat("x", 10_000)},
			{"some of an unknown length", -1, half},
		} {
			trials = append(trials, trial{
				name: fmt.Sprintf("%s, %s", handler.name, upload.name), on: onHTTP2,
				request: dripping(upload.length, upload.give), handle: handler.handle, overdue: handler.overdue,
				want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
			})
		}
	}
	return append(trials, []trial{
		{
			name: "a body that is read in time", request: withBody("POST", strings.Repeat("x", 100_000)),
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				s.note("%d bytes, %v", len(body), err)
				n, err := r.Body.Read(make([]byte, 1))
				s.note("%d, %v", n, err)
				s.inTime(r)
				s.heed(r)
			},
			notes: []string{"100000 bytes, <nil>", "0, EOF"},
			want:  timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		},
		{
			name: "a body that comes while the deadline passes",
			// The client goes on sending after the answer: what the handler
			// then reads must not look like the end.
			on: onHTTP1,
			client: func(s *stage) *reply {
				c := s.dial()
				defer c.Close()
				c.send(post(strings.Repeat("x", 5000), "Content-Length: 10000"))
				re := c.receive("POST")
				// The connection may be closed already.
				io.WriteString(c.Conn, strings.Repeat("x", 5000))
				return re
			},
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				s.outlive()
				// All of it may be there, but not less.
				if body, err := io.ReadAll(r.Body); len(body) < 10_000 {
					s.incomplete(body, err)
				}
			},
			overdue: true,
			want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		},
		{
			name: "a body that is all there and not read before the deadline", request: withBody("POST", "some"),
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				s.outlive()
				for range 2 {
					if n, err := r.Body.Read(make([]byte, 100)); n != 0 || err != http.ErrHandlerTimeout {
						s.note("Read: %d, %v", n, err)
					}
				}
				if err := r.Body.Close(); err != nil {
					s.note("Close: %v", err)
				}
			},
			overdue: true,
			want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		},
		{
			name: "a body of somebody outside that no deadline wakes", request: withBody("POST", "some"),
			around: func(s *stage, next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, send := io.Pipe()
					go func() {
						<-s.answered
						send.CloseWithError(io.ErrUnexpectedEOF)
					}()
					r.Body = body
					next.ServeHTTP(w, r)
				})
			},
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				reading(s, w, r)
				s.outlive()
			},
			overdue: true,
			want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		},
		{
			name: "a response that has begun, to a client that stalls", on: onHTTP1,
			client: func(s *stage) *reply {
				return stalling(post("hello", "Content-Length: 100"))(s)
			},
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
					s.note("EnableFullDuplex: %v", err)
				}
				s.write(w, "the beginning")
				s.flush(w)
				s.inTime(r)
				reading(s, w, r)
				s.outlive()
			},
			overdue: true,
			want:    cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
		},
		{
			name: "a response that has begun, to a client that stalls, and nobody reads", on: onHTTP1,
			client: stalling(post("hello", "Content-Length: 100")),
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
					s.note("EnableFullDuplex: %v", err)
				}
				s.write(w, "the beginning")
				s.flush(w)
				s.inTime(r)
				s.outlive()
			},
			overdue: true,
			want:    cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
		},
		{
			name: "a flush that waits for the body of a client that stalls", on: onHTTP1,
			// net/http discards the body before it sends the first byte.
			client: stalling(post("hello", "Content-Length: 100")),
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "the beginning")
				http.NewResponseController(w).Flush()
			},
			want: begins(neverComplete), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
		},
		{
			name: "a write that waits for the body of a client that stalls", on: onHTTP1,
			client: stalling(post("5\r\nhe", "Transfer-Encoding: chunked")),
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				for range 100 {
					io.WriteString(w, strings.Repeat("x", 1000))
				}
			},
			want: begins(neverComplete), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
		},
		{
			name: "a body that is closed while somebody reads it", on: onHTTP2,
			// As a proxy does whose backend answers before it has everything.
			request: dripping(-1, "some"),
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				reading, read := make(chan struct{}), make(chan error, 1)
				go func() {
					io.ReadFull(r.Body, make([]byte, 4))
					close(reading)
					_, err := r.Body.Read(make([]byte, 1))
					read <- err
				}()
				<-reading
				time.Sleep(10 * time.Millisecond) // most likely it is in Read now
				r.Body.Close()
				if err := <-read; err == nil || err == io.EOF {
					s.note("Read: %v", err)
				}
				s.write(w, "early")
				s.inTime(r)
			},
			options: func(s *stage) []timeout.Option { return []timeout.Option{timeout.Basic(patience)} },
			want:    whole(200, "early"), counts: asDone,
		},
		{
			name: "a form with a file that is never evaluated", request: form,
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				s.parse(r)
				s.inTime(r)
				s.outlive()
			},
			overdue: true, after: nothingOnDisk,
			want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		},
		{
			name: "a form with a file, and the context is heeded", request: form,
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				s.parse(r)
				s.inTime(r)
				s.heed(r)
			},
			after: nothingOnDisk,
			want:  timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		},
		{
			name: "a form with a file and a response that is cut", request: form,
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				s.parse(r)
				s.write(w, "the beginning")
				s.flush(w)
				s.inTime(r)
				s.outlive()
			},
			overdue: true, after: nothingOnDisk,
			want: cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
		},
		{
			name: "a form with a file and a handler that panics late", request: form,
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				s.parse(r)
				s.inTime(r)
				s.heed(r)
				panic(http.ErrAbortHandler)
			},
			after: nothingOnDisk, on: onHTTP2,
			want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		},
		{
			name: "a form with a file, done in time", request: form,
			handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
				s.parse(r)
				s.inTime(r)
			},
			after: nothingOnDisk,
			want:  whole(200, ""), counts: asDone,
		},
	}...)
}

func withBody(method, body string) func(*stage) *http.Request {
	return func(s *stage) *http.Request { return s.request(method, "/", strings.NewReader(body)) }
}

// form is a request with a file that goes to disk. The name of its field tells
// whose it is.
func form(s *stage) *http.Request {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("upload", "noise.bin")
	if err != nil {
		s.Fatalf("form: %v", err)
	}
	part.Write(bytes.Repeat([]byte("x"), 100_000))
	form.Close()
	r := s.request("POST", "/", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return r
}

// parse parses the form and remembers where its file is.
func (s *stage) parse(r *http.Request) {
	if err := r.ParseMultipartForm(1); err != nil {
		s.inTime(r)
		s.note("ParseMultipartForm: %v", err)
		return
	}
	f, err := r.MultipartForm.File["upload"][0].Open()
	if err != nil {
		s.note("Open: %v", err)
		return
	}
	defer f.Close()
	file, ok := f.(*os.File)
	if !ok || filepath.Dir(file.Name()) != filepath.Clean(os.TempDir()) {
		s.note("the file is no file, so nothing is tried")
		return
	}
	s.file.Store(file.Name())
}

func nothingOnDisk(s *stage) {
	name, _ := s.file.Load().(string)
	if name == "" {
		return
	}
	if !eventually(func() bool { _, err := os.Stat(name); return os.IsNotExist(err) }) {
		s.Errorf("the file of the form is still on disk")
		os.Remove(name)
	}
}

package retry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/handrail-go/handrail/retry"
)

// stalling is a client that sends when it is told to.
type stalling struct {
	asked chan struct{}
	sends chan string
	rest  strings.Reader
}

func (s *stalling) Read(p []byte) (int, error) {
	if s.rest.Len() == 0 {
		s.asked <- struct{}{}
		text, ok := <-s.sends
		if !ok {
			return 0, io.EOF
		}
		s.rest.Reset(text)
	}
	return s.rest.Read(p)
}

func (s *stalling) Close() error { return nil }

// A transport may still wait for the client when its attempt is over. What
// arrives then belongs to the next attempt.
func TestWhatALeftoverReadsIsNotLost(t *testing.T) {
	client := &stalling{asked: make(chan struct{}, 1), sends: make(chan string)}
	late := make(chan error, 1)
	n := 0
	h := retry.Middleware(eager(retry.WithMaxBody(4))...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			go func() {
				m, err := r.Body.Read(make([]byte, 100))
				if m > 0 {
					t.Errorf("the leftover got %d bytes", m)
				}
				late <- err
			}()
			<-client.asked
			w.WriteHeader(503)
			return
		}
		go func() {
			client.sends <- "more than is kept, "
			<-client.asked
			client.sends <- "and the rest"
			<-client.asked
			close(client.sends)
		}()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(b)
	}))
	r := httptest.NewRequest("PUT", "/", client)
	r.ContentLength = -1
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Body.String() != "more than is kept, and the rest" || n != 2 {
		t.Errorf("%q in attempt %d", w.Body, n)
	}
	if err := <-late; err == nil {
		t.Error("the leftover was told nothing")
	}
}

func TestAManyHeadedRequestBeginsAnewToo(t *testing.T) {
	for _, fields := range []int{0, 1, 23, 24, 25, 100} {
		for _, values := range []int{1, 3} {
			n := 0
			h := retry.Middleware(eager()...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if len(r.Header) != fields {
					t.Errorf("attempt %d has %d of %d headers", n+1, len(r.Header), fields)
				}
				for name, v := range r.Header {
					if len(v) != values || strings.Join(v, "") != strings.Repeat(name, values) {
						t.Errorf("attempt %d: %s is %q", n+1, name, v)
					}
					v[0] = "spoiled"
					r.Header[name] = append(v, "more")
				}
				r.Header.Set("X-More", "1")
				if n++; n < 3 {
					w.WriteHeader(503)
				}
			}))
			r := httptest.NewRequest("GET", "/", nil)
			for i := range fields {
				name := "X-" + string(rune('A'+i/26)) + string(rune('a'+i%26))
				for range values {
					r.Header.Add(name, name)
				}
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if n != 3 {
				t.Errorf("%d attempts", n)
			}
		}
	}
}

// failingBody breaks off after what it has.
type failingBody struct{ io.Reader }

func (b failingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestABodyThatBreaksOffIsReportedAndNotRepeated(t *testing.T) {
	n := 0
	p := made(t, eager()...)
	h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		if b, err := io.ReadAll(r.Body); string(b) != "half" || err != io.ErrUnexpectedEOF {
			t.Errorf("%q, %v", b, err)
		}
		w.WriteHeader(503)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "/", failingBody{strings.NewReader("half")}))
	if s := p.Stats(); n != 1 || s.GaveUp[retry.ReasonBody] != 1 {
		t.Errorf("%d attempts, %+v", n, s)
	}
}

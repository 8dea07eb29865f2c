package httpwrap

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// useAll calls everything a writer may offer and returns the errors.
func useAll(w http.ResponseWriter) map[string]error {
	errs := map[string]error{}
	w.Header().Set("X", "late")
	w.WriteHeader(500)
	_, errs["Write"] = w.Write([]byte("late"))
	_, errs["WriteString"] = io.WriteString(w, "late")
	if f, ok := w.(interface{ FlushError() error }); ok {
		w.(http.Flusher).Flush()
		errs["FlushError"] = f.FlushError()
	}
	if h, ok := w.(http.Hijacker); ok {
		_, _, errs["Hijack"] = h.Hijack()
	}
	if r, ok := w.(io.ReaderFrom); ok {
		_, errs["ReadFrom"] = r.ReadFrom(onlyReader("late"))
	}
	if p, ok := w.(http.Pusher); ok {
		errs["Push"] = p.Push("/", nil)
	}
	if s, ok := w.(interface{ SetReadDeadline(time.Time) error }); ok {
		errs["SetReadDeadline"] = s.SetReadDeadline(time.Time{})
	}
	if s, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		errs["SetWriteDeadline"] = s.SetWriteDeadline(time.Time{})
	}
	if s, ok := w.(interface{ EnableFullDuplex() error }); ok {
		errs["EnableFullDuplex"] = s.EnableFullDuplex()
	}
	if c, ok := w.(closeNotifier); ok {
		select {
		case <-c.CloseNotify():
		default:
			errs["CloseNotify"] = io.ErrNoProgress
		}
	}
	return errs
}

func TestLateCallsAreRefused(t *testing.T) {
	for _, retain := range []bool{false, true} {
		b := newBare()
		h1 := &fakeHTTP1{h: http.Header{}}
		writers := combinations(b)
		writers[100] = h1
		writers[101] = fakeHTTP2{h1, partPush{b}}
		for _, w := range writers {
			rw, rec, _ := Wrap(w)
			if retain {
				rec.Retain()
			}
			rec.Release()
			for call, err := range useAll(rw) {
				want := ErrReleased
				if call == "CloseNotify" {
					want = nil
				}
				if err != want {
					t.Errorf("retained %v: late %s: %v", retain, call, err)
				}
			}
			if got := rw.(unwrapper).Unwrap(); got != nil {
				t.Errorf("retained %v: late Unwrap returned %T", retain, got)
			}
			if err := http.NewResponseController(rw).SetReadDeadline(time.Time{}); err == nil {
				t.Errorf("retained %v: late deadline was set", retain)
			}
		}
		if len(b.events) != 0 || len(b.h) != 0 || h1.status != 0 || h1.written != 0 || len(h1.h) != 0 {
			t.Errorf("retained %v: late calls went through: %q", retain, b.events)
		}
	}
}

func TestRetainedAndHijackedWritersAreNeverReused(t *testing.T) {
	for name, keep := range map[string]func(http.ResponseWriter, *Recorder){
		"retained": func(_ http.ResponseWriter, rec *Recorder) { rec.Retain() },
		"hijacked": func(rw http.ResponseWriter, _ *Recorder) { rw.(http.Hijacker).Hijack() },
		"retained within": func(rw http.ResponseWriter, _ *Recorder) {
			_, inner, _ := Wrap(justUnwrap{newBare(), partUnwrap{rw}})
			inner.Retain()
			inner.Release()
		},
	} {
		rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
		keep(rw, rec)
		rec.Release()
		rec.Release()
		for range 50 {
			again, rec2, _ := Wrap(&fakeHTTP1{h: http.Header{}})
			if again == rw || rec2 == rec {
				t.Fatalf("%s: the writer was reused", name)
			}
			defer rec2.Release()
		}
	}
}

func TestSecondReleaseDoesNotHandOutAWriterTwice(t *testing.T) {
	_, rec, _ := Wrap(&fakeHTTP1{})
	rec.Release()
	rec.Release()
	_, a, _ := Wrap(&fakeHTTP1{})
	_, b, _ := Wrap(&fakeHTTP1{})
	if a == b {
		t.Error("two requests share one writer")
	}
	a.Release()
	b.Release()
}

func TestReusedRecorderRemembersNothing(t *testing.T) {
	owner := new(int)
	for range 100 {
		outerW, outer, _ := Wrap(newBare())
		rw, rec, _ := Wrap(struct {
			*fakeHTTP1
			partUnwrap
		}{&fakeHTTP1{h: http.Header{"Content-Type": {"text/event-stream"}}}, partUnwrap{outerW}})
		if rec.Status() != 0 || rec.Bytes() != 0 || rec.Outcome() != None || rec.LongLived() || rec.Hijacked() {
			t.Fatal("a recorder starts with what it knew of an earlier response")
		}
		if !rec.Claim(owner) {
			t.Fatal("a claim outlived its request")
		}
		calls := new(countLongLived)
		rec.NotifyLongLived(calls)
		rw.Header()
		rw.Write(body)
		rec.SetOutcome(Shed)
		rec.Release()
		outer.Release()
		if *calls != 1 {
			t.Fatalf("listener called %d times", *calls)
		}
	}
}

func TestRetainedWriterRefusesConcurrentLateCalls(t *testing.T) {
	rw, rec, _ := Wrap(&concurrentWriter{})
	rec.Retain()
	var wg sync.WaitGroup
	released := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for range 100 {
				rw.Write(nil)
			}
			<-released
			if _, err := rw.Write(nil); err != ErrReleased {
				t.Errorf("late Write: %v", err)
			}
		})
	}
	rec.Release()
	close(released)
	wg.Wait()
}

// concurrentWriter is safe for concurrent use, as that of a timeout is.
type concurrentWriter struct{}

func (*concurrentWriter) Header() http.Header         { return http.Header{} }
func (*concurrentWriter) WriteHeader(int)             {}
func (*concurrentWriter) Write(p []byte) (int, error) { return len(p), nil }

package httpwrap

import (
	"io"
	"net/http"
	"testing"
)

type countLongLived int

func (c *countLongLived) LongLived() { *c++ }

func TestLongLivedExchangesAreKnownAtCommit(t *testing.T) {
	stream := func(value string, commit func(http.ResponseWriter)) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", value)
			commit(w)
		}
	}
	write := func(w http.ResponseWriter) { w.Write(body) }
	flush := func(w http.ResponseWriter) { w.(http.Flusher).Flush() }
	for name, tt := range map[string]struct {
		handler func(http.ResponseWriter)
		want    bool
	}{
		"nothing":              {func(http.ResponseWriter) {}, false},
		"ordinary":             {write, false},
		"hijack":               {func(w http.ResponseWriter) { w.(http.Hijacker).Hijack() }, true},
		"101":                  {func(w http.ResponseWriter) { w.WriteHeader(101) }, true},
		"101 after 200":        {func(w http.ResponseWriter) { w.WriteHeader(200); w.WriteHeader(101) }, false},
		"event stream, write":  {stream("text/event-stream", write), true},
		"event stream, flush":  {stream("text/event-stream", flush), true},
		"event stream, header": {stream("text/event-stream", func(w http.ResponseWriter) { w.WriteHeader(200) }), true},
		"event stream, copy":   {stream("text/event-stream", func(w http.ResponseWriter) { io.Copy(w, onlyReader("data")) }), true},
		"event stream, string": {stream("text/event-stream", func(w http.ResponseWriter) { io.WriteString(w, "data") }), true},
		"with charset":         {stream("Text/Event-Stream; charset=utf-8", write), true},
		"other type":           {stream("text/event-streams", write), false},
		"shorter type":         {stream("text/event", write), false},
		"type in a parameter":  {stream("text/plain; x=text/event-stream", write), false},
		"not yet committed":    {stream("text/event-stream", func(http.ResponseWriter) {}), false},
		"only informational":   {stream("text/event-stream", func(w http.ResponseWriter) { w.WriteHeader(103) }), false},
		"type set too late":    {func(w http.ResponseWriter) { write(w); w.Header().Set("Content-Type", "text/event-stream") }, false},
		"type taken back": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(103)
			w.Header().Del("Content-Type")
			write(w)
		}, false},
	} {
		rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
		before, after := new(countLongLived), new(countLongLived)
		rec.NotifyLongLived(before)
		tt.handler(rw)
		rec.NotifyLongLived(after)
		if rec.LongLived() != tt.want {
			t.Errorf("%s: long-lived %v", name, rec.LongLived())
		}
		want := countLongLived(0)
		if tt.want {
			want = 1
		}
		if *before != want || *after != want {
			t.Errorf("%s: listeners were called %d and %d times, want %d", name, *before, *after, want)
		}
		rec.Release()
	}
}

func TestLongLivedListenersAreCalledOnce(t *testing.T) {
	rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
	defer rec.Release()
	calls := make([]countLongLived, 10) // more than fit without an allocation
	for i := range calls {
		rec.NotifyLongLived(&calls[i])
	}
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Write(body)
	rw.Write(body)
	rw.WriteHeader(101)
	rw.(http.Flusher).Flush()
	rw.(http.Hijacker).Hijack()
	for i, n := range calls {
		if n != 1 {
			t.Errorf("listener %d was called %d times", i, n)
		}
	}
}

func TestEventStreamSetUpOutsideIsKnownAtTheFirstFlush(t *testing.T) {
	rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{"Content-Type": {"text/event-stream"}}})
	defer rec.Release()
	rw.Write(body)
	rw.(http.Flusher).Flush()
	if !rec.LongLived() {
		t.Error("an event stream was taken for an ordinary response")
	}
}

// headerCounter counts how often Header is called, each of which makes
// net/http clone the map.
type headerCounter struct {
	fakeHTTP1
	calls int
}

func (w *headerCounter) Header() http.Header { w.calls++; return w.fakeHTTP1.Header() }

func TestHeaderIsNotAskedForBeforeTheHandlerDoes(t *testing.T) {
	w := &headerCounter{}
	rw, rec, _ := Wrap(w)
	defer rec.Release()
	rw.WriteHeader(200)
	rw.Write(body)
	if w.calls != 0 {
		t.Errorf("Header was called %d times on behalf of a handler that did not", w.calls)
	}
}

// reentrant uses the recorder from inside of the notification.
type reentrant struct {
	rec   *Recorder
	calls countLongLived
}

func (l *reentrant) LongLived() {
	l.rec.NotifyLongLived(&l.calls)
	l.rec.Claim(l)
	l.rec.SetOutcome(Shed)
}

func TestLongLivedListenerMayUseTheRecorder(t *testing.T) {
	rw, rec, _ := Wrap(&fakeHTTP1{})
	defer rec.Release()
	l := &reentrant{rec: rec}
	rec.NotifyLongLived(l)
	rw.WriteHeader(101) // a lock held meanwhile would stop here for ever
	if l.calls != 1 || rec.Claim(l) || rec.Outcome() != Shed {
		t.Error("what a listener did was lost")
	}
}

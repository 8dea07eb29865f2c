package httpwrap

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestStatusIsTheFirstFinalOne(t *testing.T) {
	write := func(w http.ResponseWriter) { w.Write([]byte("x")) }
	for name, tt := range map[string]struct {
		handler func(http.ResponseWriter)
		status  int
		bytes   int64
	}{
		"nothing":             {func(http.ResponseWriter) {}, 0, 0},
		"header only touched": {func(w http.ResponseWriter) { w.Header().Set("A", "b") }, 0, 0},
		"explicit":            {func(w http.ResponseWriter) { w.WriteHeader(404) }, 404, 0},
		"write":               {write, 200, 1},
		"empty write":         {func(w http.ResponseWriter) { w.Write(nil) }, 200, 0},
		"string":              {func(w http.ResponseWriter) { io.WriteString(w, "abc") }, 200, 3},
		"flush":               {func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, 200, 0},
		"controller flush":    {func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }, 200, 0},
		"read from":           {func(w http.ResponseWriter) { io.Copy(w, onlyReader("abcd")) }, 200, 4},
		"read from long":      {func(w http.ResponseWriter) { io.Copy(w, onlyReader(strings.Repeat("a", 3*sniffLen))) }, 200, 3 * sniffLen},
		"read from nothing":   {func(w http.ResponseWriter) { io.Copy(w, onlyReader("")) }, 0, 0},
		"read from, then more": {func(w http.ResponseWriter) {
			w.WriteHeader(201)
			io.Copy(w, onlyReader("abcd"))
			write(w)
		}, 201, 5},
		"first wins":       {func(w http.ResponseWriter) { w.WriteHeader(200); w.WriteHeader(500) }, 200, 0},
		"implicit wins":    {func(w http.ResponseWriter) { write(w); w.WriteHeader(500) }, 200, 1},
		"flush wins":       {func(w http.ResponseWriter) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, 200, 0},
		"103 is not final": {func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(404) }, 404, 0},
		"only 103":         {func(w http.ResponseWriter) { w.WriteHeader(103) }, 0, 0},
		"100 is not final": {func(w http.ResponseWriter) { w.WriteHeader(100); write(w) }, 200, 1},
		"101 is final":     {func(w http.ResponseWriter) { w.WriteHeader(101); w.WriteHeader(500) }, 101, 0},
		"799":              {func(w http.ResponseWriter) { w.WriteHeader(799) }, 799, 0},
		"999":              {func(w http.ResponseWriter) { w.WriteHeader(999) }, 999, 0},
		"refused codes":    {func(w http.ResponseWriter) { w.WriteHeader(0); w.WriteHeader(99); w.WriteHeader(1000) }, 0, 0},
		"hijack":           {func(w http.ResponseWriter) { w.(http.Hijacker).Hijack() }, 101, 0},
		"hijack after 101": {func(w http.ResponseWriter) { w.WriteHeader(101); w.(http.Hijacker).Hijack() }, 101, 0},
		"hijack after 200": {func(w http.ResponseWriter) { w.WriteHeader(200); w.(http.Hijacker).Hijack() }, 200, 0},
		"use after hijack": {func(w http.ResponseWriter) { w.(http.Hijacker).Hijack(); w.WriteHeader(500) }, 101, 0},
	} {
		rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
		tt.handler(rw)
		if rec.Status() != tt.status || rec.Bytes() != tt.bytes || rec.Committed() != (tt.status != 0) {
			t.Errorf("%s: status %d, %d bytes, committed %v; want %d, %d", name,
				rec.Status(), rec.Bytes(), rec.Committed(), tt.status, tt.bytes)
		}
		if got, want := rec.Hijacked(), strings.Contains(name, "hijack"); got != want {
			t.Errorf("%s: hijacked %v", name, got)
		}
		rec.Release()
	}
}

func TestSwitchingProtocolsIsNotFinalOverHTTP2(t *testing.T) {
	w := &fakeHTTP1{h: http.Header{}}
	rw, rec, _ := Wrap(fakeHTTP2{w, partPush{}})
	defer rec.Release()
	rw.WriteHeader(101)
	if rec.Committed() || rec.LongLived() || w.status != 101 {
		t.Errorf("after 101: status %d, long-lived %v, within %d", rec.Status(), rec.LongLived(), w.status)
	}
	rw.WriteHeader(404)
	if rec.Status() != 404 {
		t.Errorf("status %d", rec.Status())
	}
}

func onlyReader(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

func TestEveryCallIsPassedOnOnce(t *testing.T) {
	b := newBare()
	rw, rec, _ := Wrap(b)
	defer rec.Release()
	rw.WriteHeader(103)
	rw.WriteHeader(200)
	rw.WriteHeader(500)
	rw.Write([]byte("a"))
	rw.Write(nil)
	io.WriteString(rw, "b")
	const want = "header 103, header 200, header 500, write a, write , write b"
	if got := strings.Join(b.events, ", "); got != want {
		t.Errorf("calls within: %s\nwant: %s", got, want)
	}
	if rw.Header().Set("X", "y"); b.h.Get("X") != "y" {
		t.Error("the header map is another one")
	}
}

func TestErrorsOfTheWriterWithinComeBack(t *testing.T) {
	boom := errors.New("boom")
	b := newBare()
	b.err = boom

	rw, rec, _ := Wrap(withFlushErr{b, partFlushErr{b}})
	if n, err := rw.Write([]byte("abc")); n != 0 || err != boom {
		t.Errorf("Write = %d, %v", n, err)
	}
	if err := http.NewResponseController(rw).Flush(); err != boom {
		t.Errorf("Flush: %v", err)
	}
	if rec.Bytes() != 0 {
		t.Errorf("%d bytes counted that were refused", rec.Bytes())
	}
	rec.Release()

	rw, rec, _ = Wrap(withHijack{b, partHijack{b}})
	if _, _, err := rw.(http.Hijacker).Hijack(); err != boom {
		t.Errorf("Hijack: %v", err)
	}
	if rec.Hijacked() || rec.Committed() || rec.LongLived() {
		t.Error("a refused hijack was recorded")
	}
	rec.Release()

	rw, rec, _ = Wrap(withReadFrom{b, partReadFrom{b}})
	if n, err := io.Copy(rw, onlyReader("abc")); n != 0 || err != boom {
		t.Errorf("ReadFrom = %d, %v", n, err)
	}
	rec.Release()

	rw, rec, _ = Wrap(&fakeHTTP1{})
	defer rec.Release()
	src := io.MultiReader(strings.NewReader("abc"), errorReader{boom})
	if n, err := rw.(io.ReaderFrom).ReadFrom(src); n != 3 || err != boom || rec.Bytes() != 3 {
		t.Errorf("ReadFrom = %d, %v; %d bytes recorded", n, err, rec.Bytes())
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// stepReader delivers one byte and then calls then before it ends.
type stepReader struct {
	then func()
	done bool
}

func (s *stepReader) Read(p []byte) (int, error) {
	if s.done {
		s.then()
		return 0, io.EOF
	}
	s.done = true
	return copy(p, "x"), nil
}

func TestReadFromRecordsItsCommitWhileItStillCopies(t *testing.T) {
	rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
	defer rec.Release()
	seen := false
	io.Copy(rw, &stepReader{then: func() { seen = rec.Committed() }})
	if !seen {
		t.Error("the response was not known to be committed while its body was copied")
	}
}

func TestFirstOutcomeWins(t *testing.T) {
	_, rec, _ := Wrap(newBare())
	defer rec.Release()
	rec.SetOutcome(None)
	rec.SetOutcome(BreakerOpen)
	rec.SetOutcome(Panic)
	rec.SetOutcome(None)
	if got := rec.Outcome(); got != BreakerOpen {
		t.Errorf("outcome %v", got)
	}
}

func TestOutcomeNames(t *testing.T) {
	want := []string{"", "shed", "timeout", "breaker_open", "bulkhead_full", "canceled", "panic", "aborted", "", ""}
	for i, name := range want {
		if got := Outcome(i).String(); got != name {
			t.Errorf("Outcome(%d) is %q, want %q", i, got, name)
		}
	}
}

func TestClaimIsGrantedOncePerOwner(t *testing.T) {
	_, rec, _ := Wrap(newBare())
	defer rec.Release()
	owners := make([]int, 10) // more than fit without an allocation
	for i := range owners {
		if !rec.Claim(&owners[i]) {
			t.Errorf("owner %d: first claim refused", i)
		}
	}
	for i := range owners {
		if rec.Claim(&owners[i]) {
			t.Errorf("owner %d: second claim granted", i)
		}
	}
}

func TestExchangeIsOneAcrossForeignWrappers(t *testing.T) {
	rw, outer, _ := Wrap(newBare())
	defer outer.Release()
	foreign := justUnwrap{newBare(), partUnwrap{rw}}
	if Find(foreign) != outer {
		t.Fatal("Find does not look through a foreign wrapper")
	}
	_, inner, owner := Wrap(foreign)
	if !owner || inner == outer {
		t.Fatal("what a foreign writer shows its handler was recorded as what it sends")
	}
	defer inner.Release()
	a, b := new(int), new(int)
	if !inner.Claim(a) || outer.Claim(a) || !outer.Claim(b) || inner.Claim(b) {
		t.Error("a claim inside is unknown outside, or the reverse")
	}
	inner.SetOutcome(BulkheadFull)
	if outer.Outcome() != BulkheadFull || inner.Outcome() != BulkheadFull {
		t.Errorf("outcomes: outside %v, inside %v", outer.Outcome(), inner.Outcome())
	}
	outer.SetOutcome(Timeout)
	if outer.Outcome() != BulkheadFull {
		t.Error("the outcome of the package nearest to the cause was replaced")
	}
}

func TestABarrierJoinsWhatCannotBeUnwrapped(t *testing.T) {
	_, outer, _ := Wrap(newBare())
	defer outer.Release()
	_, inner, _ := Wrap(barrier{newBare(), outer})
	defer inner.Release()
	a := new(int)
	outer.Claim(a)
	if inner.Claim(a) {
		t.Error("a claim outside is unknown inside")
	}
	inner.SetOutcome(BreakerOpen)
	if outer.Outcome() != BreakerOpen {
		t.Error("an outcome inside is unknown outside")
	}
	inner.Retain()
	if outer.flags.Load()&flagRetained == 0 {
		t.Error("the outer writer may be reused while the inner one is held")
	}
}

func TestFindWithoutRecorder(t *testing.T) {
	for name, w := range map[string]http.ResponseWriter{
		"nil":            nil,
		"server":         &fakeHTTP1{},
		"foreign":        justUnwrap{newBare(), partUnwrap{&fakeHTTP1{}}},
		"unwraps to nil": justUnwrap{newBare(), partUnwrap{nil}},
	} {
		if Find(w) != nil {
			t.Errorf("%s: found a recorder", name)
		}
	}
}

func TestRecorderMayBeReadWhileTheHandlerWrites(t *testing.T) {
	rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
	defer rec.Release()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			<-start
			for range 200 {
				if rec.Committed() != (rec.Status() != 0) && !rec.Committed() {
					t.Error("a response was uncommitted")
				}
				rec.Bytes()
				rec.Hijacked()
				rec.LongLived()
				rec.Outcome()
				rec.SetOutcome(Timeout)
				rec.Claim(rec)
				rec.NotifyLongLived(ignoreLongLived{})
			}
		})
	}
	wg.Go(func() {
		<-start
		rw.Header().Set("Content-Type", "text/event-stream")
		for range 200 {
			rw.Write(body)
		}
	})
	close(start)
	wg.Wait()
	if rec.Bytes() != int64(200*len(body)) || rec.Outcome() != Timeout {
		t.Errorf("%d bytes, outcome %v", rec.Bytes(), rec.Outcome())
	}
}

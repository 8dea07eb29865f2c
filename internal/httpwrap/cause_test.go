package httpwrap

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestTheFirstCauseWinsAndIsKnownFurtherOut(t *testing.T) {
	first, second := &Cause{BulkheadFull, "db", "global"}, &Cause{Shed, "front", "limit"}
	rw, outer, _ := Wrap(newBare())
	_, inner, owner := Wrap(justUnwrap{newBare(), partUnwrap{rw}})
	if !owner {
		t.Fatal("there is no recorder of its own behind a foreign wrapper")
	}
	if outer.Cause() != nil || inner.Cause() != nil {
		t.Error("there is a cause before there was one")
	}
	inner.SetCause(nil)
	inner.SetCause(&Cause{Policy: "none"})
	inner.SetOutcome(None)
	inner.SetOutcome(outcomes)
	if inner.Cause() != nil {
		t.Errorf("nothing was recorded as %v", inner.Cause())
	}
	inner.SetCause(first)
	inner.SetCause(second)
	inner.SetOutcome(Timeout)
	for _, rec := range []*Recorder{inner, outer} {
		if rec.Cause() != first || rec.Outcome() != BulkheadFull {
			t.Errorf("the cause is %v", rec.Cause())
		}
	}
	inner.Release()
	outer.Release()
	for range 10 {
		_, rec, _ := Wrap(newBare())
		if rec.Cause() != nil || rec.Outcome() != None {
			t.Errorf("a new one begins with %v", rec.Cause())
		}
		rec.SetOutcome(Shed)
		if c := rec.Cause(); *c != (Cause{Outcome: Shed}) {
			t.Errorf("an outcome alone is %v", *c)
		}
		rec.Release()
	}
	var none *Recorder
	none.SetCause(first)
	none.SetOutcome(Shed)
}

func TestAnAttemptKeepsItsCause(t *testing.T) {
	_, outer, _ := Wrap(newBare())
	defer outer.Release()
	var attempt Recorder
	attempt.AttemptOf(outer)
	cause := &Cause{BreakerOpen, "payments", "open"}
	attempt.SetCause(cause)
	if attempt.Cause() != cause || outer.Cause() != nil {
		t.Errorf("the attempt has %v, the exchange %v", attempt.Cause(), outer.Cause())
	}
	outer.SetCause(attempt.Cause())
	if outer.Cause() != cause {
		t.Errorf("handed on, it is %v", outer.Cause())
	}
}

func TestFollowClaimsAndListensOnce(t *testing.T) {
	owner, other := new(int), new(int)
	stream := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write(body)
	}
	rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
	defer rec.Release()
	first, second, third, late := new(countLongLived), new(countLongLived), new(countLongLived), new(countLongLived)
	if !rec.Follow(owner, first) || rec.Follow(owner, second) || rec.Claim(owner) || !rec.Claim(other) || rec.Follow(other, third) {
		t.Error("an owner may claim it once, by either way")
	}
	stream(rw)
	if !rec.Follow(late, late) {
		t.Error("a third owner may not claim it")
	}
	if *first != 1 || *second != 0 || *third != 0 || *late != 1 {
		t.Errorf("they were told %d, %d, %d and %d times", *first, *second, *third, *late)
	}
}

func TestFollowBehindAForeignWrapperClaimsFurtherOut(t *testing.T) {
	rw, outer, _ := Wrap(&fakeHTTP1{h: http.Header{}})
	defer outer.Release()
	w, inner, _ := Wrap(justUnwrap{newBare(), partUnwrap{rw}})
	defer inner.Release()
	owner, told := new(int), new(countLongLived)
	if !inner.Follow(owner, told) || outer.Claim(owner) || inner.Follow(owner, told) {
		t.Error("an owner may claim it once, wherever it stands")
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	if *told != 1 {
		t.Errorf("it was told %d times", *told)
	}
}

// refusing answers every write with an error.
type refusing struct {
	*fakeHTTP1
	err error
}

func (r refusing) Write([]byte) (int, error)           { return 0, r.err }
func (r refusing) WriteString(string) (int, error)     { return 0, r.err }
func (r refusing) FlushError() error                   { return r.err }
func (r refusing) ReadFrom(s io.Reader) (int64, error) { return 0, r.err }

func TestAFailedWriteIsKnownUnlessTheRulesForbadeIt(t *testing.T) {
	for name, do := range map[string]func(http.ResponseWriter){
		"Write":       func(w http.ResponseWriter) { w.Write(body) },
		"WriteString": func(w http.ResponseWriter) { io.WriteString(w, "hello") },
		"Flush":       func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"ReadFrom": func(w http.ResponseWriter) {
			w.WriteHeader(200)
			w.(io.ReaderFrom).ReadFrom(strings.NewReader("hello"))
		},
	} {
		for err, want := range map[error]bool{
			nil: false, io.ErrClosedPipe: true, errors.New("reset"): true, http.ErrBodyNotAllowed: false,
			http.ErrContentLength: false, http.ErrHijacked: false, http.ErrHandlerTimeout: false, http.ErrNotSupported: false,
		} {
			w, rec, _ := Wrap(refusing{&fakeHTTP1{h: http.Header{}}, err})
			do(w)
			if rec.WriteFailed() != want {
				t.Errorf("%s, %v: failed %t", name, err, rec.WriteFailed())
			}
			rec.Release()
		}
	}
	_, rec, _ := Wrap(&fakeHTTP1{})
	defer rec.Release()
	if rec.WriteFailed() {
		t.Error("a new one has failed already")
	}
}

package httpwrap

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/handrail-go/handrail/internal/race"
)

const serverOnly = " CloseNotify SetReadDeadline SetWriteDeadline EnableFullDuplex"

type pushingHTTP1 struct {
	*fakeHTTP1
	partPush
}

type hijackableHTTP2 struct {
	fakeHTTP2
	partHijack
}

type readingHTTP2 struct {
	fakeHTTP2
	partReadFrom
}

func TestWriterOffersWhatTheWriterWithinOffers(t *testing.T) {
	b := newBare()
	h2 := fakeHTTP2{&fakeHTTP1{h: http.Header{}}, partPush{b}}
	for name, tt := range map[string]struct {
		inner http.ResponseWriter
		want  string
	}{
		"HTTP/1":              {&fakeHTTP1{}, "Flush FlushError Hijack ReadFrom" + serverOnly},
		"HTTP/2":              {h2, "Flush FlushError Push" + serverOnly},
		"HTTP/1 and Push":     {pushingHTTP1{&fakeHTTP1{}, partPush{b}}, "Flush FlushError Hijack ReadFrom Push"},
		"HTTP/2 and Hijack":   {hijackableHTTP2{h2, partHijack{b}}, "Flush FlushError Hijack Push"},
		"HTTP/2 and ReadFrom": {readingHTTP2{h2, partReadFrom{b}}, "Flush FlushError ReadFrom Push"},
		"FlushError alone":    {withFlushErr{b, partFlushErr{b}}, "Flush FlushError"},
		"test recorder":       {httptest.NewRecorder(), "Flush FlushError"},
		// What concerns the body is not looked for behind a foreign writer.
		"Unwrap to HTTP/1": {justUnwrap{b, partUnwrap{&fakeHTTP1{}}}, "Flush FlushError Hijack"},
		"Unwrap to HTTP/2": {justUnwrap{b, partUnwrap{h2}}, "Flush FlushError"},
		"Unwrap to nil":    {justUnwrap{b, partUnwrap{nil}}, ""},
		"Unwrap twice":     {justUnwrap{b, partUnwrap{justUnwrap{b, partUnwrap{&fakeHTTP1{}}}}}, "Flush FlushError Hijack"},
	} {
		rw, rec, owner := Wrap(tt.inner)
		if !owner {
			t.Errorf("%s: not the owner of a new wrapper", name)
		}
		if got := offered(rw); got != tt.want {
			t.Errorf("%s: wrapper offers\n%q, want\n%q", name, got, tt.want)
		}
		rec.Release()
	}
}

func TestEachCapabilityIsDecidedOnItsOwn(t *testing.T) {
	names := []string{"Flush FlushError", "Hijack", "ReadFrom", "Push"}
	all := combinations(newBare())
	if len(all) != 16 {
		t.Fatalf("%d combinations of four", len(all))
	}
	for can, inner := range all {
		var want []string
		for i, name := range names {
			if can&(1<<i) != 0 {
				want = append(want, name)
			}
		}
		rw, rec, _ := Wrap(inner)
		if got := offered(rw); got != strings.Join(want, " ") {
			t.Errorf("wrapper offers %q, want %q", got, want)
		}
		if _, ok := rw.(io.StringWriter); !ok {
			t.Errorf("%q: no WriteString", want)
		}
		if again, rec2, owner := Wrap(rw); again != rw || rec2 != rec || owner {
			t.Errorf("%q: wrapping the wrapper made another one", want)
		}
		if Find(rw) != rec {
			t.Errorf("%q: Find does not know the wrapper", want)
		}
		if got := rw.(unwrapper).Unwrap(); got != inner {
			t.Errorf("%q: unwraps to %T", want, got)
		}
		rec.Release()
	}
}

func TestOptionalCallsReachTheWriterWithin(t *testing.T) {
	for can := range combinations(newBare()) {
		b := newBare()
		rw, rec, _ := Wrap(combinations(b)[can])
		rw.WriteHeader(200)
		want := []string{"header 200"}
		if can&CanFlush != 0 {
			rw.(http.Flusher).Flush()
			if err := rw.(interface{ FlushError() error }).FlushError(); err != nil {
				t.Errorf("FlushError: %v", err)
			}
			want = append(want, "flush", "flush")
		}
		if can&CanReadFrom != 0 {
			src := &struct{ io.Reader }{strings.NewReader("abc")}
			if n, err := rw.(io.ReaderFrom).ReadFrom(src); n != 3 || err != nil {
				t.Errorf("ReadFrom = %d, %v", n, err)
			}
			want = append(want, "readfrom *struct { io.Reader } abc")
		}
		if can&CanPush != 0 {
			if err := rw.(http.Pusher).Push("/", nil); err != nil {
				t.Errorf("Push: %v", err)
			}
			want = append(want, "push")
		}
		if can&CanHijack != 0 {
			if _, _, err := rw.(http.Hijacker).Hijack(); err != nil {
				t.Errorf("Hijack: %v", err)
			}
			want = append(want, "hijack")
		}
		if got := strings.Join(b.events, ", "); got != strings.Join(want, ", ") {
			t.Errorf("calls within: %s, want %s", got, strings.Join(want, ", "))
		}
		rec.Release()
	}
}

// selfish unwraps to itself.
type selfish struct{ *bare }

func (s selfish) Unwrap() http.ResponseWriter { return s }

func TestWriterThatUnwrapsToItselfEnds(t *testing.T) {
	w := selfish{newBare()}
	if Find(w) != nil {
		t.Error("found a recorder where there is none")
	}
	rw, rec, _ := Wrap(w)
	defer rec.Release()
	if got := offered(rw); got != "" {
		t.Errorf("wrapper offers %q", got)
	}
}

func TestWrapOfServersWriterDoesNotAllocate(t *testing.T) {
	h1 := &fakeHTTP1{h: http.Header{}}
	for name, w := range map[string]http.ResponseWriter{
		"HTTP/1": h1,
		"HTTP/2": &fakeHTTP2{h1, partPush{}},
		"plain":  struct{ http.ResponseWriter }{h1},
	} {
		p := []byte("x")
		owner := new(int)
		allocs := testing.AllocsPerRun(200, func() {
			rw, rec, _ := Wrap(w)
			rec.Claim(owner)
			rec.NotifyLongLived(ignoreLongLived{})
			rw.Write(p)
			rec.SetOutcome(Shed)
			rec.Release()
		})
		// The race detector makes sync.Pool forget at random.
		if allocs != 0 && !race.Enabled {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

type ignoreLongLived struct{}

func (ignoreLongLived) LongLived() {}

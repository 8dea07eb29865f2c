package httptorture

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A script is a handler that is served twice, with the middleware and
// without. Everything that its client sees and that it sees itself must be
// the same, so net/http is the reference and not somebody's memory of it.
type script struct {
	// handle notes whatever it wants compared.
	handle func(w http.ResponseWriter, r *http.Request, note notes)
	// request makes the request; nil is a GET.
	request func(s *site) *http.Request
	// around goes around both handlers, outside of the middleware; nil is
	// nothing.
	around middleware

	name string
}

type notes func(format string, args ...any)

func scripted(name string, on protocol, twice bool, sc script) testCase {
	sc.name = name
	return testCase{name, on, twice, sc.run}
}

// references is what scripts look like without a middleware, which is the
// same for each of them and needs to be seen only once.
var references sync.Map

// run is the case that a script makes.
func (sc script) run(e *env) {
	e.Helper()
	key := e.proto.String() + "/" + sc.name
	want, ok := references.Load(key)
	if !ok {
		want = sc.play(e, func(h http.Handler) http.Handler { return h }, nil)
		references.Store(key, want)
	}
	got := sc.play(e, e.mw, e.adds)
	if got != want {
		e.Errorf("with the middleware (+) it is not as without (-):%s", differences(want.(string), got))
	}
}

func (sc script) play(e *env, mw middleware, adds []string) string {
	e.Helper()
	var (
		mu    sync.Mutex
		noted []string
	)
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		noted = append(noted, fmt.Sprintf(format, args...))
	}
	h := mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sc.handle(w, r, note) }))
	if sc.around != nil {
		h = sc.around(h)
	}
	s := e.serveAsIs(e.proto, h)
	request := s.request("GET", "/", nil)
	if sc.request != nil {
		request = sc.request(s)
	}
	var seen strings.Builder
	if re, err := s.fetch(request); err != nil {
		seen.WriteString("no response\n")
	} else {
		for _, name := range adds {
			re.Header.Del(name)
		}
		describe(&seen, re)
	}
	e.must(s.served, "the handler returns")
	e.settle()
	for _, line := range noted {
		fmt.Fprintf(&seen, "handler: %s\n", line)
	}
	for _, kind := range []string{"superfluous", "panic serving"} {
		fmt.Fprintf(&seen, "log: %d %s\n", strings.Count(s.log.String(), kind), kind)
	}
	return seen.String()
}

func describe(b *strings.Builder, re *reply) {
	fmt.Fprintf(b, "status %d\n", re.StatusCode)
	re.Header.Del("Date")
	describeHeader(b, "header", re.Header)
	fmt.Fprintf(b, "content length %d, transfer encoding %v, close %v\n", re.ContentLength, re.TransferEncoding, re.Close)
	if len(re.body) <= 200 {
		fmt.Fprintf(b, "body %q\n", re.body)
	} else {
		fmt.Fprintf(b, "body of %d bytes, %x\n", len(re.body), sha256.Sum256(re.body))
	}
	if re.cut != nil {
		fmt.Fprintf(b, "body is cut short\n")
	}
	describeHeader(b, "trailer", re.Trailer)
}

func describeHeader(b *strings.Builder, kind string, h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(b, "%s %s: %q\n", kind, name, h[name])
	}
}

// differences lists the lines that only one of the two has.
func differences(without, with string) string {
	a, b := strings.SplitAfter(without, "\n"), strings.SplitAfter(with, "\n")
	var out strings.Builder
	only := func(sign string, lines, others []string) {
		for _, line := range lines {
			if !slices.Contains(others, line) {
				fmt.Fprintf(&out, "\n\t%s %s", sign, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	only("-", a, b)
	only("+", b, a)
	if out.Len() == 0 {
		return "\n\tthe same lines in another order or number:\n" + with
	}
	return out.String()
}

// known errors are compared as such and not only by their text.
func describeError(err error) string {
	for name, target := range map[string]error{
		"ErrBodyNotAllowed": http.ErrBodyNotAllowed, "ErrContentLength": http.ErrContentLength,
		"ErrNotSupported": http.ErrNotSupported, "ErrHijacked": http.ErrHijacked,
		"ErrUnexpectedEOF": io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, target) {
			return fmt.Sprintf("%v (http or io %s)", err, name)
		}
	}
	return fmt.Sprint(err)
}

// noise returns n bytes without a pattern that a mix-up would preserve.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func noiseReader(n int) io.Reader { return bytes.NewReader(noise(n)) }

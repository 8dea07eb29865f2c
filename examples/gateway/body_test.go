package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// counted is a body that counts how often it was closed.
type counted struct {
	io.Reader
	closed int
}

func (c *counted) Close() error { c.closed++; return nil }

func TestABodyIsClosedOnceNobodyNeedsItAnyMore(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps string // of r(ead), c(lose), a(gain), R(elease)
		want  int
	}{
		{"refused by all", "cacaRc", 1},
		{"refused, then sent", "carcR", 1},
		{"sent, and closed later", "rRc", 1},
		{"not read, and closed by the time of the answer", "cR", 1},
		{"not read, and closed after that", "Rc", 1},
		{"refused, then not read", "cacR", 1},
		{"still read", "rR", 0},
	} {
		body := &counted{Reader: strings.NewReader("text")}
		k := keep(&http.Request{Body: body, ContentLength: -1})
		for _, step := range c.steps {
			switch step {
			case 'r':
				if n, err := k.Read(make([]byte, 9)); n != 4 || err != nil {
					t.Errorf("%s: read %d, %v", c.name, n, err)
				}
			case 'c':
				k.Close()
			case 'a':
				k.again()
			case 'R':
				k.release()
			}
		}
		if body.closed != c.want {
			t.Errorf("%s: closed %d times", c.name, body.closed)
		}
	}
	if keep(&http.Request{}) != nil || keep(&http.Request{Body: http.NoBody}) != nil {
		t.Error("there is nothing to keep")
	}
}

func TestABodyTellsItsEndItself(t *testing.T) {
	for _, length := range []int64{4, -1, 0} { // 0 is unknown where there is a body
		body := &counted{Reader: io.MultiReader(strings.NewReader("text"), iotest.ErrReader(http.ErrBodyReadAfterClose))}
		k := keep(&http.Request{Body: body, ContentLength: length})
		text, err := io.ReadAll(k)
		if want := map[bool]error{true: nil, false: http.ErrBodyReadAfterClose}[length == 4]; string(text) != "text" || err != want {
			t.Errorf("declared as %d: %q, %v", length, text, err)
		}
	}
}

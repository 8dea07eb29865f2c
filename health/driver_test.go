package health

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var errDown = errors.New("connection refused")

var silent = WithLogger(slog.New(slog.DiscardHandler))

// made is a Health that is closed after the test, and logs nothing.
func made(t testing.TB, opts ...Option) *Health {
	t.Helper()
	h, err := New(append([]Option{silent}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func passing(context.Context) error { return nil }
func failing(context.Context) error { return errDown }

// get asks a path, with header fields in pairs.
func get(h http.Handler, path string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// says fails unless a path is answered like that.
func says(t *testing.T, h http.Handler, path string, code int, body string, fields ...string) {
	t.Helper()
	if w := get(h, path, fields...); w.Code != code || w.Body.String() != body {
		t.Errorf("%s: %d %q, want %d %q", path, w.Code, w.Body, code, body)
	}
}

// has fails unless the answer to a path has a code and a part.
func has(t *testing.T, h http.Handler, path string, code int, part string, fields ...string) {
	t.Helper()
	if w := get(h, path, fields...); w.Code != code || !strings.Contains(w.Body.String(), part) {
		t.Errorf("%s: %d %q, want %d and %q in it", path, w.Code, w.Body, code, part)
	}
}

var everybody = WithAuthorize(func(*http.Request) bool { return true })

// steady has checks run as the test expects.
var steady = WithDefaults(Jitter(0))

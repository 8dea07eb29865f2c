package roundtrip_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/handrail-go/handrail/internal/roundtrip"
)

type policy struct{ roundtrip.Base }

func (policy) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }

type base struct{ closed, sent int }

func (b *base) CloseIdleConnections() { b.closed++ }

func (b *base) RoundTrip(*http.Request) (*http.Response, error) {
	b.sent++
	return nil, errors.New("no network")
}

func TestAClientsIdleConnectionsAreThoseOfTheBase(t *testing.T) {
	b := new(base)
	outer := policy{roundtrip.Over(policy{roundtrip.Over(b)})}
	client := http.Client{Transport: outer}
	client.CloseIdleConnections()
	if b.closed != 1 {
		t.Errorf("closed %d times", b.closed)
	}
	if outer.RoundTrip(nil); b.sent != 0 {
		t.Error("what the policy refused was sent")
	}
	if policy := (policy{roundtrip.Over(b)}); policy.Base.RoundTripper != b {
		t.Errorf("%v", policy)
	}
	policy{roundtrip.Over(bare{})}.CloseIdleConnections() // has nothing to close
}

type bare struct{ http.RoundTripper }

func TestNoBaseIsTheDefaultTransport(t *testing.T) {
	if got := roundtrip.Over(nil).RoundTripper; got != http.DefaultTransport {
		t.Errorf("%v", got)
	}
}

func TestATargetIsAHostInLowerCaseWithoutADefaultPort(t *testing.T) {
	for to, want := range map[string]string{
		"http://Example.org/x":          "example.org",
		"http://example.org:80":         "example.org",
		"HTTP://example.org:443":        "example.org:443",
		"https://EXAMPLE.org:443/":      "example.org",
		"https://example.org:80":        "example.org:80",
		"https://example.org:8443":      "example.org:8443",
		"https://[2001:DB8::1]:443/":    "[2001:db8::1]",
		"https://user:secret@a.example": "a.example",
		"//a.example:80/":               "a.example:80",
		"/path":                         "",
	} {
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		if got := roundtrip.Target(&http.Request{URL: u}); got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
	u := &url.URL{Scheme: "http", Host: strings.Repeat("H", 10_000) + ":80"}
	if got := roundtrip.Target(&http.Request{URL: u}); got != strings.Repeat("h", 10_000) {
		t.Errorf("%d bytes", len(got))
	}
	if got := roundtrip.Target(new(http.Request)); got != "" {
		t.Errorf("%q", got)
	}
}

type pipe struct{ io.ReadWriteCloser }

type half struct {
	pipe
	err error
}

func (h half) CloseWrite() error { return h.err }

func TestOnlyAResponse101LeavesAConnection(t *testing.T) {
	conn := new(pipe)
	for _, tc := range []struct {
		status int
		body   io.ReadCloser
		want   io.ReadWriteCloser
	}{
		{101, conn, conn}, {200, conn, nil}, {101, http.NoBody, nil}, {101, nil, nil},
	} {
		if got := roundtrip.Connection(&http.Response{StatusCode: tc.status, Body: tc.body}); got != tc.want {
			t.Errorf("%d with %T: %v", tc.status, tc.body, got)
		}
	}
}

func TestASendingSideEndsWhereItCan(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, tc := range []struct {
		conn io.Writer
		want error
	}{
		{pipe{}, http.ErrNotSupported}, {half{}, nil}, {half{err: broken}, broken},
	} {
		if err := roundtrip.CloseWrite(tc.conn); !errors.Is(err, tc.want) {
			t.Errorf("%T: %v, want %v", tc.conn, err, tc.want)
		}
	}
}

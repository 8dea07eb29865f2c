package refuse_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/refuse"
)

func BenchmarkWrite(b *testing.B) {
	p := refuse.New(shed, nil)
	outside := http.Header{
		"X-Request-Id": {"42"}, "Vary": {"Origin"}, "Access-Control-Allow-Origin": {"*"}, "Strict-Transport-Security": {"max-age=1"},
	}
	b.Run("reused header", func(b *testing.B) {
		w, r := &bare{header: http.Header{}}, get()
		b.ReportAllocs()
		for b.Loop() {
			clear(w.header)
			p.Write(w, r, 3*time.Second)
		}
	})
	// As net/http does it, which makes a header map per request.
	b.Run("new header", func(b *testing.B) {
		w, r := &bare{}, get()
		b.ReportAllocs()
		for b.Loop() {
			w.header = make(http.Header)
			p.Write(w, r, 3*time.Second)
		}
	})
	b.Run("new header, 4 from outside", func(b *testing.B) {
		w, r := &bare{}, get()
		b.ReportAllocs()
		for b.Loop() {
			w.header = make(http.Header)
			for name, values := range outside {
				w.header[name] = values
			}
			p.Write(w, r, 3*time.Second)
		}
	})
	b.Run("long Retry-After", func(b *testing.B) {
		w, r := &bare{header: http.Header{}}, get()
		b.ReportAllocs()
		for b.Loop() {
			clear(w.header)
			p.Write(w, r, time.Hour)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			w, r := &bare{header: http.Header{}}, get()
			for pb.Next() {
				clear(w.header)
				p.Write(w, r, 3*time.Second)
			}
		})
	})
}

// BenchmarkServer is a round trip over a kept connection, refused or answered
// by a handler that sends as much.
func BenchmarkServer(b *testing.B) {
	p := refuse.New(shed, nil)
	for _, answer := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"handler", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(503)
			w.Write(p.Body())
		}},
		{"refused", func(w http.ResponseWriter, r *http.Request) { p.Write(w, r, time.Second) }},
	} {
		for _, body := range []string{"", strings.Repeat("x", 1000)} {
			method := http.MethodGet
			if body != "" {
				method = http.MethodPost
			}
			b.Run(answer.name+"/"+method, func(b *testing.B) {
				server := httptest.NewServer(answer.handler)
				defer server.Close()
				b.ReportAllocs()
				for b.Loop() {
					r, err := http.NewRequest(method, server.URL, strings.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					resp, err := server.Client().Do(r)
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
	}
}

func BenchmarkJitter(b *testing.B) {
	j := refuse.Jitter{}
	b.ReportAllocs()
	for b.Loop() {
		j.RetryAfter(10 * time.Second)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		refuse.New(handrail.Rejection{Status: 503, Code: "LOAD_SHED"}, nil)
	}
}

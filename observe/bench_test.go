package observe_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/handrail-go/handrail/observe"
)

// nullWriter is the cheapest writer there is.
type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }

var noop = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func request(header ...string) *http.Request {
	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.Pattern = "GET /orders/{id}"
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

var discard = observe.SinkFunc(func(*observe.Exchange) {})

// pass are the middlewares that are measured, beside the bare handler.
func pass(tb testing.TB) map[string]http.Handler {
	log := accessLog(tb, observe.NewJSONHandler(io.Discard, nil), observe.WithServerAddress())
	slogs := accessLog(tb, slog.NewJSONHandler(io.Discard, nil), observe.WithServerAddress())
	return map[string]http.Handler{
		"bare":        noop,
		"statistics":  observe.Middleware()(noop),
		"sink":        observe.Middleware(observe.WithSink(discard))(noop),
		"log":         observe.Middleware(observe.WithSink(log))(noop),
		"log by slog": observe.Middleware(observe.WithSink(slogs))(noop),
		"ids":         observe.Middleware(observe.WithSink(discard), observe.WithRequestIDs())(noop),
		"log, ids, attributes": observe.Middleware(observe.WithSink(log), observe.WithRequestIDs(),
			observe.WithAttrs(32))(noop),
	}
}

// BenchmarkPass is what a request costs; the bare handler beside it is what to
// subtract. What a slog line of the same attributes costs stands beside that
// of the access log.
func BenchmarkPass(b *testing.B) {
	handlers := pass(b)
	r := request()
	for _, name := range []string{"bare", "statistics", "sink", "log", "log by slog", "ids", "log, ids, attributes"} {
		h := handlers[name]
		b.Run(name+"/serial", func(b *testing.B) {
			w := &nullWriter{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := &nullWriter{http.Header{}}
				for pb.Next() {
					h.ServeHTTP(w, r)
				}
			})
		})
	}
	b.Run("bare slog line/serial", func(b *testing.B) {
		line := slogLine()
		b.ReportAllocs()
		for b.Loop() {
			line(r)
		}
	})
}

// slogLine writes with slog alone what the access log writes.
func slogLine() func(r *http.Request) {
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
	began := time.Now()
	return func(r *http.Request) {
		logger.LogAttrs(context.Background(), slog.LevelInfo, "http request",
			slog.String("http.request.method", r.Method),
			slog.String("http.route", "/orders/{id}"),
			slog.String("url.path", r.URL.Path),
			slog.Int("http.response.status_code", 200),
			slog.Int64("http.request.body.size", r.ContentLength),
			slog.Int64("http.response.body.size", 0),
			slog.Float64("duration_ms", float64(time.Since(began).Microseconds()%1000)/1000),
			slog.String("client.address", "192.0.2.1"),
			slog.String("user_agent.original", r.UserAgent()),
			slog.String("server.address", r.Host),
			slog.String("network.protocol.version", "1.1"),
		)
	}
}

func accessLog(tb testing.TB, h slog.Handler, opts ...observe.LogOption) *observe.AccessLog {
	tb.Helper()
	log, err := observe.NewAccessLog(h, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return log
}

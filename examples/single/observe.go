package main

import (
	"io"
	"log/slog"
	"net/http"

	"github.com/handrail-go/handrail/observe"
)

// observeAlone writes a line for each request. Metrics and traces are further
// sinks: see observe/prom, observe/trace and observe/cloudwatch.
func observeAlone(out io.Writer) (http.Handler, error) {
	lines := observe.NewJSONHandler(out, nil)
	access, err := observe.NewAccessLog(lines)
	if err != nil {
		return nil, err
	}
	observer, err := observe.New(
		observe.WithRequestIDs(),
		observe.WithSink(access),
	)
	if err != nil {
		return nil, err
	}

	// The service's own lines tell the request they belong to.
	logger := slog.New(observe.LogHandler(lines))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "greeting", "name", r.PathValue("name"))
		w.Write([]byte("hello\n"))
	})
	return observer.Wrap(mux), nil
}

package observe_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/observe"
)

func TestSixtyFourAtOnce(t *testing.T) {
	leaktest.Check(t)
	buf := new(buffer)
	log := accessLog(t, jsonTo(buf), observe.WithAsync(64*200), observe.WithErrorLimit(1, 10),
		observe.WithSampling(0.5), observe.WithRefusals(100*time.Millisecond))
	follower := &script{}
	o := observer(t, observe.WithSink(tracing{ids}, follower, log), observe.WithRequestIDs(), observe.WithAttrs(4), observe.WithBodyCount())
	h := o.Wrap(o.Wrap(handle(func(w http.ResponseWriter, r *http.Request) {
		observe.AddAttrs(r.Context(), slog.String("path", r.URL.Path))
		io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.URL.Path, "7") {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write([]byte("data"))
		}
		scene(w, r)
	})))
	var wait sync.WaitGroup
	for g := range 64 {
		wait.Go(func() {
			for i := range 100 {
				path := []string{"/ok", "/503", "/shed", "/full", fmt.Sprint("/", i), "/7"}[(g+i)%6]
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", path, io.MultiReader(bytes.NewReader(make([]byte, 10)))))
				if i%10 == 0 {
					o.Stats()
					log.Stats()
					o.Collect(func(handrail.Metric) {})
					log.Collect(func(handrail.Metric) {})
				}
			}
		})
	}
	wait.Wait()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	s := log.Stats()
	if n := strings.Count(buf.take(), "\n"); uint64(n) != s.Written || s.Logged != s.Written || s.Dropped != 0 {
		t.Errorf("%d lines, statistics are %+v", n, s)
	}
	if s := o.Stats(); s.Requests != 6400 || s.InFlight != 0 || s.LongLived != 0 {
		t.Errorf("statistics are %+v", s)
	}
}

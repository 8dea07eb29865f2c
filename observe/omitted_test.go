package observe_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/observe"
)

// scene is a handler of which the path says what it does: /503, /panic,
// /slow, /shed, and so on.
func scene(w http.ResponseWriter, r *http.Request) {
	refuse := func(o httpwrap.Outcome, policy, reason string) {
		httpwrap.Find(w).SetCause(&httpwrap.Cause{Outcome: o, Policy: policy, Reason: reason})
		w.WriteHeader(503)
	}
	switch r.URL.Path {
	case "/503":
		w.WriteHeader(503)
	case "/500":
		w.WriteHeader(500)
	case "/panic":
		panic(errBoom)
	case "/slow":
		time.Sleep(time.Second)
	case "/shed":
		refuse(httpwrap.Shed, "front", "limit")
	case "/memory":
		refuse(httpwrap.Shed, "front", "memory")
	case "/full":
		refuse(httpwrap.BulkheadFull, "db", "global")
	}
}

// ask serves a request for each path.
func ask(h http.Handler, paths ...string) {
	for _, path := range paths {
		func() {
			defer func() { recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		}()
	}
}

func repeat(path string, n int) []string { return slices.Repeat([]string{path}, n) }

// tellings are the fields of lines that say what they are about.
func tellings(all []map[string]any) (out []string) {
	for _, line := range all {
		var b strings.Builder
		for _, key := range []string{"level", "msg", "url.path", "error.type", "handrail.policy", "handrail.reason", "count", "suppressed"} {
			if v, there := line[key]; there {
				fmt.Fprint(&b, " ", v)
			}
		}
		out = append(out, b.String()[1:])
	}
	return out
}

func expect(t *testing.T, all []map[string]any, want ...string) {
	t.Helper()
	if got := tellings(all); !slices.Equal(got, want) {
		t.Errorf("the lines are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRefusedRequestsAreCountedAndToldOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := lines(t)
		h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
		ask(h, repeat("/shed", 1000)...)
		ask(h, "/full", "/memory", "/full")
		expect(t, lines())
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		expect(t, lines())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		got := lines()
		slices.SortFunc(got, func(a, b map[string]any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		names := tellings(got)
		slices.Sort(names)
		want := []string{"WARN http requests refused bulkhead_full db global 2", "WARN http requests refused shed front limit 1000",
			"WARN http requests refused shed front memory 1"}
		if !slices.Equal(names, want) {
			t.Errorf("the lines are %q", names)
		}
		// Nothing more is told while there is nothing more, and then again.
		time.Sleep(time.Hour)
		expect(t, lines())
		ask(h, "/shed")
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, lines(), "WARN http requests refused shed front limit 1")
		ask(h, "/shed")
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		expect(t, lines(), "WARN http requests refused shed front limit 1")
		if s := log.Stats(); s.Counted != 1005 || s.Logged != 5 || s.Written != 5 {
			t.Errorf("statistics are %+v", s)
		}
		time.Sleep(time.Minute) // for the timer
	})
}

func TestRefusedRequestsAreToldOneByOneByOption(t *testing.T) {
	log, lines := lines(t, observe.WithRefusals(0))
	ask(observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene)), "/shed", "/full")
	expect(t, lines(), "INFO http request /shed shed front limit", "INFO http request /full bulkhead_full db global")
}

func TestRepeatedErrorsAreSuppressedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := lines(t, observe.WithErrorLimit(1, 2))
		h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
		ask(h, repeat("/503", 5)...)
		expect(t, lines(), "ERROR http request /503 503", "ERROR http request /503 503")
		ask(h, "/500", "/panic", "/ok", "/ok", "/ok") // others are not concerned
		expect(t, lines(), "ERROR http request /500 500", "ERROR http request /panic panic",
			"INFO http request /ok", "INFO http request /ok", "INFO http request /ok")
		time.Sleep(time.Second)
		ask(h, "/503", "/503", "/503")
		expect(t, lines(), "ERROR http request /503 503 3")
		log.Flush(t.Context())
		expect(t, lines(), "ERROR http requests suppressed 503 2")
		log.Flush(t.Context())
		expect(t, lines())
		ask(h, "/503", "/503")
		log.Close()
		expect(t, lines(), "ERROR http requests suppressed 503 2")
		if s := log.Stats(); s.Suppressed != 7 || s.Logged != s.Written {
			t.Errorf("statistics are %+v", s)
		}
	})
}

func TestWithoutAnErrorLimitNothingIsSuppressed(t *testing.T) {
	log, lines := lines(t, observe.WithErrorLimit(0, 0))
	ask(observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene)), repeat("/503", 500)...)
	if n := len(lines()); n != 500 {
		t.Errorf("there are %d lines", n)
	}
}

func TestManyKindsOfErrorsLeaveTheLimitsBounded(t *testing.T) {
	log, lines := lines(t, observe.WithErrorLimit(0.001, 1))
	for i := range 10_000 {
		log.Observe(&observe.Exchange{Request: request(), Route: fmt.Sprint("/", i), ErrorType: "500"})
	}
	if n := len(lines()); n != 4097 {
		t.Errorf("there are %d lines, want one for each of 4096 and one for all others", n)
	}
}

func TestSamplingKeepsAShareOfWhatIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for ratio, want := range map[float64][2]int{0: {0, 0}, 0.25: {300, 700}, 1: {2000, 2000}} {
			log, lines := lines(t, observe.WithSampling(ratio), observe.WithSlow(time.Millisecond), observe.WithErrorLimit(0, 0))
			h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
			ask(h, repeat("/ok", 2000)...)
			if n := len(lines()); n < want[0] || n > want[1] {
				t.Errorf("%v: %d lines of 2000", ratio, n)
			}
			if s := log.Stats(); s.SampledOut+s.Written != 2000 {
				t.Errorf("statistics are %+v", s)
			}
			ask(h, "/503", "/panic", "/slow")
			expect(t, lines(), "ERROR http request /503 503", "ERROR http request /panic panic", "WARN http request /slow")
		}
	})
}

func TestSamplingGoesByTheTraceAsASamplerOfTracesDoes(t *testing.T) {
	log, lines := lines(t, observe.WithSampling(0.5))
	trace := tracing{ids}
	for last, want := range map[byte]int{0x00: 1, 0x7f: 1, 0x80: 0, 0xff: 0} {
		trace.ids.TraceID[8] = last
		h := observe.Middleware(observe.WithSink(trace, log))(noop)
		ask(h, repeat("/", 20)...)
		if n := len(lines()); n != 20*want {
			t.Errorf("%x: %d lines of 20", last, n)
		}
	}
}

// stalled is a writer that stands still until it is let go.
type stalled struct {
	buffer
	free chan struct{}
}

func (s *stalled) Write(p []byte) (int, error) {
	<-s.free
	return s.buffer.Write(p)
}

func TestAStalledWriterStallsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalled{free: make(chan struct{})}
		log := accessLog(t, jsonTo(w), observe.WithAsync(10))
		h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
		began := time.Now()
		ask(h, repeat("/ok", 100)...)
		ask(h, repeat("/shed", 100)...)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if s := log.Stats(); s.Logged != 100 || s.Dropped != 90 || s.Queued != 10 || s.Written != 0 {
			t.Errorf("statistics are %+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := log.Flush(ctx); err != context.DeadlineExceeded {
			t.Errorf("Flush returned %v", err)
		}
		close(w.free)
		synctest.Wait() // now there is room for what Flush had to tell
		if err := log.Flush(t.Context()); err != nil {
			t.Errorf("Flush returned %v", err)
		}
		if s := log.Stats(); s.Queued != 0 || s.Logged != s.Written+s.Dropped || s.Written != 11 {
			t.Errorf("statistics are %+v", s)
		}
		if got := w.take(); strings.Count(got, "\n") != 11 || !strings.Contains(got, `"count":100`) {
			t.Errorf("written was\n%s", got)
		}
		time.Sleep(time.Minute) // for the timer
	})
}

func TestCloseIsBoundedAndExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalled{free: make(chan struct{})}
		log := accessLog(t, jsonTo(w), observe.WithAsync(10))
		h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
		ask(h, repeat("/ok", 5)...)
		synctest.Wait() // one is being written
		began := time.Now()
		if err := log.Close(); err != context.DeadlineExceeded {
			t.Errorf("Close returned %v", err)
		}
		if took := time.Since(began); took != observe.CloseTimeout {
			t.Errorf("it took %v", took)
		}
		ask(h, repeat("/ok", 5)...)
		if s := log.Stats(); s.Logged != 10 || s.Dropped != 9 || s.Queued != 1 {
			t.Errorf("statistics are %+v", s)
		}
		if err := log.Close(); err != nil {
			t.Errorf("the second Close returned %v", err)
		}
		close(w.free)
		synctest.Wait()
		if s := log.Stats(); s.Written != 1 || s.Queued != 0 || s.Logged != s.Written+s.Dropped {
			t.Errorf("statistics are %+v", s)
		}
	})
}

func TestALogThatStandsStillDoesNotCollectGoroutinesOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalled{free: make(chan struct{})}
		log := accessLog(t, jsonTo(w))
		h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
		ask(h, "/shed")
		time.Sleep(time.Second)
		synctest.Wait()
		for range 99 {
			ask(h, "/shed")
			time.Sleep(time.Second)
		}
		w.free <- struct{}{} // the first line; nobody else waits with one
		synctest.Wait()
		if n := strings.Count(w.take(), "\n"); n != 1 {
			t.Errorf("%d lines were written", n)
		}
		close(w.free)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"count":99`) {
			t.Errorf("then %q was written", got)
		}
	})
}

func TestAsynchronousLinesComeInOrderAndAllOfThem(t *testing.T) {
	log, lines := lines(t, observe.WithAsync(100_000))
	h := observe.Middleware(observe.WithSink(log))(noop)
	for i := range 5000 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprint("/", i), nil))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	all := lines()
	if len(all) != 5000 {
		t.Fatalf("there are %d lines", len(all))
	}
	for i, line := range all {
		if line["url.path"] != fmt.Sprint("/", i) {
			t.Fatalf("line %d is of %v", i, line["url.path"])
		}
	}
}

func TestAFlushDoesNotOutlastAClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalled{free: make(chan struct{})}
		log := accessLog(t, jsonTo(w), observe.WithAsync(10))
		ask(observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene)), repeat("/ok", 5)...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		flushed := make(chan error, 1)
		go func() { flushed <- log.Flush(ctx) }()
		synctest.Wait()
		log.Close()
		close(w.free)
		if err := <-flushed; err != nil {
			t.Errorf("Flush returned %v", err)
		}
	})
}

func TestACloseWaitsForRefusalsThatAreBeingTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalled{free: make(chan struct{})}
		log := accessLog(t, jsonTo(w))
		ask(observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene)), "/shed", "/full")
		time.Sleep(time.Second)
		synctest.Wait() // the timer's goroutine writes
		go func() { time.Sleep(time.Second); close(w.free) }()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(w.take(), "\n"); n != 2 {
			t.Errorf("%d lines are written, want 2", n)
		}
		time.Sleep(time.Minute)
	})
}

func TestWhatADroppedLineWasToTellIsToldByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalled{free: make(chan struct{})}
		log := accessLog(t, jsonTo(w), observe.WithAsync(1), observe.WithErrorLimit(1, 1))
		h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
		ask(h, repeat("/503", 4)...) // one waits, three are suppressed
		ask(h, repeat("/shed", 7)...)
		time.Sleep(time.Second)
		synctest.Wait() // the refusals found no room
		ask(h, "/503")  // neither did this, which was to tell of the three
		close(w.free)
		synctest.Wait()
		ask(h, "/shed")
		time.Sleep(time.Second)
		synctest.Wait()
		ask(h, "/503")
		synctest.Wait()
		got := w.take()
		if !strings.Contains(got, `"count":8`) || !strings.Contains(got, `"suppressed":3`) {
			t.Errorf("told was\n%s", got)
		}
		log.Close()
		time.Sleep(time.Minute)
	})
}

func TestAClosedLogHasNoTimerForRefusalsItCannotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := accessLog(t, jsonTo(io.Discard), observe.WithAsync(1))
		log.Close()
		ask(observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene)), "/shed")
		time.Sleep(time.Hour)
		if s := log.Stats(); s.Logged != 1 || s.Dropped != 1 {
			t.Errorf("statistics are %+v", s)
		}
	})
}

// endingOnce is a handler that ends its goroutine once.
type endingOnce struct {
	slog.Handler
	once *sync.Once
}

func (e endingOnce) Handle(ctx context.Context, r slog.Record) error {
	e.once.Do(runtime.Goexit)
	return e.Handler.Handle(ctx, r)
}

func TestAHandlerThatEndsTheGoroutineDoesNotEndTheTellingOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		buf := new(buffer)
		log := accessLog(t, endingOnce{slog.NewJSONHandler(buf, nil), new(sync.Once)})
		h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene))
		ask(h, "/shed", "/memory", "/full")
		time.Sleep(time.Second)
		synctest.Wait() // one is lost with the goroutine
		ask(h, "/shed", "/memory", "/full")
		time.Sleep(time.Second)
		synctest.Wait()
		got := buf.take()
		if strings.Count(got, `"count":2`) != 2 || strings.Count(got, `"count":1`) != 1 {
			t.Errorf("told was\n%s", got)
		}
		log.Close()
		time.Sleep(time.Minute)
	})
}

func TestAHandlerThatEndsTheGoroutineDoesNotEndTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		buf := new(buffer)
		log := accessLog(t, endingOnce{slog.NewJSONHandler(buf, nil), new(sync.Once)}, observe.WithAsync(10))
		ask(observe.Middleware(observe.WithSink(log))(http.HandlerFunc(scene)), "/ok", "/ok", "/ok")
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		if s := log.Stats(); s.Failed != 1 || s.Written != 2 || strings.Count(buf.take(), "\n") != 2 {
			t.Errorf("statistics are %+v", s)
		}
	})
}

func TestManyCausesOfRefusalsLeaveTheirCountsBounded(t *testing.T) {
	log, lines := lines(t)
	for i := range 5000 {
		log.Observe(&observe.Exchange{Request: request(), Status: 503, Cause: observe.Cause{Outcome: "shed", Policy: fmt.Sprint(i)}})
	}
	log.Close()
	all, sum := lines(), 0.
	for _, line := range all {
		sum += line["count"].(float64)
	}
	if len(all) != 1025 || sum != 5000 {
		t.Errorf("%d lines tell of %v requests, want one for each of 1024 causes and one for all others", len(all), sum)
	}
}

func TestSlownessRaisesALevelAndIsNoneOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := lines(t, observe.WithSlow(time.Millisecond))
		h := observe.Middleware(observe.WithSink(log))(handle(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			if r.URL.Path == "/stream" {
				w.Header().Set("Content-Type", "text/event-stream")
				w.WriteHeader(200)
			}
			scene(w, r)
		}))
		ask(h, "/stream", "/500", "/ok")
		expect(t, lines(), "INFO http request /stream", "ERROR http request /500 500", "WARN http request /ok")
	})
}

// A fallback's answer is one like others, so it has a line of its own.
func TestARefusalThatAFallbackAnsweredHasALine(t *testing.T) {
	var out strings.Builder
	log, err := observe.NewAccessLog(slog.NewJSONHandler(&out, nil))
	if err != nil {
		t.Fatal(err)
	}
	h := observe.Middleware(observe.WithSink(log))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpwrap.Find(w).SetCause(&httpwrap.Cause{Outcome: httpwrap.BreakerOpen, Policy: "stock", Reason: "open"})
		io.WriteString(w, "from the cache")
	}))
	ask(h, "/stock")
	if line := out.String(); !strings.Contains(line, `"http.response.status_code":200`) || !strings.Contains(line, `"error.type":"breaker_open"`) {
		t.Errorf("the line is %q", line)
	}
	if s := log.Stats(); s.Written != 1 || s.Counted != 0 {
		t.Errorf("the log has %+v", s)
	}
}

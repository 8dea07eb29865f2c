package observe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/handrail-go/handrail/observe"
)

func TestJSONHandlerIsAProperHandler(t *testing.T) {
	var buf bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		buf.Reset()
		return observe.NewJSONHandler(&buf, nil)
	}, func(t *testing.T) map[string]any {
		fields, err := strict(buf.String())
		if err != nil {
			t.Fatal(err)
		}
		return fields
	})
}

// The service's own lines are slog's, whatever the options and whatever was
// made of the handler.
func TestTheServicesOwnLinesAreSlogs(t *testing.T) {
	options := map[string]*slog.HandlerOptions{
		"none":   nil,
		"source": {AddSource: true},
		"level":  {Level: slog.LevelWarn},
		"replace": {ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return slog.String(strings.ToUpper(a.Key), strings.Join(groups, ".")+a.Value.String())
		}},
	}
	loggers := map[string]func(*slog.Logger) *slog.Logger{
		"bare":   func(l *slog.Logger) *slog.Logger { return l },
		"attrs":  func(l *slog.Logger) *slog.Logger { return l.With("a", 1, "b", time.Second, "who", person{"ann", "x"}) },
		"groups": func(l *slog.Logger) *slog.Logger { return l.WithGroup("g").With("a", 1.5).WithGroup("h") },
		"any":    func(l *slog.Logger) *slog.Logger { return l.With("a", []int{1}, "e", errors.New("x")) },
		"empty":  func(l *slog.Logger) *slog.Logger { return l.With(slog.Group("g"), slog.Attr{}).WithGroup("g") },
	}
	for option, opts := range options {
		for name, with := range loggers {
			var ours, slogs bytes.Buffer
			at := time.Now()
			var rec [3]slog.Record
			for i, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn + 1, slog.LevelDebug} {
				rec[i] = slog.NewRecord(at, level, "stored \u2028<&", uintptr(i))
			}
			rec[1].Add("n", 1, "who", person{"bob", "y"}, "group", slog.GroupValue(slog.Any("e", io.EOF)))
			for _, to := range []slog.Handler{observe.NewJSONHandler(&ours, opts), slog.NewJSONHandler(&slogs, opts)} {
				h := with(slog.New(to)).Handler()
				for i := range rec {
					if !h.Enabled(t.Context(), rec[i].Level) {
						continue
					}
					if err := h.Handle(t.Context(), rec[i]); err != nil {
						t.Error(err)
					}
				}
			}
			if ours.String() != slogs.String() || ours.Len() == 0 {
				t.Errorf("%s, %s:\n%s, slog's\n%s", option, name, &ours, &slogs)
			}
		}
	}
}

func TestHandlersOfOneHandlerDoNotMix(t *testing.T) {
	var buf bytes.Buffer
	with := func(h slog.Handler, key, value string) slog.Handler {
		return h.WithAttrs([]slog.Attr{slog.String(key, value)})
	}
	for n := range 64 {
		value := strings.Repeat("x", n)
		parent := with(observe.NewJSONHandler(&buf, nil), "service", value)
		children := []slog.Handler{parent.WithGroup("a"), parent.WithGroup("b"), with(parent, "c", "x"), with(parent, "d", "x"), parent}
		for i, want := range []string{`"a":{"http`, `"b":{"http`, `"c":"x","http`, `"d":"x","http`, `"http`} {
			buf.Reset()
			observe.Middleware(observe.WithSink(accessLog(t, children[i])))(noop).ServeHTTP(httptest.NewRecorder(), request())
			if want = `"service":"` + value + `",` + want; !strings.Contains(buf.String(), want) {
				t.Errorf("%s lacks %s", &buf, want)
			}
		}
	}
}

// What handlers added is in a group, which is no copy made by slog.
func TestAHandlerMayKeepWhatHandlersAdded(t *testing.T) {
	k := &keeping{Handler: slog.NewTextHandler(io.Discard, nil)}
	h := observe.Middleware(observe.WithSink(accessLog(t, k)), observe.WithAttrs(4))(handle(func(_ http.ResponseWriter, r *http.Request) {
		observe.AddAttrs(r.Context(), slog.String("path", r.URL.Path))
	}))
	for _, path := range []string{"/1", "/2", "/3"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	for i, rec := range k.records {
		rec.Attrs(func(a slog.Attr) bool {
			if want := fmt.Sprintf("[path=/%d]", i+1); a.Key == "app" && a.Value.String() != want {
				t.Errorf("record %d has %v, want %s", i, a.Value, want)
			}
			return true
		})
	}
	if len(k.records) != 3 {
		t.Errorf("there are %d records", len(k.records))
	}
}

// aloneWriter counts lines, and Writes that are more or less than one line or
// that come at the same time.
type aloneWriter struct {
	busy  atomic.Bool
	wrong atomic.Int64
	n     map[string]int
}

func (w *aloneWriter) Write(p []byte) (int, error) {
	if w.busy.Swap(true) {
		w.wrong.Add(1)
	}
	defer w.busy.Store(false)
	fields, err := strict(string(p))
	if err != nil {
		w.wrong.Add(1)
		return len(p), nil
	}
	w.n[fields["msg"].(string)]++
	return len(p), nil
}

func TestAllLinesComeOneAtATimeAndWhole(t *testing.T) {
	w := &aloneWriter{n: map[string]int{}}
	lines := observe.NewJSONHandler(w, nil)
	logger := slog.New(observe.LogHandler(lines)).With("service", "shop")
	grouped := accessLog(t, lines.WithGroup("http"))
	later := accessLog(t, lines.WithAttrs([]slog.Attr{slog.Int("n", 1)}), observe.WithAsync(10_000))
	h := observe.Middleware(observe.WithSink(accessLog(t, logger.Handler()), grouped, later), observe.WithRequestIDs())(
		handle(func(_ http.ResponseWriter, r *http.Request) { logger.InfoContext(r.Context(), "service") }))
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			for range 50 {
				h.ServeHTTP(httptest.NewRecorder(), request())
			}
		})
	}
	wait.Wait()
	if err := later.Close(); err != nil {
		t.Error(err)
	}
	if w.wrong.Load() != 0 || w.n["service"] != 3200 || w.n[observe.MessageRequest] != 3*3200 {
		t.Errorf("%d are wrong, lines are %v", w.wrong.Load(), w.n)
	}
}

// moodyWriter fails as it is told.
type moodyWriter struct{ mood string }

func (w *moodyWriter) Write(p []byte) (int, error) {
	switch w.mood {
	case "panic":
		panic("writer")
	case "short":
		return len(p) - 1, nil
	case "error":
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestAWriterThatFailsIsCountedAndTriedAgain(t *testing.T) {
	w := new(moodyWriter)
	lines := observe.NewJSONHandler(w, nil)
	log := accessLog(t, lines)
	h := observe.Middleware(observe.WithSink(log))(noop)
	for i, mood := range []string{"panic", "short", "error"} {
		for _, w.mood = range []string{mood, "good"} {
			h.ServeHTTP(httptest.NewRecorder(), request())
		}
		if s := log.Stats(); s.Failed != uint64(i+1) || s.Written != uint64(i+1) || s.Queued != 0 {
			t.Errorf("%s: statistics are %+v", mood, s)
		}
	}
	w.mood = "short"
	if err := lines.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelInfo, "", 0)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("the service's line: %v", err)
	}
}

func TestALevelThatChangesIsFollowed(t *testing.T) {
	var buf bytes.Buffer
	level := new(slog.LevelVar)
	log := accessLog(t, observe.NewJSONHandler(&buf, &slog.HandlerOptions{Level: level}))
	h := observe.Middleware(observe.WithSink(log))(noop)
	for _, l := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelDebug} {
		level.Set(l)
		h.ServeHTTP(httptest.NewRecorder(), request())
	}
	if s := log.Stats(); s.Written != 2 || s.Filtered != 1 || strings.Count(buf.String(), "\n") != 2 {
		t.Errorf("statistics are %+v", s)
	}
}

func TestAJSONHandlerNeedsAWriter(t *testing.T) {
	defer func() {
		if got := recover(); got != "observe: NewJSONHandler: the writer is nil" {
			t.Errorf("it panicked with %v", got)
		}
	}()
	observe.NewJSONHandler(nil, nil)
}

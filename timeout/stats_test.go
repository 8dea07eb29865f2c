package timeout_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/timeout"
)

// Every figure has a value of its own, so that none can stand for another.
func TestEveryFigureIsMovedByWhatItCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to, err := timeout.New(
			timeout.WithName("front"),
			timeout.PerOperation(10*time.Second, map[string]time.Duration{"short": 2 * time.Second, "long": 30 * time.Second}),
			timeout.WithOperation(func(r *http.Request) string { return r.URL.Query().Get("op") }),
			timeout.WithDeadlineHeader("X-Left"),
			timeout.WithMaxOverdue(2),
			timeout.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/exempt" }),
		)
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		h := to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/done", "/exempt":
				time.Sleep(time.Second)
			case "/hang":
				<-over
			case "/stream":
				w.(http.Flusher).Flush()
				<-over
			case "/events":
				w.Header().Set("Content-Type", "text/event-stream")
				w.(http.Flusher).Flush()
				<-over
			}
		}))
		send := func(target string, header ...string) {
			r := httptest.NewRequest("GET", target, nil)
			for i := 0; i+1 < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			defer func() { recover() }()
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		for range 4 {
			send("/done?op=long")
		}
		send("/exempt")
		send("/hang?op=short")
		send("/stream?op=short")
		for range 3 {
			send("/done") // refused
		}
		close(over)
		synctest.Wait()
		over = make(chan struct{})
		send("/hang", "X-Left", "0")
		left, leave := context.WithCancel(context.Background())
		gone := httptest.NewRequest("GET", "/done", nil).WithContext(left)
		leave()
		h.ServeHTTP(httptest.NewRecorder(), gone)
		go send("/events")
		go send("/hang?op=short")
		time.Sleep(time.Minute)

		s := to.Stats()
		want := timeout.Stats{
			Name: "front", Requests: 9, Timeouts: 3, Aborted: 1, Ratio: 3. / 9, Canceled: 1, Expired: 1, Refused: 3,
			Overdue: 1, LongLived: 1,
			MinTimeout: 2 * time.Second, MeanTimeout: (4*30 + 3*2 + 2*10) * time.Second / 9, MaxTimeout: 30 * time.Second,
			MinDuration: time.Second, MeanDuration: (5*1 + 3*2) * time.Second / 8, MaxDuration: 2 * time.Second,
		}
		if s != want {
			t.Errorf("\n%+v, want\n%+v", s, want)
		}

		golden.Metrics(t, "testdata/metrics.golden", to)
		golden.Manual(t, to)
		values := map[string]float64{}
		kinds := map[string]handrail.MetricKind{}
		to.Collect(func(m handrail.Metric) {
			id := strings.TrimPrefix(m.Name, "handrail_timeout_")
			if k, again := kinds[id]; again && k != m.Kind {
				t.Errorf("%s has two kinds", id)
			}
			kinds[id] = m.Kind
			if (m.Kind == handrail.Counter) != strings.HasSuffix(id, "_total") || m.Help == "" {
				t.Errorf("%+v", m)
			}
			for _, l := range m.Labels {
				id += " " + l.Name + "=" + l.Value
			}
			if _, again := values[id]; again {
				t.Errorf("%s is there twice", id)
			}
			values[id] = m.Value
		})
		for id, want := range map[string]float64{
			"requests_total name=front":                         9,
			"exceeded_requests_total name=front answer=timeout": 2,
			"exceeded_requests_total name=front answer=aborted": 1,
			"canceled_requests_total name=front":                1,
			"refused_requests_total name=front reason=expired":  1,
			"refused_requests_total name=front reason=overdue":  3,
			"overdue_requests name=front":                       1,
			"long_lived_requests name=front":                    1,
			"chosen_min_seconds name=front":                     2,
			"chosen_mean_seconds name=front":                    want.MeanTimeout.Seconds(),
			"chosen_max_seconds name=front":                     30,
			"duration_min_seconds name=front":                   1,
			"duration_mean_seconds name=front":                  want.MeanDuration.Seconds(),
			"duration_max_seconds name=front":                   2,
			"dropped_events_total name=front":                   0,
		} {
			if got, ok := values[id]; !ok || got != want {
				t.Errorf("%s is %v (there: %t), want %v", id, got, ok, want)
			}
			delete(values, id)
		}
		for id := range values {
			t.Errorf("%s is not expected", id)
		}
		close(over)
		synctest.Wait()
		if s := to.Stats(); s.Overdue != 0 || s.LongLived != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}

func TestWithoutARequestNoFigureIsAbsurd(t *testing.T) {
	to, err := timeout.New()
	if err != nil {
		t.Fatal(err)
	}
	if s := to.Stats(); s != (timeout.Stats{}) {
		t.Errorf("%+v", s)
	}
}

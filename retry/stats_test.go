package retry_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/retry"
)

func TestEveryFigureIsMovedByWhatItCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []int{200, 503, 200, 503, 503, 503, 404}
		n := 0
		p := made(t, retry.WithName("upstream"), retry.WithFixed(time.Second), retry.WithJitter(retry.NoJitter), retry.WithoutBudget())
		h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answers[n]); n++ }))
		for range 4 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}
		s := p.Stats()
		want := retry.Stats{Name: "upstream", Requests: 4, Attempts: 7, Retried: 2, Recovered: 1, Exhausted: 1, Delay: 3 * time.Second}
		if s.Name != want.Name || s.Requests != want.Requests || s.Attempts != want.Attempts || s.Retried != want.Retried ||
			s.Recovered != want.Recovered || s.Exhausted != want.Exhausted || s.Delay != want.Delay || len(s.GaveUp) != 1 || s.BudgetDenied != 0 || s.Hedges != 0 {
			t.Errorf("%+v\nwant %+v", s, want)
		}
	})
}

func TestMetricsAreThePinnedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := made(t, retry.WithName("upstream"), retry.WithFixed(time.Second), retry.WithJitter(retry.NoJitter), retry.WithAttempts(2))
		n := 0
		h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n++; n != 2 { // once it helps
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		for range 25 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}
		golden.Metrics(t, "testdata/metrics.golden", p)
		golden.Manual(t, p)
	})
}

func TestMetricsTellWhatTheStatisticsTell(t *testing.T) {
	p := made(t, retry.WithName("upstream"), retry.WithFixed(1))
	h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	for range 20 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	s := p.Stats()
	want := map[string]float64{
		"handrail_retry_requests_total":                    20,
		"handrail_retry_attempts_total":                    float64(s.Attempts),
		"handrail_retry_retried_requests_total":            float64(s.Retried),
		"handrail_retry_recovered_requests_total":          0,
		"handrail_retry_given_up_requests_total exhausted": float64(s.Exhausted),
		"handrail_retry_given_up_requests_total budget":    float64(s.BudgetDenied),
		"handrail_retry_budget_denied_total":               float64(s.Budget.Denied),
		"handrail_retry_budget_tokens":                     s.Budget.Tokens,
	}
	if s.BudgetDenied == 0 || s.Exhausted == 0 {
		t.Fatalf("%+v", s)
	}
	seen := map[string]bool{}
	p.Collect(func(m handrail.Metric) {
		key := m.Name
		if m.Labels[0] != (handrail.Label{Name: "name", Value: "upstream"}) || m.Help == "" {
			t.Errorf("%+v", m)
		}
		for _, l := range m.Labels[1:] {
			key += " " + l.Value
		}
		if seen[key] {
			t.Errorf("%s comes twice", key)
		}
		seen[key] = true
		if v, ok := want[key]; ok {
			if v != m.Value {
				t.Errorf("%s is %v, want %v", key, m.Value, v)
			}
			delete(want, key)
		}
	})
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func TestCallbacksAreToldOfEveryRetryAndOfTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var retries []retry.Event
		var ends []retry.GiveUp
		p := made(t, retry.WithName("n"), retry.WithFixed(time.Second), retry.WithJitter(retry.NoJitter), retry.WithoutBudget(),
			retry.OnRetry(func(e retry.Event) { retries = append(retries, e) }),
			retry.OnGiveUp(func(e retry.GiveUp) { ends = append(ends, e) }))
		mux := http.NewServeMux()
		mux.Handle("GET /{id}", p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })))
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/7", nil))
		synctest.Wait()
		p.Transport(tripper(func(*http.Request) (*http.Response, error) { return nil, io.EOF })).
			RoundTrip(request(t, "GET", "http://example.com", nil))
		synctest.Wait()
		if len(retries) != 4 || len(ends) != 2 {
			t.Fatalf("%+v, %+v", retries, ends)
		}
		if e := retries[1]; e.Name != "n" || e.Attempt != 2 || e.Status != 503 || e.Err != nil || e.Delay != time.Second || e.Method != "GET" || e.Pattern != "GET /{id}" || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
		if e := retries[2]; e.Attempt != 1 || e.Status != 0 || !errors.Is(e.Err, io.EOF) {
			t.Errorf("%+v", e)
		}
		if e := ends[0]; e.Name != "n" || e.Reason != retry.ReasonExhausted || e.Attempts != 3 || e.Status != 503 || e.Method != "GET" || e.Pattern != "GET /{id}" || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
		if e := ends[1]; e.Attempts != 3 || e.Status != 0 || !errors.Is(e.Err, io.EOF) {
			t.Errorf("%+v", e)
		}
	})
}

func TestACallbackThatPanicsOrBlocksHurtsNobody(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	p := made(t, eager(retry.OnRetry(func(retry.Event) { panic("oh") }), retry.OnGiveUp(func(retry.GiveUp) { <-release }))...)
	h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	for range 1100 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	if s := p.Stats(); s.DroppedEvents == 0 || s.Exhausted != 1100 {
		t.Errorf("%+v", s)
	}
}

package shed_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/shed"
)

// unread is a body that nobody may touch.
type unread struct{ t *testing.T }

func (b unread) Read([]byte) (int, error) {
	b.t.Error("the body of a refused request was read")
	return 0, errors.New("unread")
}

func (b unread) Close() error { return nil }

// never refuses everything.
func never() shed.Option {
	return shed.Using(func(shed.Snapshot, *http.Request) bool { return true })
}

func refusal(t *testing.T, method string, opts ...shed.Option) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/secret?token=1", nil)
	r.Body, r.ContentLength = unread{t}, 1<<40
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	shedder(t, append([]shed.Option{never()}, opts...)...).Wrap(noop).ServeHTTP(w, r)
	return w.Result()
}

// retryAfter reads the header, which has to be a whole number of seconds
// (RFC 9110, section 10.2.3), at least one.
func retryAfter(t *testing.T, h http.Header) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 1 || len(h["Retry-After"]) != 1 {
		t.Fatalf("Retry-After %q", h["Retry-After"])
	}
	return time.Duration(n) * time.Second
}

func TestARefusalIsAProblemDocumentThatMustNotBeCached(t *testing.T) {
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		resp := refusal(t, method, shed.WithName("front"))
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d", method, resp.StatusCode)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", method, got)
		}
		if got := resp.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", method, got)
		}
		if after := retryAfter(t, resp.Header); after > 30*time.Second {
			t.Errorf("%s: Retry-After %v", method, after)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if n := resp.Header.Get("Content-Length"); n != "" && n != strconv.Itoa(len(body)) {
			t.Errorf("%s: Content-Length %s of %d bytes", method, n, len(body))
		}
		var problem map[string]any
		if err := json.Unmarshal(body, &problem); err != nil {
			t.Fatalf("%s: %v in %q", method, err, body)
		}
		if problem["code"] != "LOAD_SHED" || problem["status"] != 503. {
			t.Errorf("%s: the problem is %v", method, problem)
		}
		if !strings.Contains(string(body), "The service is overloaded") {
			t.Errorf("%s: no message in %q", method, body)
		}
		if strings.Contains(string(body), "secret") || strings.Contains(string(body), "token") {
			t.Errorf("%s: something of the request in %q", method, body)
		}
	}
}

func TestStatusAndMessageOfARefusalCanBeChosen(t *testing.T) {
	const message = "Zu viel los – \"später\" <wieder>\n\x00"
	resp := refusal(t, "GET", shed.WithStatus(http.StatusTooManyRequests), shed.WithMessage(message))
	var problem map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusTooManyRequests || problem["status"] != 429. {
		t.Errorf("status %d, in the body %v", resp.StatusCode, problem["status"])
	}
	found := false
	for _, v := range problem {
		found = found || v == message
	}
	if !found {
		t.Errorf("no message in %v", problem)
	}
}

func TestARefusalCanBeAnsweredInOnesOwnWay(t *testing.T) {
	var got handrail.Rejection
	resp := refusal(t, "GET", shed.WithName("front"), shed.WithStatus(529), shed.WithMessage("later"),
		shed.WithRejectionHandler(func(w http.ResponseWriter, r *http.Request, why handrail.Rejection) {
			got = why
			if r.URL.Path != "/secret" {
				t.Errorf("told the request %v", r.URL)
			}
			w.Header().Set("X-Own", "1")
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "own")
		}))
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusTeapot || string(body) != "own" || resp.Header.Get("X-Own") != "1" {
		t.Errorf("answered %d %q", resp.StatusCode, body)
	}
	if got.Status != 529 || got.Code != "LOAD_SHED" || got.Reason != "custom" || got.Message != "later" || got.Name != "front" ||
		got.RetryAfter < time.Second || got.RetryAfter > 30*time.Second {
		t.Errorf("told %+v", got)
	}
}

func TestARejectionHandlerThatPanicsLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1), shed.WithMaxWait(0),
			shed.WithRejectionHandler(func(http.ResponseWriter, *http.Request, handrail.Rejection) { panic("answer") }))
		h := s.Wrap(desk)
		c := settled(h)
		if second := settled(h); second.raised != "answer" {
			t.Errorf("raised %v", second.raised)
		}
		finish([]*call{c})
		empty(t, s)
		if st := s.Stats(); st.Shed != 1 {
			t.Errorf("shed %d", st.Shed)
		}
	})
}

func TestRetryAfterIsSpreadAndStaysWithinItsBounds(t *testing.T) {
	for _, most := range []time.Duration{time.Second, 5 * time.Second, 30 * time.Second} {
		t.Run(most.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				// One request a second gets done, so that there is a queue to drain.
				s := shedder(t, fixed(1), shed.WithMaxRetryAfter(most), shed.WithMaxWait(time.Minute))
				h := s.Wrap(desk)
				for range 30 {
					c := settled(h)
					time.Sleep(time.Second)
					finish([]*call{c})
				}
				for range 20 {
					settled(h)
				}
				before := s.Stats().Shed
				seen := map[time.Duration]int{}
				for range 300 {
					c := start(h)
					synctest.Wait()
					if c.over.Load() {
						after := retryAfter(t, c.answer.Header())
						if after > most {
							t.Fatalf("Retry-After %v", after)
						}
						seen[after]++
					}
				}
				if s.Stats().Shed-before < 100 {
					t.Fatalf("only %d were refused", s.Stats().Shed-before)
				}
				if most > time.Second && len(seen) < 2 {
					t.Errorf("every refusal said %v", seen)
				}
			})
		})
	}
}

func TestRetryAfterGrowsWithTheTimeTheQueueNeedsToDrain(t *testing.T) {
	mean := func(service time.Duration) (mean time.Duration) {
		bubble(t, func(t *testing.T) {
			s := shedder(t, fixed(1), shed.WithMaxWait(time.Minute))
			h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(service) }))
			var answers []*httptest.ResponseRecorder
			for range 200 { // twice of what can be served
				w := httptest.NewRecorder()
				answers = append(answers, w)
				go h.ServeHTTP(w, request())
				time.Sleep(service / 2)
			}
			time.Sleep(100 * service)
			synctest.Wait()
			sum, n := time.Duration(0), 0
			for _, w := range answers[100:] {
				if w.Code == http.StatusServiceUnavailable {
					sum += retryAfter(t, w.Header())
					n++
				}
			}
			if n < 30 {
				t.Fatalf("only %d were refused", n)
			}
			mean = sum / time.Duration(n)
		})
		return mean
	}
	quick, slow := mean(10*time.Millisecond), mean(2*time.Second)
	if quick > 3*time.Second || slow < 4*quick {
		t.Errorf("the mean Retry-After is %v for a quick service and %v for a slow one", quick, slow)
	}
}

func TestARefusalAllocatesAtMostOnce(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	bubble(t, func(t *testing.T) {
		r := request()
		for name, opts := range map[string][]shed.Option{
			"limit":    {fixed(1), shed.WithMaxWait(0)},
			"random":   {shed.WithStrategy(shed.Random), shed.WithRates(1, 1)},
			"custom":   {never()},
			"tenants":  trusting(fixed(1), shed.WithMaxWait(0)),
			"on shed":  {never(), shed.OnShed(func(shed.Event) {})},
			"priority": {shed.ByPriority(map[handrail.Priority]float64{handrail.Normal: 1}), shed.WithRates(1, 1)},
		} {
			s := shedder(t, opts...)
			h := s.Wrap(desk)
			c := settled(h)
			w := &nullWriter{http.Header{}}
			most := 1.
			if name == "on shed" {
				most = 4 // the callback's queue and goroutine
			}
			before := s.Stats().Shed
			if got := testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }); got > most {
				t.Errorf("%s: %v allocations", name, math.Round(got))
			}
			if got := s.Stats().Shed - before; got != 201 {
				t.Errorf("%s: %d of 201 were refused", name, got)
			}
			finish([]*call{c})
		}
	})
}

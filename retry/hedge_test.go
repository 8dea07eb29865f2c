package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/retry"
)

// slow answers after a time of its own for each round trip.
type slow struct {
	after  []time.Duration
	status []int
	n      atomic.Int32
	// canceled and closed count round trips and bodies.
	canceled, closed atomic.Int32
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	i := int(s.n.Add(1)) - 1
	select {
	case <-time.After(s.after[i]):
		if s.status[i] == 0 {
			return nil, io.EOF
		}
		resp := got(r, s.status[i], strings.Repeat("x", i))
		resp.Body = countedBody{resp.Body, &s.closed}
		return resp, nil
	case <-r.Context().Done():
		s.canceled.Add(1)
		return nil, context.Cause(r.Context())
	}
}

type countedBody struct {
	io.ReadCloser
	closed *atomic.Int32
}

func (b countedBody) Close() error { b.closed.Add(1); return b.ReadCloser.Close() }

func TestTheFirstGoodAnswerOfSeveralWins(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name     string
		after    []time.Duration
		status   []int
		opts     []retry.Option
		took     time.Duration
		want     int // status, 0 for an error
		winner   int64
		trips    int32
		canceled int32
	}{
		{"one in time", []time.Duration{s / 2}, []int{200}, nil, s / 2, 200, 0, 1, 0},
		{"the hedge", []time.Duration{9 * s, s / 2}, []int{200, 200}, nil, 3 * s / 2, 200, 1, 2, 1},
		{"the second hedge", []time.Duration{9 * s, 9 * s, s / 2}, []int{200, 200, 200}, nil, 5 * s / 2, 200, 2, 3, 2},
		{"no third hedge", []time.Duration{9 * s, 9 * s, 9 * s}, []int{200, 200, 200}, nil, 9 * s, 200, 0, 3, 2},
		{"the first after all", []time.Duration{3 * s / 2, 9 * s}, []int{200, 200}, nil, 3 * s / 2, 200, 0, 2, 1},
		{"a failed hedge waits for the first", []time.Duration{2 * s, s / 4, 9 * s}, []int{200, 503, 200}, nil, 2 * s, 200, 0, 3, 1},
		{"all fail", []time.Duration{3 * s / 2, s}, []int{503, 0}, []retry.Option{retry.WithAttempts(1), retry.WithHedging(s, 1)}, 2 * s, 503, 0, 2, 0},
		{"all fail and are repeated", []time.Duration{3 * s / 2, s, s / 2}, []int{503, 503, 200}, []retry.Option{retry.WithHedging(s, 1)}, 5*s/2 + 1, 200, 2, 3, 0},
		{"an empty budget", []time.Duration{9 * s}, []int{200}, []retry.Option{retry.WithBudget(empty())}, 9 * s, 200, 0, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := &slow{after: tc.after, status: tc.status}
				p := made(t, append(eager(retry.WithHedging(s, 2), retry.WithJitter(retry.NoJitter)), tc.opts...)...)
				start := time.Now()
				resp, err := p.Transport(base).RoundTrip(request(t, "GET", "http://example.com", nil))
				if took := time.Since(start); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != tc.want || err != nil || int64(len(b)) != tc.winner {
					t.Errorf("%d of round trip %d, %v", resp.StatusCode, len(b), err)
				}
				synctest.Wait()
				if n, c := base.n.Load(), base.canceled.Load(); n != tc.trips || c != tc.canceled {
					t.Errorf("%d round trips and %d canceled, want %d and %d", n, c, tc.trips, tc.canceled)
				}
				answered := int32(0)
				for i := range base.n.Load() {
					if tc.status[i] != 0 {
						answered++
					}
				}
				if closed := base.closed.Load(); closed != answered-base.canceled.Load() {
					t.Errorf("%d of %d bodies were closed", closed, answered-base.canceled.Load())
				}
			})
		})
	}
}

func TestOnlySafeRequestsWithoutABodyAreHedged(t *testing.T) {
	for _, tc := range []struct {
		method, body string
		hedged       bool
	}{{"GET", "", true}, {"HEAD", "", true}, {"OPTIONS", "", true}, {"GET", "x", false}, {"PUT", "", false}, {"DELETE", "", false}, {"POST", "", false}} {
		synctest.Test(t, func(t *testing.T) {
			base := &slow{after: []time.Duration{9 * time.Second, time.Second}, status: []int{200, 200}}
			p := made(t, eager(retry.WithHedging(time.Second, 1))...)
			r := request(t, tc.method, "http://example.com", nil)
			if tc.body != "" {
				r = request(t, tc.method, "http://example.com", strings.NewReader(tc.body))
			}
			resp, err := p.Transport(base).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if hedged := base.n.Load() == 2; hedged != tc.hedged || tc.hedged && p.Stats().HedgesWon != 1 {
				t.Errorf("%s %q: %d round trips, %+v", tc.method, tc.body, base.n.Load(), p.Stats())
			}
		})
	}
}

func TestACallerThatLeavesEndsAllHedges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(3*time.Second, cancel)
		base := &slow{after: []time.Duration{time.Hour, time.Hour, time.Hour}, status: []int{200, 200, 200}}
		_, err := made(t, eager(retry.WithHedging(time.Second, 2))...).Transport(base).
			RoundTrip(request(t, "GET", "http://example.com", nil).WithContext(ctx))
		synctest.Wait()
		if !errors.Is(err, context.Canceled) || base.canceled.Load() != 3 {
			t.Errorf("%v, %d canceled", err, base.canceled.Load())
		}
	})
}

func TestAPanicOfAHedgedRoundTripIsTheCallers(t *testing.T) {
	defer func() {
		if v := recover(); v != "oh" {
			t.Errorf("panicked with %v", v)
		}
	}()
	made(t, eager(retry.WithHedging(time.Hour, 1))...).Transport(tripper(func(*http.Request) (*http.Response, error) { panic("oh") })).
		RoundTrip(request(t, "GET", "http://example.com", nil))
	t.Error("did not panic")
}

package retry_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/retry"
)

// script is what one attempt does, drawn at random.
type script struct {
	status  int // 0 for none
	reads   int
	writes  []int
	flushAt int // before this write, -1 for never
	asks    int // Retry-After, seconds
	shed    bool
	header  bool
}

// body is what its writes amount to.
func (s script) body(attempt int) string {
	var b strings.Builder
	for i, n := range s.writes {
		b.WriteString(strings.Repeat(string(rune('a'+(attempt+i)%26)), n))
	}
	return b.String()
}

// final is the status that the client sees of it.
func (s script) final() int {
	if s.status == 0 {
		return 200
	}
	return s.status
}

// ends says whether the exchange ends with this attempt, and why that is so
// where it is a failure.
func (s script) ends(attempt, most, maxHeld, bodyLeft int) (end bool, why retry.Reason, failed bool) {
	switch s.final() {
	case 429, 500, 502, 503, 504:
	default:
		return true, 0, false
	}
	held := 0
	for i, n := range s.writes {
		if i == s.flushAt {
			held = maxHeld + 1
		}
		held += n
	}
	if len(s.writes) == s.flushAt {
		held = maxHeld + 1
	}
	switch {
	case s.shed:
		return true, retry.ReasonRejected, true
	case attempt >= most:
		return true, retry.ReasonExhausted, true
	case held > maxHeld:
		return true, retry.ReasonCommitted, true
	case bodyLeft < 0:
		return true, retry.ReasonBody, true
	case s.asks > 0:
		return true, retry.ReasonRetryAfter, true
	}
	return false, 0, true
}

// TestEveryExchangeGoesAsAPlainModelSays plays random attempts, and compares
// what the client gets, how often the handler ran, what each run read of the
// body, and what the statistics say, with a few lines that know no writer.
func TestEveryExchangeGoesAsAPlainModelSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	pick := func(of ...int) int { return of[rng.IntN(len(of))] }
	for round := range 10_000 {
		most, maxHeld, maxBody := pick(1, 2, 3, 5), pick(0, 10, 100), pick(0, 10, 100)
		upload := strings.Repeat("0123456789", 20)[:pick(0, 1, 10, 50, 100, 101, 200)]
		known := rng.IntN(2) == 0
		scripts := make([]script, most)
		for i := range scripts {
			s := script{status: pick(0, 200, 404, 503, 503, 503, 500, 429, 429), reads: pick(0, 5, 10, 11, 300), flushAt: -1, header: rng.IntN(2) == 0}
			for range rng.IntN(4) {
				s.writes = append(s.writes, pick(0, 1, 10, 60))
			}
			if rng.IntN(10) == 0 {
				s.flushAt = rng.IntN(len(s.writes) + 1)
			}
			if rng.IntN(10) == 0 {
				s.asks = 1
			}
			s.shed = s.status >= 400 && rng.IntN(10) == 0
			scripts[i] = s
		}

		// The model.
		wantAttempts, wantWhy, wantFailed := 0, retry.Reason(0), false
		furthest := 0
		for i, s := range scripts {
			wantAttempts = i + 1
			furthest = max(furthest, min(s.reads, len(upload)))
			left := 0
			if len(upload) > 0 && most > 1 && (known && len(upload) > maxBody || furthest > maxBody) {
				left = -1
			}
			limit := most
			if known && len(upload) > maxBody && most > 1 {
				limit = 1
			}
			var end bool
			if end, wantWhy, wantFailed = s.ends(i+1, limit, maxHeld, left); end {
				if wantWhy == retry.ReasonExhausted && limit < most {
					wantWhy = retry.ReasonBody
				}
				break
			}
		}
		last := scripts[wantAttempts-1]

		var notes []string
		p := made(t, retry.Custom(most, func(int) time.Duration { return 0 }), retry.WithoutBudget(),
			retry.WithMaxHeld(maxHeld), retry.WithMaxBody(maxBody), retry.WithMaxRetryAfter(0))
		attempt := 0
		h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := scripts[attempt]
			attempt++
			b, err := io.ReadAll(io.LimitReader(r.Body, int64(s.reads)))
			if want := upload[:min(s.reads, len(upload))]; string(b) != want || err != nil {
				notes = append(notes, fmt.Sprintf("attempt %d read %d bytes, %v", attempt, len(b), err))
			}
			if s.header {
				w.Header().Set(fmt.Sprintf("X-A%d", attempt), "1")
			}
			if s.asks > 0 {
				w.Header().Set("Retry-After", fmt.Sprint(s.asks))
			}
			if s.shed {
				httpwrap.Find(w).SetOutcome(httpwrap.Shed)
			}
			if s.status != 0 {
				w.WriteHeader(s.status)
				w.Header().Set("X-Late", "1")
			}
			for i, n := range s.writes {
				if i == s.flushAt {
					w.(http.Flusher).Flush()
				}
				if m, err := w.Write([]byte(strings.Repeat(string(rune('a'+(attempt+i)%26)), n))); m != n || err != nil {
					notes = append(notes, fmt.Sprintf("attempt %d wrote %d of %d bytes, %v", attempt, m, n, err))
				}
			}
			if len(s.writes) == s.flushAt {
				w.(http.Flusher).Flush()
			}
		}))
		var body io.Reader = strings.NewReader(upload)
		if !known {
			body = struct{ io.Reader }{body}
		}
		r := httptest.NewRequest("PUT", "/", body)
		if !known {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)

		resp := w.Result()
		if attempt != wantAttempts || resp.StatusCode != last.final() || w.Body.String() != last.body(wantAttempts) {
			notes = append(notes, fmt.Sprintf("%d attempts, %d with %q; want %d, %d with %q",
				attempt, resp.StatusCode, w.Body, wantAttempts, last.final(), last.body(wantAttempts)))
		}
		for i := range scripts {
			name := fmt.Sprintf("X-A%d", i+1)
			if got, want := resp.Header.Get(name) != "", i+1 == wantAttempts && last.header; got != want {
				notes = append(notes, fmt.Sprintf("%s is there: %t, want %t", name, got, want))
			}
		}
		if resp.Header.Get("X-Late") != "" && last.status != 0 {
			notes = append(notes, "a header came after the status")
		}
		s := p.Stats()
		gaveUp := uint64(0)
		for _, n := range s.GaveUp {
			gaveUp += n
		}
		if s.Requests != 1 || s.Attempts != uint64(attempt) || (s.Retried == 1) != (attempt > 1) ||
			(s.Recovered == 1) != (attempt > 1 && !wantFailed) || (gaveUp == 1) != wantFailed || wantFailed && s.GaveUp[wantWhy] != 1 {
			notes = append(notes, fmt.Sprintf("%+v, want to give up: %t, %v", s, wantFailed, wantWhy))
		}
		if len(notes) > 0 {
			t.Fatalf("round %d: %d attempts at most, %d held, %d of body, upload of %d (known: %t), %+v:\n%s",
				round, most, maxHeld, maxBody, len(upload), known, scripts, strings.Join(notes, "\n"))
		}
	}
}

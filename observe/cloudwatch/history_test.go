package cloudwatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

// Histories drawn at random: records of all sizes and ages, flushes and a close
// at any time, and a client that does everything a client can do wrong. Whatever
// happens, nothing is unaccounted for at any moment, every batch keeps the
// limits, a flush that says nothing is lost tells the truth, and what is said to
// be delivered was taken. HISTORIES=100000 draws more of them.
func TestTheAccountIsTrueInEveryHistory(t *testing.T) {
	n := 1000
	if race.Enabled {
		n = 60
	}
	if many, err := strconv.Atoi(os.Getenv("HISTORIES")); err == nil {
		n = many
	}
	var all cloudwatch.LogStats
	flushed, lossy := 0, 0
	for seed := range n {
		synctest.Test(t, func(t *testing.T) {
			h := &history{t: t, seed: uint64(seed), r: rand.New(rand.NewPCG(uint64(seed), 1)), client: rand.New(rand.NewPCG(uint64(seed), 2))}
			h.run()
			st := h.h.Stats()
			all.Delivered += st.Delivered
			all.Dropped += st.Dropped
			all.Late += st.Late
			all.Hanging += st.Hanging
			all.Throttled += st.Throttled
			flushed += h.flushed
			lossy += h.lossy
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	// Else the histories prove little.
	if all.Delivered == 0 || all.Dropped == 0 || all.Hanging == 0 || all.Throttled == 0 || flushed == 0 || lossy == 0 || !race.Enabled && all.Late == 0 {
		t.Errorf("not everything happened: %+v, %d flushes without loss, %d with", all, flushed, lossy)
	}
}

type history struct {
	t         *testing.T
	seed      uint64
	r, client *rand.Rand
	h         *cloudwatch.Handler
	s         *store
	next      int // the record to be logged

	mu             sync.Mutex
	flushed, lossy int
	told           uint64 // how many records a FlushError said are lost
}

func (h *history) run() {
	weights := []int{h.r.IntN(10), h.r.IntN(4), h.r.IntN(4), h.r.IntN(3), h.r.IntN(2), h.r.IntN(3), h.r.IntN(2)}
	h.s = &store{script: func(ctx context.Context, events []cloudwatch.Event) (cloudwatch.Rejected, error) {
		broken := errors.New("broken")
		switch h.draw(weights) {
		case 1:
			return cloudwatch.Rejected{}, broken
		case 2:
			return cloudwatch.Rejected{}, &cloudwatch.PutError{Err: broken, Throttled: true, RetryAfter: time.Duration(h.client.IntN(4)) * time.Second}
		case 3:
			return cloudwatch.Rejected{Old: h.client.IntN(3), New: h.client.IntN(3)}, nil
		case 4:
			return cloudwatch.Rejected{}, &cloudwatch.PutError{Err: broken, Permanent: true}
		case 5:
			select { // slow, and heeds its context
			case <-time.After(time.Duration(h.client.IntN(2000)) * time.Millisecond):
				return cloudwatch.Rejected{}, nil
			case <-ctx.Done():
				return cloudwatch.Rejected{}, ctx.Err()
			}
		case 6:
			time.Sleep(time.Duration(h.client.IntN(20)) * time.Second) // and does not
			if h.client.IntN(4) == 0 {
				panic("client")
			}
		}
		return cloudwatch.Rejected{}, nil
	}}
	h.s.mostEvents, h.s.mostBytes = 1+h.r.IntN(20), 1<<10+h.r.IntN(4<<10)
	var err error
	h.h, err = cloudwatch.NewHandler(h.s,
		cloudwatch.WithBatch(h.s.mostEvents, h.s.mostBytes),
		cloudwatch.WithBuffer(1+h.r.IntN(60), 6<<10+h.r.IntN(20<<10)),
		cloudwatch.WithMaxEvent(512+h.r.IntN(1024)),
		cloudwatch.WithOverflow(cloudwatch.Overflow(h.r.IntN(2))),
		cloudwatch.WithAttempts(1+h.r.IntN(4)),
		cloudwatch.WithBackoff(10*time.Millisecond, time.Second),
		cloudwatch.WithFlushInterval(time.Duration(1+h.r.IntN(3000))*10*time.Millisecond),
		cloudwatch.WithCallTimeout(time.Second))
	must(h.t, err)
	var wg sync.WaitGroup
	for range 10 + h.r.IntN(40) {
		switch op := h.r.IntN(20); {
		case op < 12:
			h.log()
		case op < 15:
			time.Sleep(time.Duration(h.r.IntN(3000)) * time.Millisecond)
		case op < 16:
			for range h.r.IntN(100) {
				h.log()
			}
		case op < 19:
			patience, before := time.Duration(1+h.r.IntN(10_000))*time.Millisecond, h.next
			wg.Go(func() { h.flush(patience, before) })
			synctest.Wait()
		case h.r.IntN(4) == 0:
			patience := time.Duration(h.r.IntN(10_000)) * time.Millisecond
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(background, patience)
				defer cancel()
				if lost := (*cloudwatch.FlushError)(nil); errors.As(h.h.Close(ctx), &lost) {
					h.mu.Lock()
					defer h.mu.Unlock()
					h.told = max(h.told, lost.Total)
				}
			})
			synctest.Wait()
		}
		h.check()
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(background, time.Duration(h.r.IntN(30))*time.Second)
	defer cancel()
	h.h.Close(ctx)
	h.check()
	if st := h.h.Stats(); st.Pending != 0 || st.Logged != uint64(h.next) {
		h.t.Errorf("after Close the figures are %+v of %d records", st, h.next)
	}
	time.Sleep(time.Minute) // a client that hangs comes back
	h.s.check(h.t)
}

func (h *history) draw(weights []int) int {
	sum := 1
	for _, w := range weights {
		sum += w
	}
	n := h.client.IntN(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	return 0
}

func (h *history) log() {
	at := time.Now()
	switch h.r.IntN(20) {
	case 0:
		at = at.Add(-time.Duration(h.r.IntN(20*24)) * time.Hour)
	case 1:
		at = at.Add(time.Duration(h.r.IntN(180)) * time.Minute)
	}
	r := slog.NewRecord(at, slog.LevelInfo, fmt.Sprintf("id=%d;%s", h.next, strings.Repeat("é\n", h.r.IntN(80))), 0)
	if h.r.IntN(30) == 0 {
		r.AddAttrs(slog.String("big", strings.Repeat("x", 3000)))
	}
	h.next++
	before := time.Now()
	if err := h.h.Handle(background, r); err != nil || !time.Now().Equal(before) {
		h.t.Errorf("Handle returned %v after %v", err, time.Since(before))
	}
}

// ids are the records that were taken.
func (h *history) ids() map[int]bool {
	ids := map[int]bool{}
	for _, e := range h.s.taken() {
		var m struct{ Msg string }
		if err := json.Unmarshal([]byte(e.Message), &m); err != nil {
			h.t.Errorf("%v: %.200s", err, e.Message)
		}
		var id int
		fmt.Sscanf(m.Msg, "id=%d;", &id)
		ids[id] = true
	}
	return ids
}

func (h *history) flush(patience time.Duration, logged int) {
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	began := time.Now()
	err := h.h.Flush(ctx)
	if took := time.Since(began); took > patience {
		h.t.Errorf("Flush took %v of %v", took, patience)
	}
	var lost *cloudwatch.FlushError
	if errors.As(err, &lost) {
		h.mu.Lock()
		h.told = max(h.told, lost.Total)
		h.mu.Unlock()
	}
	time.Sleep(time.Nanosecond) // all that were told before have noted it
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		ids, missing := h.ids(), uint64(0)
		for id := range logged {
			if !ids[id] {
				missing++
			}
		}
		if missing > h.told {
			h.t.Errorf("Flush says that %d records were delivered: %d were not, and %d are known to be lost", logged, missing, h.told)
		}
		if logged > 0 {
			h.flushed++
		}
	case lost != nil:
		h.lossy++
		if st := h.h.Stats(); lost.Lost == 0 || lost.Lost > lost.Total || lost.Total > st.Dropped {
			h.t.Errorf("Flush says %+v, and the figures are %+v", lost, st)
		}
	case !errors.Is(err, context.DeadlineExceeded):
		h.t.Errorf("Flush returned %v", err)
	}
}

func (h *history) check() {
	st := account(h.t, h.h)
	if n := len(h.ids()); st.Delivered > uint64(n) {
		h.t.Errorf("%d are said to be delivered, %d were taken", st.Delivered, n)
	}
}

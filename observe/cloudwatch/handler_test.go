package cloudwatch_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

// store is a client that keeps what it takes, does first what its script says,
// and checks the limits of every batch.
type store struct {
	script func(ctx context.Context, events []cloudwatch.Event) (cloudwatch.Rejected, error)
	// The limits of WithBatch, 0 where those of PutLogEvents hold.
	mostEvents, mostBytes int

	mu     sync.Mutex
	events []cloudwatch.Event
	calls  int
	busy   bool
	faults []string
}

func (s *store) Put(ctx context.Context, events []cloudwatch.Event) (cloudwatch.Rejected, error) {
	s.mu.Lock()
	s.calls++
	if s.busy {
		s.faults = append(s.faults, "two calls at once")
	}
	s.busy = true
	if fault := breach(events, cmp.Or(s.mostEvents, 10_000), cmp.Or(s.mostBytes, 1_048_576)); fault != "" {
		s.faults = append(s.faults, fault)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.busy = false
		s.mu.Unlock()
	}()
	var r cloudwatch.Rejected
	if s.script != nil {
		var err error
		if r, err = s.script(ctx, events); err != nil {
			return r, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := min(max(r.Old, 0), len(events))
	young := min(max(r.New, 0), len(events)-old)
	s.events = append(s.events, events[old:len(events)-young]...)
	return r, nil
}

// breach says which limit of PutLogEvents a batch breaks.
func breach(events []cloudwatch.Event, mostEvents, mostBytes int) string {
	bytes := 0
	for i, e := range events {
		if e.Message == "" || !utf8.ValidString(e.Message) || strings.Contains(e.Message, "\n") {
			return fmt.Sprintf("the message is %.100q", e.Message)
		}
		if i > 0 && e.Time.Before(events[i-1].Time) {
			return "not in chronological order"
		}
		// A batch that is put again may have grown too old meanwhile.
		if age := time.Since(e.Time); age > 14*24*time.Hour+time.Minute || age < -2*time.Hour-time.Second {
			return fmt.Sprintf("an event is %v old", age)
		}
		bytes += len(e.Message) + 26
	}
	switch n := len(events); {
	case n < 1 || n > mostEvents:
		return fmt.Sprintf("%d events", n)
	case bytes > mostBytes:
		return fmt.Sprintf("%d bytes", bytes)
	case events[n-1].Time.Sub(events[0].Time) >= 24*time.Hour:
		return "more than 24 hours"
	}
	return ""
}

func (s *store) taken() []cloudwatch.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func (s *store) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error(f)
	}
}

func handler(t *testing.T, s *store, opts ...cloudwatch.LogOption) (*cloudwatch.Handler, *slog.Logger) {
	t.Helper()
	h, err := cloudwatch.NewHandler(s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(background)
		cancel()
		h.Close(ended)
		s.check(t)
		account(t, h)
		if p := h.Stats().Pending; p != 0 {
			t.Errorf("%d records are pending after Close", p)
		}
	})
	return h, slog.New(h)
}

// account checks that nothing is unaccounted for.
func account(t *testing.T, h *cloudwatch.Handler) cloudwatch.LogStats {
	t.Helper()
	s := h.Stats()
	var reasons uint64
	for _, n := range s.Reasons {
		reasons += n
	}
	if s.Logged != s.Delivered+s.Dropped+s.Pending || s.Dropped != reasons || s.PendingBytes < int(s.Pending)*26 || (s.Pending == 0) != (s.PendingBytes == 0) {
		t.Fatalf("the account is not true: %+v", s)
	}
	return s
}

func TestTheHandlerIsAHandlerAsTheStandardLibraryExpects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		h, _ := handler(t, s)
		if err := slogtest.TestHandler(h, func() (all []map[string]any) {
			if err := h.Flush(background); err != nil {
				t.Fatal(err)
			}
			for _, e := range s.taken() {
				var m map[string]any
				if err := json.Unmarshal([]byte(e.Message), &m); err != nil {
					t.Fatal(err)
				}
				all = append(all, m)
			}
			return all
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestRecordsArriveWithTheirTimeLevelAttributesAndGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		var level slog.LevelVar
		level.Set(slog.LevelWarn)
		h, log := handler(t, s, cloudwatch.WithLevel(&level), cloudwatch.WithSource(), cloudwatch.WithReplaceAttr(func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "password" {
				return slog.String("password", "***")
			}
			return a
		}))
		log.Info("not this one")
		attrs := []any{"id", 7}
		child := log.With(attrs...)
		attrs[1] = 8
		child.WithGroup("g").Warn("this one", "password", "secret", "n", 1)
		level.Set(slog.LevelDebug)
		log.Debug("and this one")
		must(t, h.Flush(background))
		got := s.taken()
		if len(got) != 2 || account(t, h).Logged != 2 {
			t.Fatalf("%d events: %v", len(got), got)
		}
		if !strings.Contains(got[0].Message, `"id":7,"g":{"password":"***","n":1}}`) || !strings.Contains(got[0].Message, `handler_test.go`) ||
			!strings.Contains(got[0].Message, `"level":"WARN"`) || !got[0].Time.Equal(time.Now()) {
			t.Errorf("it is %v", got[0])
		}
	})
}

func TestABatchIsPutWhenItIsFullOrOldEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		_, log := handler(t, s, cloudwatch.WithBatch(10, 4096), cloudwatch.WithMaxEvent(2000))
		log.Info("one")
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		if n := len(s.taken()); n != 0 {
			t.Errorf("%d events before the interval was over", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := len(s.taken()); n != 1 {
			t.Errorf("%d events when the interval was over", n)
		}
		for range 10 {
			log.Info("more")
		}
		synctest.Wait()
		if n := len(s.taken()); n != 11 {
			t.Errorf("%d events when ten were there", n)
		}
		for range 3 {
			log.Info(strings.Repeat("x", 1400))
		}
		synctest.Wait()
		if n := len(s.taken()); n != 13 {
			t.Errorf("%d events when there were more bytes than fit", n)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := len(s.taken()); n != 14 {
			t.Errorf("%d events in the end", n)
		}
	})
}

func TestBatchesKeepTheLimitsWhateverIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		h, _ := handler(t, s, cloudwatch.WithBuffer(200_000, 256<<20))
		log := func(at time.Time, message string) {
			h.Handle(background, slog.NewRecord(at, slog.LevelInfo, message, 0))
		}
		now := time.Now()
		n := 25_000
		if race.Enabled {
			n = 11_000
		}
		for i := range n { // more than a batch by count, backwards in time
			log(now.Add(-time.Duration(i)*time.Second), "m")
		}
		for range 3 { // each nearly as large as a batch
			log(now, strings.Repeat("é", 500_000))
		}
		for i := range 200 { // 20 days back to half a day ahead
			log(now.Add(12*time.Hour-time.Duration(i)*150*time.Minute), "far")
		}
		if err := h.Flush(background); err == nil {
			t.Error("Flush does not say that events were too old or too new")
		}
		s.check(t)
		st := account(t, h)
		if st.Pending != 0 || st.Reasons[cloudwatch.LossTime] != 4+60 || st.Dropped != 64 { // too new, too old
			t.Errorf("the figures are %+v", st)
		}
		if len(s.taken()) != int(st.Delivered) {
			t.Errorf("%d were taken, %d are said to be delivered", len(s.taken()), st.Delivered)
		}
	})
}

func TestARecordThatIsTooLongIsShortenedAndStaysJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, most := range []int{512, 5000, 1<<20 - 26} {
			n := 20_000
			if most > 5000 {
				n = 300_000
			}
			s := &store{}
			h, log := handler(t, s, cloudwatch.WithMaxEvent(most))
			log.Error(strings.Repeat("\x00ü\xff", n), "big", strings.Repeat("x", 3*n))
			log.Info("small", "raw", json.RawMessage("\"\xff\""))
			must(t, h.Flush(background))
			got := s.taken()
			var m map[string]any
			if err := json.Unmarshal([]byte(got[0].Message), &m); err != nil || len(got[0].Message) > most {
				t.Fatalf("%d bytes: %v", len(got[0].Message), err)
			}
			if m["level"] != "ERROR" || m["time"] == nil || m["big"] != nil || m["shortened_from_bytes"].(float64) < float64(7*n) ||
				!strings.HasPrefix(m["msg"].(string), "\x00ü") {
				t.Errorf("it is %.200s", got[0].Message)
			}
			if st := account(t, h); st.Shortened != 1 || len(got) != 2 {
				t.Errorf("the figures are %+v", st)
			}
		}
	})
}

func TestAFailedBatchIsPutAgainWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		var told []error
		broken := errors.New("broken")
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			at = append(at, time.Now())
			if len(at) < 5 {
				return cloudwatch.Rejected{}, broken
			}
			return cloudwatch.Rejected{}, nil
		}}
		h, log := handler(t, s, cloudwatch.WithBackoff(100*time.Millisecond, 400*time.Millisecond), cloudwatch.OnError(func(err error) { told = append(told, err) }))
		log.Info("one")
		must(t, h.Flush(background))
		if len(at) != 5 || len(s.taken()) != 1 {
			t.Fatalf("%d calls, %d events", len(at), len(s.taken()))
		}
		for i, most := range []time.Duration{100, 200, 400, 400} {
			most *= time.Millisecond
			if pause := at[i+1].Sub(at[i]); pause < most/2 || pause > most {
				t.Errorf("pause %d is %v, want %v to %v", i+1, pause, most/2, most)
			}
		}
		if at[3].Sub(at[2]) == at[4].Sub(at[3]) {
			t.Error("there is no chance in the pauses: instances that fail together come back together")
		}
		synctest.Wait()
		if len(told) != 4 || told[0] != broken {
			t.Errorf("it was told of %v", told)
		}
		if st := account(t, h); st.Failed != 4 || st.Calls != 5 {
			t.Errorf("the figures are %+v", st)
		}
	})
}

func TestThrottlingIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			at = append(at, time.Now())
			switch len(at) {
			case 1:
				return cloudwatch.Rejected{}, fmt.Errorf("wrapped: %w", &cloudwatch.PutError{Err: errors.New("slow down"), Throttled: true})
			case 2:
				return cloudwatch.Rejected{}, &cloudwatch.PutError{Err: errors.New("come back"), RetryAfter: 42 * time.Second}
			case 3:
				return cloudwatch.Rejected{}, &cloudwatch.PutError{Err: errors.New("never"), RetryAfter: 100 * time.Hour}
			}
			return cloudwatch.Rejected{}, nil
		}}
		h, log := handler(t, s, cloudwatch.WithBackoff(time.Millisecond, 10*time.Millisecond))
		log.Info("one")
		must(t, h.Flush(background))
		if len(at) != 4 || at[1].Sub(at[0]) < time.Second || at[2].Sub(at[1]) != 42*time.Second || at[3].Sub(at[2]) != 5*time.Minute {
			t.Errorf("the calls were at %v", at)
		}
		if st := account(t, h); st.Throttled != 1 || st.Failed != 3 {
			t.Errorf("the figures are %+v", st)
		}
	})
}

func TestWhatIsNeverTakenIsDroppedAndFlushSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			return cloudwatch.Rejected{}, fail
		}}
		h, log := handler(t, s, cloudwatch.WithAttempts(3))
		flush := func(lost, total uint64) {
			t.Helper()
			err := h.Flush(background)
			var fe *cloudwatch.FlushError
			if !errors.As(err, &fe) || fe.Lost != lost || fe.Total != total {
				t.Errorf("Flush returned %v, want %d lost, %d in total", err, lost, total)
			}
		}
		fail = errors.New("broken")
		log.Info("one")
		log.Info("two")
		flush(2, 2)
		fail = &cloudwatch.PutError{Err: errors.New("invalid"), Permanent: true}
		log.Info("three")
		flush(1, 3)
		fail = nil
		log.Info("four")
		must(t, h.Flush(background)) // what is lost was told before
		st := account(t, h)
		if st.Reasons[cloudwatch.LossFailed] != 2 || st.Reasons[cloudwatch.LossPermanent] != 1 || st.Delivered != 1 || s.calls != 3+1+1 {
			t.Errorf("the figures are %+v after %d calls", st, s.calls)
		}
	})
}

func TestRejectedEventsOfABatchAreLostAndTheOthersDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, r := range []struct {
			rejected  cloudwatch.Rejected
			delivered uint64
		}{{cloudwatch.Rejected{Old: 2, New: 3}, 5}, {cloudwatch.Rejected{Old: 8, New: 8}, 0}, {cloudwatch.Rejected{Old: -4, New: 1 << 40}, 0}, {cloudwatch.Rejected{}, 10}} {
			s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) { return r.rejected, nil }}
			h, log := handler(t, s)
			for range 10 {
				log.Info("m")
			}
			if err := h.Flush(background); (err == nil) != (r.delivered == 10) {
				t.Errorf("%+v: Flush returned %v", r.rejected, err)
			}
			if st := account(t, h); st.Delivered != r.delivered || st.Reasons[cloudwatch.LossRejected] != 10-r.delivered {
				t.Errorf("%+v: the figures are %+v", r.rejected, st)
			}
		}
	})
}

func TestAStalledClientStallsNobodyAndTheBufferIsBounded(t *testing.T) {
	for _, overflow := range []cloudwatch.Overflow{cloudwatch.DropNewest, cloudwatch.DropOldest} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			stalled := true
			s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
				if stalled {
					<-release // and does not heed its context
				}
				return cloudwatch.Rejected{}, nil
			}}
			h, log := handler(t, s, cloudwatch.WithBuffer(1000, 64<<10), cloudwatch.WithMaxEvent(1000), cloudwatch.WithOverflow(overflow),
				cloudwatch.WithBatch(100, 8<<10), cloudwatch.WithCallTimeout(time.Hour/60))
			began := time.Now()
			for i := range 5000 {
				log.Info(fmt.Sprintf("record %04d", i))
				if st := h.Stats(); st.Pending > 1000 || st.PendingBytes > 64<<10 {
					t.Fatalf("the buffer holds %+v", st)
				}
			}
			if time.Since(began) != 0 {
				t.Errorf("logging waited for %v", time.Since(began))
			}
			synctest.Wait()
			st := account(t, h)
			if st.Reasons[cloudwatch.LossOverflow] < 3900 {
				t.Errorf("the figures are %+v", st)
			}
			stalled = false
			close(release)
			h.Flush(background)
			got := s.taken()
			last := got[len(got)-1].Message
			if isNewest := strings.Contains(last, "record 4999"); isNewest != (overflow == cloudwatch.DropOldest) {
				t.Errorf("%v dropped: the last one delivered is %s", overflow, last)
			}
		})
	}
}

func TestACallThatHangsIsGivenUpAndItsSuccessStillCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := 25 * time.Second
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			time.Sleep(hang)
			hang = 0
			return cloudwatch.Rejected{}, nil
		}}
		h, log := handler(t, s)
		log.Info("one")
		must(t, h.Flush(background)) // the call that hung brings it home
		if st := account(t, h); len(s.taken()) != 1 || st.Hanging != 1 || st.Delivered != 1 || st.Calls != 1 {
			t.Errorf("the figures are %+v", st)
		}
		// One that hangs for longer than all attempts together.
		hang = time.Hour
		log.Info("two")
		log.Info("three")
		if err := h.Flush(background); err == nil {
			t.Error("Flush says that it was delivered")
		}
		time.Sleep(time.Hour)
		log.Info("four")
		h.Flush(background)
		if st := account(t, h); st.Late != 2 || st.Delivered != 2 || st.Reasons[cloudwatch.LossFailed] != 2 {
			t.Errorf("the figures are %+v", st)
		}
	})
}

func TestAClientThatPanicsIsAsOneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			if first {
				first = false
				panic("client")
			}
			return cloudwatch.Rejected{}, nil
		}}
		h, log := handler(t, s)
		log.Info("one")
		must(t, h.Flush(background))
		if st := account(t, h); st.Failed != 1 || st.Delivered != 1 {
			t.Errorf("the figures are %+v", st)
		}
	})
}

func TestARecordThatCannotBeFormattedIsCountedAndHurtsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		h, log := handler(t, s, cloudwatch.WithReplaceAttr(func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "bad" {
				panic("replace")
			}
			return a
		}))
		log.Info("bad", "bad", 1)
		log.Info("good")
		if err := h.Flush(background); err == nil {
			t.Error("Flush says that all was delivered")
		}
		if st := account(t, h); st.Reasons[cloudwatch.LossFormat] != 1 || st.Delivered != 1 {
			t.Errorf("the figures are %+v", st)
		}
	})
}

func TestFlushWaitsForWhatWasLoggedBeforeAndForNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			time.Sleep(time.Second)
			return cloudwatch.Rejected{}, nil
		}}
		h, log := handler(t, s)
		must(t, h.Flush(background)) // nothing was logged
		log.Info("one")
		done := make(chan time.Duration, 1)
		began := time.Now()
		go func() {
			h.Flush(background)
			done <- time.Since(began)
		}()
		synctest.Wait()
		for range 10 {
			log.Info("meanwhile")
			time.Sleep(100 * time.Millisecond)
		}
		if took := <-done; took != time.Second {
			t.Errorf("Flush took %v", took)
		}
		ctx, cancel := context.WithTimeout(background, 10*time.Millisecond)
		defer cancel()
		if err := h.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush returned %v", err)
		}
		must(t, h.Flush(background))
		if n := len(s.taken()); n != 11 {
			t.Errorf("%d events", n)
		}
	})
}

func TestCloseDeliversAndMayBeCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		h, log := handler(t, s)
		log.Info("one")
		for range 3 {
			must(t, h.Close(background))
		}
		log.Info("late")
		if st := account(t, h); st.Delivered != 1 || st.Reasons[cloudwatch.LossClosed] != 1 {
			t.Errorf("the figures are %+v", st)
		}
		if h.Close(background) == nil {
			t.Error("Close says that what was logged after it is delivered")
		}
		log.Info("later")
		if h.Flush(background) == nil {
			t.Error("Flush says that what was logged after Close is delivered")
		}
	})
}

func TestCloseGivesUpInTimeOnAClientThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			<-release
			return cloudwatch.Rejected{}, nil
		}}
		h, log := handler(t, s, cloudwatch.WithBatch(2, 1<<20))
		for range 7 {
			log.Info("m")
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(background, 3*time.Second)
		defer cancel()
		err := h.Close(ctx)
		var lost *cloudwatch.FlushError
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &lost) || lost.Lost != 7 || time.Since(began) != 3*time.Second {
			t.Errorf("after %v Close returned %v", time.Since(began), err)
		}
		if st := account(t, h); st.Pending != 0 || st.Reasons[cloudwatch.LossClosed] != 7 {
			t.Errorf("the figures are %+v", st)
		}
		close(release)
	})
}

func TestNothingIsLeftBehindByManyGoroutinesThatLogAndClose(t *testing.T) {
	leaktest.Check(t)
	s := &store{}
	h, err := cloudwatch.NewHandler(s, cloudwatch.WithBatch(500, 1<<16), cloudwatch.WithBuffer(3000, 4<<20), cloudwatch.WithFlushInterval(10*time.Millisecond))
	must(t, err)
	log := slog.New(h)
	const workers, each = 64, 100
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			mine := log.With("worker", w).WithGroup("g")
			for i := range each {
				mine.Info("m", "i", i)
				if i%50 == 0 {
					account(t, h)
				}
				if w == 0 && i == each/2 {
					h.Flush(background)
				}
				if w == 1 && i == each-10 {
					h.Close(background)
				}
			}
		})
	}
	wg.Wait()
	h.Close(background)
	s.check(t)
	st := account(t, h)
	if st.Logged != workers*each || st.Delivered != uint64(len(s.taken())) || st.Pending != 0 {
		t.Errorf("the figures are %+v", st)
	}
	// Those of one goroutine are in order.
	last := map[float64]float64{}
	for _, e := range s.taken() {
		var m struct {
			Worker float64 `json:"worker"`
			G      struct{ I float64 }
		}
		must(t, json.Unmarshal([]byte(e.Message), &m))
		if before, ok := last[m.Worker]; ok && cmp.Compare(m.G.I, before) <= 0 {
			t.Fatalf("worker %v: %v after %v", m.Worker, m.G.I, before)
		}
		last[m.Worker] = m.G.I
	}
}

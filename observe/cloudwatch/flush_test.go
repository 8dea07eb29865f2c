package cloudwatch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/observe/cloudwatch"
)

func TestABufferSmallerThanABatchIsPutBeforeItIsFull(t *testing.T) {
	for _, c := range []struct {
		opts []cloudwatch.LogOption
		size int
	}{
		{[]cloudwatch.LogOption{cloudwatch.WithBuffer(100, 16<<20)}, 1},
		{[]cloudwatch.LogOption{cloudwatch.WithBuffer(100_000, 1<<20)}, 20 << 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, log := handler(t, &store{}, c.opts...)
			for range 300 { // all within the interval
				log.Info(strings.Repeat("x", c.size))
				synctest.Wait()
			}
			must(t, h.Flush(background))
			if st := account(t, h); st.Delivered != 300 {
				t.Errorf("a client that takes everything at once was given %+v", st)
			}
		})
	}
}

func TestFlushTellsOfALossOnceAndThenOfWhatCameAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			return cloudwatch.Rejected{}, fail
		}}
		h, log := handler(t, s)
		fail = &cloudwatch.PutError{Err: errors.New("invalid"), Permanent: true}
		log.Info("one")
		ended, cancel := context.WithCancel(background)
		cancel()
		if err := h.Flush(ended); !errors.Is(err, context.Canceled) { // tells of no loss
			t.Errorf("Flush returned %v", err)
		}
		synctest.Wait()
		if h.Flush(background) == nil {
			t.Error("Flush says that what was lost was delivered")
		}
		fail = nil
		log.Info("two")
		if err := h.Flush(background); err != nil {
			t.Errorf("all since the last Flush is delivered, and it returned %v", err)
		}
		must(t, h.Close(background))
		must(t, h.Close(background))
	})
}

func TestFlushesThatWaitTogetherAreAllToldOfALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			time.Sleep(time.Second)
			return cloudwatch.Rejected{}, &cloudwatch.PutError{Err: errors.New("invalid"), Permanent: true}
		}}
		h, log := handler(t, s)
		log.Info("one")
		errs := make(chan error, 4)
		for range 3 {
			go func() { errs <- h.Flush(background) }()
		}
		go func() { errs <- h.Close(background) }()
		for range 4 {
			if err := <-errs; err == nil {
				t.Error("one was told that all was delivered")
			}
		}
		must(t, h.Flush(background))
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestCloseWithoutADeadlineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &store{script: func(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
			<-release
			return cloudwatch.Rejected{}, nil
		}}
		h, log := handler(t, s)
		log.Info("one")
		began := time.Now()
		if err := h.Close(background); err == nil {
			t.Error("Close says that it was delivered")
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("Close took %v", took)
		}
		close(release)

		still := make(chan struct{})
		m, err := cloudwatch.NewMetrics(writer(func(b []byte) (int, error) { <-still; return len(b), nil }))
		must(t, err)
		began = time.Now()
		m.Observe(exchange("/", 200, time.Second))
		if err := m.Close(background); err == nil {
			t.Error("Close says that all was written")
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("Close took %v", took)
		}
		close(still)
	})
}

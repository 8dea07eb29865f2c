package bulkhead

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/race"
)

// discard is a writer that only keeps the status.
type discard struct {
	header http.Header
	status int
}

func (w *discard) Header() http.Header         { return w.header }
func (w *discard) WriteHeader(status int)      { w.status = status }
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }

// empty fails unless everything is as in the beginning.
func empty(t *testing.T, b *Bulkhead) {
	t.Helper()
	if err := b.gate.audit(); err != nil {
		t.Error(err)
	}
	s := b.Stats()
	if s.InUse != 0 || s.Waiting != 0 {
		t.Errorf("%d slots in use, %d waiting", s.InUse, s.Waiting)
	}
	for _, k := range slices.Concat(s.ByTenant, s.ByOperation) {
		if k.InUse != 0 || k.Waiting != 0 {
			t.Errorf("%+v", k)
		}
	}
}

// Requests are admitted, refused, canceled while they wait, just when they are
// granted a slot and while they run, and end by returning, by panicking and by
// runtime.Goexit.
func TestAMillionRacesLoseNoSlot(t *testing.T) {
	const workers = 64
	total := race.Either(1_000_000, 12_000)
	for name, opts := range map[string][]Option{
		"one limit": {Basic(5)},
		"tenants and operations": {
			WithLimit(5), PerTenant(handrail.ByHeader("T"), 2), PerOperation(3), WithOperation(handrail.ByHeader("O")),
			WithGuarantees(map[string]int{"0": 1}), WithPriorityHeader("P"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			b, err := New(append(opts, WithMaxQueue(48), WithTenantQueue(24), WithMaxWait(2*time.Millisecond))...)
			if err != nil {
				t.Fatal(err)
			}
			var inside, over, left atomic.Int64
			left.Store(int64(total / 2))
			var cancels [workers]atomic.Pointer[context.CancelFunc]
			h := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n := inside.Add(1); n > 6 {
					over.Add(1)
				}
				defer inside.Add(-1)
				n := rand.Uint32()
				if n&3 == 0 {
					runtime.Gosched()
				}
				if n&4 == 0 {
					if cancel := cancels[n>>8%workers].Load(); cancel != nil {
						(*cancel)()
					}
				}
				switch n >> 16 & 15 {
				case 0:
					panic(http.ErrAbortHandler)
				case 1:
					panic("on purpose")
				case 2:
					runtime.Goexit()
				}
			}))
			request := func(worker int) {
				defer func() { recover() }()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				cancels[worker].Store(&cancel)
				n := rand.Uint32()
				r := (&http.Request{Method: "GET", Header: http.Header{
					"T": {strconv.Itoa(int(n & 3))}, "O": {strconv.Itoa(int(n >> 2 & 3))}, "P": {[]string{"high", "low", ""}[n>>4%3]},
				}}).WithContext(ctx)
				h.ServeHTTP(&discard{header: http.Header{}}, r)
			}
			var group sync.WaitGroup
			for i := range workers {
				var work func()
				work = func() {
					finished := false
					defer func() {
						if !finished {
							group.Go(work) // runtime.Goexit took this goroutine
						}
					}()
					for left.Add(-1) >= 0 {
						request(i)
					}
					finished = true
				}
				group.Go(work)
			}
			// Settings change meanwhile, and never is anything as it must not be.
			stop := make(chan struct{})
			var changes sync.WaitGroup
			changes.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					if err := b.Update(WithLimit(4 + n%3)); err != nil {
						t.Error(err)
					}
					if b.set.Load().simple {
						time.Sleep(100 * time.Microsecond)
					} else if err := b.gate.audit(); err != nil {
						t.Error(err)
						return
					}
					b.Stats()
				}
			})
			group.Wait()
			close(stop)
			changes.Wait()
			if n := over.Load(); n > 0 {
				t.Errorf("more were inside than ever allowed, %d times", n)
			}
			empty(t, b)
			s := b.Stats()
			if s.Admitted == 0 || s.Canceled == 0 || s.Reasons[ReasonQueueFull] == 0 {
				t.Errorf("not everything happened: %+v", s)
			}
			if sum := s.Admitted + s.Rejected + s.Canceled; sum != uint64(total/2) {
				t.Errorf("%d requests are accounted for, want %d", sum, total/2)
			}
		})
	}
}

// fickleBase answers with a body or without, fails, or panics.
type fickleBase struct{}

var errBase = errors.New("on purpose")

func (c *fickleBase) RoundTrip(r *http.Request) (*http.Response, error) {
	switch rand.IntN(8) {
	case 0:
		return nil, errBase
	case 1:
		panic("on purpose")
	case 2:
		return &http.Response{StatusCode: 204, Body: http.NoBody, Request: r}, nil
	}
	return &http.Response{StatusCode: 200, Body: &shortBody{}, Request: r}, nil
}

// shortBody ends when it is closed, or at its third read.
type shortBody struct{ reads atomic.Int32 }

func (e *shortBody) Read(p []byte) (int, error) {
	if e.reads.Add(1) > 2 {
		return 0, errBase
	}
	return len(p), nil
}

func (e *shortBody) Close() error { return nil }

func TestClientsThatCloseFromEverywhereLoseNoSlot(t *testing.T) {
	leaktest.Check(t)
	b, err := New(WithLimit(6), WithOperationLimit(2), WithMaxWait(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	client := b.Transport(&fickleBase{})
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range race.Either(1000, 100) {
				func() {
					defer func() { recover() }()
					r, _ := http.NewRequest("GET", "http://"+strconv.Itoa(rand.IntN(5))+".test/", nil)
					resp, err := client.RoundTrip(r)
					if err != nil {
						return
					}
					var closers sync.WaitGroup
					for range 3 {
						closers.Go(func() {
							if rand.IntN(2) == 0 {
								resp.Body.Read(make([]byte, 1))
							}
							resp.Body.Close()
						})
					}
					closers.Wait()
				}()
			}
		})
	}
	group.Wait()
	empty(t, b)
}

func TestSixtyFourGoroutinesShareOneBulkhead(t *testing.T) {
	leaktest.Check(t)
	b, err := New(WithLimit(8), PerTenant(handrail.ByHeader("T"), 3), PerOperation(Unlimited), WithMaxKeys(8),
		WithMaxWait(time.Millisecond), OnReject(func(Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	h := b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Gosched() }))
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for n := range race.Either(500, 100) {
				switch {
				case i == 0:
					b.Update(WithTenantLimit(n%4), WithMaxQueue(n%100), WithName(strconv.Itoa(n)))
				case i == 1:
					b.Stats()
				case i == 2:
					b.Collect(func(handrail.Metric) {})
				default:
					r := &http.Request{Method: "GET", Header: http.Header{"T": {strconv.Itoa(rand.IntN(100))}}}
					h.ServeHTTP(&discard{header: http.Header{}}, r)
				}
			}
		})
	}
	group.Wait()
	empty(t, b)
}

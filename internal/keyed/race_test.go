package keyed_test

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/handrail-go/handrail/internal/keyed"
)

// permit is an instance that knows who holds it.
type permit struct {
	key     string
	holders atomic.Int64
	open    atomic.Bool // as a breaker is; changes only while it is held
	gone    atomic.Bool
}

// Goroutines acquire few keys of many, in a map that is far too small, and
// each one checks that what it holds stays the only instance of its key.
func TestHeldInstancesStayTheOnlyOnesOfTheirKey(t *testing.T) {
	const goroutines, universe, most = 64, 60, 24
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	var opened [universe]atomic.Pointer[permit] // the last one of each key
	var evictions atomic.Uint64
	m := keyed.New(keyed.Config[permit]{
		Max:  most,
		New:  func(key string) *permit { return &permit{key: key} },
		Idle: func(p *permit) bool { return !p.open.Load() },
		OnEvict: func(key string, p *permit) {
			evictions.Add(1)
			if p.gone.Swap(true) || p.key != key {
				t.Errorf("%s evicted twice, or as %s", p.key, key)
			}
			if p.holders.Load() != 0 || p.open.Load() {
				t.Errorf("%s evicted with %d holders, open %v", key, p.holders.Load(), p.open.Load())
			}
		},
	})
	var shared atomic.Uint64
	var wg sync.WaitGroup
	for g := range uint64(goroutines) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, g))
			for range rounds {
				n := random.IntN(universe)
				ref := m.Acquire(strconv.Itoa(n))
				if ref.Shared() {
					shared.Add(1)
					ref.Release()
					continue
				}
				p := ref.Value()
				if p.key != strconv.Itoa(n) || p.gone.Load() {
					t.Errorf("asked for %d, got %s, evicted %v", n, p.key, p.gone.Load())
				}
				p.holders.Add(1)
				if random.IntN(8) == 0 {
					opened[n].Store(p)
					p.open.Store(random.IntN(4) == 0)
				}
				if other, ok := m.Find(p.key); !ok || other.Value() != p {
					t.Errorf("%s has another instance while it is held", p.key)
				} else {
					other.Release()
				}
				if p.gone.Load() {
					t.Errorf("%s was evicted while it was held", p.key)
				}
				p.holders.Add(-1)
				ref.Release()
			}
		})
	}
	wg.Wait()
	stats := m.Stats()
	if stats.Len > most || stats.Evicted != evictions.Load() || stats.Overflowed != shared.Load() {
		t.Errorf("%+v, but saw %d evictions and %d overflows", stats, evictions.Load(), shared.Load())
	}
	if stats.Evicted == 0 || stats.Overflowed == 0 {
		t.Errorf("the test is too mild: %+v", stats)
	}
	for n := range opened {
		p := opened[n].Load()
		if p != nil && p.open.Load() {
			if ref, ok := m.Find(p.key); !ok || ref.Value() != p {
				t.Errorf("%s is open, but forgotten", p.key)
			}
		}
	}
}

func TestANewKeyIsMadeOnceHoweverManyAsk(t *testing.T) {
	const goroutines = 64
	for range 50 {
		var made atomic.Int64
		release := make(chan struct{})
		m := keyed.New(keyed.Config[permit]{
			Max: 4,
			New: func(key string) *permit {
				made.Add(1)
				<-release
				return &permit{key: key}
			},
		})
		got := make([]*permit, goroutines)
		var started, wg sync.WaitGroup
		started.Add(goroutines)
		for i := range goroutines {
			wg.Go(func() {
				started.Done()
				ref := m.Acquire("a")
				got[i] = ref.Value()
				ref.Release()
			})
		}
		started.Wait()
		close(release)
		wg.Wait()
		for _, p := range got {
			if p == nil || p != got[0] {
				t.Fatal("not all got the same instance")
			}
		}
		if made.Load() != 1 {
			t.Fatalf("made %d times", made.Load())
		}
	}
}

// A slow New of one key is nobody else's business.
func TestASlowNewHoldsUpNoOtherKey(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	m := keyed.New(keyed.Config[permit]{
		Max: 4,
		New: func(key string) *permit {
			if key == "slow" {
				close(entered)
				<-release
			}
			return &permit{key: key}
		},
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Acquire("slow").Release()
	}()
	<-entered
	for i := range 100 {
		m.Acquire(strconv.Itoa(i)).Release()
	}
	if _, ok := m.Find("slow"); ok {
		t.Error("found before it was made")
	}
	m.Range(func(key string, p *permit) bool { return p.key == key })
	close(release)
	<-done
	if ref, ok := m.Find("slow"); !ok || ref.Value().key != "slow" {
		t.Error("evicted while it was being made")
	}
}

func TestKnownKeysAreFoundWhileTheIndexGrows(t *testing.T) {
	const most = 1 << 12
	m := keyed.New(keyed.Config[permit]{Max: most, New: func(key string) *permit { return &permit{key: key} }})
	known := make([]*permit, 100)
	for i := range known {
		known[i] = m.Acquire("known-" + strconv.Itoa(i)).Value()
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i, p := range known {
					ref := m.Acquire(p.key)
					if ref.Value() != known[i] {
						t.Errorf("%s has another instance", p.key)
						return
					}
					ref.Release()
				}
			}
		})
	}
	for i := range 4 * most {
		m.Acquire(strconv.Itoa(i)).Release()
	}
	close(stop)
	wg.Wait()
	if got := m.Len(); got != most {
		t.Errorf("%d instances, want %d", got, most)
	}
}

// What Idle is asked about cannot be acquired, changed and released while it
// thinks: its answer would be out of date.
func TestNobodyComesInWhileIdleDecides(t *testing.T) {
	var m *keyed.Map[permit]
	var wg sync.WaitGroup
	m = keyed.New(keyed.Config[permit]{
		Max: 1,
		New: func(key string) *permit { return &permit{key: key} },
		Idle: func(p *permit) bool {
			open := p.open.Load()
			began, ended := make(chan struct{}), make(chan struct{})
			wg.Go(func() {
				defer close(ended)
				close(began)
				ref := m.Acquire(p.key)
				ref.Value().open.Store(true)
				ref.Release()
			})
			<-began
			for range 1000 {
				select {
				case <-ended:
					t.Error("acquired meanwhile")
					return !open
				default:
					runtime.Gosched()
				}
			}
			return !open
		},
		OnEvict: func(_ string, p *permit) {
			if p.open.Load() {
				t.Error("evicted while open")
			}
		},
	})
	m.Acquire("a").Release()
	m.Acquire("b").Release()
	wg.Wait()
}

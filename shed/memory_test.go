package shed_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
)

// shortage is a Shedder on a machine whose memory runs short.
type shortage struct {
	*shed.Shedder
	t     *testing.T
	m     *machine
	calls []*call
}

func newShortage(t *testing.T, opts ...shed.Option) *shortage {
	m := new(machine)
	m.set(.2, .5)
	return &shortage{Shedder: shedder(t, trusting(append([]shed.Option{shed.WithSampler(m.sampler(t))}, opts...)...)...), t: t, m: m}
}

// become sets the memory in use, and lets the Shedder notice: it looks when a
// request ends.
func (s *shortage) become(memory float64) {
	s.t.Helper()
	s.m.set(.2, memory)
	time.Sleep(100 * time.Millisecond)
	c := settled(s.Wrap(desk), classHeader, "critical")
	if !c.inside.Load() {
		s.t.Fatalf("with %.2f of the memory in use a critical request was not let in", memory)
	}
	finish([]*call{c})
}

// try sends a request of a class.
func (s *shortage) try(class handrail.Priority) *call {
	c := settled(s.Wrap(desk), classHeader, class.String())
	s.calls = append(s.calls, c)
	return c
}

func TestWhileMemoryIsShortOnlyTheClassesThatMatterAreLetIn(t *testing.T) {
	for _, tc := range []struct {
		memory float64
		least  handrail.Priority // that is let in
	}{
		{.50, handrail.Background},
		{.90, handrail.Background},
		{.91, handrail.High},
		{.95, handrail.High},
		{.96, handrail.Critical},
		{1, handrail.Critical},
		{-1, handrail.Background}, // unknown
	} {
		bubble(t, func(t *testing.T) {
			s := newShortage(t)
			// More than there are processors are inside, so that progress
			// does not need another one.
			crowd := fill(t, s.Wrap(desk), runtime.GOMAXPROCS(0)+6, classHeader, "critical")
			s.become(tc.memory)
			finish(crowd[:5]) // there is room below the limit that was frozen
			for rank := range handrail.Priorities {
				class := handrail.PriorityOfRank(rank)
				before := s.Stats().Reasons[shed.ReasonMemory]
				c := s.try(class)
				if want := class >= tc.least; c.inside.Load() != want {
					t.Errorf("memory %.2f: %v let in: %t", tc.memory, class, c.inside.Load())
				}
				if refused := s.Stats().Reasons[shed.ReasonMemory] - before; (refused == 1) != (class < tc.least) {
					t.Errorf("memory %.2f: %v refused %d times for memory", tc.memory, class, refused)
				}
			}
			finish(append(crowd, s.calls...))
			empty(t, s.Shedder)
		})
	}
}

func TestWhileMemoryIsShortTheLimitIsFrozenAtWhatIsInside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShortage(t)
		n := runtime.GOMAXPROCS(0) + 3
		crowd := fill(t, s.Wrap(desk), n)
		s.become(.92)
		if got := s.Stats().Limit; got > n+1 { // the critical request was inside as well
			t.Errorf("the limit is %d with %d inside", got, n)
		}
		for range 20 {
			s.try(handrail.Critical)
		}
		if got := s.Stats().InFlight; got > n+1 {
			t.Errorf("%d were let in while memory is short", got-n)
		}
		finish(append(crowd, s.calls...))
		time.Sleep(5 * time.Second)
		finish(s.calls)
		empty(t, s.Shedder)
	})
}

func TestHoweverShortMemoryIsAsManyRequestsAsProcessorsGetIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShortage(t)
		s.become(1)
		for i := range runtime.GOMAXPROCS(0) {
			if c := s.try(handrail.Background); !c.inside.Load() {
				t.Fatalf("request %d was not let in", i+1)
			}
		}
		if c := s.try(handrail.Background); c.inside.Load() || !c.over.Load() {
			t.Error("one more than there are processors was let in or waits")
		}
		finish(s.calls)
		empty(t, s.Shedder)
	})
}

func TestOnceMemoryIsThereAgainEverybodyIsLetIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShortage(t)
		limit := s.Stats().Limit
		crowd := fill(t, s.Wrap(desk), runtime.GOMAXPROCS(0)+2)
		s.become(.97)
		if c := s.try(handrail.Normal); c.inside.Load() {
			t.Fatal("let in while memory is short")
		}
		finish(crowd[:1])
		s.become(.5)
		for range 10 {
			if c := s.try(handrail.Background); !c.inside.Load() {
				t.Fatal("not let in although there is memory again")
			}
		}
		if got := s.Stats().Limit; got < limit {
			t.Errorf("the limit is %d, it was %d", got, limit)
		}
		finish(append(crowd, s.calls...))
		empty(t, s.Shedder)
	})
}

func TestWhoWaitsWhenMemoryRunsShortIsNotLetInEither(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := runtime.GOMAXPROCS(0) + 4
		s := newShortage(t, fixed(n))
		crowd := fill(t, s.Wrap(desk), n)
		first, second := s.try(handrail.Normal), s.try(handrail.Normal)
		if first.over.Load() || second.over.Load() || second.inside.Load() {
			t.Fatal("do not wait")
		}
		s.m.set(.2, .99)
		time.Sleep(40 * time.Millisecond)
		// The end of this request is when the Shedder notices, which may be
		// too late to keep the first of them out.
		finish(crowd[:1])
		time.Sleep(10 * time.Millisecond)
		finish(crowd[1:2])
		if second.served.Load() {
			t.Error("a normal request that waited was let in while memory is short")
		}
		finish(append(crowd, s.calls...))
	})
}

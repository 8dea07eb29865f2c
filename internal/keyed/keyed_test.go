package keyed_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/handrail-go/handrail/internal/keyed"
)

func things(max int, change ...func(*keyed.Config[thing])) *keyed.Map[thing] {
	config := keyed.Config[thing]{
		Max:  max,
		New:  func(key string) *thing { return &thing{key: key} },
		Idle: func(v *thing) bool { return !v.stuck },
	}
	for _, c := range change {
		c(&config)
	}
	return keyed.New(config)
}

func TestOneInstancePerKey(t *testing.T) {
	m := things(10)
	a := m.Acquire("a")
	b := m.Acquire("b")
	again := m.Acquire("a")
	empty := m.Acquire("")
	if a.Value() != again.Value() || a.Value() == b.Value() || empty.Value() == a.Value() {
		t.Error("the instances do not follow the keys")
	}
	if a.Shared() || a.Key() != "a" || empty.Key() != "" {
		t.Errorf("Ref of a: shared %v, key %q", a.Shared(), a.Key())
	}
}

func TestARequestCanHaveTheKeyOfTheOverflow(t *testing.T) {
	m := things(1)
	own := m.Acquire(keyed.Overflow)
	shared := m.Acquire("other")
	if own.Shared() || !shared.Shared() || own.Value() == shared.Value() {
		t.Errorf("own %+v, shared %+v", own.Value(), shared.Value())
	}
}

func TestTheZeroRefIsHarmless(t *testing.T) {
	var ref keyed.Ref[thing]
	ref.Release()
	if ref.Value() != nil || ref.Key() != "" || ref.Shared() {
		t.Error("the zero Ref claims to have something")
	}
}

func TestTheLeastRecentlyUsedGoesFirst(t *testing.T) {
	var evicted []string
	m := things(3, func(c *keyed.Config[thing]) {
		c.OnEvict = func(key string, _ *thing) { evicted = append(evicted, key) }
	})
	for _, key := range strings.Fields("a b c a d a e a f b") {
		m.Acquire(key).Release()
	}
	// b is older than c, a is always in use again before the next one comes.
	if got := fmt.Sprint(evicted); got != "[b c d e]" {
		t.Errorf("evicted %v", got)
	}
}

func TestAcquiredIsNotEvicted(t *testing.T) {
	m := things(2)
	a, b := m.Acquire("a"), m.Acquire("b")
	if c := m.Acquire("c"); !c.Shared() {
		t.Errorf("c got an instance of its own: %+v", c.Value())
	}
	a.Release()
	c := m.Acquire("c")
	if c.Shared() {
		t.Error("c did not get the room that a left")
	}
	if again := m.Acquire("b"); again.Value() != b.Value() {
		t.Error("b has a new instance while the old one is acquired")
	}
	if got, want := m.Stats(), (keyed.Stats{Len: 2, Max: 2, Evicted: 1, Overflowed: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNotIdleIsNotEvicted(t *testing.T) {
	m := things(2)
	for _, key := range []string{"a", "b"} {
		ref := m.Acquire(key)
		ref.Value().stuck = true
		ref.Release()
	}
	for i := range 100 {
		ref := m.Acquire(strconv.Itoa(i))
		if !ref.Shared() {
			t.Fatal("something had to go that was not idle")
		}
		ref.Release()
	}
	ref := m.Acquire("a")
	ref.Value().stuck = false
	ref.Release()
	if ref := m.Acquire("c"); ref.Shared() {
		t.Error("a is idle now, but did not make room")
	}
}

func TestIdleOnesBehindManyBusyOnesAreFound(t *testing.T) {
	const busy = 10 * keyed.Scan
	m := things(busy + 1)
	for i := range busy {
		m.Acquire(strconv.Itoa(i))
	}
	m.Acquire("idle").Release()
	attempts := 1
	for ; m.Acquire("new").Shared(); attempts++ {
		if attempts > busy {
			t.Fatal("the idle one is never found")
		}
	}
	if want := busy/keyed.Scan + 1; attempts != want {
		t.Errorf("found at attempt %d, want %d", attempts, want)
	}
}

func TestTheOverflowIsMadeOnceAndOnlyIfNeeded(t *testing.T) {
	made := 0
	m := things(1, func(c *keyed.Config[thing]) {
		c.NewOverflow = func() *thing { made++; return &thing{key: "shared by all"} }
	})
	m.Acquire("a")
	if m.Overflow() != nil || made != 0 {
		t.Fatal("made before it was needed")
	}
	b, c := m.Acquire("b"), m.Acquire("c")
	if b.Value() != c.Value() || b.Value() != m.Overflow() || made != 1 || b.Value().key != "shared by all" || b.Key() != keyed.Overflow {
		t.Errorf("made %d times, %+v", made, b.Value())
	}
	m.Range(func(key string, v *thing) bool {
		if v == m.Overflow() {
			t.Error("Range shows the overflow")
		}
		return true
	})
	if _, ok := m.Find("b"); ok {
		t.Error("Find finds the overflow")
	}
}

func TestWithoutAConstructorTheOverflowIsMadeLikeTheOthers(t *testing.T) {
	m := things(1)
	m.Acquire("a")
	if v := m.Acquire("b").Value(); v.key != keyed.Overflow {
		t.Errorf("made with key %q", v.key)
	}
}

func TestAMillionKeysStayWithinTheBound(t *testing.T) {
	const most = 1000
	type big struct{ _ [256]byte }
	m := keyed.New(keyed.Config[big]{Max: most, New: func(string) *big { return new(big) }})
	for i := range most {
		m.Acquire("first-" + strconv.Itoa(i)).Release()
	}
	before := heap()
	for i := range million {
		m.Acquire("tenant-" + strconv.Itoa(i)).Release()
	}
	grown := int64(heap()) - int64(before)
	if got, want := m.Stats(), (keyed.Stats{Len: most, Max: most, Evicted: million}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	// A million instances would be more than 256 MB, 50 000 more than 12 MB.
	if grown > 1<<20 {
		t.Errorf("%d keys left %d bytes", million, grown)
	}
	runtime.KeepAlive(m)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestAKeyDoesNotKeepWhatItWasCutFrom(t *testing.T) {
	m := things(1)
	header := strings.Repeat("x", 1<<20)
	ref := m.Acquire(header[:5])
	if key := ref.Key(); key != "xxxxx" || unsafe.StringData(key) == unsafe.StringData(header) {
		t.Error("the key is still a part of the header")
	}
}

func TestAKnownKeyIsAcquiredWithoutAllocation(t *testing.T) {
	m := things(10)
	m.Acquire("a").Release()
	if n := testing.AllocsPerRun(1000, func() { m.Acquire("a").Release() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFindNeitherMakesNorCountsAsUse(t *testing.T) {
	m := things(2)
	if _, ok := m.Find("a"); ok || m.Len() != 0 {
		t.Fatal("found what is not there")
	}
	m.Acquire("a").Release()
	m.Acquire("b").Release()
	ref, ok := m.Find("a")
	if !ok || ref.Value().key != "a" {
		t.Fatalf("not found: %+v", ref.Value())
	}
	ref.Release()
	m.Acquire("c").Release()
	if _, ok := m.Find("a"); ok {
		t.Error("a stayed because it was looked at")
	}
}

func TestFoundIsNotEvicted(t *testing.T) {
	m := things(1)
	m.Acquire("a").Release()
	a, _ := m.Find("a")
	if !m.Acquire("b").Shared() {
		t.Error("evicted while acquired by Find")
	}
	a.Release()
	if m.Acquire("b").Shared() {
		t.Error("not evicted after Release")
	}
}

func TestCallbacksMayUseTheMap(t *testing.T) {
	var m *keyed.Map[thing]
	seen := 0
	m = things(2, func(c *keyed.Config[thing]) {
		c.New = func(key string) *thing {
			if len(key) == 1 {
				m.Acquire(key + "'").Release()
			}
			return &thing{key: key}
		}
		c.OnEvict = func(key string, _ *thing) {
			seen++
			m.Find(key)
			m.Range(func(string, *thing) bool { return m.Len() > 0 })
			m.Stats()
		}
	})
	for _, key := range strings.Fields("a b c d") {
		m.Acquire(key).Release()
	}
	if seen != 6 || m.Len() != 2 {
		t.Errorf("%d evicted, %d left", seen, m.Len())
	}
}

func TestRangeStops(t *testing.T) {
	m := things(5)
	for _, key := range strings.Fields("a b c") {
		m.Acquire(key).Release()
	}
	calls := 0
	m.Range(func(string, *thing) bool { calls++; return calls < 2 })
	if calls != 2 {
		t.Errorf("%d calls after false at the second", calls)
	}
}

func panics(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestAPanicInNewLeavesTheKeyUsable(t *testing.T) {
	fail := true
	m := things(1, func(c *keyed.Config[thing]) {
		c.New = func(key string) *thing {
			if fail {
				panic("no")
			}
			return &thing{key: key}
		}
		c.OnEvict = func(key string, v *thing) {
			if v == nil || key == "never made" {
				t.Errorf("told that %q was evicted, which was never made", key)
			}
		}
	})
	if panics(func() { m.Acquire("never made") }) == nil {
		t.Fatal("the panic is lost")
	}
	if _, ok := m.Find("never made"); ok {
		t.Error("found an instance that was never made")
	}
	m.Range(func(key string, _ *thing) bool { t.Errorf("Range shows %q", key); return true })
	if panics(func() { m.Acquire("a") }) == nil {
		t.Fatal("the panic is lost")
	}
	fail = false
	a := m.Acquire("a")
	if a.Shared() || a.Value().key != "a" {
		t.Fatalf("got %+v", a.Value())
	}
	a.Release()
	if m.Acquire("b").Shared() {
		t.Error("a panic left a acquired")
	}
}

func TestAPanicInOnEvictLeavesNothingAcquired(t *testing.T) {
	m := things(1, func(c *keyed.Config[thing]) {
		c.OnEvict = func(string, *thing) { panic("no") }
	})
	m.Acquire("a").Release()
	if panics(func() { m.Acquire("b") }) == nil {
		t.Fatal("the panic is lost")
	}
	if ref := m.Acquire("c"); ref.Shared() {
		t.Error("b is still acquired")
	}
}

func TestAPanicInIdleLeavesTheMapUsable(t *testing.T) {
	fail := true
	m := things(1, func(c *keyed.Config[thing]) {
		c.Idle = func(*thing) bool {
			if fail {
				panic("no")
			}
			return true
		}
	})
	a := m.Acquire("a").Value()
	m.Acquire("a").Release()
	if panics(func() { m.Acquire("b") }) != nil {
		t.Fatal("idle was asked about an acquired instance")
	}
	ref, _ := m.Find("a")
	ref.Release()
	ref.Release()
	if panics(func() { m.Acquire("b") }) == nil {
		t.Fatal("idle was not asked")
	}
	fail = false
	if ref := m.Acquire("a"); ref.Value() != a {
		t.Error("a was forgotten although idle never agreed")
	} else {
		ref.Release()
	}
	if m.Acquire("b").Shared() {
		t.Error("a can no longer be evicted")
	}
}

func TestReleasingTooOftenIsNoticed(t *testing.T) {
	m := things(1)
	ref := m.Acquire("a")
	ref.Release()
	if panics(ref.Release) == nil {
		t.Error("no panic")
	}
}

func TestMisuseOfNewPanics(t *testing.T) {
	make := func(string) *thing { return nil }
	for name, config := range map[string]keyed.Config[thing]{
		"no Max":       {New: make},
		"negative Max": {Max: -1, New: make},
		"no New":       {Max: 1},
	} {
		if panics(func() { keyed.New(config) }) == nil {
			t.Errorf("%s: no panic", name)
		}
	}
	if panics(func() { keyed.New(keyed.Config[thing]{Max: 1, New: make}).Acquire("a") }) == nil {
		t.Error("New returned nil: no panic")
	}
}

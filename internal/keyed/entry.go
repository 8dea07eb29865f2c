package keyed

import (
	"math"
	"sync"
	"sync/atomic"
)

// entry is one key and its instance.
type entry[V any] struct {
	hash   uint64
	key    string
	shared bool // it is the overflow
	// next is the next entry in the same bucket of the index.
	next  atomic.Pointer[entry[V]]
	value atomic.Pointer[V]
	// pins counts who has it acquired. It is negative, and stays so however
	// many try, once the entry is retired.
	pins atomic.Int64
	// used is the epoch of the last use.
	used atomic.Uint64

	// Under the map's lock: the neighbours in the order, and the epoch at
	// which the entry was put there.
	older, younger *entry[V]
	placed         uint64

	making sync.Mutex
}

// newEntry copies key, which may be a small part of something large.
func newEntry[V any](hash uint64, key string, now uint64) *entry[V] {
	e := &entry[V]{hash: hash, key: string([]byte(key)), placed: now}
	e.used.Store(now)
	return e
}

const retired = math.MinInt64 / 2

// pin acquires e unless it is retired. An attempt that fails leaves a trace in
// the count, which is of no consequence as retire and revive set it anew.
func (e *entry[V]) pin() bool { return e.pins.Add(1) > 0 }

func (e *entry[V]) unpin() {
	if e.pins.Add(-1) < 0 {
		panic("keyed: released more often than acquired")
	}
}

// retire makes e unavailable if nobody has it acquired and idle agrees. First
// the door is closed and then idle is asked: the other way round somebody
// could come in, change the answer, and leave in between. Who finds the door
// closed has to take the map's lock, which the caller holds.
func (e *entry[V]) retire(idle func(*V) bool) bool {
	if !e.pins.CompareAndSwap(0, retired) {
		return false
	}
	v := e.value.Load()
	if v == nil || idle == nil {
		return true
	}
	stays := true
	defer func() {
		if stays {
			e.pins.Store(0)
		}
	}()
	stays = !idle(v)
	return !stays
}

// Ref is an acquired instance. The zero Ref has none and its methods do
// nothing. A Ref may be released on another goroutine than it was acquired
// on.
type Ref[V any] struct{ e *entry[V] }

// Value is the instance; it must not be used after Release.
func (r Ref[V]) Value() *V {
	if r.e == nil {
		return nil
	}
	return r.e.value.Load()
}

// Key is the key of the instance: that which was asked for, or [Overflow].
func (r Ref[V]) Key() string {
	if r.e == nil {
		return ""
	}
	return r.e.key
}

// Shared says whether it is the overflow instance.
func (r Ref[V]) Shared() bool { return r.e != nil && r.e.shared }

// Release gives the instance back. A second call for one acquisition panics
// or takes the instance from somebody else: call it once.
func (r Ref[V]) Release() {
	if r.e != nil {
		r.e.unpin()
	}
}

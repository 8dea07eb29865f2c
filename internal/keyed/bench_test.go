package keyed_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/handrail-go/handrail/internal/keyed"
)

func keys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "tenant-" + strconv.Itoa(i)
	}
	return keys
}

func counters(max int) *keyed.Map[atomic.Int64] {
	return keyed.New(keyed.Config[atomic.Int64]{Max: max, New: func(string) *atomic.Int64 { return new(atomic.Int64) }})
}

// BenchmarkKnownKey is Acquire and Release of a key that has an instance.
func BenchmarkKnownKey(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		known := keys(n)
		m := counters(n)
		for _, key := range known {
			m.Acquire(key).Release()
		}
		b.Run("serial/keys="+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Acquire(known[i%n]).Release()
			}
		})
		b.Run("parallel/keys="+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			var start atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for i := int(start.Add(7919)); pb.Next(); i++ {
					m.Acquire(known[i%n]).Release()
				}
			})
		})
	}
}

// BenchmarkKnownKeyDuringFlood is the same while another goroutine brings one
// new key after the other.
func BenchmarkKnownKeyDuringFlood(b *testing.B) {
	m := counters(1000)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		flood := keys(100_000)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				m.Acquire(flood[i%len(flood)]).Release()
			}
		}
	}()
	for b.Loop() {
		m.Acquire("the-known-key").Release()
	}
	close(stop)
	<-stopped
}

// BenchmarkNewKey is Acquire of a key that has none, in a map that is full of
// idle instances, or of busy ones.
func BenchmarkNewKey(b *testing.B) {
	const n = 1000
	fresh := keys(100_000)
	b.Run("evicts", func(b *testing.B) {
		m := counters(n)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m.Acquire(fresh[i%len(fresh)]).Release()
		}
	})
	b.Run("overflows", func(b *testing.B) {
		m := counters(n)
		for _, key := range keys(n) {
			m.Acquire("busy " + key)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m.Acquire(fresh[i%len(fresh)]).Release()
		}
	})
}

package load

import (
	"testing"
	"time"
)

func BenchmarkSystemSource(b *testing.B) {
	s := newSystem(time.Second)
	b.ReportAllocs()
	for b.Loop() {
		s.cpu.last.at, s.host.at = time.Now().Add(-time.Second), time.Now().Add(-time.Second)
		if _, err := s.read(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	s := mustNew(b)
	defer s.Close()
	s.epoch = time.Now().Add(-30 * time.Second)
	for i := range 300_000 {
		s.Enter(nil)
		s.ExitAt(time.Duration(i)*100*time.Microsecond, time.Duration(i%4096+1)*7*time.Microsecond, Success)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Snapshot()
	}
}

package load

import (
	"errors"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/handrail-go/handrail/load/internal/cgroup"
	"github.com/shirou/gopsutil/v3/mem"
)

const mib = 1 << 20

func TestMemoryOfTheRuntimeIsWhatSurvivesTheCollector(t *testing.T) {
	for _, c := range []struct {
		name                                 string
		total, released, free, objects, live uint64
		held, spare                          uint64
	}{
		{"before the first collection", 20, 4, 2, 8, 0, 6, 10},
		{"all alive", 100, 0, 0, 80, 80, 100, 0},
		{"full of garbage", 100, 0, 0, 90, 30, 40, 60},
		{"heap kept after a peak", 100, 0, 60, 20, 20, 40, 60},
		{"more alive than there are objects, after a sweep", 100, 0, 0, 20, 30, 100, 0},
		{"released beyond the total", 10, 20, 0, 0, 0, 0, 0},
	} {
		got := apportion(7, c.total, c.released, c.free, c.objects, c.live)
		if want := (runtimeMemory{7, c.held, c.spare}); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
}

func TestMemoryIsTheLimitNearestToBeingReached(t *testing.T) {
	previous := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(previous)

	const host = 64 << 30
	var limit uint64
	m := newMachine()
	m.set("proc/self/statm", "9999 "+strconv.Itoa((1<<30)/os.Getpagesize())+" 1 1 0 1 0\n")
	hostErr := error(nil)
	meter := memoryMeter{root: m, groups: cgroup.New(m), total: func() (*mem.VirtualMemoryStat, error) {
		if hostErr != nil {
			return nil, hostErr
		}
		return &mem.VirtualMemoryStat{Total: host, Available: 3 << 30}, nil
	}}
	group := func(limit, used, inactive uint64) {
		m.set("sys/fs/cgroup/memory.max", strconv.FormatUint(limit, 10))
		m.set("sys/fs/cgroup/memory.current", strconv.FormatUint(used, 10))
		m.set("sys/fs/cgroup/memory.stat", "inactive_file "+strconv.FormatUint(inactive, 10))
	}
	check := func(name string, want, within float64) {
		t.Helper()
		v, err := meter.read()
		if err != nil || !v.Known || math.Abs(v.V-want) > within {
			t.Errorf("%s: %+v, %v; want %v", name, v, err, want)
		}
	}

	check("no limit: its own 1 GiB and 3 GiB available", 0.25, 1e-9)
	group(1<<40, 1<<39, 0)
	check("a limit beyond the machine", 0.25, 1e-9)
	group(1<<30, 600*mib, 88*mib)
	check("a container", 512.0/1024, 1e-9)
	group(0, 4096, 0)
	check("a container of no size", 1, 0)
	group(1<<30, 3<<30, 0)
	check("a container beyond its limit", 1, 0)

	// A GOMEMLIMIT far above what this test uses.
	limit = 32 << 30
	debug.SetMemoryLimit(int64(limit))
	group(1<<30, 512*mib, 0)
	check("the container tighter than GOMEMLIMIT", 0.5, 1e-9)
	delete(m.MapFS, "sys/fs/cgroup/memory.max")
	check("GOMEMLIMIT alone", float64(meter.readRuntime().held)/float64(limit), 0.001)
	debug.SetMemoryLimit(128 << 30)
	check("GOMEMLIMIT beyond the machine", 0.25, 1e-9)
	debug.SetMemoryLimit(0)
	check("GOMEMLIMIT of nothing", 0.25, 1e-9)
	debug.SetMemoryLimit(math.MaxInt64)

	hostErr = errors.New("broken")
	if v, err := meter.read(); v.Known || err != hostErr {
		t.Errorf("%+v, %v; want unknown and the error where nothing else limits", v, err)
	}
	group(1<<30, 512*mib, 0)
	check("a container, on a machine of unknown size", 0.5, 1e-9)
	delete(m.MapFS, "sys/fs/cgroup/memory.max")
	hostErr = errors.New("not implemented yet")
	if v, err := meter.read(); v.Known || err != nil {
		t.Errorf("%+v, %v; want unknown and no error where there is no such thing", v, err)
	}
	hostErr = nil
	delete(m.MapFS, "proc/self/statm")
	rt := meter.readRuntime()
	own := float64(rt.held + rt.spare)
	check("no resident set: what the runtime has", own/(own+3<<30), 0.01)
	m.set("sys/fs/cgroup/memory.max", "garbage")
	if v, err := meter.read(); v.Known || err == nil {
		t.Errorf("%+v, %v; want unknown and an error", v, err)
	}
}

// With GOMEMLIMIT a little below the container's limit, as is recommended, the
// runtime fills the container with garbage before it collects.
func TestGarbageBelowGOMEMLIMITDoesNotFillTheContainer(t *testing.T) {
	const limit = 8 << 30
	previous := debug.SetMemoryLimit(limit)
	defer debug.SetMemoryLimit(previous)
	m := newMachine()
	meter := memoryMeter{root: m, groups: cgroup.New(m), total: func() (*mem.VirtualMemoryStat, error) {
		return &mem.VirtualMemoryStat{Total: 64 << 30, Available: 32 << 30}, nil
	}}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	garbage := make([]byte, 256*mib) // which it is, for all that is known before the next collection
	spare := meter.readRuntime().spare
	if spare < 256*mib {
		t.Fatalf("%d bytes to spare beside 256 MiB of garbage", spare)
	}
	m.set("sys/fs/cgroup/memory.max", strconv.Itoa(limit+mib))
	m.set("sys/fs/cgroup/memory.current", strconv.FormatUint(spare+8*mib, 10))
	if v, err := meter.read(); err != nil || !v.Known || v.V > 0.01 {
		t.Errorf("%+v, %v; want the 8 MiB of 8 GiB that are no garbage", v, err)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	v, err := meter.read()
	if want := float64(spare+8*mib) / (limit + mib); err != nil || !near(v.V, want) {
		t.Errorf("without GOMEMLIMIT: %+v, %v; want %v, since nothing makes the collector run in time", v, err, want)
	}
	runtime.KeepAlive(garbage)
}

func TestResidentSet(t *testing.T) {
	page := uint64(os.Getpagesize())
	for text, want := range map[string]uint64{"10 3 1 1 0 1 0\n": 3 * page, "10 0": 0} {
		if got, ok := parseResident(text); !ok || got != want {
			t.Errorf("parseResident(%q) = %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "10", "10 x", "10 -1", "10 9223372036854775807", "10 99999999999999999999"} {
		if got, ok := parseResident(text); ok {
			t.Errorf("parseResident(%q) = %d, want none", text, got)
		}
	}
}

func FuzzResident(f *testing.F) {
	f.Add("10 3 1 1 0 1 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := parseResident(text); ok && got%uint64(os.Getpagesize()) != 0 {
			t.Fatalf("%d bytes are no whole pages", got)
		}
	})
}

func TestHeapBallastMovesMemory(t *testing.T) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	limit := int64(before.Sys+before.HeapAlloc) + 256*mib
	previous := debug.SetMemoryLimit(limit)
	defer debug.SetMemoryLimit(previous)
	measure := func() Value {
		s, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.Snapshot().Memory
	}
	empty := measure()
	ballast := make([]byte, 128*mib)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	runtime.GC()
	full := measure()
	want := float64(len(ballast)) / float64(limit)
	runtime.KeepAlive(ballast)
	if !empty.Known || !full.Known {
		t.Fatalf("from %+v to %+v", empty, full)
	}
	if moved := full.V - empty.V; math.Abs(moved-want) > 0.1 {
		t.Errorf("a ballast of %.2f of the limit moved memory by %.2f, from %.2f to %.2f", want, moved, empty.V, full.V)
	}
}

func TestTheWholeSystemSourceOnThisMachine(t *testing.T) {
	s := newSystem(time.Second)
	s.cpu.last.at, s.host.at = time.Now().Add(-time.Second), time.Now().Add(-time.Second)
	usage, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]Value{"CPU": usage.CPU, "memory": usage.Memory} {
		if runtime.GOOS == "linux" && !v.Known || !(v.V >= 0 && v.V <= 1) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

package load

import (
	"errors"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/handrail-go/handrail/load/internal/cgroup"
	"github.com/shirou/gopsutil/v3/cpu"
)

const groupV2 = "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

// machine is a fake root directory whose files a test changes.
type machine struct{ fstest.MapFS }

func newMachine() machine {
	m := machine{fstest.MapFS{}}
	m.set("proc/self/cgroup", "0::/\n")
	m.set("proc/self/mountinfo", groupV2)
	return m
}

func (m machine) set(name, text string) { m.MapFS[name] = &fstest.MapFile{Data: []byte(text)} }

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

// cpus is what this process may use without any quota.
func cpus() float64 { return float64(min(runtime.GOMAXPROCS(0), runtime.NumCPU())) }

func TestCPUIsAShareOfWhatTheProcessMayUse(t *testing.T) {
	seconds := func(s float64) time.Duration { return time.Duration(s * 1e9) }
	for _, c := range []struct {
		name        string
		quota       float64       // CPUs, 0 for none
		process     time.Duration // used in ten seconds
		group       time.Duration // by all in the container
		want        float64
		noGroupTime bool
	}{
		{name: "idle", want: 0},
		{name: "all CPUs busy", process: seconds(10 * cpus()), want: 1},
		{name: "half busy", process: seconds(5 * cpus()), want: 0.5},
		{name: "half of a quota of half a CPU", quota: 0.5, process: seconds(2.5), group: seconds(2.5), want: 0.5},
		{name: "a quota beyond the machine", quota: 4096, process: seconds(5 * cpus()), group: seconds(5 * cpus()), want: 0.5},
		{name: "somebody else in the container", quota: 0.5, process: seconds(1), group: seconds(4), want: 0.8},
		{name: "no account of the container", quota: 0.5, process: seconds(1), want: 0.2, noGroupTime: true},
		{name: "more than there is", process: seconds(100 * cpus()), want: 1},
		{name: "a counter that went back", process: -seconds(5), want: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine()
			if c.quota > 0 {
				m.set("sys/fs/cgroup/cpu.max", strconv.Itoa(int(c.quota*100_000))+" 100000\n")
			}
			now, used := time.Now(), time.Hour
			meter := cpuMeter{longest: time.Minute, groups: cgroup.New(m), now: func() time.Time { return now },
				used: func() (time.Duration, error) { return used, nil }}
			account := func(d time.Duration) {
				if !c.noGroupTime {
					m.set("sys/fs/cgroup/cpu.stat", "usage_usec "+strconv.FormatInt(d.Microseconds(), 10)+"\n")
				}
			}
			account(time.Hour)
			if v, err := meter.read(); v.Known || err != nil {
				t.Fatalf("the first reading is %+v, %v; want unknown", v, err)
			}
			now, used = now.Add(10*time.Second), used+c.process
			account(time.Hour + c.group)
			if v, err := meter.read(); err != nil || !v.Known || !near(v.V, c.want) {
				t.Errorf("%+v, %v; want %v", v, err, c.want)
			}
		})
	}
}

func TestCPUQuotaOfAnOuterGroupIsHeldAgainstThatGroup(t *testing.T) {
	m := newMachine()
	m.set("proc/self/cgroup", "0::/pod/app\n")
	m.set("sys/fs/cgroup/pod/cpu.max", "100000 100000\n")
	m.set("sys/fs/cgroup/pod/cpu.stat", "usage_usec 0\n")
	m.set("sys/fs/cgroup/pod/app/cpu.max", "50000 100000\n")
	m.set("sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 0\n")
	now, used := time.Now(), time.Duration(0)
	meter := cpuMeter{longest: time.Minute, groups: cgroup.New(m), now: func() time.Time { return now },
		used: func() (time.Duration, error) { return used, nil }}
	meter.read()
	now, used = now.Add(time.Second), 100*time.Millisecond
	m.set("sys/fs/cgroup/pod/cpu.stat", "usage_usec 900000\n")
	m.set("sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 150000\n")
	// 0.1 of 0.5 for the process, 0.15 of 0.5 for its container, 0.9 of 1 for the pod.
	if v, err := meter.read(); err != nil || !near(v.V, 0.9) {
		t.Errorf("%+v, %v; want 0.9", v, err)
	}
}

func TestCPUOverTooShortAndTooLongASpan(t *testing.T) {
	now, used := time.Now(), time.Duration(0)
	meter := cpuMeter{longest: 10 * time.Second, now: func() time.Time { return now },
		used: func() (time.Duration, error) { return used, nil }}
	step := func(d time.Duration, share float64) Value {
		now = now.Add(d)
		used += time.Duration(share * cpus() * float64(d))
		v, err := meter.read()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	step(0, 0)
	if v := step(50*time.Millisecond, 1); v.Known {
		t.Errorf("%+v over 50 ms after the first reading, want unknown", v)
	}
	if v := step(50*time.Millisecond, 0); !v.Known || !near(v.V, 0.5) {
		t.Errorf("%+v over 100 ms, want 0.5", v)
	}
	if v := step(99*time.Millisecond, 1); !v.Known || !near(v.V, 0.5) {
		t.Errorf("%+v too soon, want the reading before", v)
	}
	if v := step(5*time.Minute, 0); v.Known {
		t.Errorf("%+v over five minutes of being stopped, want unknown", v)
	}
	if v := step(time.Second, 0.7); !v.Known || !near(v.V, 0.7) {
		t.Errorf("%+v in the second after, want 0.7", v)
	}
}

func TestCPUThatCannotBeReadIsUnknown(t *testing.T) {
	broken := errors.New("broken")
	now := time.Now()
	result := error(nil)
	m := newMachine()
	meter := cpuMeter{longest: time.Minute, groups: cgroup.New(m), now: func() time.Time { return now },
		used: func() (time.Duration, error) { return 0, result }}
	read := func() (Value, error) {
		now = now.Add(time.Second)
		return meter.read()
	}
	read()
	if v, err := read(); !v.Known || err != nil {
		t.Fatalf("%+v, %v", v, err)
	}
	result = broken
	if v, err := read(); v.Known || err != broken {
		t.Errorf("%+v, %v; want unknown and the error", v, err)
	}
	result = errUnavailable
	if v, err := read(); v.Known || err != nil {
		t.Errorf("%+v, %v; want unknown and no error where there is no such thing", v, err)
	}
	result = nil
	m.set("sys/fs/cgroup/cpu.max", "garbage")
	if v, err := read(); v.Known || err == nil {
		t.Errorf("%+v, %v; want unknown and an error", v, err)
	}
	m.set("sys/fs/cgroup/cpu.max", "max 100000")
	if v, err := read(); v.Known || err != nil {
		t.Errorf("%+v, %v; want unknown, for want of a reading before", v, err)
	}
	if v, err := read(); !v.Known || err != nil {
		t.Errorf("%+v, %v; want it to be known again", v, err)
	}
}

func TestHostCPU(t *testing.T) {
	now := time.Now()
	times := []cpu.TimesStat{{}}
	var result error
	meter := hostMeter{longest: time.Minute, now: func() time.Time { return now },
		times: func() ([]cpu.TimesStat, error) { return times, result }}
	read := func(user, idle, iowait float64) (Value, error) {
		now = now.Add(time.Second)
		times = []cpu.TimesStat{{User: user, Guest: user / 2, Idle: idle, Iowait: iowait}}
		return meter.read()
	}
	if v, err := read(10, 100, 5); v.Known || err != nil {
		t.Errorf("the first reading is %+v, %v; want unknown", v, err)
	}
	if v, err := read(13, 100.5, 5.5); err != nil || !near(v.V, 0.75) {
		t.Errorf("%+v, %v; want 0.75, waiting for a disk is idle", v, err)
	}
	if v, err := read(14, 101.5, 4); err != nil || !near(v.V, 1) {
		t.Errorf("%+v, %v; want 1 where the idle time goes back", v, err)
	}
	if v, err := read(14, 101.5, 4); v.Known || err != nil {
		t.Errorf("%+v, %v; want unknown where no time passed", v, err)
	}
	result = errors.New("not implemented yet")
	if v, err := read(14, 101.5, 4); v.Known || err != nil {
		t.Errorf("%+v, %v; want unknown and no error where there is no such thing", v, err)
	}
	result = errors.New("broken")
	if v, err := read(14, 101.5, 4); v.Known || err != result {
		t.Errorf("%+v, %v; want unknown and the error", v, err)
	}
	result = nil
	now = now.Add(time.Hour)
	read(15, 102, 4)
	now = now.Add(time.Hour)
	if v, err := read(16, 103, 4); v.Known || err != nil {
		t.Errorf("%+v, %v; want unknown after an hour", v, err)
	}
	empty := hostMeter{now: time.Now, times: func() ([]cpu.TimesStat, error) { return nil, nil }}
	if v, err := empty.read(); v.Known || err == nil {
		t.Errorf("%+v, %v; want unknown and an error without any times", v, err)
	}
}

// burn keeps so many goroutines busy for a while, each for a part of it.
func burn(goroutines int, part float64, total time.Duration) {
	const period = 20 * time.Millisecond
	var wg sync.WaitGroup
	var sink atomic.Uint64
	for range goroutines {
		wg.Go(func() {
			x := uint64(1)
			for start := time.Now(); time.Since(start) < total; {
				for begun := time.Now(); time.Since(begun) < time.Duration(part*float64(period)); {
					for range 1000 {
						x = x*6364136223846793005 + 1
					}
				}
				time.Sleep(time.Duration((1 - part) * float64(period)))
			}
			sink.Add(x)
		})
	}
	wg.Wait()
}

// The yardstick is the CPU time that the system says was used meanwhile: how
// much a busy machine gives a burner is not for a test to wish.
func TestCPUAgreesWithARealBurner(t *testing.T) {
	if _, err := processTime(); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		goroutines int
		part       float64
	}{{runtime.GOMAXPROCS(0), 1}, {1, 0.5}, {1, 0.05}} {
		s, err := New()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		before, _ := processTime()
		burn(c.goroutines, c.part, 250*time.Millisecond)
		after, _ := processTime()
		want := min(float64(after-before)/float64(time.Since(began))/cpus(), 1)
		// The first reading is due now, so it covers the burner.
		got := s.Snapshot().CPU
		s.Close()
		if !got.Known {
			t.Errorf("%d × %v: CPU is unknown", c.goroutines, c.part)
			continue
		}
		if got.V < want-0.1 {
			t.Errorf("%d × %v: CPU is %.3f, the system says %.3f", c.goroutines, c.part, got.V, want)
		}
		// A quota makes the share greater than that of the machine, and then
		// others may be in the container too.
		if limits, err := newSystem(time.Second).cpu.groups.CPU(); err == nil && len(limits) == 0 && got.V > want+0.1 {
			t.Errorf("%d × %v: CPU is %.3f, the system says %.3f", c.goroutines, c.part, got.V, want)
		}
	}
}

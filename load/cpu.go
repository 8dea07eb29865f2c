package load

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/handrail-go/handrail/load/internal/cgroup"
	"github.com/shirou/gopsutil/v3/cpu"
)

// shortest is over how much time CPU usage is measured at least: less tells
// more of the clock that counts it (10 ms on many systems) than of the load.
const shortest = 100 * time.Millisecond

// errUnavailable is what processTime returns where the system has no such
// thing.
var errUnavailable = errors.New("unavailable")

// cpuMeter measures the share in use of the CPU time this process may use.
type cpuMeter struct {
	longest time.Duration // beyond which a span says nothing
	groups  *cgroup.Reader
	used    func() (time.Duration, error)
	now     func() time.Time

	last   cpuReading
	result Value
}

// cpuReading is what had been used by then.
type cpuReading struct {
	at      time.Time
	process time.Duration
	groups  map[string]time.Duration
}

// read returns the greater of two shares since the last reading: of the
// process in the CPUs it may use, and of each of its control groups that has a
// quota in that quota. The second one sees who else is in the container.
func (m *cpuMeter) read() (Value, error) {
	now := m.now()
	if !m.last.at.IsZero() && now.Sub(m.last.at) < shortest {
		return m.result, nil
	}
	before := m.last
	m.last, m.result = cpuReading{}, Value{}

	process, err := m.used()
	if errors.Is(err, errUnavailable) {
		return Value{}, nil
	}
	if err != nil {
		return Value{}, err
	}
	var limits []cgroup.CPULimit
	if m.groups != nil {
		if limits, err = m.groups.CPU(); err != nil {
			return Value{}, err
		}
	}
	m.last = cpuReading{at: now, process: process, groups: make(map[string]time.Duration, len(limits))}
	for _, l := range limits {
		if l.UsedKnown {
			m.last.groups[l.Group] = l.Used
		}
	}
	span := now.Sub(before.at)
	if before.at.IsZero() || span > m.longest {
		return Value{}, nil
	}

	may := float64(min(runtime.GOMAXPROCS(0), runtime.NumCPU()))
	for _, l := range limits {
		may = min(may, l.CPUs)
	}
	share := float64(process-before.process) / float64(span) / may
	for _, l := range limits {
		if used, ok := before.groups[l.Group]; ok && l.UsedKnown {
			share = max(share, float64(l.Used-used)/float64(span)/l.CPUs)
		}
	}
	m.result = Value{V: min(max(share, 0), 1), Known: true}
	return m.result, nil
}

// hostMeter measures the share in use of all CPUs of the machine.
type hostMeter struct {
	longest time.Duration
	times   func() ([]cpu.TimesStat, error)
	now     func() time.Time

	at         time.Time
	busy, idle float64 // seconds by then
	result     Value
}

func (m *hostMeter) read() (Value, error) {
	now := m.now()
	if !m.at.IsZero() && now.Sub(m.at) < shortest {
		return m.result, nil
	}
	at, busy, idle := m.at, m.busy, m.idle
	m.at, m.result = time.Time{}, Value{}

	all, err := m.times()
	if err != nil {
		if notImplemented(err) {
			err = nil
		}
		return Value{}, err
	}
	if len(all) == 0 {
		return Value{}, errors.New("no CPU times")
	}
	// Guest time is part of user time already; time that was stolen by
	// another machine is not there for anybody here.
	t := all[0]
	m.busy = t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
	m.idle = t.Idle + t.Iowait
	m.at = now
	if at.IsZero() || now.Sub(at) > m.longest {
		return Value{}, nil
	}
	// Counters of idle time may go back a little, as proc(5) warns.
	b, i := max(m.busy-busy, 0), max(m.idle-idle, 0)
	if share := b / (b + i); !math.IsNaN(share) {
		m.result = Value{V: share, Known: true}
	}
	return m.result, nil
}

// notImplemented reports whether gopsutil says that this system has no such
// thing; its error is in an internal package.
func notImplemented(err error) bool { return strings.Contains(err.Error(), "not implemented") }

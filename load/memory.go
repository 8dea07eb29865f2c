package load

import (
	"io"
	"io/fs"
	"math"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"

	"github.com/handrail-go/handrail/load/internal/cgroup"
	"github.com/shirou/gopsutil/v3/mem"
)

// memoryMeter measures how near the process is to the memory it may use.
type memoryMeter struct {
	root   fs.FS
	groups *cgroup.Reader
	total  func() (*mem.VirtualMemoryStat, error)

	samples []metrics.Sample
}

// read returns the share in use of the limit that is nearest to being
// reached: GOMEMLIMIT, or that of a control group. Where there is none below
// the size of the machine, the process may use what it has and what is
// available besides.
func (m *memoryMeter) read() (Value, error) {
	rt := m.readRuntime()
	var limits []cgroup.MemoryLimit
	if m.groups != nil {
		var err error
		if limits, err = m.groups.Memory(); err != nil {
			return Value{}, err
		}
	}
	host, err := m.total()
	size := uint64(math.MaxInt64) // which is also what no GOMEMLIMIT is
	if err == nil && host.Total > 0 {
		size = host.Total
	}

	share, limited := 0.0, false
	// A GOMEMLIMIT of 0 is a way to run the collector all the time.
	if rt.limit > 0 && rt.limit < size {
		share, limited = float64(rt.held)/float64(rt.limit), true
	}
	for _, l := range limits {
		if l.Limit >= size {
			continue
		}
		limited = true
		used := l.WorkingSet
		if rt.limit > 0 && rt.limit <= l.Limit {
			// The collector runs before this limit is reached.
			used -= min(rt.spare, used)
		}
		share = max(share, float64(used)/float64(max(l.Limit, 1)))
	}
	if !limited {
		if err != nil {
			if notImplemented(err) {
				err = nil
			}
			return Value{}, err
		}
		own := rt.held + rt.spare
		if rss, ok := m.resident(); ok {
			own = rss
		}
		if own+host.Available == 0 {
			return Value{}, nil
		}
		share = float64(own) / float64(own+host.Available)
	}
	return Value{V: min(share, 1), Known: true}, nil
}

// runtimeMemory is what the Go runtime has of the system, in bytes.
type runtimeMemory struct {
	limit uint64 // GOMEMLIMIT
	held  uint64 // in use, as far as is known
	spare uint64 // garbage, and free memory not yet returned
}

// readRuntime tells what the process holds from what the collector would give
// back. The runtime uses all of GOMEMLIMIT before it works hard to stay below
// it, so that what it has of the system stands close to the limit in a healthy
// process; only what survives a collection says how near the end is. What was
// allocated since the last collection counts as garbage, and so is seen at the
// next, which comes the sooner the nearer the limit is.
func (m *memoryMeter) readRuntime() runtimeMemory {
	if m.samples == nil {
		for _, name := range []string{
			"/gc/gomemlimit:bytes",
			"/memory/classes/total:bytes",
			"/memory/classes/heap/released:bytes",
			"/memory/classes/heap/free:bytes",
			"/memory/classes/heap/objects:bytes",
			"/gc/heap/live:bytes",
		} {
			m.samples = append(m.samples, metrics.Sample{Name: name})
		}
	}
	metrics.Read(m.samples)
	v := func(i int) uint64 {
		if m.samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return m.samples[i].Value.Uint64()
	}
	return apportion(v(0), v(1), v(2), v(3), v(4), v(5))
}

// apportion divides what the runtime has of the system into what the process
// holds and what the collector would give back.
func apportion(limit, total, released, free, objects, live uint64) runtimeMemory {
	has := total - min(released, total)
	spare := min(free+objects-min(live, objects), has)
	return runtimeMemory{limit: limit, held: has - spare, spare: spare}
}

// resident returns the resident set of the process from /proc/self/statm,
// whose second field counts pages (proc_pid_statm(5)).
func (m *memoryMeter) resident() (uint64, bool) {
	if m.root == nil {
		return 0, false
	}
	f, err := m.root.Open("proc/self/statm")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return 0, false
	}
	return parseResident(string(text))
}

func parseResident(statm string) (uint64, bool) {
	fields := strings.Fields(statm)
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[1], 10, 63)
	page := uint64(os.Getpagesize())
	if err != nil || pages > math.MaxInt64/page {
		return 0, false
	}
	return pages * page, true
}

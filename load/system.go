package load

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/handrail-go/handrail/load/internal/cgroup"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"
)

// system is the source that is used unless another is given. It is not used
// concurrently.
type system struct {
	cpu    cpuMeter
	host   hostMeter
	memory memoryMeter
}

func newSystem(interval time.Duration) *system {
	var root fs.FS
	if runtime.GOOS == "linux" {
		root = os.DirFS("/")
	}
	return newSystemOn(root, interval)
}

// newSystemOn returns the source for the machine with that root directory;
// nil is one without /proc and control groups.
func newSystemOn(root fs.FS, interval time.Duration) *system {
	var groups *cgroup.Reader
	if root != nil {
		groups = cgroup.New(root)
	}
	// What is longer than that is a process that was stopped rather than a
	// reading that was late, and its mean says nothing about now.
	longest := max(10*interval, 10*time.Second)
	s := &system{
		cpu:    cpuMeter{longest: longest, groups: groups, used: processTime, now: time.Now},
		host:   hostMeter{longest: longest, times: func() ([]cpu.TimesStat, error) { return cpu.Times(false) }, now: time.Now},
		memory: memoryMeter{root: root, groups: groups, total: mem.VirtualMemory},
	}
	// CPU is measured between two readings. This is the first.
	s.cpu.read()
	s.host.read()
	return s
}

func (s *system) read() (usage Usage, err error) {
	var cpu, host, memory error
	usage.CPU, cpu = s.cpu.read()
	usage.HostCPU, host = s.host.read()
	usage.Memory, memory = s.memory.read()
	return usage, errors.Join(because("cpu", cpu), because("host_cpu", host), because("memory", memory))
}

func because(signal string, err error) error {
	if err == nil {
		return nil
	}
	return &SignalError{signal, err}
}

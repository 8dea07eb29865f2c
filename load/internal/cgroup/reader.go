package cgroup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"time"
)

// maxFile bounds what is read of a file. The table of mounts is the longest
// and has thousands of lines on a busy node.
const maxFile = 4 << 20

// Reader reads the groups of this process. It must not be used concurrently.
type Reader struct {
	root fs.FS

	memberships         string // as last seen
	cpu, usage, memory  hierarchy
	usageMatchesCPUPath bool
}

// New returns a reader of the machine whose root directory that is, which is
// os.DirFS("/") except in tests. It reads nothing yet.
func New(root fs.FS) *Reader { return &Reader{root: root} }

// CPULimit is a quota of CPU time, and who is held to it.
type CPULimit struct {
	// Group is the directory of the group, without the leading slash.
	Group string
	// CPUs is how many CPUs the group may use, above 0 and finite.
	CPUs float64
	// Used is the CPU time that all in the group have used, ever.
	Used time.Duration
	// UsedKnown is false where that cannot be read.
	UsedKnown bool
}

// CPU returns the quotas that hold for this process, its own group's first,
// and nothing where there are none.
func (r *Reader) CPU() ([]CPULimit, error) {
	if err := r.find(); err != nil {
		return nil, err
	}
	var limits []CPULimit
	for i, dir := range r.cpu.levels {
		cpus, err := r.quota(dir)
		if err != nil {
			return nil, err
		}
		if math.IsInf(cpus, 1) {
			continue
		}
		limit := CPULimit{Group: dir, CPUs: cpus}
		if limit.Used, limit.UsedKnown, err = r.used(i); err != nil {
			return nil, err
		}
		limits = append(limits, limit)
	}
	return limits, nil
}

// quota returns the CPUs that one level allows, +Inf for no limit.
func (r *Reader) quota(dir string) (float64, error) {
	if r.cpu.version == 2 {
		file := path.Join(dir, "cpu.max")
		text, ok, err := r.file(file)
		if err != nil || !ok {
			return math.Inf(1), err
		}
		cpus, err := parseCPUMax(text)
		return cpus, in(file, err)
	}
	file := path.Join(dir, "cpu.cfs_quota_us")
	quota, ok, err := r.file(file)
	if err != nil || !ok {
		return math.Inf(1), err
	}
	period, _, err := r.file(path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0, err
	}
	cpus, err := parseCPUQuota(quota, period)
	return cpus, in(file, err)
}

// used returns the CPU time of one level.
func (r *Reader) used(level int) (time.Duration, bool, error) {
	if r.cpu.version == 2 {
		file := path.Join(r.cpu.levels[level], "cpu.stat")
		text, ok, err := r.file(file)
		if err != nil || !ok {
			return 0, false, err
		}
		usec, ok, err := parseStat(text, "usage_usec")
		if err != nil || usec > math.MaxInt64/1000 {
			return 0, false, in(file, errors.Join(err, errors.New("no CPU time")))
		}
		return time.Duration(usec) * time.Microsecond, ok, nil
	}
	if !r.usageMatchesCPUPath {
		return 0, false, nil
	}
	file := path.Join(r.usage.levels[level], "cpuacct.usage")
	text, ok, err := r.file(file)
	if err != nil || !ok {
		return 0, false, err
	}
	nsec, err := parseBytes(text)
	if err != nil || nsec > math.MaxInt64 {
		return 0, false, in(file, fmt.Errorf("%.40q is no CPU time", text))
	}
	return time.Duration(nsec), true, nil
}

// MemoryLimit is a limit of memory, and how near it is.
type MemoryLimit struct {
	// Group is the directory of the group, without the leading slash.
	Group string
	// Limit in bytes.
	Limit uint64
	// WorkingSet is what all in the group use, in bytes, less the cached
	// file pages that nobody used lately, which the kernel drops first.
	WorkingSet uint64
}

// Memory returns the limits that hold for this process, its own group's
// first, and nothing where there are none.
func (r *Reader) Memory() ([]MemoryLimit, error) {
	if err := r.find(); err != nil {
		return nil, err
	}
	limitFile, usageFile, inactive := "memory.max", "memory.current", "inactive_file"
	if r.memory.version == 1 {
		limitFile, usageFile, inactive = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	var limits []MemoryLimit
	for _, dir := range r.memory.levels {
		limit, ok, err := r.bytes(path.Join(dir, limitFile))
		if err != nil {
			return nil, err
		}
		if !ok || limit == math.MaxUint64 {
			continue
		}
		used, ok, err := r.bytes(path.Join(dir, usageFile))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%s is missing beside %s", path.Join(dir, usageFile), limitFile)
		}
		file := path.Join(dir, "memory.stat")
		text, _, err := r.file(file)
		if err != nil {
			return nil, err
		}
		idle, _, err := parseStat(text, inactive)
		if err != nil {
			return nil, in(file, err)
		}
		limits = append(limits, MemoryLimit{Group: dir, Limit: limit, WorkingSet: used - min(idle, used)})
	}
	return limits, nil
}

// find looks where the groups are, again whenever the process has moved.
func (r *Reader) find() error {
	text, ok, err := r.file("proc/self/cgroup")
	if err != nil {
		return err
	}
	if !ok {
		text = ""
	}
	if text == r.memberships {
		return nil
	}
	mounts, _, err := r.file("proc/self/mountinfo")
	if err != nil {
		return err
	}
	in, at := parseMemberships(text), parseMounts(mounts)
	r.cpu, r.usage, r.memory = locate("cpu", in, at), locate("cpuacct", in, at), locate("memory", in, at)
	r.usageMatchesCPUPath = r.cpu.version == 1 && r.usage.version == 1 && len(r.usage.levels) == len(r.cpu.levels) &&
		groupOf("cpu", in) == groupOf("cpuacct", in)
	r.memberships = text
	return nil
}

// groupOf returns the group of the process in the hierarchy of a controller.
func groupOf(controller string, in []membership) string {
	for _, m := range in {
		if slices.Contains(m.controllers, controller) {
			return m.path
		}
	}
	return ""
}

func (r *Reader) bytes(file string) (uint64, bool, error) {
	text, ok, err := r.file(file)
	if err != nil || !ok {
		return 0, false, err
	}
	n, err := parseBytes(text)
	return n, err == nil, in(file, err)
}

// file returns the text of a file, and false where there is none that may be
// read.
func (r *Reader) file(name string) (string, bool, error) {
	if !fs.ValidPath(name) {
		return "", false, nil
	}
	f, err := r.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if errors.Is(err, fs.ErrPermission) {
		return "", false, nil
	}
	return string(text), err == nil, err
}

func in(file string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", file, err)
}

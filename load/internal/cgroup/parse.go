package cgroup

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// membership is a line of /proc/self/cgroup: the group the process is in, in
// one hierarchy.
type membership struct {
	controllers []string // none in the hierarchy of version 2
	path        string
}

// parseMemberships reads /proc/self/cgroup, whose lines are
// "hierarchy:controllers:path" (cgroups(7)). Lines of another form are
// skipped.
func parseMemberships(text string) []membership {
	var all []membership
	for line := range strings.Lines(text) {
		id, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, ok2 := strings.Cut(rest, ":")
		if !ok || !ok2 || !strings.HasPrefix(path, "/") {
			continue
		}
		m := membership{path: path}
		if controllers != "" {
			m.controllers = strings.Split(controllers, ",")
		} else if id != "0" {
			continue
		}
		all = append(all, m)
	}
	return all
}

// mount is a line of /proc/self/mountinfo.
type mount struct {
	root, point string
	kind        string   // "cgroup", "cgroup2"
	options     []string // of the superblock: the controllers, in version 1
}

// parseMounts reads the control group file systems in /proc/self/mountinfo
// (proc_pid_mountinfo(5)):
//
//	36 35 98:0 /root /point options optional… - type source superoptions
//
// Lines of another form or another file system are skipped.
func parseMounts(text string) []mount {
	var all []mount
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		if !ok {
			continue
		}
		place, system := strings.Fields(before), strings.Fields(after)
		if len(place) < 6 || len(system) < 1 || system[0] != "cgroup" && system[0] != "cgroup2" {
			continue
		}
		m := mount{root: unescape(place[3]), point: unescape(place[4]), kind: system[0]}
		if len(system) > 2 {
			m.options = strings.Split(system[len(system)-1], ",")
		}
		if strings.HasPrefix(m.root, "/") && strings.HasPrefix(m.point, "/") {
			all = append(all, m)
		}
	}
	return all
}

// unescape undoes the kernel's octal escapes of space, tab, newline and
// backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseCPUMax reads cpu.max of version 2, "quota period" in microseconds or
// "max period", where the period may be missing and then is 100 ms. It
// returns the CPUs that makes, and +Inf for no limit.
func parseCPUMax(text string) (float64, error) {
	fields := strings.Fields(text)
	if len(fields) < 1 || len(fields) > 2 {
		return 0, fmt.Errorf("%.40q is no CPU limit", text)
	}
	period := uint64(100_000)
	if len(fields) == 2 {
		var err error
		if period, err = strconv.ParseUint(fields[1], 10, 63); err != nil || period == 0 {
			return 0, fmt.Errorf("%.40q is no CPU limit", text)
		}
	}
	if fields[0] == "max" {
		return math.Inf(1), nil
	}
	quota, err := strconv.ParseUint(fields[0], 10, 63)
	if err != nil || quota == 0 {
		return 0, fmt.Errorf("%.40q is no CPU limit", text)
	}
	return float64(quota) / float64(period), nil
}

// parseCPUQuota reads cpu.cfs_quota_us and cpu.cfs_period_us of version 1. It
// returns the CPUs that makes, and +Inf for no limit, which is a quota of -1.
func parseCPUQuota(quota, period string) (float64, error) {
	q, err := strconv.ParseInt(strings.TrimSpace(quota), 10, 64)
	if err != nil || q == 0 || q < -1 {
		return 0, fmt.Errorf("%.40q is no CPU quota", quota)
	}
	if q == -1 {
		return math.Inf(1), nil
	}
	p, err := strconv.ParseInt(strings.TrimSpace(period), 10, 64)
	if err != nil || p <= 0 {
		return 0, fmt.Errorf("%.40q is no CPU period", period)
	}
	return float64(q) / float64(p), nil
}

// unlimited is from where on a limit of version 1 means none: the kernel says
// the greatest multiple of the page size there is.
const unlimited = 1 << 62

// parseBytes reads a number of bytes or "max", which is returned as
// math.MaxUint64, as is what version 1 says for it.
func parseBytes(text string) (uint64, error) {
	text = strings.TrimSpace(text)
	if text == "max" {
		return math.MaxUint64, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no number of bytes", text)
	}
	if n >= unlimited {
		return math.MaxUint64, nil
	}
	return n, nil
}

// parseStat returns a value of a file of "key value" lines, and false where
// it has no such key.
func parseStat(text, key string) (uint64, bool, error) {
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		if k != key {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("%.40q is no value of %s", v, key)
		}
		return n, true, nil
	}
	return 0, false, nil
}

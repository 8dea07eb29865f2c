package cgroup

import (
	"io/fs"
	"math"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"":             "",
		"plain":        "plain",
		`a\040b`:       "a b",
		`\011\012\134`: "\t\n\\",
		`a\`:           `a\`,
		`a\04`:         `a\04`,
		`a\999`:        `a\999`,
		`a\777`:        `a\777`, // no byte
		`\040`:         " ",
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzHierarchy(f *testing.F) {
	f.Add("0::/a/b\n", mountV2, "cpu")
	f.Add("4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n", mountsV1, "memory")
	f.Add("0::/../x\n", "29 23 0:26 /../.. /a\\040b rw - cgroup2 cgroup2 rw\n", "cpu")
	f.Add("0::/../0", "0 0 0 /.. / 0 - cgroup2", "cpu")
	f.Fuzz(func(t *testing.T, memberships, mounts, controller string) {
		h := locate(controller, parseMemberships(memberships), parseMounts(mounts))
		if len(h.levels) > maxDepth {
			t.Fatalf("%d levels", len(h.levels))
		}
		for i, dir := range h.levels {
			if i > 0 && dir != path.Dir(h.levels[i-1]) {
				t.Fatalf("%q is not right above %q", dir, h.levels[i-1])
			}
			if dir != path.Clean(dir) || strings.HasPrefix(dir, "/") || dir == ".." || strings.HasPrefix(dir, "../") {
				t.Fatalf("%q is no path below the root", dir)
			}
		}
	})
}

func FuzzLimits(f *testing.F) {
	f.Add("max 100000", "usage_usec 5", "1024", "512", "inactive_file 1")
	f.Add("50000 100000", "", "max", "", "")
	f.Add("-1", "100000", "9223372036854771712", "1", "total_inactive_file 7\n")
	f.Fuzz(func(t *testing.T, a, b, c, d, e string) {
		check := func(r *Reader) {
			cpus, err := r.CPU()
			for _, l := range cpus {
				if err != nil || !(l.CPUs > 0) || math.IsInf(l.CPUs, 0) || l.Used < 0 {
					t.Fatalf("%+v, %v", l, err)
				}
			}
			memory, err := r.Memory()
			for _, l := range memory {
				if err != nil || l.Limit == math.MaxUint64 {
					t.Fatalf("%+v, %v", l, err)
				}
			}
		}
		root := func(base string, files map[string]string) fs.FS {
			fsys := fstest.MapFS{}
			for name, text := range files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			for name, text := range map[string]string{
				"cpu.max": a, "cpu.stat": b, "memory.max": c, "memory.current": d, "memory.stat": e,
				"cpu.cfs_quota_us": a, "cpu.cfs_period_us": b, "cpuacct.usage": d,
				"memory.limit_in_bytes": c, "memory.usage_in_bytes": d,
			} {
				fsys[path.Join(base, name)] = &fstest.MapFile{Data: []byte(text)}
			}
			return fsys
		}
		check(New(root("cg", map[string]string{
			"proc/self/cgroup":    "0::/\n",
			"proc/self/mountinfo": "29 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
		})))
		check(New(root("cg", map[string]string{
			"proc/self/cgroup":    "1:cpu,cpuacct,memory:/\n",
			"proc/self/mountinfo": "29 23 0:26 / /cg rw - cgroup cgroup rw,cpu,cpuacct,memory\n",
		})))
	})
}

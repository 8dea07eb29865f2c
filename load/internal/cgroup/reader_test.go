package cgroup

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// tree makes a root directory of "path: content" pairs.
func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

const (
	mountV2  = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsV1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
		"35 31 0:32 / /sys/fs/cgroup/memory rw shared:12 - cgroup cgroup rw,memory\n"
)

func TestLimitsOfTheGroupsAProcessIsIn(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  map[string]string
		cpu    []CPULimit
		memory []MemoryLimit
	}{
		{
			name: "version 2 in a container",
			files: map[string]string{
				"proc/self/cgroup":             "0::/\n",
				"proc/self/mountinfo":          "1 0 8:1 / / rw - ext4 /dev/sda rw\n" + mountV2,
				"sys/fs/cgroup/cpu.max":        "150000 100000\n",
				"sys/fs/cgroup/cpu.stat":       "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n",
				"sys/fs/cgroup/memory.max":     "1073741824\n",
				"sys/fs/cgroup/memory.current": "700000000\n",
				"sys/fs/cgroup/memory.stat":    "anon 5\nfile 6\nactive_file 1\ninactive_file 200000000\n",
			},
			cpu:    []CPULimit{{"sys/fs/cgroup", 1.5, 2500 * time.Millisecond, true}},
			memory: []MemoryLimit{{"sys/fs/cgroup", 1 << 30, 500_000_000}},
		},
		{
			name: "version 2, nested, the limits at different levels",
			files: map[string]string{
				"proc/self/cgroup":                       "0::/pods/pod1/app\n",
				"proc/self/mountinfo":                    mountV2,
				"sys/fs/cgroup/cpu.stat":                 "usage_usec 9\n",
				"sys/fs/cgroup/pods/cpu.max":             "max 100000\n",
				"sys/fs/cgroup/pods/memory.max":          "4000\n",
				"sys/fs/cgroup/pods/memory.current":      "3000\n",
				"sys/fs/cgroup/pods/pod1/cpu.max":        "50000 100000\n",
				"sys/fs/cgroup/pods/pod1/cpu.stat":       "usage_usec 4\n",
				"sys/fs/cgroup/pods/pod1/memory.max":     "max\n",
				"sys/fs/cgroup/pods/pod1/app/cpu.max":    "200000 100000\n",
				"sys/fs/cgroup/pods/pod1/app/cpu.stat":   "usage_usec 3\n",
				"sys/fs/cgroup/pods/pod1/app/memory.max": "max\n",
			},
			cpu: []CPULimit{
				{"sys/fs/cgroup/pods/pod1/app", 2, 3 * time.Microsecond, true},
				{"sys/fs/cgroup/pods/pod1", 0.5, 4 * time.Microsecond, true},
			},
			memory: []MemoryLimit{{"sys/fs/cgroup/pods", 4000, 3000}},
		},
		{
			name: "version 2 without any limit",
			files: map[string]string{
				"proc/self/cgroup":               "0::/a\n",
				"proc/self/mountinfo":            mountV2,
				"sys/fs/cgroup/a/cpu.max":        "max 100000\n",
				"sys/fs/cgroup/a/cpu.stat":       "usage_usec 9\n",
				"sys/fs/cgroup/a/memory.max":     "max\n",
				"sys/fs/cgroup/a/memory.current": "9\n",
			},
		},
		{
			name: "version 2, a limit of nothing at all",
			files: map[string]string{
				"proc/self/cgroup":             "0::/\n",
				"proc/self/mountinfo":          mountV2,
				"sys/fs/cgroup/memory.max":     "0\n",
				"sys/fs/cgroup/memory.current": "4096\n",
				"sys/fs/cgroup/memory.stat":    "inactive_file 8192\n",
			},
			memory: []MemoryLimit{{"sys/fs/cgroup", 0, 0}},
		},
		{
			name: "version 1",
			files: map[string]string{
				"proc/self/cgroup":                                       "9:name=systemd:/x\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n",
				"proc/self/mountinfo":                                    mountsV1,
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":             "-1\n",
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us":            "100000\n",
				"sys/fs/cgroup/cpu,cpuacct/cpuacct.usage":                "99\n",
				"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us":  "25000\n",
				"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "50000\n",
				"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpuacct.usage":     "7000\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes":             "9223372036854771712\n",
				"sys/fs/cgroup/memory/memory.usage_in_bytes":             "1\n",
				"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes":  "1000\n",
				"sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes":  "900\n",
				"sys/fs/cgroup/memory/docker/abc/memory.stat":            "inactive_file 5\ntotal_inactive_file 300\n",
			},
			cpu:    []CPULimit{{"sys/fs/cgroup/cpu,cpuacct/docker/abc", 0.5, 7000, true}},
			memory: []MemoryLimit{{"sys/fs/cgroup/memory/docker/abc", 1000, 600}},
		},
		{
			name: "version 1 in a container that sees its own group as the root",
			files: map[string]string{
				"proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n",
				"proc/self/mountinfo": "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n" +
					"35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "300000",
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
				"sys/fs/cgroup/memory/memory.limit_in_bytes":  "1000",
				"sys/fs/cgroup/memory/memory.usage_in_bytes":  "900",
			},
			cpu:    []CPULimit{{"sys/fs/cgroup/cpu,cpuacct", 3, 0, false}},
			memory: []MemoryLimit{{"sys/fs/cgroup/memory", 1000, 900}},
		},
		{
			name: "version 1, the process's group not to be seen below the mount",
			files: map[string]string{
				"proc/self/cgroup":                           "4:memory:/docker/abc\n",
				"proc/self/mountinfo":                        mountsV1,
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "1000",
				"sys/fs/cgroup/memory/memory.usage_in_bytes": "900",
			},
			memory: []MemoryLimit{{"sys/fs/cgroup/memory", 1000, 900}},
		},
		{
			name: "version 1, CPU time accounted in a hierarchy of its own",
			files: map[string]string{
				"proc/self/cgroup": "1:cpu:/a\n2:cpuacct:/a\n",
				"proc/self/mountinfo": "32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu\n" +
					"33 31 0:30 / /cg/acct rw - cgroup cgroup rw,cpuacct\n",
				"cg/cpu/a/cpu.cfs_quota_us":  "100000",
				"cg/cpu/a/cpu.cfs_period_us": "100000",
				"cg/acct/a/cpuacct.usage":    "42",
			},
			cpu: []CPULimit{{"cg/cpu/a", 1, 42, true}},
		},
		{
			name: "version 1, CPU time accounted for another group",
			files: map[string]string{
				"proc/self/cgroup": "1:cpu:/a\n2:cpuacct:/b\n",
				"proc/self/mountinfo": "32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu\n" +
					"33 31 0:30 / /cg/acct rw - cgroup cgroup rw,cpuacct\n",
				"cg/cpu/a/cpu.cfs_quota_us":  "100000",
				"cg/cpu/a/cpu.cfs_period_us": "100000",
				"cg/acct/b/cpuacct.usage":    "42",
			},
			cpu: []CPULimit{{"cg/cpu/a", 1, 0, false}},
		},
		{
			name: "both versions, the controllers in version 1",
			files: map[string]string{
				"proc/self/cgroup":                              "4:memory:/m\n2:cpu,cpuacct:/c\n0::/u\n",
				"proc/self/mountinfo":                           mountsV1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
				"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us":  "100000",
				"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000",
				"sys/fs/cgroup/cpu,cpuacct/c/cpuacct.usage":     "5",
				"sys/fs/cgroup/unified/u/cpu.max":               "1 100000",
				"sys/fs/cgroup/unified/u/memory.max":            "1",
			},
			cpu: []CPULimit{{"sys/fs/cgroup/cpu,cpuacct/c", 1, 5, true}},
		},
		{
			name: "both versions, CPU in version 1 and memory in version 2",
			files: map[string]string{
				"proc/self/cgroup":                              "2:cpu,cpuacct:/c\n0::/u\n",
				"proc/self/mountinfo":                           mountsV1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
				"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us":  "100000",
				"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000",
				"sys/fs/cgroup/unified/u/memory.max":            "10",
				"sys/fs/cgroup/unified/u/memory.current":        "5",
			},
			cpu:    []CPULimit{{"sys/fs/cgroup/cpu,cpuacct/c", 1, 0, false}},
			memory: []MemoryLimit{{"sys/fs/cgroup/unified/u", 10, 5}},
		},
		{
			name: "a mount point with a space",
			files: map[string]string{
				"proc/self/cgroup":             "0::/a b\n",
				"proc/self/mountinfo":          `29 23 0:26 / /my\040groups rw - cgroup2 cgroup2 rw` + "\n",
				"my groups/a b/memory.max":     "10",
				"my groups/a b/memory.current": "5",
			},
			memory: []MemoryLimit{{"my groups/a b", 10, 5}},
		},
		{
			name: "several mounts, of which the one that shows most is used",
			files: map[string]string{
				"proc/self/cgroup": "0::/a/b\n",
				"proc/self/mountinfo": "29 23 0:26 /other /one rw - cgroup2 cgroup2 rw\n" +
					"29 23 0:26 /a/b /two rw - cgroup2 cgroup2 rw\n" +
					"29 23 0:26 / /three rw - cgroup2 cgroup2 rw\n",
				"one/cpu.max":     "1 1",
				"two/cpu.max":     "2 1",
				"three/a/cpu.max": "3 1",
			},
			cpu: []CPULimit{{"three/a", 3, 0, false}},
		},
		{
			name: "a mount from further out than the namespace",
			files: map[string]string{
				"proc/self/cgroup":      "0::/\n",
				"proc/self/mountinfo":   "29 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				"sys/fs/cgroup/cpu.max": "4 1",
			},
			cpu: []CPULimit{{"sys/fs/cgroup", 4, 0, false}},
		},
		{
			name: "a process outside the namespace of its mount",
			files: map[string]string{
				"proc/self/cgroup":       "0::/../sibling\n",
				"proc/self/mountinfo":    mountV2,
				"sys/fs/cgroup/cpu.max":  "4 1",
				"sys/fs/sibling/cpu.max": "5 1",
			},
		},
		{name: "no /proc", files: map[string]string{}},
		{name: "no mounts", files: map[string]string{"proc/self/cgroup": "0::/a\n"}},
		{name: "no groups", files: map[string]string{"proc/self/mountinfo": mountV2, "sys/fs/cgroup/cpu.max": "1 1"}},
		{
			name: "lines of another form",
			files: map[string]string{
				"proc/self/cgroup":      "\n:\n::\nx\n0\n0:\n0::\n0::relative\n1::/a\n3:cpu\n0::/\n",
				"proc/self/mountinfo":   "\n-\n - \n - cgroup2\n1 2 3 / - cgroup2 x rw\n1 2 3 / relative rw - cgroup2 x rw\n1 2 3 / / rw\n" + mountV2,
				"sys/fs/cgroup/cpu.max": "1 1",
			},
			cpu: []CPULimit{{"sys/fs/cgroup", 1, 0, false}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(tree(c.files))
			for range 2 { // the second time from what it remembers
				if got, err := r.CPU(); err != nil || !reflect.DeepEqual(got, c.cpu) {
					t.Errorf("CPU: %+v, %v; want %+v", got, err, c.cpu)
				}
				if got, err := r.Memory(); err != nil || !reflect.DeepEqual(got, c.memory) {
					t.Errorf("memory: %+v, %v; want %+v", got, err, c.memory)
				}
			}
		})
	}
}

func TestGarbageIsAnErrorThatNamesTheFile(t *testing.T) {
	v2 := map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2}
	v1 := map[string]string{"proc/self/cgroup": "4:memory:/\n2:cpu,cpuacct:/\n", "proc/self/mountinfo": mountsV1}
	const cpu1, memory1 = "sys/fs/cgroup/cpu,cpuacct/", "sys/fs/cgroup/memory/"
	for _, c := range []struct {
		base   map[string]string
		files  map[string]string
		memory bool
		names  string
	}{
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": ""}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "many"}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "1 2 3"}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "1 0"}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "max 0"}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "-1 100000"}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "0 100000"}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "NaN 100000"}, names: "cpu.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "1 1", "sys/fs/cgroup/cpu.stat": "usage_usec x"}, names: "cpu.stat"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/cpu.max": "1 1", "sys/fs/cgroup/cpu.stat": "usage_usec 18446744073709551615"}, names: "cpu.stat"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/memory.max": "lots"}, memory: true, names: "memory.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/memory.max": "-1"}, memory: true, names: "memory.max"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/memory.max": "9"}, memory: true, names: "memory.current"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/memory.max": "9", "sys/fs/cgroup/memory.current": ""}, memory: true, names: "memory.current"},
		{base: v2, files: map[string]string{"sys/fs/cgroup/memory.max": "9", "sys/fs/cgroup/memory.current": "1", "sys/fs/cgroup/memory.stat": "inactive_file ?"}, memory: true, names: "memory.stat"},
		{base: v1, files: map[string]string{cpu1 + "cpu.cfs_quota_us": "x"}, names: "cpu.cfs_quota_us"},
		{base: v1, files: map[string]string{cpu1 + "cpu.cfs_quota_us": "-2"}, names: "cpu.cfs_quota_us"},
		{base: v1, files: map[string]string{cpu1 + "cpu.cfs_quota_us": "0"}, names: "cpu.cfs_quota_us"},
		{base: v1, files: map[string]string{cpu1 + "cpu.cfs_quota_us": "5"}, names: "cpu.cfs_quota_us"},
		{base: v1, files: map[string]string{cpu1 + "cpu.cfs_quota_us": "5", cpu1 + "cpu.cfs_period_us": "0"}, names: "cpu.cfs_quota_us"},
		{base: v1, files: map[string]string{cpu1 + "cpu.cfs_quota_us": "5", cpu1 + "cpu.cfs_period_us": "5", cpu1 + "cpuacct.usage": "x"}, names: "cpuacct.usage"},
		{base: v1, files: map[string]string{cpu1 + "cpu.cfs_quota_us": "5", cpu1 + "cpu.cfs_period_us": "5", cpu1 + "cpuacct.usage": "max"}, names: "cpuacct.usage"},
		{base: v1, files: map[string]string{memory1 + "memory.limit_in_bytes": "x"}, memory: true, names: "memory.limit_in_bytes"},
	} {
		files := map[string]string{}
		for _, m := range []map[string]string{c.base, c.files} {
			for k, v := range m {
				files[k] = v
			}
		}
		r := New(tree(files))
		var got any
		var err error
		if c.memory {
			got, err = r.Memory()
		} else {
			got, err = r.CPU()
		}
		if err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%v: %v, error %v; want one that names %s", c.files, got, err, c.names)
		}
	}
}

func TestProcessThatMovesIsFollowed(t *testing.T) {
	fsys := tree(map[string]string{
		"proc/self/cgroup":        "0::/a\n",
		"proc/self/mountinfo":     mountV2,
		"sys/fs/cgroup/a/cpu.max": "1 1",
		"sys/fs/cgroup/b/cpu.max": "2 1",
	})
	r := New(fsys)
	if got, err := r.CPU(); err != nil || len(got) != 1 || got[0].CPUs != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	fsys["proc/self/cgroup"] = &fstest.MapFile{Data: []byte("0::/b\n")}
	if got, err := r.CPU(); err != nil || len(got) != 1 || got[0].CPUs != 2 {
		t.Errorf("after the move: %+v, %v", got, err)
	}
	fsys["sys/fs/cgroup/b/cpu.max"] = &fstest.MapFile{Data: []byte("3 1")}
	if got, err := r.CPU(); err != nil || len(got) != 1 || got[0].CPUs != 3 {
		t.Errorf("after its limit was raised: %+v, %v", got, err)
	}
	delete(fsys, "proc/self/cgroup")
	if got, err := r.CPU(); err != nil || got != nil {
		t.Errorf("after /proc went away: %+v, %v", got, err)
	}
}

// guarded refuses to open what has one of the names.
type guarded struct {
	fs.FS
	names string
	err   error
}

func (g guarded) Open(name string) (fs.File, error) {
	if strings.Contains(name, g.names) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: g.err}
	}
	return g.FS.Open(name)
}

func TestFileThatMayNotBeReadSetsNoLimit(t *testing.T) {
	fsys := tree(map[string]string{
		"proc/self/cgroup":        "0::/a\n",
		"proc/self/mountinfo":     mountV2,
		"sys/fs/cgroup/cpu.max":   "1 1",
		"sys/fs/cgroup/a/cpu.max": "2 1",
	})
	got, err := New(guarded{fsys, "a/cpu.max", fs.ErrPermission}).CPU()
	if err != nil || len(got) != 1 || got[0].CPUs != 1 {
		t.Errorf("%+v, %v; want the limit of the outer group alone", got, err)
	}
	broken := errors.New("input/output error")
	if got, err := New(guarded{fsys, "a/cpu.max", broken}).CPU(); !errors.Is(err, broken) {
		t.Errorf("%+v, %v; want the error of the disk", got, err)
	}
	for _, name := range []string{"self/cgroup", "self/mountinfo"} {
		r := New(guarded{fsys, name, broken})
		if _, err := r.CPU(); !errors.Is(err, broken) {
			t.Errorf("%s: %v; want the error of the disk", name, err)
		}
		if _, err := r.Memory(); !errors.Is(err, broken) {
			t.Errorf("%s: %v; want the error of the disk", name, err)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	r := New(tree(map[string]string{
		"proc/self/cgroup":    "0::" + strings.Repeat("/a", 1000) + "\n",
		"proc/self/mountinfo": mountV2,
	}))
	if got, err := r.CPU(); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	if n := len(r.cpu.levels); n != maxDepth {
		t.Errorf("%d levels, want %d", n, maxDepth)
	}
}

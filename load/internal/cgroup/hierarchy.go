package cgroup

import (
	"path"
	"slices"
	"strings"
)

// maxDepth bounds how many nested groups are looked at.
const maxDepth = 32

// hierarchy is where the groups of a process are for one controller.
type hierarchy struct {
	version int
	// levels are the directories, without the leading slash, from the
	// process's own group to the root of the mount.
	levels []string
}

// locate finds the hierarchy of a controller: that of version 1 which has it,
// else that of version 2. It has no levels where there is none, or where the
// groups are mounted nowhere they can be seen.
func locate(controller string, in []membership, mounts []mount) hierarchy {
	for _, m := range in {
		if slices.Contains(m.controllers, controller) {
			return hierarchy{1, levels(m.path, mounts, func(at mount) bool {
				return at.kind == "cgroup" && slices.Contains(at.options, controller)
			})}
		}
	}
	for _, m := range in {
		if m.controllers == nil {
			return hierarchy{2, levels(m.path, mounts, func(at mount) bool { return at.kind == "cgroup2" })}
		}
	}
	return hierarchy{}
}

// levels returns the directories of a group and of all it is nested in, as
// seen through that of the mounts which shows the most of them.
func levels(group string, mounts []mount, of func(mount) bool) []string {
	var best []string
	for _, m := range mounts {
		if !of(m) {
			continue
		}
		within, ok := relative(m.root, group)
		if !ok {
			continue
		}
		point := strings.TrimPrefix(path.Clean(m.point), "/")
		var found []string
		for dir := within; len(found) < maxDepth; dir = path.Dir(dir) {
			found = append(found, path.Join(point, dir))
			if dir == "." {
				break
			}
		}
		if len(found) > len(best) {
			best = found
		}
	}
	return best
}

// relative returns where a group is below the root of a mount. Both may begin
// with "/..", for what lies outside the process's cgroup namespace
// (cgroup_namespaces(7)); of a mount whose root lies further out than the
// group only the root itself, ".", is known to hold for it.
func relative(root, group string) (string, bool) {
	r, g := parts(root), parts(group)
	if len(g) >= len(r) && slices.Equal(g[:len(r)], r) {
		rest := g[len(r):]
		if slices.Contains(rest, "..") {
			return "", false
		}
		return path.Join(append([]string{"."}, rest...)...), true
	}
	if len(r) > up(g) && up(r) == len(r) {
		return ".", true
	}
	return "", false
}

// parts splits a path. It does not resolve "..", which stands for a group
// whose name cannot be known.
func parts(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s == "." })
}

// up is how many leading ".." there are.
func up(p []string) int {
	n := 0
	for n < len(p) && p[n] == ".." {
		n++
	}
	return n
}

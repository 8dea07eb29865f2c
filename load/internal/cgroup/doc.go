// Package cgroup reads the CPU and memory limits of the control groups that
// this process is in, version 1, version 2, and both at once, and how much of
// them is used.
//
// Groups are nested and a limit holds for all within, so each level counts,
// from the process's own group up to the root of what is mounted; inside a
// container that is usually the container's own. Where a process is comes
// from /proc/self/cgroup, where its groups are to be found from
// /proc/self/mountinfo (proc(5), cgroups(7), and the kernel's
// Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/).
//
// A file that does not exist or may not be read sets no limit. A file that
// says what it never should is an error, because a share of a guessed limit
// would be a lie.
package cgroup

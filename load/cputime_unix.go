//go:build unix

package load

import (
	"syscall"
	"time"
)

// processTime returns the CPU time that this process has used, user and
// system.
func processTime() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, err
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}

package load

import (
	"syscall"
	"time"
)

// processTime returns the CPU time that this process has used, user and
// system.
func processTime() (time.Duration, error) {
	var created, exited, system, user syscall.Filetime
	self, err := syscall.GetCurrentProcess()
	if err == nil {
		err = syscall.GetProcessTimes(self, &created, &exited, &system, &user)
	}
	if err != nil {
		return 0, err
	}
	ticks := func(t syscall.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
	return time.Duration(ticks(system)+ticks(user)) * 100, nil
}

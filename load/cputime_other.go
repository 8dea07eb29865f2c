//go:build !unix && !windows

package load

import "time"

// processTime is not to be had here.
func processTime() (time.Duration, error) { return 0, errUnavailable }

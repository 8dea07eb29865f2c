package health

import (
	"context"
	"fmt"
	"os"
)

// room is what a file system has left, as shares of what this process could
// use, and 1 where it cannot run out.
type room struct{ bytes, files float64 }

// Disk looks at how much room the file system of a path has left for this
// process, in bytes and in files. It warns and fails when less than these shares
// are free, 0 to 1; 0.1 and 0.05 are usual, and 0 is never. It is there on Linux,
// macOS and FreeBSD, and refused elsewhere.
func Disk(path string, warn, fail float64) Check {
	c := Check{kind: "system"}
	if !(warn >= 0 && warn <= 1) || !(fail >= 0 && fail <= 1) || warn == 0 && fail == 0 || warn > 0 && fail > warn {
		c.fault("Disk", [2]float64{warn, fail}, "thresholds are shares of 0 to 1, not both 0, and it must not fail before it warns")
	}
	if !hasRoom {
		c.fault("Disk", path, "is not known on this system")
	} else if _, err := os.Stat(path); err != nil {
		c.fault("Disk", path, err.Error())
	}
	c.run = func(ctx context.Context) error {
		left, err := roomOf(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		Observe(ctx, "utilization", (1-left.bytes)*100, "percent")
		least := min(left.bytes, left.files)
		err = fmt.Errorf("%s has %.1f%% of its bytes and %.1f%% of its files left", path, left.bytes*100, left.files*100)
		switch {
		case least < fail:
			return err
		case least < warn:
			return Warning(err)
		}
		return nil
	}
	return c
}

// share is a part of a whole that it is no part of.
func share(free, used float64) float64 {
	if free+used <= 0 {
		return 1
	}
	return max(free, 0) / (max(free, 0) + used)
}

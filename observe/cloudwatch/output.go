package cloudwatch

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// output writes lines, each with one call, one after the other.
type output struct {
	lines, bytes, failed atomic.Uint64

	mu   sync.Mutex
	w    io.Writer
	torn bool
}

// write writes a line that is led by a line feed, without that unless the line
// before was torn: then what is left of that is at least a line of its own.
func (o *output) write(line []byte) (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.torn {
		line = line[1:]
	}
	returned := false
	defer func() {
		if !returned {
			if p := recover(); p != nil {
				err = fmt.Errorf("cloudwatch: the writer panicked: %v", p)
			}
			o.torn = true
		}
		if err != nil || !returned {
			o.failed.Add(1)
		}
	}()
	n, err := o.w.Write(line)
	returned = true
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		// A torn line that had nothing of it written is not torn, but one
		// before it still is.
		o.torn = o.torn && n <= 0 || n > 0 && n < len(line)
		return errors.Join(errWrite, err)
	}
	o.torn = false
	o.lines.Add(1)
	o.bytes.Add(uint64(n))
	return nil
}

var errWrite = errors.New("cloudwatch: a line was not written")

package retry

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// upload is a request's body, read once and handed to one attempt after the
// other: what one has read is kept for the next. It is never reused, because a
// client that an attempt used may still read from it.
type upload struct {
	body  io.ReadCloser
	limit int

	// turn is held while the client is read from, so that what arrives is kept
	// in order, whoever asked for it.
	turn sync.Mutex

	mu    sync.Mutex
	kept  []byte
	owner *reading // the attempt that is under way
	// forgetful says that bytes are not kept any more, and lost that some are
	// missing, so that there can be no further attempt.
	forgetful, lost bool
	err             error
}

// reading is what one attempt gets.
type reading struct {
	u      *upload
	at     int
	closed bool
}

// errPast is what an attempt's leftovers get.
var errPast = errors.New("retry: the attempt that this body belongs to is over")

// begin hands the body to a new attempt, which cuts the one before it off.
func (u *upload) begin() *reading {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.owner = &reading{u: u}
	return u.owner
}

// end cuts the last attempt off.
func (u *upload) end() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.owner, u.kept = nil, nil
}

// stop ends an attempt, and reports whether there can be another one: nothing
// that arrived is missing, and it arrived as it was sent.
func (u *upload) stop() bool {
	if u == nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.owner = nil
	return !u.lost && (u.err == nil || u.err == io.EOF)
}

// forget says that there will be no further attempt.
func (u *upload) forget() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forgetful = true
}

// again reads what is already there.
func (b *reading) again(p []byte) (n int, err error, done bool) {
	u := b.u
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.owner != b:
		return 0, errPast, true
	case b.closed:
		return 0, http.ErrBodyReadAfterClose, true
	case b.at < len(u.kept):
		n = copy(p, u.kept[b.at:])
		b.at += n
		return n, nil, true
	case u.err != nil:
		return 0, u.err, true
	}
	return 0, nil, len(p) == 0
}

func (b *reading) Read(p []byte) (int, error) {
	if n, err, done := b.again(p); done {
		return n, err
	}
	u := b.u
	u.turn.Lock()
	defer u.turn.Unlock()
	if n, err, done := b.again(p); done {
		return n, err
	}
	n, err := u.body.Read(p)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.err = err
	}
	if u.owner != b {
		// It is the next one's, and may be a little more than is kept.
		u.kept = append(u.kept, p[:n]...)
		return 0, errPast
	}
	if u.lost || u.forgetful || len(u.kept)+n > u.limit {
		if n > 0 {
			u.lost, u.kept = true, nil
		}
	} else {
		u.kept = append(u.kept, p[:n]...)
		b.at += n
	}
	return n, err
}

// Close ends this attempt's reading only, unless it is the last one: the next
// one reads on.
func (b *reading) Close() error {
	u := b.u
	u.mu.Lock()
	b.closed = true
	through := u.owner == b && u.forgetful
	u.mu.Unlock()
	if through {
		return u.body.Close()
	}
	return nil
}

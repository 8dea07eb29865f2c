package shed

import (
	"context"
	"net/http"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/load"
)

// visit is what an admitted request occupies. There are only four kinds, made
// once, so that a request needs none of its own.
type visit struct {
	shedder *Shedder
	gated   bool // it holds a slot of the gate
	counted bool // in the sampler, and by this Shedder
}

func (s *Shedder) visit(gated, counted bool) *visit {
	i := 0
	if gated {
		i |= 1
	}
	if counted {
		i |= 2
	}
	return &s.visits[i]
}

// LongLived implements [httpwrap.LongLivedListener]: the exchange gives its
// slot back and is counted apart from here on.
func (v *visit) LongLived() {
	s := v.shedder
	s.tally.long.Add(1)
	if v.counted {
		s.sampler.Detach()
	}
	if v.gated {
		s.gate.leave(s.now())
	}
}

// lived reports whether LongLived has been called, or is being, and sees to it
// that it is not any more: somebody further out may own the recorder, and the
// exchange may begin to stream after this handler has returned.
func lived(rec *httpwrap.Recorder, owner bool, v *visit) bool {
	if owner {
		return rec.LongLived()
	}
	return !rec.Unsubscribe(v)
}

// ended is the end of a long-lived exchange.
func (v *visit) ended() {
	v.shedder.tally.long.Add(-1)
	if v.counted {
		v.shedder.sampler.Ended()
	}
}

// leave is the end of any other request.
func (v *visit) leave(start time.Duration, o load.Outcome) {
	s := v.shedder
	now := s.now()
	if v.counted {
		s.sampler.ExitAt(now, now-start, o)
	}
	if v.gated {
		s.gate.complete(start, now, o)
		s.gate.step(now)
	}
}

// outcome classifies what happened: a failure is an answer of 500 and above, a
// panic or an early end of the goroutine; what a client did not wait for, or
// an inner policy refused, is neither success nor failure.
func outcome(ctx context.Context, rec *httpwrap.Recorder, returned bool) load.Outcome {
	switch {
	case rec.Outcome() == httpwrap.Timeout:
		return load.Failure // also where its client had the answer, and left before the handler was done
	case ctx.Err() == context.Canceled:
		return load.Ignored
	case !returned:
		return load.Failure
	case rec.Outcome() != httpwrap.None:
		return load.Ignored
	case rec.Status() >= http.StatusInternalServerError:
		return load.Failure
	default:
		return load.Success
	}
}

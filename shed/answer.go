package shed

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// Code is the code of this package's rejections.
const Code = "LOAD_SHED"

// answers are the refusals of a set of settings, one for each reason.
type answers struct {
	of     [reasons]*refuse.Response
	causes [reasons]httpwrap.Cause
	jitter refuse.Jitter
}

func newAnswers(set *settings) *answers {
	a := &answers{jitter: refuse.Jitter{Max: set.maxRetryAfter}}
	for why := admitted + 1; why < ReasonGone; why++ {
		a.of[why] = refuse.New(handrail.Rejection{
			Status: set.status, Code: Code, Reason: why.String(), Message: set.message, Name: set.name,
		}, set.reject)
		a.causes[why] = httpwrap.Cause{Outcome: httpwrap.Shed, Policy: set.name, Reason: why.String()}
	}
	return a
}

// answer tells the client that its request is refused.
func (s *Shedder) answer(w http.ResponseWriter, r *http.Request, why Reason) {
	if why == ReasonGone {
		httpwrap.Find(w).SetOutcome(httpwrap.Canceled)
		w.WriteHeader(refuse.StatusGone)
		return
	}
	a := s.answers.Load()
	httpwrap.Find(w).SetCause(&a.causes[why])
	a.of[why].Write(w, r, a.jitter.RetryAfter(s.comeBack(why)))
}

// comeBack is after which time trying again may help, 0 where that is not
// known.
func (s *Shedder) comeBack(why Reason) time.Duration {
	switch why {
	case ReasonPressure, ReasonCustom:
		return 0
	case ReasonCircuit:
		if state, lasts := s.circuit.current(s.now()); state == CircuitOpen {
			return max(s.set.Load().circuit.CoolDown-lasts, 0)
		}
		return 0
	default:
		return s.gate.drain()
	}
}

// drain estimates how long it takes until a client that comes back may be
// served: what is inside and waiting at the measured throughput, stretched by
// the share that has to be refused meanwhile.
func (g *gate) drain() time.Duration {
	return time.Duration(g.backlog.Load())
}

package breaker

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// Code is the code of this package's rejections.
const Code = "CIRCUIT_BREAKER_OPEN"

// answers are the refusals, one for each reason.
type answers struct {
	of     [reasons]*refuse.Response
	causes *[reasons]httpwrap.Cause
	jitter refuse.Jitter
}

func newAnswers(set *settings) (a answers) {
	a.causes = new([reasons]httpwrap.Cause)
	for why := admitted + 1; why < reasons; why++ {
		a.of[why] = refuse.New(set.rejection(why), set.reject)
		a.causes[why] = httpwrap.Cause{Outcome: httpwrap.BreakerOpen, Policy: set.name, Reason: why.String()}
	}
	return a
}

func (s *settings) rejection(why Reason) handrail.Rejection {
	return handrail.Rejection{Status: s.status, Code: Code, Reason: why.String(), Message: s.message, Name: s.name}
}

// refuse answers a request that is not let through.
func (b *Breaker) refuse(w http.ResponseWriter, r *http.Request, why Reason, retry time.Duration) {
	httpwrap.Find(w).SetCause(&b.answers.causes[why])
	if b.set.fallback != nil {
		b.tally.fallbacks.Add(1)
		b.set.fallback.ServeHTTP(w, r)
		return
	}
	b.answers.of[why].Write(w, r, b.comeBack(why, retry))
}

// comeBack is when a refused request may be tried again: when the open time is
// over, where that is why it was refused; a second or two, at random, where it
// can be let in any moment; and where nobody knows, as long as a circuit stays
// open, and at random too.
func (b *Breaker) comeBack(why Reason, retry time.Duration) time.Duration {
	switch why {
	case ReasonOpen:
		return (max(retry, 1) + time.Second - 1).Truncate(time.Second)
	case ReasonForced:
		return b.answers.jitter.RetryAfter(b.set.openFor)
	default:
		return b.answers.jitter.RetryAfter(0)
	}
}

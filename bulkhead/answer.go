package bulkhead

import (
	"net/http"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// Code is the code of this package's rejections.
const Code = "BULKHEAD_LIMIT_EXCEEDED"

// answers are the rejections of a set of settings, one for each reason, and
// those again that are a tenant's own.
type answers struct {
	of, tenants [reasons]answer
	causes      [reasons]httpwrap.Cause
	jitter      refuse.Jitter
}

type answer struct {
	rejection handrail.Rejection
	response  *refuse.Response
}

func newAnswers(set *settings) *answers {
	a := &answers{jitter: refuse.Jitter{Max: set.maxRetryAfter}}
	prepare := func(why Reason, status int) answer {
		rejection := handrail.Rejection{
			Status: status, Code: Code, Reason: why.String(), Message: set.message, Name: set.name,
		}
		return answer{rejection, refuse.New(rejection, set.reject)}
	}
	for why := admitted + 1; why < reasons; why++ {
		a.of[why] = prepare(why, set.status)
		a.tenants[why] = prepare(why, set.tenantStatus)
		a.causes[why] = httpwrap.Cause{Outcome: httpwrap.BulkheadFull, Policy: set.name, Reason: why.String()}
	}
	return a
}

// to returns the answer to a refusal.
func (a *answers) to(r refusal) *answer {
	if r.limit == ReasonTenant {
		return &a.tenants[r.why]
	}
	return &a.of[r.why]
}

// answer tells the client that its request is refused.
func (s *settled) answer(w http.ResponseWriter, r *http.Request, refused refusal) {
	if refused.why == gone {
		httpwrap.Find(w).SetOutcome(httpwrap.Canceled)
		w.WriteHeader(refuse.StatusGone)
		return
	}
	httpwrap.Find(w).SetCause(&s.answers.causes[refused.why])
	s.answers.to(refused).response.Write(w, r, s.answers.jitter.RetryAfter(refused.drain))
}

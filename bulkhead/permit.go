package bulkhead

import (
	"context"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/keyed"
)

// permit is one slot of everything that a request needs: the global limit, its
// tenant's and its operation's. All are taken at once or none, so whoever waits
// for one of them keeps nobody from the others.
type permit struct {
	gate      *gate
	tenant    *tenant
	operation *operation
	// While these are held, the accounts are not forgotten.
	tenantRef    keyed.Ref[tenant]
	operationRef keyed.Ref[operation]
	held         bool
}

// permitFor names the accounts of a request. It takes no slot yet, but has to be
// released all the same.
func (b *Bulkhead) permitFor(r *http.Request, tenant, operation handrail.KeyFunc) (p permit) {
	p.gate, p.tenant, p.operation = b.gate, b.gate.anyone, b.gate.anything
	// Whatever belongs to the user is asked before anything is occupied.
	var whose, what string
	if tenant != nil {
		whose = keyed.Cut(tenant(r))
	}
	if operation != nil {
		what = keyed.Cut(operation(r))
	}
	if tenant != nil {
		p.tenantRef = b.tenants.Acquire(whose)
		p.tenant = p.tenantRef.Value()
	}
	if operation != nil {
		p.operationRef = b.operations.Acquire(what)
		p.operation = p.operationRef.Value()
	}
	return p
}

// release gives back what is held. It is called once.
func (p *permit) release() {
	if p.held {
		p.gate.vacate(p.tenant, p.operation)
	}
	p.tenantRef.Release()
	p.operationRef.Release()
}

// obtain takes the slots, or waits for them, or is refused.
func (p *permit) obtain(b *Bulkhead, set *settings, r *http.Request) refusal {
	g := p.gate
	if p.tenant != g.anyone || p.operation != g.anything {
		// Who needs no more than a global slot has just found none.
		if p.held = g.try(p.tenant, p.operation); p.held {
			return refusal{}
		}
	}
	rank := handrail.Normal.Rank()
	if set.priority != nil {
		rank = set.priority(r).Rank()
	}
	ctx, since := r.Context(), b.now()
	left, late := over(ctx)
	w, refused := g.enter(since, p.tenant, p.operation, rank, left, late)
	if w != nil {
		wait(ctx, w, set.maxWait)
		left, late = over(ctx)
		refused = g.leave(b.now(), since, w, left, late)
	}
	if refused.why == admitted {
		p.held = true
	} else {
		b.report(set, r, p, rank, refused)
	}
	return refused
}

// over says whether nobody waits for the answer any more, or only until a
// deadline that has passed.
func over(ctx context.Context) (left, late bool) {
	err := ctx.Err()
	late = err == context.DeadlineExceeded
	return err != nil && !late, late
}

func wait(ctx context.Context, w *waiter, longest time.Duration) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// report tells the callback of a rejection.
func (b *Bulkhead) report(set *settings, r *http.Request, p *permit, rank int, refused refusal) {
	if set.onReject == nil || refused.why == gone {
		return
	}
	set.onReject.Raise(Event{
		Name: set.name, Reason: refused.why, Limit: refused.limit,
		Tenant: p.tenantRef.Key(), Operation: p.operationRef.Key(),
		Priority: handrail.PriorityOfRank(rank), Waited: refused.waited,
		Method: r.Method, Pattern: r.Pattern, At: time.Now(),
	})
}

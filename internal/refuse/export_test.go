package refuse

import "time"

// WithLimits is p with other times for a body: how long it may take to
// arrive, and how long it may hold up, after the response, a connection that
// closes and one that seems to live on.
func (p *Response) WithLimits(patience, linger, rest time.Duration) *Response {
	other := *p
	other.limits = limits{patience: patience, linger: linger, rest: rest}
	return &other
}

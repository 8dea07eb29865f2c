package refuse

import "time"

// WithPatience is p with another time for a body to arrive, so that a test
// need not be quick.
func (p *Response) WithPatience(d time.Duration) *Response {
	patient := *p
	patient.patience = d
	return &patient
}

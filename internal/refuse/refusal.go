package refuse

import "github.com/handrail-go/handrail"

// Refusal is what the errors of policies have that refused to send a request: they
// say nothing about where it was to go, and are not to be repeated at once.
type Refusal interface{ Rejection() handrail.Rejection }

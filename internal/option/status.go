package option

import (
	"net/http"

	"github.com/handrail-go/handrail/internal/refuse"
)

// ErrorStatus wants the status of an error: 400 to 599.
func (f *Faults) ErrorStatus(option string, status int) {
	if !refuse.ValidStatus(status) {
		f.Fault(option, status, "must be between 400 and 599")
	}
}

// RefusalStatus wants the status of a refusal: 400 to 599 but not 408, which
// some clients repeat at once.
func (f *Faults) RefusalStatus(option string, status int) {
	if !refuse.ValidStatus(status) || status == http.StatusRequestTimeout {
		f.Fault(option, status, "must be between 400 and 599 and not 408")
	}
}

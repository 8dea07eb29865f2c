package retry

import (
	"fmt"
	"net/http"
	"slices"
)

var (
	// idempotent methods, see RFC 9110, section 9.2.2.
	idempotent = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace}
	// transient statuses may be others the next time.
	transient = []int{429, 500, 502, 503, 504}
	// hopeless statuses will be the same.
	hopeless = []int{400, 401, 403, 404, 422}
)

// statusSet is a set of the statuses from 400 to 599.
type statusSet [4]uint64

func newStatusSet(statuses []int) (set statusSet) {
	for _, s := range statuses {
		if s >= 400 && s < 600 {
			set[(s-400)/64] |= 1 << ((s - 400) % 64)
		}
	}
	return set
}

func (s *statusSet) has(status int) bool {
	i := uint(status - 400)
	return i < 200 && s[i/64]&(1<<(i%64)) != 0
}

// repeatable says whether a request of this method may be sent twice.
func (s *settings) repeatable(method string, h http.Header) bool {
	if method == "" {
		method = http.MethodGet // what it means in a client's request
	}
	if slices.Contains(s.methods, method) {
		return true
	}
	if method != http.MethodPost && method != http.MethodPatch {
		return false
	}
	if s.unsafe {
		return true
	}
	// Two keys are none: which one counts is for the receiver to say.
	key := h[s.idempotencyKey]
	return s.idempotencyKey != "" && len(key) == 1 && key[0] != ""
}

// safe methods only read, see RFC 9110, section 9.2.1.
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// Result is what a classifier is asked about: an answer, or a client's error.
type Result struct {
	Request *http.Request
	// Attempt counts from 1.
	Attempt int
	// Status and Header are the answer's, Status 0 where there is none.
	Status int
	Header http.Header
	// Err is why there is no answer, a client's only.
	Err error
}

// Verdict is what a classifier says.
type Verdict uint8

const (
	// ByDefault leaves it to the other options.
	ByDefault Verdict = iota
	// Repeat is a failure worth another attempt.
	Repeat
	// Accept is an answer, or an error, to hand on.
	Accept
)

// failed judges an answer.
func (s *settings) failed(r *http.Request, attempt, status int, h http.Header) bool {
	if status < 200 {
		return false // 101 is an exchange that lives on
	}
	if s.classify != nil {
		switch s.classify(Result{Request: r, Attempt: attempt, Status: status, Header: h}) {
		case Repeat:
			return true
		case Accept:
			return false
		}
	}
	return s.statuses.has(status)
}

// String lists the statuses.
func (s statusSet) String() string {
	var all []int
	for status := 400; status < 600; status++ {
		if s.has(status) {
			all = append(all, status)
		}
	}
	return fmt.Sprint(all)
}

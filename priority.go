package handrail

import (
	"fmt"
	"net/http"
	"strings"
)

// Priority says how much a request matters when not all can be served. The
// zero value is Normal, so that a request nobody classified is an ordinary
// one, and greater values matter more: Critical > High > Normal > Low >
// Background. A value outside that range is treated as Normal everywhere.
type Priority int8

// The five priorities, one vocabulary for every package.
const (
	// Background is work nobody waits for: batch, prefetch, crawling.
	Background Priority = iota - 2
	// Low can be done without for a while: recommendations, typeahead.
	Low
	// Normal is what a request is unless something says otherwise.
	Normal
	// High is what users came for.
	High
	// Critical keeps the service or the business alive: payments in flight,
	// control traffic. Reserve it for what stays below capacity on its own.
	Critical
)

// Priorities is the number of priorities there are.
const Priorities = 5

var priorityNames = [Priorities]string{"critical", "high", "normal", "low", "background"}

// Valid reports whether p is one of the five priorities.
func (p Priority) Valid() bool { return p >= Background && p <= Critical }

// Rank is the place of p in strict order, as an array index: 0 for Critical,
// 4 for Background. A value that is not Valid has the rank of Normal.
func (p Priority) Rank() int {
	if !p.Valid() {
		return int(Critical - Normal)
	}
	return int(Critical - p)
}

// PriorityOfRank is the inverse of [Priority.Rank]. It returns Normal for a
// rank outside 0…4.
func PriorityOfRank(rank int) Priority {
	if rank < 0 || rank >= Priorities {
		return Normal
	}
	return Critical - Priority(rank)
}

// String returns the lower-case name of p, or "priority(n)" for a value that
// is not Valid.
func (p Priority) String() string {
	if !p.Valid() {
		return fmt.Sprintf("priority(%d)", int8(p))
	}
	return priorityNames[p.Rank()]
}

// ParsePriority reads a priority's name in any letter case. It returns Normal
// and false for anything else, whatever its length.
func ParsePriority(name string) (Priority, bool) {
	for rank, known := range priorityNames {
		if len(name) == len(known) && strings.EqualFold(name, known) {
			return PriorityOfRank(rank), true
		}
	}
	return Normal, false
}

// MarshalText implements [encoding.TextMarshaler]. It fails for a value that
// is not Valid.
func (p Priority) MarshalText() ([]byte, error) {
	if !p.Valid() {
		return nil, fmt.Errorf("handrail: %v is no priority", p)
	}
	return []byte(p.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]. Unlike a request's
// header, a configuration with an unknown name is an error.
func (p *Priority) UnmarshalText(text []byte) error {
	q, ok := ParsePriority(string(text))
	if !ok {
		return fmt.Errorf("handrail: %.32q is no priority; it is one of %s", text, strings.Join(priorityNames[:], ", "))
	}
	*p = q
	return nil
}

// PriorityFunc chooses the priority of a request. It runs on the serving
// goroutine before anything else is done for the request: it must be quick,
// must not read the body, and must be safe for concurrent use.
type PriorityFunc func(*http.Request) Priority

// PriorityFromHeader reads the priority from a request header: a name in any
// letter case; absent, repeated or unknown means Normal.
//
// Whoever can set that header can jump the queue. Use it only where a proxy
// or gateway of yours removes the header from outside requests, or where all
// callers are your own services.
func PriorityFromHeader(header string) PriorityFunc {
	header = http.CanonicalHeaderKey(header)
	return func(r *http.Request) Priority {
		values := r.Header[header]
		if len(values) != 1 {
			return Normal
		}
		p, _ := ParsePriority(values[0])
		return p
	}
}

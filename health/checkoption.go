package health

import (
	"maps"
	"slices"
	"time"

	"github.com/handrail-go/handrail/internal/option"
)

// CheckOption changes one setting of a check. A later option wins.
type CheckOption func(*checkSettings)

// checkSettings are all that options can say of a check.
type checkSettings struct {
	option.Faults

	groups    Group
	degrading bool

	every   time.Duration
	jitter  float64
	timeout time.Duration
	maxAge  time.Duration // 0 is three intervals and a timeout

	failAfter, passAfter int
	initially            Status
	grace                time.Duration

	kind, id string
	affects  []string
	links    map[string]string
}

func usualSettings() checkSettings {
	return checkSettings{
		Faults:    option.Faults{Package: "health"},
		groups:    Ready,
		every:     10 * time.Second,
		jitter:    0.1,
		timeout:   2 * time.Second,
		failAfter: 3,
		passAfter: 1,
		kind:      "component",
	}
}

// maxEvery bounds durations, so that sums of them do not overflow.
const maxEvery = 24 * time.Hour

func (c *checkSettings) apply(opts []CheckOption) {
	for i, o := range opts {
		if o == nil {
			c.Fault("CheckOption", i, "is nil")
			continue
		}
		o(c)
	}
}

// settle finds the faults that no option has alone, and fills in MaxAge.
func (c *checkSettings) settle() {
	least := time.Duration(float64(c.every)*(1+c.jitter)) + c.timeout
	switch {
	case c.maxAge == 0:
		c.maxAge = 3*c.every + c.timeout
	case c.Err() == nil && c.maxAge < least:
		c.Fault("MaxAge", c.maxAge, "must be at least Every with its Jitter, and Timeout: "+least.String())
	}
}

// In says what the check counts for; Ready without this option.
func In(groups Group) CheckOption {
	return func(c *checkSettings) {
		if groups == 0 || groups&^All != 0 {
			c.Fault("In", uint8(groups), "must be Live, Ready, Startup, or several of them")
		}
		c.groups = groups
	}
}

// Degrading makes a failure of the check a warning: the service is worse off and
// still of use. Without this option a failing check fails its groups.
func Degrading() CheckOption { return func(c *checkSettings) { c.degrading = true } }

// Required takes Degrading back.
func Required() CheckOption { return func(c *checkSettings) { c.degrading = false } }

// Every is the time from the beginning of a run to that of the next, 1 ms to
// 24 h; 10 s without this option, 1 s of [Load] and [Breaker] and 1 min of
// [Certificate]. The first run begins at once. While one is under way no other
// begins.
func Every(d time.Duration) CheckOption {
	return func(c *checkSettings) {
		c.Lasting("Every", d, time.Millisecond, maxEvery)
		c.every = d
	}
}

// Jitter moves each interval at random by up to this share of it, 0 to 0.5; 0.1
// without this option. It keeps a fleet from asking all at the same moment.
func Jitter(share float64) CheckOption {
	return func(c *checkSettings) {
		c.Within("Jitter", share, 0, 0.5)
		c.jitter = share
	}
}

// Timeout is for how long a run may take, 1 ms to 24 h; 2 s without this option.
// Its context ends then, and it has failed.
func Timeout(d time.Duration) CheckOption {
	return func(c *checkSettings) {
		c.Lasting("Timeout", d, time.Millisecond, maxEvery)
		c.timeout = d
	}
}

// MaxAge is how old a result may be, up to 7 days; three intervals and a timeout
// without this option, and also with 0. What is older fails as stale. It must
// not be below one interval, with its jitter, and a timeout.
func MaxAge(d time.Duration) CheckOption {
	return func(c *checkSettings) {
		c.Lasting("MaxAge", d, 0, 7*24*time.Hour)
		c.maxAge = d
	}
}

// FailAfter is how many results in a row have to be worse than the check's
// status to make it worse, 1 to 1000; 3 without this option. It then becomes
// the best of them.
func FailAfter(n int) CheckOption {
	return func(c *checkSettings) {
		c.Count("FailAfter", n, 1, 1000)
		c.failAfter = n
	}
}

// PassAfter is how many results in a row have to be better than the check's
// status to make it better, 1 to 1000; 1 without this option. It then becomes
// the worst of them.
func PassAfter(n int) CheckOption {
	return func(c *checkSettings) {
		c.Count("PassAfter", n, 1, 1000)
		c.passAfter = n
	}
}

// Initially is the status before the first results: Pass, Warn or Fail, or
// Unknown as without this option, which passes for Live and fails for Ready and
// Startup.
func Initially(s Status) CheckOption {
	return func(c *checkSettings) {
		if s >= statuses {
			c.Fault("Initially", uint8(s), "must be Unknown, Pass, Warn or Fail")
		}
		c.initially = s
	}
}

// GracePeriod is the time after it was added in which results that are worse do
// not count, nor that there are none, 0 to 24 h; 0 without this option. A check
// that has not passed in it keeps its first status.
func GracePeriod(d time.Duration) CheckOption {
	return func(c *checkSettings) {
		c.Lasting("GracePeriod", d, 0, maxEvery)
		c.grace = d
	}
}

// Component tells the draft's componentType, "component", "datastore" or
// "system" or another standard term, and the componentId, which may be empty.
// Each is at most 256 bytes long.
func Component(kind, id string) CheckOption {
	return func(c *checkSettings) {
		if kind == "" || len(kind) > 256 {
			c.Fault("Component", kind, "needs a type of at most 256 bytes")
		}
		if len(id) > 256 {
			c.Fault("Component", id, "needs an id of at most 256 bytes")
		}
		c.kind, c.id = kind, id
	}
}

// Affects names the endpoints, as URI templates (RFC 6570), that suffer while
// the check does not pass; at most 32 of 256 bytes.
func Affects(endpoints ...string) CheckOption {
	return func(c *checkSettings) {
		if len(endpoints) > 32 {
			c.Fault("Affects", len(endpoints), "must not be more than 32")
		}
		for _, e := range endpoints {
			if e == "" || len(e) > 256 {
				c.Fault("Affects", e, "must be 1 to 256 bytes")
			}
		}
		c.affects = slices.Clone(endpoints)
	}
}

// Links are link relations and URIs that tell more; at most 16 of 512 bytes.
func Links(links map[string]string) CheckOption {
	return func(c *checkSettings) {
		if len(links) > 16 {
			c.Fault("Links", len(links), "must not be more than 16")
		}
		for _, relation := range slices.Sorted(maps.Keys(links)) {
			if relation == "" || len(relation)+len(links[relation]) > 512 {
				c.Fault("Links", relation, "must be 1 to 512 bytes with its URI")
			}
		}
		c.links = maps.Clone(links)
	}
}

package timeout

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/option"
)

const (
	// headerTime is how long the header of a request may take to arrive.
	headerTime = 10 * time.Second
	// idleTime is longer than the minute for which usual load balancers and
	// proxies keep an idle connection, so that it is them who close it, and no
	// request meets a connection that the server is closing.
	idleTime = 2 * time.Minute
	// spareTime is what the server allows beyond the longest timeout: for the
	// answer to be written, and for what stands outside of this policy.
	spareTime = 10 * time.Second
)

// ConfigureServer sets those of the server's four timeouts that are 0 to values
// that fit this policy, and leaves the others alone. Call it before the server
// serves; its timeouts are for all requests, also those that this policy does
// not see.
//
//   - ReadHeaderTimeout is 10 s, or ReadTimeout where that is shorter.
//   - ReadTimeout, for header and body of a request to arrive, is the longest
//     timeout plus ReadHeaderTimeout plus 10 s. A body that a handler reads ends
//     at its deadline before; this is for what the server itself reads after
//     handlers that did not.
//   - WriteTimeout, from the end of a request's header to the end of its
//     response, is the longest timeout plus 10 s.
//   - IdleTimeout, between two requests, is 2 min.
//
// WriteTimeout ends every response, however long it is meant to be. So it stays
// 0 unless [WithStreams] says [SpareNone], and this policy does without: what a
// client is slow to receive ends at the deadline, and for spared responses there
// are [WithIdleTimeout] and [WithWriteTimeout]. ReadTimeout stays 0 with
// [SpareAll], where a body may arrive for as long as its response is being sent.
// Both do where the longest timeout is not known, as with a [Calculator] of
// your own.
//
// It returns a [*handrail.OptionError] for each timeout that is set already and
// would get in the way, joined, and then changes nothing: a WriteTimeout that is
// not longer than the longest timeout (without the results of a calculator of
// your own) and than WithWriteTimeout, after which neither a handler nor this
// policy might be able to answer; a ReadTimeout that is not longer than
// [WithReadTimeout], which would take its place. A WriteTimeout that passes may
// still cut off what WithStreams spares.
func (t *Timeout) ConfigureServer(srv *http.Server) error {
	if srv == nil {
		return &handrail.OptionError{Package: "timeout", Option: "ConfigureServer", Reason: "needs a server"}
	}
	set := &t.set
	most, known := set.longest()
	write := max(most, set.writeTimeout)
	faults := option.Faults{Package: "timeout"}
	fault := func(setting string, is time.Duration, reason string, least time.Duration) {
		faults.Fault("ConfigureServer."+setting, is, fmt.Sprintf("must be 0 or longer than %v, "+reason, least))
	}
	if is := srv.WriteTimeout; is > 0 && is <= write {
		fault("WriteTimeout", is, "which a request may take", write)
	}
	if is := srv.ReadTimeout; is > 0 && is <= set.readTimeout {
		fault("ReadTimeout", is, "which WithReadTimeout allows", set.readTimeout)
	}
	if err := faults.Err(); err != nil {
		return err
	}

	if srv.ReadHeaderTimeout == 0 {
		srv.ReadHeaderTimeout = headerTime
		if srv.ReadTimeout > 0 {
			srv.ReadHeaderTimeout = min(headerTime, srv.ReadTimeout)
		}
	}
	if srv.IdleTimeout == 0 {
		srv.IdleTimeout = idleTime
	}
	if srv.ReadTimeout == 0 && known && set.streams != SpareAll {
		srv.ReadTimeout = beyond(max(most, set.readTimeout), spareTime+max(srv.ReadHeaderTimeout, 0))
	}
	if srv.WriteTimeout == 0 && known && set.streams == SpareNone {
		srv.WriteTimeout = beyond(write, spareTime)
	}
	return nil
}

// longest is the longest timeout that a request can have. Where that is not
// known it is the longest without the calculator, which may always leave it at
// that.
func (s *settings) longest() (most time.Duration, known bool) {
	most = s.fallback
	for _, d := range s.operations {
		most = max(most, d)
	}
	for _, d := range s.tenants {
		most = max(most, d)
	}
	if s.calculator == nil {
		return most, true
	}
	if b, ok := s.calculator.(bounded); ok {
		if bound, ok := b.bound(most); ok {
			return bound, true
		}
	}
	return most, false
}

// beyond returns d + more, or the longest Duration.
func beyond(d, more time.Duration) time.Duration {
	if d > math.MaxInt64-more {
		return math.MaxInt64
	}
	return d + more
}

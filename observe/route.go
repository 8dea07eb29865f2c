package observe

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/handrail-go/handrail/internal/text"
)

// OtherRoute is the route beyond as many as WithMaxRoutes allows, OtherMethod
// the method that is none of the standard's.
const (
	OtherRoute  = "_other"
	OtherMethod = "_OTHER"
)

// perRoute is for how many patterns of a route, which differ by method, the name
// is remembered.
const perRoute = 10

// maxRouteLen bounds a route in bytes.
const maxRouteLen = 256

// routes knows the names of the routes there have been, up to max, by pattern
// and by name. What is known is found without a lock, and so is what is too
// much.
type routes struct {
	max  int
	read atomic.Pointer[map[string]string]
	full atomic.Bool
	lost atomic.Uint64

	mu sync.Mutex
	// fresh are those that are not in read yet, which is copied only when it
	// has grown by a part of itself, so that n of them cost n steps and not n².
	fresh map[string]string
	// waits counts how often the lock was needed for a fresh one.
	waits int
	names int
}

func newRoutes(max int) *routes {
	r := &routes{max: max, fresh: map[string]string{}}
	r.read.Store(&map[string]string{})
	return r
}

// name returns the route of a pattern, "" for "".
func (r *routes) name(pattern string) string {
	if pattern == "" {
		return ""
	}
	if name, ok := (*r.read.Load())[pattern]; ok {
		return name
	}
	if !r.full.Load() {
		if name, ok := r.learn(pattern); ok {
			return name
		}
	}
	if name, ok := (*r.read.Load())[routeOf(pattern)]; ok {
		return name
	}
	r.lost.Add(1)
	return OtherRoute
}

// learn reports false where nothing is learned any more.
func (r *routes) learn(pattern string) (name string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name, ok = r.known(pattern); ok {
		if r.waits++; len(r.fresh) > 0 && r.waits > len(*r.read.Load())/8 {
			r.publish() // no others may ever come
		}
		return name, true
	}
	name = routeOf(pattern)
	same, ok := r.known(name)
	switch {
	case ok:
		name = same
	case r.names >= r.max:
		r.publish()
		r.full.Store(true)
		return "", false
	default:
		name = strings.Clone(name) // it may be a part of something long
		r.names++
		r.fresh[name] = name
	}
	r.fresh[strings.Clone(pattern)] = name
	known := len(*r.read.Load())
	if full := known+len(r.fresh) >= perRoute*r.max; full || len(r.fresh) > known/8 {
		r.publish()
		r.full.Store(full)
	}
	return name, true
}

func (r *routes) known(key string) (name string, ok bool) {
	if name, ok = (*r.read.Load())[key]; !ok {
		name, ok = r.fresh[key]
	}
	return name, ok
}

// publish makes the fresh ones known to all.
func (r *routes) publish() {
	all := maps.Clone(*r.read.Load())
	maps.Copy(all, r.fresh)
	r.read.Store(&all)
	clear(r.fresh)
	r.waits = 0
}

func (r *routes) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.names
}

// routeOf is a pattern of [http.ServeMux] without its method, and cut.
func routeOf(pattern string) string {
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		pattern = strings.TrimLeft(pattern[i:], " \t")
	}
	return text.Cut(strings.ToValidUTF8(pattern, "\uFFFD"), maxRouteLen)
}

// methodOf is one of the methods of RFC 9110, section 9.3, or PATCH (RFC 5789).
func methodOf(method string) string {
	switch method {
	case "GET", "":
		return http.MethodGet
	case "POST":
		return http.MethodPost
	case "PUT":
		return http.MethodPut
	case "DELETE":
		return http.MethodDelete
	case "HEAD":
		return http.MethodHead
	case "OPTIONS":
		return http.MethodOptions
	case "PATCH":
		return http.MethodPatch
	case "CONNECT":
		return http.MethodConnect
	case "TRACE":
		return http.MethodTrace
	}
	return OtherMethod
}

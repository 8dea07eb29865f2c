package health

import (
	"net/http"
	"strings"
)

// Wrap puts the probes in front of next: it answers at the paths of WithPaths,
// and at those of single checks below them, and passes on everything else. While
// the instance drains, what it passes on is answered with Connection: close over
// HTTP/1. It panics where next is nil.
func (h *Health) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("health: Wrap: the handler is nil")
	}
	return &middleware{h: h, next: next, paths: h.set.paths.each()}
}

type middleware struct {
	h     *Health
	next  http.Handler
	paths [views]string
}

// ServeHTTP implements [http.Handler].
func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if view, check, ok := match(&m.paths, r.URL.Path); ok {
		m.h.answer(w, r, view, check)
		return
	}
	if m.h.draining.Load() {
		hurry(w, r)
	}
	m.next.ServeHTTP(w, r)
}

// hurry has the client open no more requests on this connection. HTTP/2 has
// GOAWAY for that, which the server sends at its shutdown, and a connection that
// is to be taken over has headers of its own.
func hurry(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.Header["Upgrade"] == nil {
		w.Header()["Connection"] = closing
	}
}

// match finds the view of a path, and the check where the path names one.
func match(paths *[views]string, path string) (view int, check string, ok bool) {
	longest := 0 // one path may lie below another
	for i, p := range paths {
		if p == "" || len(path) < len(p) || path[:len(p)] != p {
			continue
		}
		if len(path) == len(p) {
			return i, "", true
		}
		if path[len(p)] == '/' && len(path) > len(p)+1 && len(p) > longest {
			longest = len(p)
			view, check, ok = i, path[len(p)+1:], true
		}
	}
	return view, check, ok
}

// ServeHTTP implements [http.Handler], so that a Health can be mounted on a mux:
// it answers at the paths of WithPaths, and below them, as Wrap does. At any
// other path it answers as /healthz.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	paths := h.set.paths.each()
	view, check, _ := match(&paths, r.URL.Path)
	h.answer(w, r, view, check)
}

// IsProbe says whether Wrap answers r itself: whether its path is one of
// WithPaths, or that of a check below one. It is for middleware further out that
// leaves probes alone, such as
//
//	observe.WithFilter(func(r *http.Request) bool { return !h.IsProbe(r) })
//	shed.WithExempt(h.IsProbe)
//
// It goes by the path alone, so a client can have any such request left alone,
// and gets nothing but an answer of Wrap for it. What is mounted on a mux at
// other paths it does not know.
func (h *Health) IsProbe(r *http.Request) bool {
	paths := h.set.paths.each()
	_, _, ok := match(&paths, r.URL.Path)
	return ok
}

// Handler answers for a group, whatever the path: Live, Ready, Startup or All.
// It panics for any other.
func (h *Health) Handler(g Group) http.Handler {
	for view, of := range viewGroups {
		if of == g {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.answer(w, r, view, "") })
		}
	}
	panic("health: Handler: " + g.String() + " is not Live, Ready, Startup or All")
}

// answer answers a probe. It runs no check and waits for none.
func (h *Health) answer(w http.ResponseWriter, r *http.Request, view int, check string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header()["Allow"] = allow
		wrongVerb.send(w, r)
		return
	}
	if h.draining.Load() {
		hurry(w, r)
	}
	s := h.current()
	v := &s.views[view]
	fields := r.Header["Accept"]
	if check == "" && r.URL.RawQuery == "" && (v.status != Fail || h.set.authorize == nil) && (len(fields) == 0 || len(fields) == 1 && fields[0] == "*/*") {
		v.brief.send(w, r)
		return
	}
	h.detailed(s, view, check, accepted(fields), r).send(w, r)
}

// detailed answers a probe that asks for more than how it is.
func (h *Health) detailed(s *snapshot, view int, check string, as format, r *http.Request) *answer {
	if len(r.URL.RawQuery) > maxQuery {
		return tooLong
	}
	v := &s.views[view]
	q := ask(r.URL.RawQuery)
	if check != "" {
		e := s.find(view, check)
		if e == nil {
			return missing
		}
		details := h.authorized(r)
		switch {
		case as != plain:
			return s.json(view, as, details, nil, e)
		case e.in[view] == Pass && !q.verbose:
			return fine
		default:
			return e.alone(view, details)
		}
	}
	if as == plain && !q.verbose && len(q.exclude) == 0 && v.status != Fail {
		return fine
	}
	if as == plain && !q.verbose && len(q.exclude) > 0 && s.status(view, &q.exclude) != Fail {
		return fine
	}
	details := h.authorized(r)
	if len(q.exclude) > 0 {
		return s.render(view, as, details, &q)
	}
	slot := int(as) * 2
	if details {
		slot++
	}
	kept := v.kept[slot].Load()
	if kept == nil {
		kept = s.render(view, as, details, nil)
		v.kept[slot].Store(kept)
	}
	return kept
}

func (s *snapshot) render(view int, as format, details bool, q *question) *answer {
	if as == plain {
		return s.text(view, details, q)
	}
	return s.json(view, as, details, q, nil)
}

// alone is the answer for one check.
func (e *entry) alone(view int, details bool) *answer {
	var out strings.Builder
	e.line(&out, view, details)
	return newAnswer(code(e.in[view]), plain, []byte(out.String()))
}

// authorized says whether a probe may see details.
func (h *Health) authorized(r *http.Request) (may bool) {
	if h.set.authorize == nil {
		return false
	}
	defer func() {
		if recover() != nil {
			may = false
		}
	}()
	return h.set.authorize(r)
}

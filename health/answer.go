package health

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answer is a response ready to be sent. It is safe for concurrent use.
type answer struct {
	code   int
	kind   []string
	length []string
	body   []byte
}

// Values shared by all answers. Their capacity is their length, so that
// appending to one makes a copy.
var (
	kinds   = [formats][]string{{"text/plain; charset=utf-8"}, {"application/health+json"}, {"application/json"}}
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
	allow   = []string{"GET, HEAD"}
	closing = []string{"close"}

	fine       = newAnswer(http.StatusOK, plain, []byte("ok"))
	missing    = newAnswer(http.StatusNotFound, plain, []byte("there is no such check\n"))
	wrongVerb  = newAnswer(http.StatusMethodNotAllowed, plain, []byte("only GET and HEAD are allowed\n"))
	tooLong    = newAnswer(http.StatusRequestURITooLong, plain, []byte("the query is too long\n"))
	notWritten = newAnswer(http.StatusServiceUnavailable, plain, []byte("the answer cannot be written\n"))
)

func newAnswer(code int, as format, body []byte) *answer {
	return &answer{code: code, kind: kinds[as], length: []string{strconv.Itoa(len(body))}, body: body}
}

func (a *answer) send(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["Content-Type"] = a.kind
	header["Content-Length"] = a.length
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	w.WriteHeader(a.code)
	if r.Method != http.MethodHead {
		w.Write(a.body) // a prober that has left is not told
	}
}

// withheld stands for a reason that is not shown.
const withheld = "reason withheld"

// line writes a check as the Kubernetes API server does.
func (e *entry) line(to writer, view int, details bool) {
	sign, word := "[+]", "ok"
	switch e.in[view] {
	case Warn:
		sign, word = "[!]", "degraded"
	case Fail:
		sign, word = "[-]", "failed"
	}
	to.WriteString(sign)
	to.WriteString(e.name)
	to.WriteByte(' ')
	to.WriteString(word)
	if e.in[view] > Pass {
		to.WriteString(": ")
		switch {
		case details || e.set == nil:
			to.WriteString(e.text)
		default:
			to.WriteString(withheld)
		}
	}
	to.WriteByte('\n')
}

// text lists the checks of a view.
func (s *snapshot) text(view int, details bool, q *question) *answer {
	var out bytes.Buffer
	var exclude *exclusion
	if q != nil {
		exclude = &q.exclude
	}
	for i := range s.entries {
		e := &s.entries[i]
		switch {
		case e.in[view] == Unknown:
		case exclude.has(e.name):
			out.WriteString("[+]" + e.name + " excluded: ok\n")
		default:
			e.line(&out, view, details)
		}
	}
	if unmatched := s.unmatched(view, exclude); unmatched != "" {
		out.WriteString("warn: " + unmatched + "\n")
	}
	status := s.status(view, exclude)
	if status == Fail {
		out.WriteString(viewNames[view] + " check failed\n")
	} else {
		out.WriteString(viewNames[view] + " check passed\n")
	}
	return newAnswer(code(status), plain, out.Bytes())
}

// unmatched says which excluded checks there are not, as the Kubernetes API
// server does.
func (s *snapshot) unmatched(view int, exclude *exclusion) string {
	if exclude == nil {
		return ""
	}
	var names []string
	for _, name := range *exclude {
		if s.find(view, name) == nil {
			names = append(names, strconv.QuoteToASCII(name))
		}
	}
	if names == nil {
		return ""
	}
	return "some health checks cannot be excluded: no matches for " + strings.Join(names, ",")
}

// document is the root of application/health+json (the draft, section 3).
type document struct {
	Status      string                 `json:"status"`
	Version     string                 `json:"version,omitempty"`
	ReleaseID   string                 `json:"releaseId,omitempty"`
	Notes       []string               `json:"notes,omitempty"`
	Output      string                 `json:"output,omitempty"`
	Checks      map[string][]component `json:"checks,omitempty"`
	Links       map[string]string      `json:"links,omitempty"`
	ServiceID   string                 `json:"serviceId,omitempty"`
	Description string                 `json:"description,omitempty"`
}

// component is one of its checks (the draft, section 4).
type component struct {
	ComponentID       string            `json:"componentId,omitempty"`
	ComponentType     string            `json:"componentType,omitempty"`
	ObservedValue     *float64          `json:"observedValue,omitempty"`
	ObservedUnit      string            `json:"observedUnit,omitempty"`
	Status            string            `json:"status"`
	AffectedEndpoints []string          `json:"affectedEndpoints,omitempty"`
	Time              string            `json:"time,omitempty"`
	Output            string            `json:"output,omitempty"`
	Links             map[string]string `json:"links,omitempty"`
}

// describe adds a check to a document.
func (d *document) describe(e *entry, view int, details bool) {
	status := e.in[view]
	c := component{Status: status.String()}
	if e.set == nil {
		c.ComponentType = "system"
	} else {
		c.ComponentType = e.set.kind
	}
	if !e.at.IsZero() {
		c.Time = e.at.UTC().Format(time.RFC3339Nano)
	}
	if status != Pass && (details || e.set == nil) {
		c.Output = e.text
	}
	if !details || e.set == nil {
		d.Checks[e.name] = []component{c}
		return
	}
	c.ComponentID, c.Links = e.set.id, e.set.links
	if status != Pass {
		c.AffectedEndpoints = e.set.affects
	}
	if e.at.IsZero() {
		d.Checks[e.name] = []component{c}
		return
	}
	// What it measured says the same of the same run.
	for _, o := range slices.Concat(e.measured, []Observation{{"responseTime", milliseconds(e.took), "ms"}}) {
		c.ObservedValue, c.ObservedUnit = &o.Value, o.Unit
		if _, told := d.Checks[e.name+":"+o.Measurement]; !told {
			d.Checks[e.name+":"+o.Measurement] = []component{c}
		}
	}
}

func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }

// json describes the checks of a view, or one of them alone.
func (s *snapshot) json(view int, as format, details bool, q *question, only *entry) *answer {
	var exclude *exclusion
	if q != nil {
		exclude = &q.exclude
	}
	status := s.status(view, exclude)
	d := document{Checks: map[string][]component{}}
	if only != nil {
		status = only.in[view]
		d.describe(only, view, details)
	}
	var failed, degraded []string
	for i := range s.entries {
		e := &s.entries[i]
		if e.in[view] == Unknown || exclude.has(e.name) || only != nil && e != only {
			continue
		}
		switch e.in[view] {
		case Fail:
			failed = append(failed, e.name)
		case Warn:
			degraded = append(degraded, e.name)
		}
		if only == nil {
			d.describe(e, view, details)
		}
	}
	d.Status = status.String()
	if failed != nil {
		d.Output = "failed: " + strings.Join(failed, ", ")
	}
	if degraded != nil {
		if d.Output != "" {
			d.Output += "; "
		}
		d.Output += "degraded: " + strings.Join(degraded, ", ")
	}
	if details {
		a := &s.set.about
		d.Version, d.ReleaseID, d.ServiceID, d.Description, d.Links = a.Version, a.ReleaseID, a.ServiceID, a.Description, a.Links
		d.Notes = append(d.Notes, a.Notes...)
	}
	if unmatched := s.unmatched(view, exclude); unmatched != "" {
		d.Notes = append(d.Notes, unmatched)
	}
	body, err := json.Marshal(d)
	if err != nil {
		return notWritten
	}
	return newAnswer(code(status), as, append(body, '\n'))
}

// writer is what a line is written to.
type writer interface {
	WriteString(string) (int, error)
	WriteByte(byte) error
}

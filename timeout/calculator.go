package timeout

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
)

// Calculator chooses the timeout of a request. base is what applies without
// it, and a result of 0 or less means that: no calculator makes a request time
// out at once. A deadline that the request has already is never exceeded,
// whatever the result.
//
// Timeout runs on the serving goroutine before the handler: it must be quick,
// must not read the body, and must be safe for concurrent use. If it panics,
// the panic is that of the request.
//
// The calculators of this package never return less than 1 ns for a base above
// 0, and 0 for any other. Where a result would be longer than a Duration can
// be, it is the longest. What is wrong with their settings is told by [New].
type Calculator interface {
	Timeout(r *http.Request, base time.Duration) time.Duration
}

// CalculatorFunc is a function as a [Calculator].
type CalculatorFunc func(r *http.Request, base time.Duration) time.Duration

// Timeout calls f.
func (f CalculatorFunc) Timeout(r *http.Request, base time.Duration) time.Duration {
	return f(r, base)
}

func (f CalculatorFunc) faults() []error {
	var found flaws
	if f == nil {
		found.add("CalculatorFunc", nil, "needs a function")
	}
	return found
}

// faulty is a calculator that knows what is wrong with it: each a
// *handrail.OptionError. Used nonetheless, it returns the base.
type faulty interface{ faults() []error }

// flaws are what is wrong with a calculator.
type flaws []error

func (f flaws) faults() []error { return f }

func (f *flaws) add(option string, value any, reason string) {
	*f = append(*f, &handrail.OptionError{Package: "timeout", Option: option, Value: value, Reason: reason})
}

// setting returns v, or standard for 0, and notes a fault, returning standard,
// unless lo <= v <= hi.
func setting[T int | int64 | float64 | time.Duration](f *flaws, option string, v, standard, lo, hi T) T {
	switch {
	case v == 0:
		return standard
	case v >= lo && v <= hi:
		return v
	default:
		f.add(option, v, fmt.Sprintf("must be between %v and %v", lo, hi))
		return standard
	}
}

// bounded is a calculator whose longest result is known.
type bounded interface {
	// bound returns the longest timeout there is for any base up to this one,
	// or false where that is not known after all.
	bound(base time.Duration) (time.Duration, bool)
}

// scaled returns d × factor, from 1 ns to the longest Duration; 0 for a d that
// is not above 0.
func scaled(d time.Duration, factor float64) time.Duration {
	if d <= 0 {
		return 0
	}
	product := float64(d) * factor
	switch {
	case factor == 1 || product != product:
		return d
	case product >= math.MaxInt64:
		return math.MaxInt64
	default:
		return max(time.Duration(product), 1)
	}
}

// ComplexityFactors are the factors of [ByComplexity]. Zero fields keep their
// defaults. A factor of 1 has no effect; each is between 0.001 and 1000.
type ComplexityFactors struct {
	// Read is for GET, HEAD and OPTIONS; ½.
	Read float64
	// Write is for POST, PUT and PATCH; 2.
	Write float64
	// Delete is for DELETE; 3.
	Delete float64
	// Query is for more than QueryLimit query parameters, 1 to 1000; 2 and 5.
	// Parameters are what stands between &, empty ones not counted; they are
	// not decoded. Only the first 4 KiB of a query are looked at.
	Query      float64
	QueryLimit int
	// Body is for a request body of more than BodyLimit bytes; 3 and 1 MiB. It
	// is the declared length that counts: a body of unknown length (chunked,
	// or without a length over HTTP/2) is none.
	Body      float64
	BodyLimit int64
	// Max bounds the product of all that apply; 10.
	Max float64
}

// queryScan is how many bytes of a query are looked at.
const queryScan = 4 << 10

// ByComplexity gives requests that look like more work more time: the factors
// that apply are multiplied, up to Max times base. Methods that none of them
// names have the factor 1.
//
// All this is in the client's hands: one that adds parameters nobody reads can
// stretch its own timeout up to Max times.
func ByComplexity(factors ComplexityFactors) Calculator {
	c := new(byComplexity)
	const lo, hi = 0.001, 1000.0
	for _, f := range []struct {
		field    string
		to       *float64
		v        float64
		standard float64
	}{
		{"Read", &c.read, factors.Read, 0.5},
		{"Write", &c.write, factors.Write, 2},
		{"Delete", &c.delete, factors.Delete, 3},
		{"Query", &c.query, factors.Query, 2},
		{"Body", &c.body, factors.Body, 3},
		{"Max", &c.most, factors.Max, 10},
	} {
		*f.to = setting(&c.flaws, "ByComplexity."+f.field, f.v, f.standard, lo, hi)
	}
	c.queryLimit = setting(&c.flaws, "ByComplexity.QueryLimit", factors.QueryLimit, 5, 1, 1000)
	c.bodyLimit = setting(&c.flaws, "ByComplexity.BodyLimit", factors.BodyLimit, 1<<20, 1, math.MaxInt64)
	return c
}

type byComplexity struct {
	flaws
	read, write, delete, query, body, most float64
	queryLimit                             int
	bodyLimit                              int64
}

func (c *byComplexity) Timeout(r *http.Request, base time.Duration) time.Duration {
	if c.flaws != nil {
		return max(base, 0)
	}
	factor := 1.0
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, "": // "" is GET in a client
		factor = c.read
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		factor = c.write
	case http.MethodDelete:
		factor = c.delete
	}
	if r.URL != nil && hasMoreParameters(r.URL.RawQuery, c.queryLimit) {
		factor *= c.query
	}
	if r.ContentLength > c.bodyLimit {
		factor *= c.body
	}
	return scaled(base, min(factor, c.most))
}

func (c *byComplexity) bound(base time.Duration) (time.Duration, bool) {
	worst := max(1, c.read, c.write, c.delete) * max(1, c.query) * max(1, c.body)
	return scaled(base, max(1, min(worst, c.most))), true
}

// hasMoreParameters reports whether query has more than limit parameters.
func hasMoreParameters(query string, limit int) bool {
	n, inside := 0, false
	for i := range min(len(query), queryScan) {
		if query[i] == '&' {
			inside = false
		} else if !inside {
			inside = true
			if n++; n > limit {
				return true
			}
		}
	}
	return false
}

// priorityFactors are indexed by rank.
var priorityFactors = [handrail.Priorities]float64{5, 2, 1, 0.5, 0.25}

// ByPriority gives what matters more more time: critical 5 times base, high
// twice, normal base, low half, background a quarter. It needs a function.
func ByPriority(priority handrail.PriorityFunc) Calculator {
	c := &byPriority{priority: priority}
	if priority == nil {
		c.add("ByPriority", nil, "needs a function")
	}
	return c
}

type byPriority struct {
	flaws
	priority handrail.PriorityFunc
}

func (c *byPriority) Timeout(r *http.Request, base time.Duration) time.Duration {
	if c.flaws != nil {
		return max(base, 0)
	}
	return scaled(base, priorityFactors[c.priority(r).Rank()])
}

func (c *byPriority) bound(base time.Duration) (time.Duration, bool) {
	return scaled(base, priorityFactors[0]), true
}

// Load is how busy the service is, as [ByLoad] is told. What is unknown is 0.
type Load struct {
	// CPU, Memory and ErrorRate are shares, 0 to 1. What is outside counts as
	// the nearer end, NaN as 0.
	CPU, Memory, ErrorRate float64
	// InFlight is how many requests are being served.
	InFlight int
}

// LoadWeights are the weights of [ByLoad]. Zero fields keep their defaults; to
// leave a signal out, leave it 0 in [Load]. Each weight is between 0 and 100.
type LoadWeights struct {
	// CPU, Memory and ErrorRate are what is added to the factor at a share of
	// 1, in proportion below; 0.5, 0.3 and 0.4.
	CPU, Memory, ErrorRate float64
	// InFlight is added while more than InFlightLimit requests are being
	// served; 0.2 and 100.
	InFlight      float64
	InFlightLimit int
	// Max bounds the factor, 1 to 1000; 5.
	Max float64
}

// ByLoad gives every request more time while the service is busy, so that what
// is only slower than usual is still served. The factor is
//
//	1 + 0.5·CPU + 0.3·Memory + 0.2 if InFlight > 100 + 0.4·ErrorRate
//
// with the default weights. It does not relieve an overloaded service, since
// work then occupies it for longer: shed load before, or use
// [ShortenUnderLoad]. load is called for every request, and NaN is no load.
func ByLoad(load func() Load, weights LoadWeights) Calculator {
	c := &byLoad{load: load}
	if load == nil {
		c.add("ByLoad", nil, "needs a function")
	}
	for _, w := range []struct {
		field    string
		to       *float64
		v        float64
		standard float64
	}{
		{"CPU", &c.weights.CPU, weights.CPU, 0.5},
		{"Memory", &c.weights.Memory, weights.Memory, 0.3},
		{"ErrorRate", &c.weights.ErrorRate, weights.ErrorRate, 0.4},
		{"InFlight", &c.weights.InFlight, weights.InFlight, 0.2},
	} {
		*w.to = setting(&c.flaws, "ByLoad."+w.field, w.v, w.standard, 0, 100)
	}
	c.weights.InFlightLimit = setting(&c.flaws, "ByLoad.InFlightLimit", weights.InFlightLimit, 100, 1, math.MaxInt)
	c.weights.Max = setting(&c.flaws, "ByLoad.Max", weights.Max, 5, 1, 1000)
	return c
}

type byLoad struct {
	flaws
	load    func() Load
	weights LoadWeights
}

func (c *byLoad) Timeout(_ *http.Request, base time.Duration) time.Duration {
	if c.flaws != nil {
		return max(base, 0)
	}
	l, w := c.load(), &c.weights
	factor := 1 + w.CPU*share(l.CPU) + w.Memory*share(l.Memory) + w.ErrorRate*share(l.ErrorRate)
	if l.InFlight > w.InFlightLimit {
		factor += w.InFlight
	}
	return scaled(base, min(factor, w.Max))
}

func (c *byLoad) bound(base time.Duration) (time.Duration, bool) {
	w := &c.weights
	return scaled(base, min(1+w.CPU+w.Memory+w.ErrorRate+w.InFlight, w.Max)), true
}

// share returns v within 0 … 1, and 0 for NaN.
func share(v float64) float64 {
	if !(v > 0) {
		return 0
	}
	return min(v, 1)
}

// ShortenUnderLoad gives every request less time while the service is
// overloaded, so that work which is late anyway gives its place up sooner. The
// timeout is base up to a pressure of 1, base ÷ pressure beyond, and never less
// than the share floor of base, 0.01 to 1; 0 stands for ¼.
//
// Pressure is 0 for an idle service, 1 at the threshold, and more for an
// overloaded one, as the method Pressure of load.Sampler returns it; it is
// asked for every request. NaN changes nothing.
func ShortenUnderLoad(pressure func() float64, floor float64) Calculator {
	c := &shortener{pressure: pressure}
	if pressure == nil {
		c.add("ShortenUnderLoad", nil, "needs a function")
	}
	c.floor = setting(&c.flaws, "ShortenUnderLoad.floor", floor, 0.25, 0.01, 1)
	return c
}

type shortener struct {
	flaws
	pressure func() float64
	floor    float64
}

func (c *shortener) Timeout(_ *http.Request, base time.Duration) time.Duration {
	if c.flaws != nil {
		return max(base, 0)
	}
	pressure := c.pressure()
	if !(pressure > 1) {
		return max(base, 0)
	}
	return scaled(base, max(1/pressure, c.floor))
}

func (c *shortener) bound(base time.Duration) (time.Duration, bool) { return base, true }

// Compose applies calculators in this order, each to the result of the one
// before; a result of 0 or less leaves that as it is. Without any it returns
// base.
func Compose(calculators ...Calculator) Calculator {
	c := new(composed)
	for i, calc := range calculators {
		if calc == nil {
			c.add(fmt.Sprintf("Compose[%d]", i), nil, "needs a calculator")
			continue
		}
		if f, ok := calc.(faulty); ok {
			c.flaws = append(c.flaws, f.faults()...)
		}
		o, _ := calc.(observer)
		c.parts = append(c.parts, part{calc, o})
	}
	return c
}

type composed struct {
	flaws
	parts []part
}

// part is a calculator, which is an observer too where it learns.
type part struct {
	Calculator
	observer observer
}

func (c *composed) Timeout(r *http.Request, base time.Duration) time.Duration {
	d, _ := c.begin(r, base)
	return d
}

func (c *composed) begin(r *http.Request, base time.Duration) (time.Duration, lesson) {
	d, all := max(base, 0), lesson{}
	if c.flaws != nil {
		return d, all
	}
	for _, p := range c.parts {
		var own time.Duration
		if p.observer == nil {
			own = p.Timeout(r, d)
		} else {
			var one lesson
			own, one = p.observer.begin(r, d)
			all = one.after(all)
		}
		if own > 0 {
			d = own
		}
	}
	for l := &all; l != nil; l = l.before {
		l.final = d
	}
	return d, all
}

// after returns a lesson that teaches l and what before teaches.
func (l lesson) after(before lesson) lesson {
	switch {
	case before.about == nil:
		return l
	case l.about == nil:
		return before
	case l.before != nil:
		before = l.before.after(before)
	}
	linked := before // not before itself, which would then always be allocated
	l.before = &linked
	return l
}

func (c *composed) bound(base time.Duration) (time.Duration, bool) {
	longest := base
	for _, p := range c.parts {
		b, ok := p.Calculator.(bounded)
		if !ok {
			return 0, false
		}
		d, known := b.bound(longest)
		if !known {
			return 0, false
		}
		longest = d
	}
	return longest, true
}

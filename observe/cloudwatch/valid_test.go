package cloudwatch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// document is a line as a strict reader sees it: no name twice, numbers as they
// are written.
type document struct {
	root map[string]any
	meta struct {
		Timestamp         *int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct {
				Name, Unit        string
				StorageResolution *int
			}
		}
		LogGroupName *string
	}
}

var units = map[string]bool{}

func init() {
	for _, u := range strings.Fields("Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes " +
		"Bits Kilobits Megabits Gigabits Terabits Percent Count None") {
		units[u] = true
	}
	for _, u := range strings.Fields("Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits Terabits Count") {
		units[u+"/Second"] = true
	}
}

// read checks a line against the rules of the specification, written down here a
// second time and in another way than in the package.
func read(line []byte) (d document, err error) {
	fail := func(format string, args ...any) (document, error) { return d, fmt.Errorf(format, args...) }
	if len(line) == 0 || line[len(line)-1] != '\n' || bytes.ContainsAny(line[:len(line)-1], "\n\r\x00\u2028\u2029\u0085") {
		return fail("not one line")
	}
	if len(line) > 1_000_000 {
		return fail("%d bytes", len(line))
	}
	if !utf8.Valid(line) {
		return fail("no UTF-8")
	}
	if line[0] != '{' {
		return fail("not an object from the first byte")
	}
	if err := distinct(line); err != nil {
		return d, err
	}
	in := json.NewDecoder(bytes.NewReader(line))
	in.UseNumber()
	if err := in.Decode(&d.root); err != nil {
		return d, err
	}
	meta, err := json.Marshal(d.root["_aws"])
	if err != nil {
		return d, err
	}
	strict := json.NewDecoder(bytes.NewReader(meta))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d.meta); err != nil {
		return d, err
	}
	if d.meta.Timestamp == nil {
		return fail("no timestamp")
	}
	now := time.Now()
	if at := time.UnixMilli(*d.meta.Timestamp); at.Before(now.Add(-14*24*time.Hour-time.Minute)) || at.After(now.Add(2*time.Hour+time.Minute)) {
		return fail("its time is %v", at)
	}
	if len(d.meta.CloudWatchMetrics) != 1 {
		return fail("%d directives", len(d.meta.CloudWatchMetrics))
	}
	for _, directive := range d.meta.CloudWatchMetrics {
		if n := len(directive.Namespace); n < 1 || n > 255 || directive.Namespace[0] == ':' || !ascii(directive.Namespace) {
			return fail("namespace %q", directive.Namespace)
		}
		if len(directive.Dimensions) == 0 || len(directive.Metrics) == 0 || len(directive.Metrics) > 100 {
			return fail("%d sets, %d metrics", len(directive.Dimensions), len(directive.Metrics))
		}
		dimensions := map[string]bool{}
		for _, set := range directive.Dimensions {
			if len(set) > 30 {
				return fail("%d dimensions", len(set))
			}
			for _, name := range set {
				dimensions[name] = true
				value, ok := d.root[name].(string)
				if len(name) < 1 || len(name) > 250 || name[0] == ':' || !ascii(name) || name == "_aws" {
					return fail("dimension %q", name)
				}
				if !ok || len(value) < 1 || len(value) > 1024 || !ascii(value) {
					return fail("dimension %q is %q", name, d.root[name])
				}
			}
		}
		seen := map[string]bool{}
		for _, m := range directive.Metrics {
			if len(m.Name) < 1 || len(m.Name) > 255 || !ascii(m.Name) || m.Name == "_aws" || dimensions[m.Name] || seen[m.Name] {
				return fail("metric %q", m.Name)
			}
			seen[m.Name] = true
			if m.Unit != "" && !units[m.Unit] {
				return fail("unit %q", m.Unit)
			}
			if r := m.StorageResolution; r != nil && *r != 1 && *r != 60 {
				return fail("resolution %d", *r)
			}
			if values, err := d.values(m.Name); err != nil || len(values) < 1 || len(values) > 100 {
				return fail("metric %q has %d values: %v", m.Name, len(values), err)
			}
		}
	}
	return d, nil
}

func ascii(s string) bool {
	return strings.TrimSpace(s) != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

func (d document) values(name string) (out []float64, err error) {
	list, ok := d.root[name].([]any)
	if !ok {
		list = []any{d.root[name]}
	}
	for _, v := range list {
		n, ok := v.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v is no number", v)
		}
		f, err := n.Float64()
		if err != nil || math.Abs(f) > math.Pow(2, 360) {
			return nil, fmt.Errorf("%v is out of range", v)
		}
		out = append(out, f)
	}
	return out, nil
}

// distinct fails where an object of the text has a name twice. What is in "raw" within
// "app" is the program's own JSON.
func distinct(text []byte) error {
	in := json.NewDecoder(bytes.NewReader(text))
	type level struct {
		names  map[string]bool // nil in an array
		isName bool
	}
	var stack []*level
	own := 0 // how deep "raw" is, once it is reached
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			if len(stack) > 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		var top *level
		if len(stack) > 0 {
			top = stack[len(stack)-1]
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			if stack = stack[:len(stack)-1]; len(stack) < own {
				own = 0
			}
			continue
		}
		if top != nil && top.names != nil && top.isName {
			name := token.(string)
			if name == "raw" && own == 0 && len(stack) > 1 {
				own = len(stack) + 1
			}
			if top.names[name] && (own == 0 || len(stack) < own) {
				return fmt.Errorf("%q is there twice", name)
			}
			top.names[name], top.isName = true, false
			continue
		}
		if top != nil {
			top.isName = true
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, &level{map[string]bool{}, true})
		case json.Delim('['):
			stack = append(stack, &level{})
		}
	}
}

// documents reads all lines, each of which must be valid.
func documents(t *testing.T, text []byte) (all []document) {
	t.Helper()
	for line := range bytes.Lines(text) {
		d, err := read(line)
		if err != nil {
			t.Fatalf("%v: %.2000s", err, line)
		}
		all = append(all, d)
	}
	return all
}

// The rules of the tests find what they are there for.
func TestTheRulesOfTheTestsFindEveryFault(t *testing.T) {
	line := func(meta, rest string) string { return `{"_aws":{` + meta + `},` + rest + "}\n" }
	now := fmt.Sprintf(`"Timestamp":%d,`, time.Now().UnixMilli())
	directive := func(s string) string { return now + `"CloudWatchMetrics":[{` + s + `}]` }
	ok := directive(`"Namespace":"N","Dimensions":[["d"]],"Metrics":[{"Name":"m"}]`)
	if _, err := read([]byte(line(ok, `"d":"v","m":1`))); err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat("1,", 100) + "1"
	for what, text := range map[string]string{
		"no line feed":      strings.TrimSuffix(line(ok, `"d":"v","m":1`), "\n"),
		"something before":  " " + line(ok, `"d":"v","m":1`),
		"a name twice":      line(ok, `"d":"v","m":1,"m":2`),
		"no dimension":      line(ok, `"m":1`),
		"a number for one":  line(ok, `"d":1,"m":1`),
		"an empty one":      line(ok, `"d":"","m":1`),
		"one too long":      line(ok, `"d":"`+strings.Repeat("v", 1025)+`","m":1`),
		"one not printable": line(ok, `"d":"\u0007","m":1`),
		"no metric":         line(ok, `"d":"v"`),
		"a text for one":    line(ok, `"d":"v","m":"1"`),
		"one beyond":        line(ok, `"d":"v","m":1e109`),
		"too many values":   line(ok, `"d":"v","m":[`+many+`]`),
		"no values":         line(ok, `"d":"v","m":[]`),
		"a nested array":    line(ok, `"d":"v","m":[[1]]`),
		"an unknown member": line(directive(`"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"m"}],"X":1`), `"m":1`),
		"an unknown unit":   line(directive(`"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"m","Unit":"Miles"}]`), `"m":1`),
		"no sets":           line(directive(`"Namespace":"N","Dimensions":[],"Metrics":[{"Name":"m"}]`), `"m":1`),
		"both":              line(directive(`"Namespace":"N","Dimensions":[["m"]],"Metrics":[{"Name":"m"}]`), `"m":"1"`),
		"a metric twice":    line(directive(`"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"m"},{"Name":"m"}]`), `"m":1`),
		"no namespace":      line(directive(`"Dimensions":[[]],"Metrics":[{"Name":"m"}]`), `"m":1`),
		"an old time":       line(`"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"m"}]}]`, `"m":1`),
		"too long":          line(ok, `"d":"v","m":1,"x":"`+strings.Repeat("x", 1_000_000)+`"`),
	} {
		if _, err := read([]byte(text)); err == nil {
			t.Errorf("%s: passes", what)
		}
	}
}

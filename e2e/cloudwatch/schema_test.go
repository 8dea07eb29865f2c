package cloudwatch_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// format is the schema, and the parts of it that apply by name.
type format struct{ root, dimension, metric *jsonschema.Schema }

func schema(t *testing.T) format {
	t.Helper()
	c := jsonschema.NewCompiler()
	at := func(where string) *jsonschema.Schema {
		s, err := c.Compile("testdata/emf.schema.json" + where)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return format{at(""), at("#/$defs/dimensionValue"), at("#/$defs/metricValue")}
}

// validate checks one line.
func (f format) validate(line []byte) error {
	text, ok := bytes.CutSuffix(line, []byte("\n"))
	if !ok || bytes.ContainsAny(text, "\n\r") || len(line) > 1_000_000 {
		return fmt.Errorf("not one line of at most 1 MB")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := f.root.Validate(doc); err != nil {
		return err
	}
	root := doc.(map[string]any)
	for _, d := range root["_aws"].(map[string]any)["CloudWatchMetrics"].([]any) {
		directive := d.(map[string]any)
		dimensions := map[string]bool{}
		for _, set := range directive["Dimensions"].([]any) {
			for _, name := range set.([]any) {
				dimensions[name.(string)] = true
				if err := f.dimension.Validate(root[name.(string)]); err != nil {
					return fmt.Errorf("dimension %s: %w", name, err)
				}
			}
		}
		seen := map[string]bool{}
		for _, m := range directive["Metrics"].([]any) {
			name := m.(map[string]any)["Name"].(string)
			if dimensions[name] || seen[name] {
				return fmt.Errorf("metric %s is there twice, or is a dimension", name)
			}
			seen[name] = true
			if err := f.metric.Validate(root[name]); err != nil {
				return fmt.Errorf("metric %s: %w", name, err)
			}
		}
	}
	return nil
}

type page struct {
	mu    sync.Mutex
	lines [][]byte
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, bytes.Clone(b))
	return len(b), nil
}

// The example of the specification, and what breaks it.
func TestTheSchemaTakesTheExampleAndFindsFaults(t *testing.T) {
	f := schema(t)
	const example = `{"_aws":{"Timestamp":1574109732004,"CloudWatchMetrics":[{"Namespace":"lambda-function-metrics","Dimensions":[["functionVersion"]],` +
		`"Metrics":[{"Name":"time","Unit":"Milliseconds","StorageResolution":60}]}]},"functionVersion":"$LATEST","time":100,"requestId":"989ffbf8"}` + "\n"
	if err := f.validate([]byte(example)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"Timestamp":1574109732004,`, ``}, {`"Timestamp":1574109732004`, `"Timestamp":"now"`}, {`"Namespace":"lambda-function-metrics",`, ``},
		{`"Milliseconds"`, `"Fortnights"`}, {`:60`, `:30`}, {`"time":100`, `"time":"100"`}, {`"time":100`, `"time":[[100]]`},
		{`"time":100`, `"time":1e109`}, {`"time":100`, `"time":{"Max":1}`}, {`,"time":100`, ``}, {`"functionVersion":"$LATEST",`, ``},
		{`"functionVersion":"$LATEST"`, `"functionVersion":""`}, {`["functionVersion"]`, `[":functionVersion"]`}, {`[["functionVersion"]]`, `[]`},
		{`"Metrics":[`, `"X":1,"Metrics":[`}, {`"requestId"`, "\"a\":\n1,\"requestId\""}, {`["functionVersion"]`, `["functionVersion","time"]`},
	} {
		broken := strings.Replace(example, change[0], change[1], 1)
		if broken == example {
			t.Fatalf("%s is not there", change[0])
		}
		if f.validate([]byte(broken)) == nil {
			t.Errorf("passes: %s", broken)
		}
	}
}

// A whole stack under traffic that goes well, is refused, panics and is forged,
// in both modes: every line that it writes is valid.
func TestEveryLineOfARunningStackMatchesTheSchema(t *testing.T) {
	f := schema(t)
	for _, mode := range []cloudwatch.Mode{cloudwatch.Aggregated, cloudwatch.PerRequest} {
		sampler, err := load.New()
		check(t, err)
		defer sampler.Close()
		sh, err := shed.New(shed.WithName("front"))
		check(t, err)
		to, err := timeout.New(timeout.Basic(time.Second))
		check(t, err)
		re, err := retry.New()
		check(t, err)
		br, err := breaker.New(breaker.WithName("orders"))
		check(t, err)
		bu, err := bulkhead.New(bulkhead.WithLimit(4), bulkhead.WithMaxWait(0))
		check(t, err)
		p := &page{}
		m, err := cloudwatch.NewMetrics(p, cloudwatch.WithMode(mode), cloudwatch.WithService("shop"), cloudwatch.WithConstant("Environment", "test"),
			cloudwatch.WithDimensions([]string{cloudwatch.Service}, []string{cloudwatch.Service, cloudwatch.Method, cloudwatch.Route, cloudwatch.StatusCode, cloudwatch.ErrorType}),
			cloudwatch.WithHighResolution(), cloudwatch.WithLogGroup("/shop/web"), cloudwatch.WithLineLevel("INFO"),
			cloudwatch.WithSources(sampler, sh, to, re, br, bu))
		check(t, err)
		o, err := observe.New(observe.WithSink(m), observe.WithRequestIDs(), observe.WithAttrs(8))
		check(t, err)
		mux := http.NewServeMux()
		mux.HandleFunc("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
			observe.AddAttrs(r.Context(), slog.String("id", r.PathValue("id")), slog.Any("any", map[string]any{"n": 1}))
			time.Sleep(time.Millisecond)
			fmt.Fprint(w, "ok")
		})
		mux.HandleFunc("/größe", func(w http.ResponseWriter, r *http.Request) {})
		mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) })
		mux.HandleFunc("/panics", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		s := httptest.NewServer(o.Wrap(sh.Wrap(to.Wrap(re.Wrap(br.Wrap(bu.Wrap(mux)))))))
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i, path := range []string{"/orders/1", "/orders/%22%7D%0A%E2%80%A8", "/gr%C3%B6%C3%9Fe", "/fails", "/panics", "/nowhere/%00"} {
					r, _ := http.NewRequest([]string{"GET", "POST", "FORGED"}[(w+i)%3], s.URL+path+"?token=secret", nil)
					if resp, err := s.Client().Do(r); err == nil {
						resp.Body.Close()
					}
				}
			})
		}
		wg.Wait()
		s.Close()
		check(t, m.Close(context.Background()))
		if len(p.lines) < 10 {
			t.Errorf("%v: %d lines only", mode, len(p.lines))
		}
		for _, line := range p.lines {
			if err := f.validate(line); err != nil {
				t.Errorf("%v: %v: %s", mode, err, line)
			}
			if bytes.Contains(line, []byte("secret")) {
				t.Errorf("%v: the query is in %s", mode, line)
			}
		}
		if st := m.Stats(); st.Dropped != 0 || st.FailedLines != 0 {
			t.Errorf("%v: the figures are %+v", mode, st)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLinesOfOnesOwnMatchTheSchemaUpToTheLimits(t *testing.T) {
	f := schema(t)
	p := &page{}
	m, err := cloudwatch.NewMetrics(p, cloudwatch.WithMode(cloudwatch.PerRequest))
	check(t, err)
	l := m.Line()
	for i := range 30 {
		l.Dimension(fmt.Sprint("d", i), strings.Repeat("v", 1024))
	}
	for i := range 100 {
		l.Metric(fmt.Sprint("m", i), cloudwatch.Percent, make([]float64, 100)...)
	}
	check(t, l.Write())
	check(t, m.Line().Metric("n", "", -2.3485425827738332e108, 1e-300).Text("t", "\u2028\x00\xff").Write())
	for _, line := range p.lines {
		if err := f.validate(line); err != nil {
			t.Error(err)
		}
	}
}

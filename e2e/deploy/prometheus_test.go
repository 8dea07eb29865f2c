package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// server is a Prometheus server that scrapes a stack.
type server struct {
	t   *testing.T
	url string
	log *bytes.Buffer
}

// pace is how often the server scrapes and evaluates: as fast as a test is
// patient. interval is what Grafana would make of it.
const (
	pace     = 500 * time.Millisecond
	interval = "3s"
)

// startServer runs a real server with the rules, alerts and configuration of the
// folder, of which only the times and the targets are changed. It scrapes the
// stack twice: as job native with native histograms, and as job classic without.
func startServer(t *testing.T, s *stack) *server {
	t.Helper()
	program := installed(t, "prometheus")
	rulesAt, err := filepath.Abs(filepath.Join(folder, "prometheus"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	unmarshal(t, read(t, "prometheus/prometheus.yml"), &config)
	config["global"] = map[string]any{"scrape_interval": pace.String(), "scrape_timeout": pace.String(), "evaluation_interval": pace.String()}
	for i, name := range config["rule_files"].([]any) {
		config["rule_files"].([]any)[i] = filepath.Join(rulesAt, name.(string))
	}
	jobs := config["scrape_configs"].([]any)
	if len(jobs) != 1 {
		t.Fatalf("%d jobs in the sample configuration", len(jobs))
	}
	job := func(name, path string) map[string]any {
		out := map[string]any{}
		for k, v := range jobs[0].(map[string]any) {
			out[k] = v
		}
		out["job_name"], out["metrics_path"] = name, path
		out["static_configs"] = []any{map[string]any{"targets": []any{strings.TrimPrefix(s.URL, "http://")}}}
		return out
	}
	native, classic := job("native", "/metrics"), job("classic", "/metrics/text")
	if major, minor := version(t, program); major > 3 || major == 3 && minor >= 9 {
		native["scrape_native_histograms"] = true
	}
	config["scrape_configs"] = []any{native, classic}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	body, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}

	// The port is free until somebody else takes it: then the server ends.
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		p := &server{t: t, url: "http://" + address, log: new(bytes.Buffer)}
		cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data-"+l.Addr().(*net.TCPAddr).String()),
			"--web.listen-address="+address, "--enable-feature=native-histograms", "--log.level=warn")
		cmd.Stdout, cmd.Stderr = p.log, p.log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		if p.ready(ended) {
			return p
		}
		cmd.Process.Kill()
		<-ended
		t.Logf("the server did not start:\n%s", p.log)
	}
	t.Fatal("no server could be started")
	return nil
}

func version(t *testing.T, program string) (major, minor int) {
	t.Helper()
	out, err := exec.Command(program, "--version").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(out), "prometheus, version %d.%d", &major, &minor); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return major, minor
}

func (p *server) ready(ended <-chan struct{}) bool {
	for until := time.Now().Add(15 * time.Second); time.Now().Before(until); {
		select {
		case <-ended:
			return false
		case <-time.After(50 * time.Millisecond):
		}
		if res, err := http.Get(p.url + "/-/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

// get asks the server's API.
func (p *server) get(path string, into any) error {
	res, err := http.Get(p.url + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, body)
	}
	return json.Unmarshal(body, &struct{ Data any }{into})
}

// sample is one element of an answer: a number, or a native histogram.
type sample struct {
	Metric    map[string]string
	Value     []any
	Histogram []any
}

func (s sample) number() float64 {
	if len(s.Value) != 2 {
		return 0
	}
	f, err := strconv.ParseFloat(s.Value[1].(string), 64)
	if err != nil {
		return 0
	}
	return f
}

func (p *server) query(expr string) ([]sample, error) {
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &data); err != nil {
		return nil, err
	}
	var out []sample
	if data.ResultType != "vector" {
		return nil, fmt.Errorf("the result is a %s", data.ResultType)
	}
	return out, json.Unmarshal(data.Result, &out)
}

func TestPrometheusAnswersEveryQuery(t *testing.T) {
	s := newStack(t)
	p := startServer(t, s)
	s.settled(t)

	type question struct{ where, expr string }
	var open []question
	for _, d := range dashboards(t) {
		for _, a := range d.asked() {
			for _, job := range []string{"native", "classic", ".*"} {
				open = append(open, question{a.where + " of job " + job, filled(a.expr, job, ".*", interval)})
			}
		}
		for _, v := range d.Templating.List {
			if selector, label, ok := v.listed(); ok {
				open = append(open, question{d.File + " $" + v.Name,
					fmt.Sprintf("count by (%s) (%s)", label, filled(selector, ".*", ".*", interval))})
			}
		}
	}
	for _, r := range rules(t, "prometheus/rules.yml") {
		open = append(open, question{r.Record, r.Record})
	}
	asked := len(open)
	for until := time.Now().Add(time.Minute); ; {
		var still []question
		var faults []string
		for _, q := range open {
			switch answer, err := p.query(q.expr); {
			case err != nil:
				t.Fatalf("%s: %s: %v", q.where, q.expr, err)
			case len(answer) == 0:
				still = append(still, q)
				faults = append(faults, q.where+": "+q.expr)
			}
		}
		if open = still; len(open) == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("no data for %d of %d:\n%s\n\nlog of the server:\n%s", len(open), asked, strings.Join(faults, "\n"), p.log)
		}
		time.Sleep(pace)
	}
	t.Logf("%d queries were answered", asked)

	t.Run("rules are evaluated without a fault", p.rulesAreWell)
	t.Run("native histograms are what the buckets are", func(t *testing.T) { p.nativeIsClassic(t, s) })
}

// rulesAreWell asks the server what became of each rule and alert.
func (p *server) rulesAreWell(t *testing.T) {
	var data struct {
		Groups []struct {
			Name  string
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("/api/v1/rules", &data); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" || r.LastError != "" {
				t.Errorf("%s: %s: %s %s", g.Name, r.Name, r.Health, r.LastError)
			}
		}
	}
	if want := len(rules(t, "prometheus/rules.yml")) + len(rules(t, "prometheus/alerts.yml")); n != want {
		t.Errorf("the server has %d rules of %d", n, want)
	}
}

// nativeIsClassic compares both kinds of histogram once the traffic is over.
func (p *server) nativeIsClassic(t *testing.T, s *stack) {
	const name = "http_server_request_duration_seconds"
	one := func(expr string) float64 {
		answer, err := p.query(expr)
		if err != nil || len(answer) != 1 {
			t.Fatalf("%s: %v, %v", expr, answer, err)
		}
		return answer[0].number()
	}
	s.quiet()
	var native, classic float64
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(pace) {
		native = one(fmt.Sprintf(`histogram_count(sum(%s{job="native"}))`, name))
		classic = one(fmt.Sprintf(`sum(%s_count{job="classic"})`, name))
		if native == classic && native > 0 {
			break
		}
	}
	if native != classic || native == 0 {
		t.Fatalf("%v requests in native histograms, %v in classic ones", native, classic)
	}
	for _, quantile := range []string{"0.5", "0.9", "0.99"} {
		of := one(fmt.Sprintf(`histogram_quantile(%s, sum(%s{job="native"}))`, quantile, name))
		// The classic answer is within a bucket, and the native one within it too.
		below := one(fmt.Sprintf(`histogram_fraction(0, %v, sum(%s{job="native"}))`, of, name))
		want, _ := strconv.ParseFloat(quantile, 64)
		if of <= 0 || below < want-0.001 || below > want+0.001 {
			t.Errorf("the native quantile %s is %v, but %v of them are below it", quantile, of, below)
		}
		buckets, err := p.query(fmt.Sprintf(`sum by (le) (%s_bucket{job="classic"}) / on () group_left () sum(%s_count{job="classic"})`, name, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range buckets {
			le, err := strconv.ParseFloat(b.Metric["le"], 64)
			if err != nil {
				t.Fatal(err)
			}
			// A native bucket that the bound cuts is up to 10 % wide.
			if share := b.number(); share >= want && of > le*1.1 || share < want && of < le/1.1 {
				t.Errorf("the native quantile %s is %v, but classic ones have %v at or below %v", quantile, of, share, le)
			}
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// mainEnv makes this test binary the program.
const mainEnv = "HANDRAIL_QUICKSTART_TEST_MAIN"

func TestMain(m *testing.M) {
	if _, program := os.LookupEnv(mainEnv); program {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is this binary as the program, serving.
type program struct {
	t             *testing.T
	cmd           *exec.Cmd
	orders, admin string

	read  chan map[string]any // lines as they come, so that the program never waits
	lines []map[string]any    // those that were looked at
}

func start(t *testing.T, environ string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, cmd: exec.Command(self, append(args, "-listen", "127.0.0.1:0", "-admin", "127.0.0.1:0")...)}
	p.cmd.Env = append(os.Environ(), mainEnv+"=1", "GORACE=atexit_sleep_ms=0", environ)
	p.cmd.Stderr = os.Stderr
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = write
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	p.read = make(chan map[string]any, 10_000)
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(read); lines.Scan(); {
			line := map[string]any{}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				line["msg"] = "no JSON: " + lines.Text()
			}
			p.read <- line
		}
	}()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		read.Close()
	})
	p.orders = "http://" + p.waitFor("serving", "server", "orders")["address"].(string)
	p.admin = "http://" + p.waitFor("serving", "server", "admin")["address"].(string)
	return p
}

// waitFor reads lines until one has that message and attribute.
func (p *program) waitFor(msg, key string, value any) map[string]any {
	p.t.Helper()
	for line := range p.read {
		p.lines = append(p.lines, line)
		if line["msg"] == msg && (key == "" || line[key] == value) {
			return line
		}
	}
	p.t.Fatalf("it ended before %q", msg)
	return nil
}

// end sends SIGTERM, and returns when the program has ended well.
func (p *program) end() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.wait()
}

func (p *program) wait() {
	p.t.Helper()
	for line := range p.read {
		p.lines = append(p.lines, line)
	}
	for _, line := range p.lines {
		if msg, _ := line["msg"].(string); strings.HasPrefix(msg, "no JSON") {
			p.t.Error(msg)
		}
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("it ended with %v", err)
	}
}

func (p *program) ask(method, url, body string, header ...string) (int, http.Header, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// figure is the value of a metric, and whether there is one.
func (p *program) figure(name string, labels ...string) (float64, bool) {
	p.t.Helper()
	_, _, page := p.ask("GET", p.admin+"/metrics", "")
next:
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{(.*)\})? (\S+)$`).FindAllStringSubmatch(page, -1) {
		for _, l := range labels {
			if !strings.Contains(m[1], l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			p.t.Fatal(err)
		}
		return v, true
	}
	return 0, false
}

const lamp = `{"item":"lamp","quantity":2}`

func TestOrdersAreTakenObservedAndDrained(t *testing.T) {
	t.Parallel()
	p := start(t, "", "-flaky", "0", "-drain", "700ms")

	// The service does its work, and each tenant sees its own.
	status, header, body := p.ask("POST", p.orders+"/orders", lamp, "X-Tenant", "acme", "Idempotency-Key", "k1", "X-Request-Id", "first")
	if status != 201 || body != `{"id":1,"item":"lamp","quantity":2}`+"\n" || header.Get("Location") != "/orders/1" || header.Get("X-Request-Id") != "first" {
		t.Errorf("%d %v %s", status, header, body)
	}
	if status, _, again := p.ask("POST", p.orders+"/orders", lamp, "X-Tenant", "acme", "Idempotency-Key", "k1"); status != 201 || again != body {
		t.Errorf("the same again: %d %s", status, again)
	}
	for tenant, want := range map[string]int{"acme": 200, "other": 404} {
		if status, _, body := p.ask("GET", p.orders+"/orders/1", "", "X-Tenant", tenant); status != want {
			t.Errorf("%s: %d %s", tenant, status, body)
		}
	}
	if status, _, body := p.ask("POST", p.orders+"/orders", "{}", "X-Tenant", "acme"); status != 422 {
		t.Errorf("%d %s", status, body)
	}

	// It is ready once its checks have run, and tells figures of all policies.
	for {
		if status, _, _ := p.ask("GET", p.orders+"/readyz", ""); status == 200 {
			break
		}
	}
	for _, path := range []string{"/healthz", "/livez", "/startupz"} {
		if status, _, body := p.ask("GET", p.orders+path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if n, _ := p.figure("http_server_request_duration_seconds_count", `http_route="/orders"`, `http_response_status_code="201"`); n != 2 {
		t.Errorf("%v orders were counted", n)
	}
	for _, name := range []string{
		"handrail_shed_limit_requests", "handrail_timeout_requests_total", "handrail_retry_requests_total",
		"handrail_breaker_results_total", "handrail_bulkhead_admitted_requests_total", "handrail_health_status",
		"handrail_load_in_flight_requests", "handrail_observe_requests_total", "go_goroutines",
	} {
		if _, ok := p.figure(name); !ok {
			t.Errorf("no metric %s", name)
		}
	}
	if status, _, page := p.ask("GET", p.admin+"/debug/live/", ""); status != 200 || !strings.Contains(page, "<html") {
		t.Errorf("live page: %d", status)
	}
	if status, _, _ := p.ask("GET", p.orders+"/metrics", ""); status != 404 {
		t.Errorf("the figures are there for clients: %d", status)
	}

	// Draining: not ready, and still serving.
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.waitFor("draining", "", nil)
	for {
		if status, _, _ := p.ask("GET", p.orders+"/readyz", ""); status == 503 {
			break
		}
	}
	if status, _, body := p.ask("GET", p.orders+"/orders/1", "", "X-Tenant", "acme"); status != 200 {
		t.Errorf("while draining: %d %s", status, body)
	}
	p.wait()

	var access []map[string]any
	for _, line := range p.lines {
		if line["msg"] == "http request" {
			access = append(access, line)
		}
	}
	if len(access) < 6 || access[0]["http.route"] != "/orders" || access[0]["request_id"] != "first" || fmt.Sprint(access[0]["app"]) != "map[order:1]" {
		t.Errorf("access log: %v", access)
	}
	for _, line := range access {
		if line["http.route"] == "/readyz" || line["url.path"] == "/readyz" {
			t.Errorf("a probe is in the log: %v", line)
		}
	}
}

func TestRetriesHideAWarehouseThatFailsNowAndThen(t *testing.T) {
	t.Parallel()
	p := start(t, "", "-flaky", "0.1", "-drain", "0")
	for i := range 1000 {
		p.ask("POST", p.orders+"/orders", lamp, "X-Tenant", "acme", "Idempotency-Key", strconv.Itoa(i))
		if i%20 == 19 {
			if n, _ := p.figure("handrail_retry_recovered_requests_total"); n > 0 {
				p.end()
				return
			}
		}
	}
	t.Error("no request was answered well at a second attempt")
}

func TestTheCircuitOpensForWhatNeedsTheWarehouseOnly(t *testing.T) {
	t.Parallel()
	p := start(t, "", "-flaky", "1", "-drain", "0")
	for n := 0; ; n++ {
		status, header, body := p.ask("POST", p.orders+"/orders", lamp, "X-Tenant", "acme")
		if strings.Contains(body, "CIRCUIT_BREAKER_OPEN") {
			if after, err := strconv.Atoi(header.Get("Retry-After")); status != 503 || err != nil || after < 1 || after > 5 {
				t.Errorf("%d %v", status, header)
			}
			break
		}
		if status != 502 || n > 5 {
			t.Fatalf("answer %d: %d %s", n, status, body)
		}
	}
	if status, _, body := p.ask("GET", p.orders+"/orders", "", "X-Tenant", "acme"); status != 200 || body != "[]\n" {
		t.Errorf("%d %s", status, body)
	}
	if e := p.waitFor("circuit changed", "to", "open"); e["route"] != "POST /orders" {
		t.Errorf("%v", e)
	}
	// The instance says so, and stays in service.
	for {
		status, _, body := p.ask("GET", p.orders+"/readyz?verbose", "")
		if strings.Contains(body, "[!]circuits degraded") && status == 200 {
			break
		}
	}
	p.end()
}

func TestWhatIsNoOrderIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, "", "-flaky", "0", "-drain", "0")
	if status, _, _ := p.ask("POST", p.orders+"/orders", `{"item":`+strings.Repeat(" ", 8<<10)+`"x"}`); status != 400 {
		t.Errorf("a body that is too long: %d", status)
	}
	if status, _, _ := p.ask("GET", p.orders+"/orders/no-number", ""); status != 404 {
		t.Errorf("%d", status)
	}
	p.end()
}

func TestTracesGoWhereTheEnvironmentSays(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent []byte
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, body...)
	}))
	defer collector.Close()
	p := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "-flaky", "0", "-drain", "0")
	const id = "0af7651916cd43dd8448eb211c80319c"
	p.ask("POST", p.orders+"/orders", lamp, "X-Tenant", "acme", "traceparent", "00-"+id+"-b7ad6b7169203331-01")
	p.end() // sends what is left

	mu.Lock()
	defer mu.Unlock()
	raw, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	// The served request, and the one that was sent to the warehouse.
	if n := bytes.Count(sent, raw); n != 2 || !bytes.Contains(sent, []byte("POST /orders")) {
		t.Errorf("%d spans of the trace in %d bytes", n, len(sent))
	}
	for _, line := range p.lines {
		if line["msg"] == "http request" && line["trace_id"] != id {
			t.Errorf("%v", line)
		}
	}
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	taken := httptest.NewServer(nil)
	defer taken.Close()
	for _, args := range [][]string{
		{"-listen", taken.Listener.Addr().String()},
		{"-listen", "127.0.0.1:0", "-admin", taken.Listener.Addr().String()},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Error("it served", args)
		}
	}
}

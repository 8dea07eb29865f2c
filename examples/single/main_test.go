package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// mainEnv makes this test binary the program.
const mainEnv = "HANDRAIL_SINGLE_TEST_MAIN"

func TestMain(m *testing.M) {
	if _, program := os.LookupEnv(mainEnv); program {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}

// serve runs the program for one package, and returns where it serves and its
// further output. In the end it is asked to go, and has to do so.
func serve(t *testing.T, name string) (url string, out *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, name, "-listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), mainEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	out = bufio.NewReader(read)
	said, err := out.ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSuffix(said, ", try:\n"), "serving on ")
	if !ok {
		t.Fatalf("%q, %v", said, err)
	}
	if try, err := out.ReadString('\n'); err != nil || !strings.Contains(try, strings.TrimPrefix(url, "http://")) {
		t.Errorf("it says to try %q, %v", try, err)
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cmd.Process.Signal(syscall.SIGTERM)
		io.Copy(io.Discard, out)
		read.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return url, out
}

// answer is what a client reads.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is that of a refusal.
func (a answer) code() string {
	var problem struct{ Code string }
	json.Unmarshal([]byte(a.body), &problem)
	return problem.Code
}

func get(t *testing.T, url string, header ...string) answer {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// refusedAtLast asks n times at once until one is refused with that code.
func refusedAtLast(t *testing.T, n int, code string, ask func() answer) answer {
	t.Helper()
	for t.Context().Err() == nil {
		answers := make([]answer, n)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = ask() })
		}
		all.Wait()
		good := 0
		for _, a := range answers {
			if a.status == 200 {
				good++
			} else if a.code() != code {
				t.Fatalf("status %d, %s", a.status, a.body)
			}
		}
		if good == 0 {
			t.Fatal("all were refused")
		}
		for _, a := range answers {
			if a.status != 200 {
				return a
			}
		}
	}
	return answer{}
}

func TestShedRefusesWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, "shed")
	a := refusedAtLast(t, 500, "LOAD_SHED", func() answer { return get(t, url+"/suggestions") })
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
}

func TestTimeoutAnswersForAHandlerThatDoesNotHeedItsContext(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, "timeout")
	if a := get(t, url+"/stuck"); a.status != 503 || a.code() != "TIMEOUT" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := get(t, url+"/quick"); a.status != 200 || a.body != "done\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestBreakerOpensAfterFiveFailures(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, "breaker")
	for i := range 5 {
		if a := get(t, url); a.status != 502 {
			t.Errorf("answer %d: %d %s", i, a.status, a.body)
		}
	}
	a := get(t, url)
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); a.code() != "CIRCUIT_BREAKER_OPEN" || err != nil || after < 1 || after > 10 {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestBulkheadKeepsATenantToItsShare(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, "bulkhead")
	a := refusedAtLast(t, 10, "BULKHEAD_LIMIT_EXCEEDED", func() answer { return get(t, url, "X-Tenant", "greedy") })
	if a.status != 429 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if b := get(t, url, "X-Tenant", "modest"); b.status != 200 {
		t.Errorf("%d %s", b.status, b.body)
	}
}

func TestRetryHidesTwoFailuresInThree(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, "retry")
	for _, want := range []string{"3", "6"} {
		if a := get(t, url); a.status != 200 || a.body != "answered when asked for the "+want+". time\n" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestObserveWritesALineForEachRequest(t *testing.T) {
	t.Parallel()
	url, out := serve(t, "observe")
	a := get(t, url+"/hello/you")
	var lines [2]map[string]any
	for i := range lines {
		line, err := out.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(line, &lines[i]); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	own, access := lines[0], lines[1]
	if own["msg"] != "greeting" || access["msg"] != "http request" || access["http.route"] != "/hello/{name}" {
		t.Errorf("%v, %v", own, access)
	}
	if id := a.header.Get("X-Request-Id"); id == "" || own["request_id"] != id || access["request_id"] != id {
		t.Errorf("id %q, %v, %v", id, own, access)
	}
}

func TestHealthStaysReadyWithoutWhatItCanDoWithout(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, "health")
	var a answer
	for t.Context().Err() == nil { // the first checks may still be under way
		if a = get(t, url+"/readyz?verbose"); a.status == 200 && strings.Contains(a.body, "[!]mail degraded") {
			break
		}
	}
	if !strings.Contains(a.body, "[+]database ok") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := get(t, url+"/"); a.body != "hello\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestARolloutRefusesNobodyUntilItIsToldTo(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, "rollout")
	for i := range 8 { // five open the circuit
		if a := get(t, url); a.status != 502 {
			t.Errorf("answer %d: %d %s", i, a.status, a.body)
		}
	}
	if a := get(t, url+"/admin/spared"); a.body != "shed 0, circuit 3\n" {
		t.Errorf("%q", a.body)
	}
	resp, err := client.Post(url+"/admin/enforce", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for range 5 {
		get(t, url)
	}
	if a := get(t, url); a.code() != "CIRCUIT_BREAKER_OPEN" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// What is simulated does not depend on the machine, so this is what everybody
// sees who runs it.
func TestSimulationTellsTheLimitsApart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"sim"}, &out); err != nil {
		t.Fatal(err)
	}
	goodput := map[string]int{}
	for line := range strings.Lines(out.String()) {
		name, rest, _ := strings.Cut(line, "  ")
		share, _, _ := strings.Cut(strings.TrimSpace(rest), "%")
		goodput[name], _ = strconv.Atoi(strings.TrimSpace(share))
	}
	if g := goodput; len(g) != 5 || g["nothing"] > 50 || g["a bulkhead of 5"] > 60 || g["a bulkhead of 10"] < 95 || g["shed"] < 95 {
		t.Errorf("%v of\n%s", goodput, out.String())
	}
}

func TestWhatIsNoExampleIsAnError(t *testing.T) {
	for _, args := range [][]string{nil, {"nothing"}, {"shed", "-listen", "nowhere:at:all"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

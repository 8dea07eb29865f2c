package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/handrail-go/handrail/internal/leaktest"
)

// mainEnv makes this test binary the program.
const mainEnv = "HANDRAIL_GATEWAY_TEST_MAIN"

func TestMain(m *testing.M) {
	if _, program := os.LookupEnv(mainEnv); program {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve runs the gateway in this process in front of upstreams, and returns its
// address, and what drains it and waits for its end.
func serve(t *testing.T, args ...string) (address string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"-listen", "127.0.0.1:0", "-drain", "0"}, args...), write, io.Discard)
		write.Close()
	}()
	said, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err, <-ended)
	}
	go io.Copy(io.Discard, read)
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
	t.Cleanup(end)
	return strings.Fields(said)[2], end
}

type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func upstreamServer(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func down(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "down", http.StatusInternalServerError)
}

// The demonstration is the program itself, as everybody starts it.
func TestDemonstrationHidesWhatFailsAndEndsOnSIGTERM(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-listen", "127.0.0.1:0", "-every", "3s", "-down", "2s")
	cmd.Env = append(os.Environ(), mainEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	opened := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 12 || !strings.HasSuffix(f[0], "s") {
			continue // the address, the head
		}
		if f[1] != f[2] && !opened { // asked, and answered well
			t.Errorf("not all was answered well: %s", lines.Text())
		}
		if f[9] != "closed" {
			t.Errorf("the circuit of what never fails is %s", f[9])
		}
		if f[11] == "open" && !opened {
			opened = true
			cmd.Process.Signal(syscall.SIGTERM) // what is cut off then does not count
		}
	}
	if err := cmd.Wait(); err != nil || !opened {
		t.Errorf("it ended with %v, circuit opened %v", err, opened)
	}
}

func TestUpstreamsWithAnOpenCircuitArePassedOverWithTheBody(t *testing.T) {
	leaktest.Check(t)
	var failed atomic.Int64
	bad := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		failed.Add(1)
		w.Header().Set("Retry-After", "60") // which its circuit heeds
		down(w, r)
	})
	good := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
	})
	at, _ := serve(t, "-upstream", bad, "-upstream", good)
	for failed.Load() < 5 {
		// It asks for a longer pause than a retry waits, so its answer is passed on.
		if a := ask(t, "GET", at+"/", ""); a.status != 200 && a.status != 500 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	long := strings.Repeat("a long body ", 10_000)
	for i := range 20 {
		if a := ask(t, "POST", at+"/", long); a.status != 200 || a.body != long {
			t.Errorf("request %d: %d, %d bytes", i, a.status, len(a.body))
		}
	}
	if n := failed.Load(); n != 5 {
		t.Errorf("%d requests reached what is down", n)
	}
}

func TestAnUpstreamThatIsGoneIsHidden(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	good := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {})
	at, _ := serve(t, "-upstream", gone.URL, "-upstream", good)
	for i := range 20 {
		if a := ask(t, "GET", at+"/", ""); a.status != 200 {
			t.Errorf("request %d: %d %s", i, a.status, a.body)
		}
	}
}

func TestWhenAllCircuitsAreOpenTheClientIsToldWhenToComeBack(t *testing.T) {
	var asked atomic.Int64
	fails := func(after string) string {
		return upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.Header().Set("Retry-After", after)
			down(w, r)
		})
	}
	at, _ := serve(t, "-upstream", fails("50"), "-upstream", fails("20"))
	var a answer
	for range 50 {
		if a = ask(t, "POST", at+"/", "x"); a.status == 503 {
			break
		}
	}
	var problem struct{ Code, Reason string }
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Code != "CIRCUIT_BREAKER_OPEN" || problem.Reason != "open" {
		t.Errorf("%v: %d %s", err, a.status, a.body)
	}
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 || after > 20 {
		t.Errorf("Retry-After %q, not that of the first to be back", a.header.Get("Retry-After"))
	}
	if n := asked.Load(); n != 10 {
		t.Errorf("%d requests were sent, and five open a circuit", n)
	}
	// It is alive, and in service: nothing would be better without it.
	for ask(t, "GET", at+"/readyz", "").status != 200 { // until the first check has run
	}
	if a := ask(t, "GET", at+"/livez", ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestATenantFillsItsOwnShareOnly(t *testing.T) {
	inside, release := make(chan struct{}, 100), make(chan struct{})
	slow := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			inside <- struct{}{}
			<-release
		}
	})
	at, _ := serve(t, "-upstream", slow, "-key", "a=alpha", "-key", "b=beta", "-share", "4")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { ask(t, "GET", at+"/slow", "", "X-Api-Key", "a") })
		<-inside
	}
	for key, status := range map[string]int{"a": 429, "b": 200, "": 200} {
		if a := ask(t, "GET", at+"/quick", "", "X-Api-Key", key); a.status != status {
			t.Errorf("key %q: %d %s", key, a.status, a.body)
		}
	}
	close(release)
	all.Wait()
	if a := ask(t, "GET", at+"/quick", "", "X-Api-Key", "a"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestHeadersThatServicesBelieveComeFromTheGateway(t *testing.T) {
	echo := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, "|", r.URL, "|", r.Header.Get("X-Tenant"), "|", r.Header.Get("X-Priority"), r.Header.Get("X-Api-Key"), r.Header.Get("X-Attempt"), "|", r.Header.Get("X-Forwarded-For"), "|", r.Header.Get("X-Request-Id"))
	})
	at, _ := serve(t, "-upstream", echo, "-key", "secret=alpha")
	for key, tenant := range map[string]string{"secret": "alpha", "guess": ""} {
		a := ask(t, "GET", at+"/a%2Fb?q=1", "", "X-Api-Key", key, "X-Tenant", "other", "X-Priority", "critical",
			"X-Attempt", "7", "X-Forwarded-For", "1.2.3.4", "X-Request-Id", "mine")
		want := strings.TrimPrefix(echo, "http://") + "|/a%2Fb?q=1|" + tenant + "||127.0.0.1|" + a.header.Get("X-Request-Id")
		if a.body != want || a.header.Get("X-Request-Id") == "mine" {
			t.Errorf("key %s: %s, want %s", key, a.body, want)
		}
	}
}

func TestRequestsUnderWayAreServedToTheirEnd(t *testing.T) {
	leaktest.Check(t)
	inside, release := make(chan struct{}), make(chan struct{})
	slow := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		close(inside)
		<-release
		io.WriteString(w, "whole")
	})
	at, end := serve(t, "-upstream", slow)
	got := make(chan answer)
	go func() { got <- ask(t, "GET", at+"/", "") }()
	<-inside
	ended := make(chan struct{})
	go func() { end(); close(ended) }()
	for { // the port is closed first
		resp, err := http.Get(at + "/livez")
		if err != nil {
			break
		}
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
	close(release)
	if a := <-got; a.status != 200 || a.body != "whole" {
		t.Errorf("%d %q", a.status, a.body)
	}
	<-ended
}

func TestWrongFlagsAreErrors(t *testing.T) {
	for _, args := range [][]string{
		{"-upstream", "ftp://example.org"}, {"-upstream", "http://"}, {"-upstream", "http://example.org/path"},
		{"-key", "no-tenant"}, {"-listen", "nowhere:at:all"}, {"-nothing"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/shed"
)

// mainEnv makes this test binary the program, so that its processes can be
// tried.
const mainEnv = "HANDRAIL_OVERLOAD_TEST_MAIN"

func TestMain(m *testing.M) {
	_, child := os.LookupEnv(childEnv)
	_, program := os.LookupEnv(mainEnv)
	if child || program {
		main()
	}
	os.Exit(m.Run())
}

// inside stages servers in the test's own process.
func inside(_ context.Context, set serverSettings) (addresses, func(), error) { return stage(set) }

// semaphore is a protection that is easy to reason about.
func semaphore(t *testing.T, n int) {
	before := protect
	protect = func(...shed.Option) (func(http.Handler) http.Handler, error) {
		slots := make(chan struct{}, n)
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case slots <- struct{}{}:
					defer func() { <-slots }()
					next.ServeHTTP(w, r)
				default:
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})
		}, nil
	}
	t.Cleanup(func() { protect = before })
}

// Only the plumbing is looked at, since this machine may be busy: every
// request has an outcome, the service answers, and the protection refuses.
func TestEveryServiceIsDrivenBareAndProtected(t *testing.T) {
	leaktest.Check(t)
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/deep/path?q=1" || r.Header.Get(tenantHeader) == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		time.Sleep(5 * time.Millisecond)
		io.WriteString(w, "chunked, as it is flushed")
		w.(http.Flusher).Flush()
	}))
	t.Cleanup(own.Close)
	cases := map[string][]string{
		"pool":       {"-workers", "2", "-work", "5ms"},
		"pool http2": {"-workers", "2", "-work", "5ms", "-http2"},
		"cpu":        {"-service", "cpu", "-work", "1ms", "-capacity", "200"},
		"target":     {"-target", own.URL + "/deep/path?q=1", "-capacity", "200"},
	}
	semaphore(t, 2)
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, faults, err := parse(append(args, "-shape", "0.2:100ms,4:150ms,0.2:100ms", "-deadline", "5s"))
			if err != nil || len(faults) > 0 {
				t.Fatal(err, faults)
			}
			set.effort = effort{10 * time.Millisecond, 50 * time.Millisecond}
			r, err := set.runs(t.Context(), &progress{w: io.Discard}, inside)
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range r.list() {
				f := run.figures
				if o := f.Outcomes; o.Good == 0 || o.Good+o.Shed+o.Late+o.Failed+o.Overflow != len(f.run.list) || o.Failed+o.Overflow > 0 {
					t.Errorf("%s: outcomes %+v of %d requests", run.Title, o, len(f.run.list))
				}
				if len(f.Phases) != 3 || f.Interrupted || f.ClientLag == nil {
					t.Errorf("%s: %+v", run.Title, f)
				}
			}
			if len(r.list()) != 2 || r.Bare.Outcomes.Shed > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestProtectionRefusesWhatIsTooMuch(t *testing.T) {
	semaphore(t, 1)
	set, _, _ := parse(strings.Fields("-workers 1 -work 50ms -capacity 20 -shape 20:300ms -deadline 5s -only shed"))
	r, err := set.runs(t.Context(), &progress{w: io.Discard}, inside)
	if err != nil {
		t.Fatal(err)
	}
	if o := r.Shed.Outcomes; r.Bare != nil || o.Good == 0 || o.Shed < 60 || o.Good+o.Shed != 120 {
		t.Errorf("outcomes %+v", o)
	}
}

// The protection that everybody sees is the real one, and what it shows in
// virtual time does not depend on the machine.
func TestSimulationShowsTheCollapseAndTheProtection(t *testing.T) {
	var out, said bytes.Buffer
	file := filepath.Join(t.TempDir(), "page.html")
	if code := run(t.Context(), []string{"-sim", "-json", "-html", file, "-work", "40ms", "-quick"}, &out, &said, &progress{w: &said}, inside); code != exitDone {
		t.Fatal(code, said.String())
	}
	var r results
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if *r.Bare.GoodputRatio > .2 || r.Bare.Recovered {
		t.Errorf("bare: goodput %v, recovered %v", *r.Bare.GoodputRatio, r.Bare.Recovered)
	}
	s := r.Shed
	if *s.GoodputRatio < .95 || *s.ClassSuccess.Critical < .99 || !s.Recovered || *s.RecoverSeconds > 1 {
		t.Errorf("with shed: %s", out.String())
	}
	noisy, least, most := *s.TenantSuccess["noisy"], 1., 0.
	for _, name := range tenants[1:] {
		least, most = min(least, *s.TenantSuccess[name]), max(most, *s.TenantSuccess[name])
	}
	if most-least > .05 || least < noisy {
		t.Errorf("success of the noisy tenant %v, of the quiet ones %v to %v", noisy, least, most)
	}
	if page, err := os.ReadFile(file); err != nil || !bytes.Contains(page, []byte("simulated in virtual time")) {
		t.Error("no page", err)
	}
}

func TestMisuseIsExitCodeTwo(t *testing.T) {
	var out, said bytes.Buffer
	if code := run(t.Context(), []string{"-workers", "x", "-procs", "y"}, &out, &said, &progress{w: &said}, inside); code != exitMisused {
		t.Error(code)
	}
	if out.Len() > 0 || strings.Count(said.String(), "\n") != 2 {
		t.Errorf("%q, %q", out.String(), said.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"-h"}, &out, &said, &progress{w: &said}, inside); code != exitDone || out.String() != manual {
		t.Error(code, out.String())
	}
}

func TestTargetThatDoesNotAnswerIsAnErrorOfOneSentence(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	var out, said bytes.Buffer
	code := run(t.Context(), []string{"-target", gone.URL, "-json", "-html", ""}, &out, &said, &progress{w: io.Discard}, inside)
	if want := "overload: " + gone.URL + " does not answer GET with a status of 2xx or 3xx\n"; code != exitFailed || said.String() != want {
		t.Errorf("%d, %q", code, said.String())
	}
}

func TestServerProcessThatCannotStartIsToldApart(t *testing.T) {
	var said bytes.Buffer
	if code := serveAsChild("{", strings.NewReader(""), io.Discard, &said); code != 1 || !strings.Contains(said.String(), "server process") {
		t.Error(code, said.String())
	}
}

// program starts this binary as the program and returns it with what it says
// on standard error. That pipe is shared with the server process, so its end
// means that neither is left.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, out *bytes.Buffer, said *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), mainEnv+"=1")
	out = &bytes.Buffer{}
	cmd.Stdout = out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out, bufio.NewReader(pipe)
}

// waitFor reads lines until one contains text.
func waitFor(t *testing.T, said *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := said.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("%v before %q was said", err, text)
		}
	}
}

func TestInterruptEndsAllProcessesWithWhatWasMeasured(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			var served atomic.Int64
			enough := make(chan struct{})
			own := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if served.Add(1) == 50 {
					close(enough)
				}
			}))
			defer own.Close()
			cmd, out, said := program(t, "-target", own.URL, "-capacity", "200", "-deadline", "100ms", "-duration", "1m", "-json", "-html", "")
			<-enough
			cmd.Process.Signal(signal)
			if _, err := io.Copy(io.Discard, said); err != nil {
				t.Error(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Errorf("exit code %d", code)
			}
			var r results
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if r.Bare == nil || r.Shed != nil || !r.Bare.Interrupted || r.Bare.Outcomes == (outcomeCounts{}) {
				t.Errorf("%s", out)
			}
		})
	}
}

func TestServerProcessEndsWhenItsParentIsKilled(t *testing.T) {
	t.Parallel()
	cmd, _, said := program(t, "-capacity", "100", "-service", "cpu", "-duration", "1m", "-html", "")
	waitFor(t, said, "bare: capacity 100/s")
	cmd.Process.Kill()
	io.Copy(io.Discard, said) // ends when the server process has
	cmd.Wait()
}

func TestInterruptBeforeAnythingIsMeasured(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"-html", ""}, {"-sim", "-html", ""}} {
		var out, said bytes.Buffer
		if code := run(ctx, args, &out, &said, &progress{w: io.Discard}, stageProcess); code != exitInterrupted || out.String() != "Nothing was measured.\n" {
			t.Errorf("%d, %q, %q", code, out.String(), said.String())
		}
	}
}

func TestProgressRewritesItsLineOnATerminalOnly(t *testing.T) {
	m := &measured{capacity: 100, shape: shape{{5, 10 * time.Second}}, deadline: 100 * time.Millisecond}
	w := &watch{}
	for range 90 {
		w.count(&request{outcome: good, took: 20 * time.Millisecond})
	}
	w.count(&request{outcome: refused})
	w.count(&request{outcome: failed})
	line := describe("shed", m, 3*time.Second, time.Second, w.take())
	if want := "shed 3.0/10 s at 5×: 90/s in time (90 %), p99 23 ms, 1/s shed, 0/s late, 1/s failed"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
	var b bytes.Buffer
	p := &progress{w: &b}
	p.show("%s", "a long line")
	p.show("short")
	p.clear()
	if b.String() != "a long line\nshort\n" {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	p = &progress{w: &b, terminal: true}
	p.show("%s", "a long line")
	p.show("short")
	p.clear()
	if b.String() != "\ra long line\rshort      \r     \r" {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	p.show("%s", strings.Repeat("×", 200))
	if n := strings.Count(b.String(), "×"); n != column {
		t.Errorf("a line of %d columns", n)
	}
}

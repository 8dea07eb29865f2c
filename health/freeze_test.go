//go:build unix

package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const child = "HANDRAIL_HEALTH_CHILD"

// The child is a service whose check is held up from /hold to /release.
func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	var gate sync.Mutex
	h, err := New(silent, everybody, WithCheck("db", func(context.Context) error {
		gate.Lock()
		defer gate.Unlock()
		return nil
	}, Every(50*time.Millisecond), Timeout(time.Minute), MaxAge(2*time.Minute), Jitter(0)))
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/hold", func(http.ResponseWriter, *http.Request) { gate.Lock() })
	mux.HandleFunc("/release", func(http.ResponseWriter, *http.Request) { gate.Unlock() })
	// Whoever wants a result to be older than it is, moves the bound.
	mux.HandleFunc("/impatient", func(http.ResponseWriter, *http.Request) {
		h.mu.Lock()
		h.checks[0].set.maxAge = 300 * time.Millisecond
		h.publish()
		h.mu.Unlock()
	})
	server := httptest.NewServer(h.Wrap(mux))
	fmt.Println(server.URL)
	io.Copy(io.Discard, os.Stdin) // until the parent is gone
	os.Exit(0)
}

// A process that is stopped, as by a debugger or a container that is frozen,
// goes on with results from before. Time is real here, and only ever too long.
func TestAProcessThatWasStoppedIsStaleUntilItsChecksHaveRunAgain(t *testing.T) {
	service := exec.Command(os.Args[0])
	service.Env = append(os.Environ(), child+"=1")
	service.Stderr = os.Stderr
	stdin, err := service.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	defer service.Wait()
	defer service.Process.Kill()
	defer stdin.Close()
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = strings.TrimSpace(url)
	ask := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	defer http.DefaultClient.CloseIdleConnections()
	until := func(want int) string {
		t.Helper()
		for begun := time.Now(); ; time.Sleep(time.Millisecond) {
			code, body := ask("/readyz")
			if code == want {
				return body
			}
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("%d %s", code, body)
			}
		}
	}
	until(200)
	ask("/hold")      // no result comes from now on, and the last one is good for two minutes
	ask("/impatient") // for 0.3 s
	if err := service.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond)
	if err := service.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code, body := ask("/readyz"); code != 503 || !strings.Contains(body, "stale") {
		t.Errorf("after it was stopped: %d %s", code, body)
	}
	ask("/release")
	until(200)
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// childEnv carries the settings of a server process. This program is its own
// server: where the variable is set, it serves and does nothing else.
const childEnv = "HANDRAIL_OVERLOAD_SERVER"

// addresses are the listeners of one server process.
type addresses struct {
	Bare      string // the service as it is
	Protected string // the same behind the protection, empty where not asked for
}

// stageProcess starts a server in a process of its own, so that the client's
// work is no load on it, and returns where it listens and how to end it. The
// server ends by itself when this process dies, because its standard input
// closes.
func stageProcess(ctx context.Context, set serverSettings) (addresses, func(), error) {
	fail := func(err error) (addresses, func(), error) {
		return addresses{}, nil, fmt.Errorf("cannot start the server process: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	text, err := json.Marshal(set)
	if err != nil {
		return fail(err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	if set.Procs > 0 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(set.Procs))
	}
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	life, err := cmd.StdinPipe()
	if err != nil {
		return fail(err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	end := func() {
		life.Close()
		kill := time.AfterFunc(2*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Wait()
	}
	var at addresses
	if err := json.NewDecoder(bufio.NewReader(said)).Decode(&at); err != nil {
		end()
		if ctx.Err() != nil {
			return addresses{}, nil, ctx.Err()
		}
		return fail(errors.Join(errors.New("it ended before it listened"), err))
	}
	return at, end, nil
}

// serveAsChild is the server process. It returns the exit code.
func serveAsChild(text string, stdin io.Reader, stdout, stderr io.Writer) int {
	// A Ctrl-C at the terminal reaches the whole group; the parent decides.
	signal.Ignore(os.Interrupt)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	var set serverSettings
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		fmt.Fprintln(stderr, "overload: server process:", err)
		return 1
	}
	at, end, err := stage(set)
	if err != nil {
		fmt.Fprintln(stderr, "overload: server process:", err)
		return 1
	}
	defer end()
	if err := json.NewEncoder(stdout).Encode(at); err != nil {
		return 1
	}
	orphaned := make(chan struct{})
	go func() {
		io.Copy(io.Discard, stdin)
		close(orphaned)
	}()
	select {
	case <-orphaned:
	case <-term:
	}
	return 0
}

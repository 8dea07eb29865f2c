package httptorture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

var streamCases = []testCase{
	{"flush-sends-the-header", both, true, flushSendsTheHeader},
	{"flush-tells-of-a-client-that-left", both, true, flushTellsOfALostClient},
	{"event-stream", both, true, eventStream},
	{"full-duplex", both, false, fullDuplex},
	{"upload-is-streamed", both, false, uploadIsStreamed},
}

// flushSendsTheHeader has the client see the response begin while the handler
// still waits for the client.
func flushSendsTheHeader(e *env) {
	seen := make(chan struct{})
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Early", "yes")
		w.WriteHeader(http.StatusCreated)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		if e.await(seen) {
			io.WriteString(w, "done")
		}
	})
	resp := s.send(s.request("GET", "/", nil))
	defer resp.Body.Close()
	close(seen)
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("X-Early") != "yes" || string(body) != "done" || err != nil {
		e.Errorf("response %d %q, header %v, error %v", resp.StatusCode, body, resp.Header, err)
	}
}

// flushTellsOfALostClient has a handler stream until an error stops it, as it
// should once nobody listens.
func flushTellsOfALostClient(e *env) {
	started := make(chan struct{})
	result := make(chan error, 1)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		e.await(r.Context().Done())
		result <- writeUntilError(e, w)
	})
	leave := s.leaving("/")
	e.must(started, "the handler starts")
	leave()
	if err := receive(e, result, "the handler stops writing"); err == nil || errors.Is(err, http.ErrNotSupported) {
		e.Errorf("Flush never tells that the client left: %v", err)
	}
}

// eventStream sends each event only after the client has the one before.
func eventStream(e *env) {
	const events = 5
	seen := make(chan struct{})
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		f, ok := w.(http.Flusher)
		if !ok {
			http.Error(w, "streaming unsupported", http.StatusInternalServerError)
			return
		}
		for i := range events {
			fmt.Fprintf(w, "data: %d\n\n", i)
			f.Flush()
			if !e.await(seen) {
				return
			}
		}
	})
	resp := s.send(s.request("GET", "/", nil))
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		e.Fatalf("response %d, %q", resp.StatusCode, got)
	}
	lines := bufio.NewReader(resp.Body)
	for i := range events {
		line, err := lines.ReadString('\n')
		blank, _ := lines.ReadString('\n')
		if line != fmt.Sprintf("data: %d\n", i) || blank != "\n" {
			e.Fatalf("event %d is %q %q, %v", i, line, blank, err)
		}
		e.give(seen, "the handler waits for the client")
	}
	if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
		e.Errorf("after the last event: %q, %v", rest, err)
	}
}

// fullDuplex answers each line of a request body before the next is sent.
func fullDuplex(e *env) {
	e.converse(true)
}

// uploadIsStreamed acknowledges, beside the response, each line of a request
// body before the next is sent.
func uploadIsStreamed(e *env) {
	e.converse(false)
}

func (e *env) converse(inResponse bool) {
	const lines = 5
	got := make(chan string, lines)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if inResponse {
			if err := c.EnableFullDuplex(); err != nil {
				e.Errorf("EnableFullDuplex: %v", err)
				return
			}
			if err := c.Flush(); err != nil {
				e.Errorf("Flush: %v", err)
			}
		}
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break
			}
			if !inResponse {
				got <- line
				continue
			}
			io.WriteString(w, strings.ToUpper(line))
			c.Flush()
		}
		io.WriteString(w, "END\n")
	})
	body, send := io.Pipe()
	defer send.Close()
	type answer struct {
		resp *http.Response
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		resp, err := s.trySend(s.request("POST", "/", body))
		if inResponse && err == nil {
			go e.forwardLines(resp.Body, got)
		}
		answered <- answer{resp, err}
	}()
	e.Cleanup(func() {
		send.Close()
		select {
		case a := <-answered:
			if a.err == nil {
				a.resp.Body.Close()
			}
		default:
		}
	})
	for i := range lines {
		line := fmt.Sprintf("line %d\n", i)
		if _, err := io.WriteString(send, line); err != nil {
			e.Fatalf("sending %q: %v", line, err)
		}
		want := line
		if inResponse {
			want = strings.ToUpper(line)
		}
		if g := receive(e, got, "what was sent arrives before more is sent"); g != want {
			e.Fatalf("got %q, want %q", g, want)
		}
	}
	send.Close()
	a := receive(e, answered, "the response")
	if a.err != nil {
		e.Fatalf("response: %v", a.err)
	}
	defer a.resp.Body.Close()
	if inResponse {
		if g := receive(e, got, "the end of the response"); g != "END\n" {
			e.Errorf("the response ends with %q", g)
		}
	} else if rest, err := io.ReadAll(a.resp.Body); string(rest) != "END\n" || err != nil {
		e.Errorf("response %q, %v", rest, err)
	}
}

func (e *env) forwardLines(r io.Reader, to chan<- string) {
	for in := bufio.NewReader(r); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		select {
		case to <- line:
		case <-e.over.Done():
			return
		}
	}
}

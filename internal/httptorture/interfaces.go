package httptorture

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

var interfaceCases = []testCase{
	scripted("optional-interfaces", both, true, script{handle: optionalInterfaces}),
	scripted("response-controller", both, true, script{handle: responseController}),
	scripted("copy-reaches-the-connection", http1, true, script{handle: copyReachesTheConnection}),
	scripted("push-is-refused-by-the-server", http2, false, script{handle: pushIsRefused}),
	{"close-notify", both, false, closeNotify},
	{"read-deadline", both, false, readDeadline},
	{"write-deadline", both, false, writeDeadline},
}

// optionalInterfaces is about w.(http.Flusher) and the like: none missing,
// which breaks websockets and streams, and none too many, which makes a
// library believe in what fails later.
func optionalInterfaces(w http.ResponseWriter, _ *http.Request, note notes) {
	_, flusher := w.(http.Flusher)
	_, flushError := w.(interface{ FlushError() error })
	_, hijacker := w.(http.Hijacker)
	_, readerFrom := w.(io.ReaderFrom)
	_, stringWriter := w.(io.StringWriter)
	_, pusher := w.(http.Pusher)
	_, closeNotifier := w.(interface{ CloseNotify() <-chan bool })
	_, readDeadline := w.(interface{ SetReadDeadline(time.Time) error })
	_, writeDeadline := w.(interface{ SetWriteDeadline(time.Time) error })
	_, fullDuplex := w.(interface{ EnableFullDuplex() error })
	note("Flush %v, FlushError %v, Hijack %v, ReadFrom %v, WriteString %v", flusher, flushError, hijacker, readerFrom, stringWriter)
	note("Push %v, CloseNotify %v", pusher, closeNotifier)
	note("SetReadDeadline %v, SetWriteDeadline %v, EnableFullDuplex %v", readDeadline, writeDeadline, fullDuplex)
}

func responseController(w http.ResponseWriter, r *http.Request, note notes) {
	c := http.NewResponseController(w)
	note("SetReadDeadline: %s", describeError(c.SetReadDeadline(time.Now().Add(time.Hour))))
	note("SetWriteDeadline: %s", describeError(c.SetWriteDeadline(time.Now().Add(time.Hour))))
	note("EnableFullDuplex: %s", describeError(c.EnableFullDuplex()))
	note("Flush: %s", describeError(c.Flush()))
	if r.ProtoMajor == 2 {
		_, _, err := c.Hijack()
		note("Hijack: %s", describeError(err))
	}
}

// tellingSource remembers who asked it to write itself.
type tellingSource struct {
	io.Reader
	writesTo string
}

func (s *tellingSource) WriteTo(w io.Writer) (int64, error) {
	s.writesTo = fmt.Sprintf("%T", w)
	return io.Copy(struct{ io.Writer }{w}, s.Reader)
}

// copyReachesTheConnection is about sendfile, which needs a file to arrive at
// the connection as it is: an io.Copy on the way would have the source write
// itself into some writer.
func copyReachesTheConnection(w http.ResponseWriter, _ *http.Request, note notes) {
	w.Header().Set("Content-Length", "100000")
	src := &tellingSource{Reader: noiseReader(100000)}
	rf, ok := w.(io.ReaderFrom)
	if !ok {
		note("no ReadFrom")
		return
	}
	n, err := rf.ReadFrom(src)
	note("ReadFrom: %d, %s; the source was given a %s", n, describeError(err), src.writesTo)
}

func pushIsRefused(w http.ResponseWriter, _ *http.Request, note notes) {
	if p, ok := w.(http.Pusher); !ok {
		note("no Push")
	} else {
		note("Push: %s", describeError(p.Push("/style.css", nil)))
	}
}

func closeNotify(e *env) {
	started := make(chan struct{})
	told := make(chan bool, 1)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		c, ok := w.(interface{ CloseNotify() <-chan bool })
		if !ok {
			told <- false
			close(started)
			return
		}
		gone := c.CloseNotify()
		close(started)
		timer := time.NewTimer(e.patience)
		defer timer.Stop()
		select {
		case <-gone:
			told <- true
		case <-timer.C:
			told <- false
		}
	})
	leave := s.leaving("/")
	e.must(started, "the handler starts")
	leave()
	if !receive(e, told, "CloseNotify tells of the client that left") {
		e.Errorf("CloseNotify does not tell that the client left")
	}
}

// readDeadline sets a deadline in the past while the client still owes its
// body: reading must fail at once with the error that net/http has for it.
func readDeadline(e *env) {
	result := make(chan error, 2)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		result <- http.NewResponseController(w).SetReadDeadline(time.Now().Add(-time.Second))
		_, err := io.ReadAll(r.Body)
		result <- err
	})
	body, send := io.Pipe()
	defer send.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.fetch(s.request("POST", "/", body))
	}()
	if err := receive(e, result, "the deadline is set"); err != nil {
		e.Errorf("SetReadDeadline: %v", err)
	}
	if err := receive(e, result, "a read ends at its deadline"); !errors.Is(err, os.ErrDeadlineExceeded) {
		e.Errorf("read after the deadline: %v", err)
	}
	send.Close()
	e.must(done, "the client is answered")
}

// writeDeadline sets a deadline in the past: nothing more is sent, and Flush
// says so.
func writeDeadline(e *env) {
	const head = "head"
	result := make(chan error, 2)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		io.WriteString(w, head)
		c.Flush()
		result <- c.SetWriteDeadline(time.Now().Add(-time.Second))
		result <- writeUntilError(e, w)
	})
	re, err := s.fetch(s.request("GET", "/", nil))
	if err := receive(e, result, "the deadline is set"); err != nil {
		e.Errorf("SetWriteDeadline: %v", err)
	}
	if err := receive(e, result, "a write ends at its deadline"); err == nil || errors.Is(err, http.ErrNotSupported) {
		e.Errorf("Flush never tells that the deadline passed: %v", err)
	}
	if err == nil && re.cut == nil {
		e.Errorf("the client got a complete response after the deadline for writing it")
	}
}

// writeUntilError writes and flushes until the writer admits that nobody can
// read that, or until it has had every chance to.
func writeUntilError(e *env, w http.ResponseWriter) error {
	c := http.NewResponseController(w)
	line := noise(1024)
	for deadline := time.Now().Add(e.patience); time.Now().Before(deadline); {
		w.Write(line)
		if err := c.Flush(); err != nil {
			return err
		}
	}
	return nil
}

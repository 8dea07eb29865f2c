package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// maxAnswer is how long an answer may be: 6 MB with its envelope, and less of
// what has to be encoded. Those that might be too long are refused here, because
// Lambda would drop them, and say so to nobody but the log.
const maxAnswer = 4 << 20

// errTooLong is what a handler gets that writes more than that.
var errTooLong = errors.New("the answer is longer than a function can return")

// answerOf serves a request, and returns the answer in payload format 2.0.
func answerOf(h http.Handler, r *http.Request) events.APIGatewayV2HTTPResponse {
	w := &writer{header: http.Header{}}
	if panicked := w.serve(h, r); panicked || w.tooLong {
		// The observer has told of the panic, with its stack.
		w = &writer{header: http.Header{}}
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
	w.WriteHeader(http.StatusOK) // unless there is a status
	answer := events.APIGatewayV2HTTPResponse{
		StatusCode: w.status,
		Headers:    map[string]string{},
		Cookies:    w.sent["Set-Cookie"],
		Body:       w.body.String(),
	}
	for name, values := range w.sent {
		switch name {
		case "Set-Cookie", "Connection", "Transfer-Encoding": // not of the answer, or of no use here
		default:
			answer.Headers[name] = strings.Join(values, ", ")
		}
	}
	if r.Method == http.MethodHead {
		answer.Body = ""
	}
	if w.sent.Get("Content-Encoding") != "" || !utf8.ValidString(answer.Body) {
		answer.Body = base64.StdEncoding.EncodeToString([]byte(answer.Body))
		answer.IsBase64Encoded = true
	}
	return answer
}

// writer keeps what is written.
type writer struct {
	header http.Header
	sent   http.Header // as it was when the status was chosen
	status int
	body   bytes.Buffer

	tooLong bool
}

// serve reports whether the handler panicked. That must not end the process, as
// it does not end a server's.
func (w *writer) serve(h http.Handler, r *http.Request) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	h.ServeHTTP(w, r)
	return false
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.status != 0 || status < 200 { // an interim answer has nowhere to go
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if w.sent == nil {
		w.sent = http.Header{}
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	if w.body.Len()+len(p) > maxAnswer {
		w.tooLong = true
		return 0, errTooLong
	}
	if _, chosen := w.sent["Content-Type"]; !chosen && w.body.Len() == 0 && len(p) > 0 && w.sent.Get("Content-Encoding") == "" {
		w.sent.Set("Content-Type", http.DetectContentType(p)) // as a server does
	}
	return w.body.Write(p)
}

package refuse

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
)

// Response is a refusal ready to be sent. It is safe for concurrent use.
type Response struct {
	rejection handrail.Rejection
	handler   handrail.RejectionHandler
	body      []byte
	length    []string
	limits    limits
}

// StatusGone is what is noted for a client that left before an answer, as
// several proxies do; nobody receives it.
const StatusGone = 499

// ValidStatus says whether a request may be refused with status: that of an
// error, 400 to 599.
func ValidStatus(status int) bool { return status >= 400 && status <= 599 }

// problem is the body (RFC 9457, section 3.1).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title,omitempty"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	Name   string `json:"name,omitempty"`
}

// New prepares the response for rejection, whose RetryAfter is ignored: it is
// given with each [Response.Write]. If handler is not nil, it answers instead,
// and the response takes care of uploads only. Text that is not UTF-8 is made
// so by replacing what is wrong with U+FFFD.
//
// New panics if the status is not a [ValidStatus]: options are checked before.
func New(rejection handrail.Rejection, handler handrail.RejectionHandler) *Response {
	if !ValidStatus(rejection.Status) {
		panic(fmt.Sprintf("refuse: status %d is not that of an error", rejection.Status))
	}
	body, err := json.Marshal(problem{
		Type:   "about:blank",
		Title:  http.StatusText(rejection.Status),
		Status: rejection.Status,
		Detail: rejection.Message,
		Code:   rejection.Code,
		Reason: rejection.Reason,
		Name:   rejection.Name,
	})
	if err != nil {
		panic("refuse: " + err.Error()) // strings and a number always marshal
	}
	body = append(body, '\n')
	return &Response{
		rejection: rejection,
		handler:   handler,
		body:      body,
		length:    []string{fmt.Sprint(len(body))},
		limits:    usual,
	}
}

// Write refuses r, of which nothing has been answered yet. Retry-After is
// retryAfter rounded up to whole seconds, and not sent if that is 0 or less.
// The answer to HEAD has the same headers and no body.
func (p *Response) Write(w http.ResponseWriter, r *http.Request, retryAfter time.Duration) {
	retryAfter = max(retryAfter, 0)
	u := p.limits.hold(w, r)
	if p.handler != nil {
		rejection := p.rejection
		rejection.RetryAfter = retryAfter
		p.handler(w, r, rejection)
	} else {
		p.SetHeader(w.Header(), retryAfter)
		w.WriteHeader(p.rejection.Status)
		if r.Method != http.MethodHead {
			w.Write(p.body) // who has left is not told
		}
	}
	p.limits.settle(u, w, r)
}

// Status is the status of the response.
func (p *Response) Status() int { return p.rejection.Status }

// Body is the body of the response, which must not be changed. With
// [Response.SetHeader] it serves who has to send the response in a way of
// their own.
func (p *Response) Body() []byte { return p.body }

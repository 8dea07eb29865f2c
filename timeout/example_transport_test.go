package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/handrail-go/handrail/timeout"
)

// A service that calls another one gives it so long and no longer, body
// included.
func ExampleTimeout_Transport() {
	inventory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // it hangs
	}))
	defer inventory.Close()

	limit, err := timeout.New(timeout.Basic(50*time.Millisecond), timeout.WithName("inventory"))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: limit.Transport(nil)}
	_, err = client.Get(inventory.URL)

	var late *timeout.Error
	if errors.As(err, &late) {
		fmt.Println(late)
	}
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// timeout: inventory: not done after 50ms
	// true
}

// Both sides know the same header: the caller says how much time is left, and
// the service gives up when the caller does.
func ExampleTimeout_Transport_deadlineHeader() {
	const header = "X-Request-Timeout-Ms"
	patient := timeout.Middleware(timeout.Basic(30*time.Second), timeout.WithDeadlineHeader(header))
	service := httptest.NewServer(patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline, _ := r.Context().Deadline()
		fmt.Fprintln(w, "the caller says", r.Header.Get(header))
		fmt.Fprintln(w, "that is within two seconds:", time.Until(deadline) <= 2*time.Second)
	})))
	defer service.Close()

	limit, err := timeout.New(timeout.Basic(2*time.Second), timeout.WithDeadlineHeader(header))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: limit.Transport(nil)}
	resp, err := client.Get(service.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(string(body))
	// Output:
	// the caller says 2000
	// that is within two seconds: true
}

// A proxy that waits for its upstream for a while only. Its client gets 504.
func ExampleError_ServeHTTP() {
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		panic(err)
	}
	limit, err := timeout.New(timeout.Basic(20*time.Millisecond), timeout.WithStatus(http.StatusGatewayTimeout))
	if err != nil {
		panic(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: limit.Transport(nil),
		ErrorLog:  log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var answer http.Handler // of any transport of this toolkit
			if errors.As(err, &answer) {
				answer.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	w := httptest.NewRecorder()
	proxy.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 504 application/problem+json
}

package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

package live_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/live"
	"github.com/handrail-go/handrail/shed"
)

func orders(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "an order") }

// The page has a server of its own, on an address that only operators reach.
func Example() {
	observer, err := observe.New()
	if err != nil {
		log.Fatal(err)
	}
	shedder, err := shed.New()
	if err != nil {
		log.Fatal(err)
	}
	service := handrail.Chain(observer.Wrap, shedder.Wrap)(http.HandlerFunc(orders))

	admin := http.NewServeMux()
	admin.Handle("/debug/live/", live.Page(observer, shedder, load.Default()))

	// go http.ListenAndServe("localhost:6060", admin)
	// http.ListenAndServe(":8080", service)
	_ = service

	w := httptest.NewRecorder()
	admin.ServeHTTP(w, httptest.NewRequest("GET", "/debug/live/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}

func ExampleNew() {
	hold, err := bulkhead.New(bulkhead.WithName("orders"))
	if err != nil {
		log.Fatal(err)
	}
	page, err := live.New(
		live.WithSource(hold),
		live.WithTitle("orders, eu-west-1"),
		live.WithInterval(2*time.Second),
		live.WithMaxViewers(4),
		live.WithRuntimePlots(false),
	)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "localhost:6060", Handler: page}
	server.RegisterOnShutdown(func() { page.Close() })
	fmt.Println(page.Stats().Viewers, "viewers")
	// Output: 0 viewers
}

// Only whom the gateway in front has found to be an operator. The gateway has to
// remove that header from what comes from outside.
func ExampleWithAuthorize() {
	page, err := live.New(
		live.WithSource(load.Default()),
		live.WithAuthorize(func(r *http.Request) bool { return r.Header.Get("X-Auth-Role") == "operator" }),
	)
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/debug/live/", nil)
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	fmt.Println(w.Code)
	r.Header.Set("X-Auth-Role", "operator")
	w = httptest.NewRecorder()
	page.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// 403
	// 200
}

package shed_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
)

// A service needs no setting at all.
func Example() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	})

	protected := shed.Middleware()(handler)

	w := httptest.NewRecorder()
	protected.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 hello
}

// Which requests matter more is read off their route here, where no client can
// choose it, and the tenant is what authentication has found out.
func Example_prioritiesAndTenants() {
	class := func(r *http.Request) handrail.Priority {
		switch r.URL.Path {
		case "/payments":
			return handrail.Critical
		case "/export":
			return handrail.Background
		default:
			return handrail.Normal
		}
	}
	tenant := func(r *http.Request) string { return r.Header.Get("X-Authenticated-Tenant") }

	shedder, err := shed.New(
		shed.WithName("shop"),
		shed.WithPriority(class),
		shed.WithTenant(tenant),
		shed.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/healthz" }),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	protected := shedder.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	for _, path := range []string{"/payments", "/export", "/items", "/items", "/healthz"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-Authenticated-Tenant", "tenant of "+path)
		protected.ServeHTTP(httptest.NewRecorder(), r)
	}
	st := shedder.Stats()
	for _, c := range st.ByPriority {
		fmt.Println(c.Priority, c.Admitted)
	}
	fmt.Println("tenants", st.Tenants)
	// Output:
	// critical 1
	// high 0
	// normal 2
	// low 0
	// background 1
	// tenants 3
}

// occupied has a handler with one slot, and calls f while that is taken.
func occupied(wrap func(http.Handler) http.Handler, f func(http.Handler)) {
	inside, leave, left := make(chan bool), make(chan bool), make(chan bool)
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			inside <- true
			<-leave
		}
	}))
	go func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/slow", nil))
		left <- true
	}()
	<-inside
	f(h)
	leave <- true
	<-left
}

// A middleware is made once. Made anew for each request, it counts to one, and
// protects nobody.
func ExampleMiddleware_madeForEachRequest() {
	options := []shed.Option{shed.WithLimits(1, 1, 1), shed.WithMaxWait(0)}
	wrong := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			shed.Middleware(options...)(next).ServeHTTP(w, r)
		})
	}
	right := shed.Middleware(options...)

	ask := func(h http.Handler) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Code)
	}
	occupied(wrong, ask)
	occupied(right, ask)
	// Output:
	// 200
	// 503
}

// On a service that anybody can reach, a header that names the priority is a
// way around the queue for whoever finds it out.
func ExampleWithPriorityHeader_fromOutside() {
	fromOutside := httptest.NewRequest("GET", "/", nil)
	fromOutside.Header.Set("X-Priority", "critical")

	show := func(name string, opt shed.Option) {
		shedder, err := shed.New(opt)
		if err != nil {
			fmt.Println(err)
			return
		}
		shedder.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), fromOutside)
		for _, c := range shedder.Stats().ByPriority {
			if c.Admitted > 0 {
				fmt.Println(name, c.Priority)
			}
		}
	}
	show("wrong:", shed.WithPriorityHeader("X-Priority"))
	show("right:", shed.WithPriority(func(r *http.Request) handrail.Priority {
		if r.URL.Path == "/payments" {
			return handrail.Critical
		}
		return handrail.Normal
	}))
	// Output:
	// wrong: critical
	// right: normal
}

// A dry run shows what would be shed before anything is.
func ExampleWithDryRun() {
	shedder, err := shed.New(
		shed.WithDryRun(true),
		shed.Using(func(s shed.Snapshot, r *http.Request) bool { return r.Method == "POST" }),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	protected := shedder.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	w := httptest.NewRecorder()
	protected.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	st := shedder.Stats()
	fmt.Println(w.Code, st.Admitted, st.Reasons[shed.ReasonCustom])
	// Output: 200 1 1
}

// All that is wrong with the options is told at once.
func ExampleNew_wrongOptions() {
	_, err := shed.New(shed.ForTarget(time.Hour), shed.WithStatus(200))
	fmt.Println(err)
	// Output:
	// shed: ForTarget(1h0m0s): must be between 1ms and 10m0s
	// shed: WithStatus(200): must be between 400 and 599 and not 408
}

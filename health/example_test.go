package health_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/handrail-go/handrail/health"
)

// quiet keeps the examples from logging.
var quiet = health.WithLogger(slog.New(slog.DiscardHandler))

// eventually asks until a check has a status, since checks run in the background.
func eventually(h *health.Health, check int, status health.Status) {
	for h.Stats().Checks[check].Status != status {
		time.Sleep(time.Millisecond)
	}
}

func show(h http.Handler, path string, fields ...string) {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
}

// A service that needs its database, and can do without its cache.
func Example() {
	h, err := health.New(quiet,
		health.WithCheck("db", func(ctx context.Context) error { return nil }), // db.PingContext
		health.WithCheck("cache", func(ctx context.Context) error { return errors.New("connection refused") },
			health.Degrading(), health.FailAfter(1)),
	)
	if err != nil {
		panic(err)
	}
	defer h.Close()
	service := h.Wrap(http.NewServeMux())

	eventually(h, 0, health.Pass)
	eventually(h, 1, health.Warn)
	show(service, "/livez")
	show(service, "/readyz?verbose")
	// Output:
	// 200 ok
	// 200 [+]db ok
	// [!]cache degraded: reason withheld
	// [+]shutdown ok
	// readyz check passed
}

// Reasons are for operators only.
func ExampleWithAuthorize() {
	h, err := health.New(quiet,
		health.WithCheck("db", func(ctx context.Context) error { return errors.New("connection refused") }, health.FailAfter(1)),
		health.WithAuthorize(func(r *http.Request) bool { return r.Header.Get("X-Operator") == "yes" }),
	)
	if err != nil {
		panic(err)
	}
	defer h.Close()
	eventually(h, 0, health.Fail)
	show(h, "/readyz/db")
	show(h, "/readyz/db", "X-Operator", "yes")
	// Output:
	// 503 [-]db failed: reason withheld
	//
	// 503 [-]db failed: connection refused
}

// A loop that must go on. A restart cures it if it does not.
func ExampleHeartbeat() {
	beat := health.NewHeartbeat(time.Minute)
	h, err := health.New(quiet, health.WithCheck("worker", beat.Check(), health.In(health.Live)))
	if err != nil {
		panic(err)
	}
	defer h.Close()
	go func() {
		for range 3 { // each round of the loop
			beat.Beat()
		}
	}()
	show(h, "/livez")
	// Output:
	// 200 ok
}

// A check that tells what it measured, and worries before it fails.
func ExampleObserve() {
	queued := 70
	h, err := health.New(quiet,
		health.WithAuthorize(func(*http.Request) bool { return true }),
		health.WithCheck("outbox", func(ctx context.Context) error {
			health.Observe(ctx, "queued", float64(queued), "")
			switch {
			case queued > 100:
				return fmt.Errorf("%d messages are queued", queued)
			case queued > 50:
				return health.Warning(fmt.Errorf("%d messages are queued", queued))
			}
			return nil
		}))
	if err != nil {
		panic(err)
	}
	defer h.Close()
	eventually(h, 0, health.Warn)
	fmt.Println(h.Stats().Checks[0].Observations)
	show(h, "/readyz/outbox")
	// Output:
	// [{queued 70 }]
	// 200 [!]outbox degraded: 70 messages are queued
}

// Load is refused for liveness: an overloaded instance that is restarted leaves
// its load to the others.
func ExampleLoad() {
	pressure := func() float64 { return 2 } // sampler.Pressure
	_, err := health.New(quiet, health.WithCheck("load", health.Load(pressure, 1, 0), health.In(health.Live)))
	fmt.Println(err)
	h, err := health.New(quiet, health.WithCheck("load", health.Load(pressure, 1, 0), health.FailAfter(1)))
	if err != nil {
		panic(err)
	}
	defer h.Close()
	eventually(h, 0, health.Warn)
	show(h, "/readyz?verbose")
	// Output:
	// health: WithCheck(load): tells how busy the process is, which must not have it restarted: keep it out of Live
	// 200 [!]load degraded: reason withheld
	// [+]shutdown ok
	// readyz check passed
}

// The end of a main function. The signal comes from the test here.
func ExampleHealth_Shutdown() {
	h, err := health.New(quiet, health.WithDrainDelay(time.Millisecond))
	if err != nil {
		panic(err)
	}
	defer h.Close()
	server := &http.Server{Addr: "127.0.0.1:0", Handler: h.Wrap(http.NewServeMux())}
	stopped := make(chan error, 1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { stopped <- server.ListenAndServe() }()

	stop() // as a signal does
	<-ctx.Done()
	show(h, "/readyz")
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	fmt.Println(h.Shutdown(ctx, server))
	show(h, "/readyz")
	show(h, "/livez")
	fmt.Println(<-stopped)
	// Output:
	// 200 ok
	// <nil>
	// 503 [-]shutdown failed: the instance is going down
	// readyz check failed
	//
	// 200 ok
	// http: Server closed
}

// Mounted on a mux, at one path.
func ExampleHealth_ServeHTTP() {
	h, err := health.New(quiet)
	if err != nil {
		panic(err)
	}
	defer h.Close()
	mux := http.NewServeMux()
	mux.Handle("/healthz", h)
	mux.Handle("/internal/alive", h.Handler(health.Live))
	show(mux, "/healthz?verbose")
	show(mux, "/internal/alive")
	// Output:
	// 200 [+]shutdown ok
	// healthz check passed
	//
	// 200 ok
}

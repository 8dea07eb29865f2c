package load_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/handrail-go/handrail/load"
)

// The common case: one sampler for the process, asked by whoever wants to know.
func Example() {
	sampler := load.Default()
	status := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		snap := sampler.Snapshot()
		if snap.Pressure > 1 {
			log.Print("more work than there is room for")
		}
		fmt.Fprintln(w, "in flight:", snap.InFlight, "stale:", snap.Stale)
	})
	rec := httptest.NewRecorder()
	status.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	fmt.Print(rec.Body)
	// Output:
	// in flight: 0 stale: false
}

// The pressure is the worst signal relative to its threshold. A source of
// one's own stands in for the system here, as it may in a test.
func ExampleSampler_Pressure() {
	sampler, err := load.New(
		load.WithThresholds(load.Thresholds{CPU: 0.7}),
		load.WithSource(func() (load.Usage, error) {
			return load.Usage{
				CPU:    load.Value{V: 0.35, Known: true},
				Memory: load.Value{V: 0.17, Known: true},
			}, nil
		}),
		load.WithScheduler(func() load.Scheduler {
			return load.Scheduler{Runnable: 12, Latency: 30 * time.Millisecond, Known: true}
		}),
	)
	if err != nil {
		panic(err)
	}
	defer sampler.Close()

	var pressure func() float64 = sampler.Pressure // as other packages take it
	fmt.Println("pressure:", pressure())
	fmt.Println("of which CPU:", sampler.Usage().CPU.V/0.7)
	// Output:
	// pressure: 1.5
	// of which CPU: 0.5
}

// Whoever serves a request counts it, once.
func ExampleSampler_Enter() {
	sampler, err := load.New()
	if err != nil {
		panic(err)
	}
	defer sampler.Close()

	count := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sampler.Enter(w) {
				began := sampler.Now()
				outcome := load.Failure // what it is if next panics
				defer func() {
					now := sampler.Now()
					sampler.ExitAt(now, now-began, outcome)
				}()
				next.ServeHTTP(w, r)
				outcome = load.Success
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	handler := count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("in flight:", sampler.InFlight())
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
	}))
	for _, path := range []string{"/", "/", "/", "/panic"} {
		func() {
			defer func() { recover() }() // as the server does
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		}()
	}
	snap := sampler.Snapshot()
	fmt.Println("in flight:", snap.InFlight, "samples:", snap.Samples, "error rate:", snap.ErrorRate)
	// Output:
	// in flight: 1
	// in flight: 1
	// in flight: 1
	// in flight: 1
	// in flight: 0 samples: 4 error rate: 0.25
}

// The mistake to avoid: a value that is not known reads as 0.
func ExampleValue() {
	sampler, err := load.New(load.WithSource(func() (load.Usage, error) {
		return load.Usage{}, errors.New("no permission")
	}))
	if err != nil {
		panic(err)
	}
	defer sampler.Close()

	cpu := sampler.Usage().CPU
	fmt.Println("wrong:", cpu.V < 0.5)
	fmt.Println("right:", cpu.Known && cpu.V < 0.5)
	// Output:
	// wrong: true
	// right: false
}

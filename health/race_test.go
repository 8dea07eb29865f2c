package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/race"
)

func TestSixtyFourGoroutinesShareOneHealth(t *testing.T) {
	leaktest.Check(t)
	erratic := func(ctx context.Context) error {
		Observe(ctx, "utilization", rand.Float64(), "percent")
		switch rand.IntN(8) {
		case 0:
			return errDown
		case 1:
			return Warning(errDown)
		case 2:
			panic("on purpose")
		case 3:
			runtime.Goexit()
		case 4:
			<-ctx.Done()
		}
		return nil
	}
	often := WithDefaults(Every(time.Millisecond), Timeout(time.Millisecond), FailAfter(1), In(All))
	opts := []Option{silent, everybody, often, OnChange(func(Transition) {}), WithDrainDelay(0)}
	for i := range 16 {
		opts = append(opts, WithCheck(fmt.Sprint("c", i), erratic))
	}
	h, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	probes := h.Wrap(http.NotFoundHandler())
	paths := []string{"/healthz", "/readyz?verbose", "/livez?exclude=c1&exclude=x", "/readyz/c2", "/startupz", "/x"}
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for n := range race.Either(300, 60) {
				switch {
				case i == 0:
					h.Add(fmt.Sprint("d", n%4), Func(erratic))
				case i == 1:
					h.Remove(fmt.Sprint("d", n%4))
				case i == 2:
					h.Stats()
				case i == 3:
					h.Collect(func(handrail.Metric) {})
				case i == 4 && n == 50:
					h.Shutdown(context.Background(), &http.Server{})
				default:
					w := get(probes, paths[rand.IntN(len(paths))], "Accept", []string{"*/*", "application/health+json"}[n%2])
					if w.Code != 200 && w.Code != 503 && w.Code != 404 {
						t.Errorf("%d", w.Code)
					}
				}
			}
		})
	}
	group.Wait()
	h.Close()
}

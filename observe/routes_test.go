package observe

import (
	"fmt"
	"testing"
)

func TestARouteThatIsUsedIsFoundWithoutALock(t *testing.T) {
	r := newRoutes(500)
	for i := range 100 {
		r.name(fmt.Sprint("GET /", i))
	}
	for range 1000 {
		for i := range 100 {
			r.name(fmt.Sprint("GET /", i))
		}
	}
	for i := range 100 {
		if _, ok := (*r.read.Load())[fmt.Sprint("GET /", i)]; !ok {
			t.Errorf("route %d is still found under the lock only", i)
		}
	}
}

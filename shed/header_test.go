package shed_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
)

// classOf is the class in which a Shedder with these options counts a request.
func classOf(t *testing.T, r *http.Request, opts ...shed.Option) handrail.Priority {
	t.Helper()
	s := shedder(t, opts...)
	s.Wrap(noop).ServeHTTP(&nullWriter{http.Header{}}, r)
	for _, c := range s.Stats().ByPriority {
		if c.Admitted == 1 {
			return c.Priority
		}
	}
	t.Fatal("no class was counted")
	return 0
}

func TestThePriorityHeaderNamesTheClassInAnyLetterCase(t *testing.T) {
	for value, want := range map[string]handrail.Priority{
		"critical": handrail.Critical, "CRITICAL": handrail.Critical, "cRiTiCaL": handrail.Critical,
		"high": handrail.High, "High": handrail.High,
		"normal": handrail.Normal, "NORMAL": handrail.Normal,
		"low": handrail.Low, "LoW": handrail.Low,
		"background": handrail.Background, "Background": handrail.Background,
		// Anything else is an ordinary request.
		"": handrail.Normal, "urgent": handrail.Normal, "critical ": handrail.Normal, " critical": handrail.Normal,
		"criticaл": handrail.Normal, "critical,critical": handrail.Normal, "2": handrail.Normal, "priority(2)": handrail.Normal,
		"critical\x00": handrail.Normal, "hıgh": handrail.Normal, "bac\u212Aground": handrail.Normal,
		strings.Repeat("critical", 1<<17): handrail.Normal,
	} {
		for _, name := range []string{"x-class", "X-CLASS", "X-Class"} {
			r := request()
			r.Header["X-Class"] = []string{value}
			if got := classOf(t, r, shed.WithPriorityHeader(name)); got != want {
				t.Errorf("%s: %.40q is %v, want %v", name, value, got, want)
			}
		}
	}
}

func TestARepeatedPriorityHeaderIsNormal(t *testing.T) {
	r := request()
	r.Header["X-Class"] = []string{"critical", "critical"}
	if got := classOf(t, r, shed.WithPriorityHeader(classHeader)); got != handrail.Normal {
		t.Errorf("counted as %v", got)
	}
}

func TestNoHeaderIsHonouredWithoutAnOption(t *testing.T) {
	r := request()
	for _, name := range []string{classHeader, "X-Priority", "Priority", "X-Request-Priority", "Importance"} {
		r.Header.Set(name, "critical")
	}
	if got := classOf(t, r); got != handrail.Normal {
		t.Errorf("counted as %v", got)
	}
}

func TestTheClassComesFromAFunction(t *testing.T) {
	for _, want := range []handrail.Priority{handrail.Critical, handrail.High, handrail.Normal, handrail.Low, handrail.Background} {
		if got := classOf(t, request(), shed.WithPriority(func(*http.Request) handrail.Priority { return want })); got != want {
			t.Errorf("%v was counted as %v", want, got)
		}
	}
	for _, invalid := range []handrail.Priority{-128, -3, 3, 127} {
		if got := classOf(t, request(), shed.WithPriority(func(*http.Request) handrail.Priority { return invalid })); got != handrail.Normal {
			t.Errorf("%v was counted as %v", invalid, got)
		}
	}
}

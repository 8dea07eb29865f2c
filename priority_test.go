package handrail_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/handrail-go/handrail"
)

var priorities = []handrail.Priority{handrail.Critical, handrail.High, handrail.Normal, handrail.Low, handrail.Background}

func TestPriorityOrderAndRank(t *testing.T) {
	if len(priorities) != handrail.Priorities {
		t.Fatalf("%d priorities listed, the package says %d", len(priorities), handrail.Priorities)
	}
	var zero handrail.Priority
	if zero != handrail.Normal {
		t.Errorf("the zero value is %v, want normal", zero)
	}
	for rank, p := range priorities {
		if p.Rank() != rank {
			t.Errorf("%v has rank %d, want %d", p, p.Rank(), rank)
		}
		if got := handrail.PriorityOfRank(rank); got != p {
			t.Errorf("rank %d is %v, want %v", rank, got, p)
		}
		if rank > 0 && p >= priorities[rank-1] {
			t.Errorf("%v does not matter less than %v", p, priorities[rank-1])
		}
	}
	for _, p := range []handrail.Priority{-128, -3, 3, 127} {
		if p.Valid() || p.Rank() != handrail.Normal.Rank() {
			t.Errorf("%v: valid %v, rank %d; want an invalid one treated as normal", p, p.Valid(), p.Rank())
		}
	}
	for _, rank := range []int{-1, 5, 1 << 40} {
		if got := handrail.PriorityOfRank(rank); got != handrail.Normal {
			t.Errorf("rank %d is %v, want normal", rank, got)
		}
	}
}

func TestParsePriorityIgnoresCaseAndRefusesTheRest(t *testing.T) {
	for _, p := range priorities {
		for _, name := range []string{p.String(), strings.ToUpper(p.String()), strings.ToUpper(p.String()[:1]) + p.String()[1:]} {
			if got, ok := handrail.ParsePriority(name); !ok || got != p {
				t.Errorf("%q is %v, %v; want %v, true", name, got, ok, p)
			}
		}
	}
	for _, name := range []string{"", " critical", "critical ", "urgent", "0", "critical,high", strings.Repeat("critical", 1<<16), "cri\x00ical", "ſow"} {
		if got, ok := handrail.ParsePriority(name); ok || got != handrail.Normal {
			t.Errorf("%.20q is %v, %v; want normal, false", name, got, ok)
		}
	}
}

func TestPriorityText(t *testing.T) {
	var config struct{ P handrail.Priority }
	if err := json.Unmarshal([]byte(`{"P":"High"}`), &config); err != nil || config.P != handrail.High {
		t.Errorf("got %v, %v; want high", config.P, err)
	}
	if err := json.Unmarshal([]byte(`{"P":"urgent"}`), &config); err == nil || !strings.Contains(err.Error(), "critical, high, normal, low, background") {
		t.Errorf("the error %v does not say what is right", err)
	}
	if out, err := json.Marshal(config); err != nil || string(out) != `{"P":"high"}` {
		t.Errorf("got %s, %v", out, err)
	}
	if _, err := json.Marshal(handrail.Priority(9)); err == nil {
		t.Error("a value that is none of the five was marshalled")
	}
}

func TestPriorityFromHeader(t *testing.T) {
	choose := handrail.PriorityFromHeader("x-priority")
	for _, c := range []struct {
		values []string
		want   handrail.Priority
	}{
		{nil, handrail.Normal},
		{[]string{"CRITICAL"}, handrail.Critical},
		{[]string{"background"}, handrail.Background},
		{[]string{"urgent"}, handrail.Normal},
		{[]string{"critical", "low"}, handrail.Normal},
		{[]string{strings.Repeat("x", 1<<20)}, handrail.Normal},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for _, v := range c.values {
			r.Header.Add("X-Priority", v)
		}
		if got := choose(r); got != c.want {
			t.Errorf("%.40q is %v, want %v", c.values, got, c.want)
		}
	}
}

func FuzzParsePriority(f *testing.F) {
	for _, p := range priorities {
		f.Add(p.String())
	}
	f.Add("urgent")
	f.Fuzz(func(t *testing.T, name string) {
		p, ok := handrail.ParsePriority(name)
		if ok != strings.EqualFold(p.String(), name) && ok {
			t.Errorf("%q was read as %v", name, p)
		}
		if !ok && p != handrail.Normal {
			t.Errorf("%q is %v although it is none", name, p)
		}
	})
}

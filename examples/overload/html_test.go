package main

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

func rendering(t *testing.T, set *settings, r results) string {
	t.Helper()
	var b strings.Builder
	if err := writeHTML(&b, set, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// collapsed and held are a bare run that breaks down and a protected one.
func collapsed(s shape) *figures {
	m := made(s, func(due time.Duration, _ kind) (outcome, time.Duration) {
		if due < s.start(1)+100*time.Millisecond {
			return good, 20 * time.Millisecond
		}
		return late, 0
	})
	m.name = "bare"
	return m.figure()
}

func held(s shape) *figures {
	return made(s, func(due time.Duration, k kind) (outcome, time.Duration) {
		if s.at(due) == 1 && k.rank() > 1 {
			return refused, time.Millisecond
		}
		return good, 30 * time.Millisecond
	}).figure()
}

func TestPageNeedsNothingElse(t *testing.T) {
	set, _, _ := parse(nil)
	text := rendering(t, set, results{Bare: collapsed(set.shape), Shed: held(set.shape)})
	for _, foreign := range []string{"http://", "https://", "<script", "src=", "url(", "@import", "javascript:", "<iframe", "<object", "<link rel=\"stylesheet"} {
		if i := strings.Index(strings.ToLower(text), foreign); i >= 0 {
			t.Errorf("the page refers to something outside: %.80s", text[i:])
		}
	}
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if m[1] != "data:," {
			t.Errorf("a link to %s", m[1])
		}
	}
}

func TestPageDrawsBothRuns(t *testing.T) {
	set, _, _ := parse(nil)
	text := rendering(t, set, results{Bare: collapsed(set.shape), Shed: held(set.shape)})
	// Load, goodput, latency, and classes and tenants of both runs, beside the
	// legends' own small ones.
	if n := strings.Count(text, `role="img"`); n != 7 {
		t.Errorf("%d charts", n)
	}
	for _, curve := range []string{`<path class="curve bare" d="M`, `<path class="curve shed" d="M`, `<path class="curve critical" d="M`, `<path class="curve quiet" d="M`, `<path class="load" d="M`, `prefers-color-scheme: dark`, `not in 8.0 s`} {
		if !strings.Contains(text, curve) {
			t.Errorf("no %s", curve)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "%!") {
		t.Error("a figure is no number")
	}
	wellFormed(t, text)
}

func TestPageOfOneOrAnInterruptedRun(t *testing.T) {
	set, _, _ := parse([]string{"-shape", "0.5:1s,5:2s,1:1s,0.5:2s"})
	bare := collapsed(set.shape)
	text := rendering(t, set, results{Bare: bare})
	if n := strings.Count(text, `role="img"`); n != 5 || strings.Contains(text, "with shed</th>") {
		t.Errorf("%d charts", n)
	}
	if !strings.Contains(text, "Step by step, bare") {
		t.Error("no table of the steps")
	}
	m := made(set.shape, func(time.Duration, kind) (outcome, time.Duration) { return good, 0 })
	m.reached, m.interrupted = 600*time.Millisecond, true
	text = rendering(t, set, results{Bare: bare, Shed: m.figure()})
	if !strings.Contains(text, "the shed run was interrupted") {
		t.Error("nothing says that it was interrupted")
	}
	wellFormed(t, text)
	m.reached = 0
	wellFormed(t, rendering(t, set, results{Shed: m.figure()}))
}

func TestPageEscapesTheTarget(t *testing.T) {
	set, faults, _ := parse([]string{"-target", "http://h/<script>alert(1)</script>"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if text := rendering(t, set, results{Bare: collapsed(set.shape)}); strings.Contains(text, "<script") {
		t.Error("the target's markup is in the page")
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = false
	d.AutoClose = xml.HTMLAutoClose
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCurveLeavesGapsOpen(t *testing.T) {
	c := chart{wide: 900 + marginLeft + marginRight, high: 100 + marginTop + marginBottom, long: 9 * time.Second, top: 1}
	v := func(y float64) *float64 { return &y }
	got := c.path([]point{{0, v(0)}, {time.Second, v(1)}, {2 * time.Second, nil}, {3 * time.Second, v(.5)}, {4 * time.Second, nil}})
	if want := "M52.0 110.0L152.0 10.0M352.0 60.0h0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTicksAreRound(t *testing.T) {
	for top, want := range map[float64]int{500: 5, 250: 5, 10000: 5, 30: 3} {
		all := niceTicks(top)
		if all[0] != 0 || all[len(all)-1] > top || len(all) > 6 || len(all) < want-1 {
			t.Errorf("up to %v: %v", top, all)
		}
	}
	for long, want := range map[time.Duration]time.Duration{6 * time.Second: 500 * time.Millisecond, 24 * time.Second: 2 * time.Second, time.Hour: 500 * time.Second} {
		if got := tickEvery(long, 14); got != want {
			t.Errorf("%v over %v, want %v", got, long, want)
		}
	}
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// The server's side and the client's, in one process.
func TestEverySiteAnswersOrRefuses(t *testing.T) {
	in, ask := io.Pipe()
	out, say := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serve(in, say) }()
	lines := bufio.NewScanner(out)
	l := &loopback{effort: effort{rounds: 1}, processors: 2}
	for _, s := range sites {
		lines.Scan()
		c, err := newClient(lines.Text(), 2)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		got, err := c.load(20 * time.Millisecond)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		want := 0
		if s.refuses {
			want = len(got.latencies)
		}
		if len(got.latencies) == 0 || got.refused != want || got.wrong != 0 {
			t.Errorf("%s: of %d answers %d were refusals and %d wrong, want %d and none", s.name, len(got.latencies), got.refused, got.wrong, want)
		}
		l.sites = append(l.sites, visit{site: s, rate: []float64{got.rate()}, p50: []float64{1}, p99: []float64{2}, used: []float64{3}})
	}
	fmt.Fprintln(ask, settle)
	lines.Scan()
	if lines.Text() == "" || lines.Text() == "0" {
		t.Errorf("the processor time is %q", lines.Text())
	}
	ask.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var page strings.Builder
	l.print(&page)
	if !strings.Contains(page.String(), "the whole stack serves") || !strings.Contains(page.String(), "What that means: with 2 processors") {
		t.Errorf("no verdict in %s", page.String())
	}
}

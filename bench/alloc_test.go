package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/handrail-go/handrail/internal/race"
)

var update = flag.Bool("update", false, "record the allocations that are found")

const recorded = "testdata/allocations.txt"

// Times depend on the machine, allocations on the code alone.
func TestAllocationsDoNotGrow(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	found := map[string][2]float64{}
	var order []string
	for _, k := range kinds {
		for _, r := range k.rows() {
			if !isOurs(r.name) {
				continue
			}
			h := r.wrap(k.inner())
			var n [2]float64
			for i, fresh := range []bool{false, true} {
				n[i], _ = k.allocations(h, fresh)
			}
			name := k.name + ": " + r.name
			found[name] = n
			order = append(order, name)
		}
	}
	if *update {
		var text strings.Builder
		for _, name := range order {
			fmt.Fprintf(&text, "%.0f\t%.0f\t%s\n", found[name][0], found[name][1], name)
		}
		if err := os.WriteFile(recorded, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var most [2]float64
		fields := strings.SplitN(lines.Text(), "\t", 3)
		if len(fields) != 3 {
			t.Fatalf("%s has a line %q", recorded, lines.Text())
		}
		if _, err := fmt.Sscan(fields[0]+" "+fields[1], &most[0], &most[1]); err != nil {
			t.Fatalf("%s has a line %q: %v", recorded, lines.Text(), err)
		}
		name := fields[2]
		n, ok := found[name]
		if !ok {
			t.Errorf("%s is recorded and is no row any more: record anew with -update", name)
			continue
		}
		delete(found, name)
		for i, request := range []string{"reused", "fresh"} {
			switch {
			case n[i] > most[i]:
				t.Errorf("%s: %.0f allocations with a %s request, recorded are %.0f", name, n[i], request, most[i])
			case n[i] < most[i]:
				t.Logf("%s: %.0f allocations with a %s request and no longer %.0f: record it with -update", name, n[i], request, most[i])
			}
		}
	}
	for name := range found {
		t.Errorf("%s is not recorded: do so with -update", name)
	}
}

package main

import (
	"errors"
	"flag"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWrongFlagsAreToldInOneSentenceThatSaysWhatIsRight(t *testing.T) {
	folder := t.TempDir()
	cases := []struct {
		args string
		want []string // one each, in order
	}{
		{"-workers none", []string{`-workers must be a whole number between 1 and 1000, not "none".`}},
		{"-workers 0", []string{`-workers must be a whole number between 1 and 1000, not "0".`}},
		{"-procs 1.5", []string{`-procs must be a whole number between 1 and 1024, not "1.5".`}},
		{"-conns 20001", []string{`-conns must be a whole number between 1 and 20000, not "20001".`}},
		{"-seed -1", []string{`-seed must be a whole number from 0, not "-1".`}},
		{"-work 1h", []string{`-work must be a duration between 100µs and 1s, such as 200µs, not "1h".`}},
		{"-deadline 3", []string{`-deadline must be a duration between 10ms and 10s, such as 20ms, not "3".`}},
		{"-duration 1ms", []string{`-duration must be a duration between 1s and 1h0m0s, such as 2s, not "1ms".`}},
		{"-service gpu", []string{`-service must be pool or cpu, not "gpu".`}},
		{"-only both", []string{`-only must be bare or shed, not "both".`}},
		{"-arrivals never", []string{`-arrivals must be poisson or even, not "never".`}},
		{"-capacity NaN", []string{`-capacity must be requests a second, between 1 and 1000000, not "NaN".`}},
		{"-target localhost:80", []string{`-target must be the http or https URL of your service, such as http://127.0.0.1:8080/, not "localhost:80".`}},
		{"-shape 5", []string{`-shape must be loads as multiples of capacity, each with its time, such as 0.5:5s,5:10s,0.5:10s ("5" is no load and time), not "5".`}},
		{"-html " + folder, []string{`-html must be a file, not a folder, or empty for none`}},
		{"-html " + filepath.Join(folder, "no", "x.html"), []string{`-html must be a file in a folder that exists, or empty for none`}},
		{"-json=perhaps", []string{`-json must be true or false, or nothing at all, not "perhaps".`}},
		{"-nonsense", []string{`-nonsense is no flag; -h lists them.`}},
		{"-nonsense 3 -workers x", []string{`-nonsense is no flag`, `-workers must be`}},
		{"-workers", []string{`-workers needs a value; -h says which.`}},
		{"now", []string{`"now" is no flag; every setting is a flag, such as -service cpu.`}},
		{"-target http://h/ -service cpu", []string{`-service describes the built-in service; leave it out with -target.`}},
		{"-service cpu -workers 3", []string{`-workers is the size of the pool; with -service cpu use -procs.`}},
		{"-shape 1:1s -duration 2s", []string{`-shape holds the times already; leave out -duration.`}},
		{"-quick -shape 1:1s", []string{`-quick chooses a short shape; leave it out with -shape.`}},
		{"-quick -duration 2s", []string{`-quick chooses the duration; leave out -duration or -quick.`}},
		{"-sim -http2", []string{`-http2 has no meaning in a simulation; leave it out with -sim.`}},
		{"-workers x -work y -only z now", []string{"-workers must be", "-work must be", "-only must be", `"now" is no flag`}},
	}
	for _, c := range cases {
		t.Run(c.args, func(t *testing.T) {
			_, faults, err := parse(strings.Fields(c.args))
			if err != nil {
				t.Fatal(err)
			}
			if len(faults) != len(c.want) {
				t.Fatalf("faults %q, want %d", faults, len(c.want))
			}
			for i, want := range c.want {
				if !strings.HasPrefix(faults[i], want) {
					t.Errorf("fault %q, want %q", faults[i], want)
				}
			}
		})
	}
}

func TestLongNonsenseIsNotRepeatedInFull(t *testing.T) {
	_, faults, _ := parse([]string{"-workers", strings.Repeat("x", 1<<20)})
	if len(faults) != 1 || len(faults[0]) > 300 {
		t.Fatalf("%d faults, the first of %d bytes", len(faults), len(faults[0]))
	}
}

func TestDefaultsDependOnTheService(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	get := func(args ...string) *settings {
		t.Helper()
		set, faults, err := parse(args)
		if err != nil || len(faults) > 0 {
			t.Fatal(err, faults)
		}
		return set
	}
	pool := get()
	if pool.service != "pool" || pool.workers != 20 || pool.work != 20*time.Millisecond || pool.procs != 0 || pool.deadline != 500*time.Millisecond {
		t.Errorf("pool: %+v", pool)
	}
	if got := pool.shape.String(); got != "0.5:4s,5:12s,0.5:8s" {
		t.Errorf("default shape %s", got)
	}
	if got := get("-quick").shape.String(); got != "0.5:1s,5:3s,0.5:2s" {
		t.Errorf("quick shape %s", got)
	}
	cpu := get("-service", "cpu")
	if cpu.work != 5*time.Millisecond || cpu.procs != 1 || cpu.deadline != 250*time.Millisecond {
		t.Errorf("cpu: %+v", cpu)
	}
	t.Setenv("GOMAXPROCS", "2")
	if cpu := get("-service", "cpu"); cpu.procs != 2 {
		t.Errorf("with GOMAXPROCS=2 the server gets %d", cpu.procs)
	}
	if cpu := get("-service", "cpu", "-procs", "3"); cpu.procs != 3 {
		t.Errorf("-procs 3 against GOMAXPROCS=2 gives %d", cpu.procs)
	}
	if target := get("-target", "https://example.org/a?b=c"); target.service != "target" || target.target != "https://example.org/a?b=c" {
		t.Errorf("target: %+v", target)
	}
}

// Two runs with their measurements and a compilation have to fit in the time
// that is promised for them.
func TestRunsFitInTheTimePromised(t *testing.T) {
	for flags, most := range map[string]time.Duration{"": 55 * time.Second, "-quick": 16 * time.Second} {
		set, _, _ := parse(strings.Fields(flags))
		if took := 2 * (set.effort.warm + set.effort.long + set.shape.total() + set.deadline); took > most {
			t.Errorf("%q takes %v", flags, took)
		}
	}
}

func TestHelpIsTheManual(t *testing.T) {
	if _, _, err := parse([]string{"-workers", "x", "-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(manual) {
		words = append(words, strings.Fields(line)...)
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			t.Errorf("a line of the manual has %d columns: %s", n, line)
		}
	}
	newParser().flags().VisitAll(func(f *flag.Flag) {
		if !slices.Contains(words, "-"+f.Name) {
			t.Errorf("the manual does not explain -%s", f.Name)
		}
	})
	for _, of := range []any{figures{}, phaseFigures{}, classFigures{}, outcomeCounts{}} {
		for i := range reflect.TypeOf(of).NumField() {
			name := reflect.TypeOf(of).Field(i).Tag.Get("json")
			if name != "" && !strings.Contains(manual, name) {
				t.Errorf("the manual does not explain %q", name)
			}
		}
	}
}

func TestShapeIsReadAsItIsWritten(t *testing.T) {
	s, err := parseShape(" 0.5:5s, 5:10s,0.5:1m ")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != "0.5:5s,5:10s,0.5:1m0s" {
		t.Error(got)
	}
	if s.total() != 75*time.Second || s.start(2) != 15*time.Second || s.overload() != 1 {
		t.Error(s.total(), s.start(2), s.overload())
	}
	for at, want := range map[time.Duration]int{0: 0, 5*time.Second - 1: 0, 5 * time.Second: 1, 15 * time.Second: 2, time.Hour: 2} {
		if got := s.at(at); got != want {
			t.Errorf("at %v phase %d, want %d", at, got, want)
		}
	}
	if over, ok := s.after(); !ok || over != 15*time.Second {
		t.Error(over, ok)
	}
	for _, text := range []string{"2:1s", "0.5:1s,2:1s"} {
		s, _ := parseShape(text)
		if _, ok := s.after(); ok {
			t.Errorf("%s has time after the overload", text)
		}
	}
	if got := s.arrivals(100); got != .5*100*5+5*100*10+.5*100*60 {
		t.Error(got)
	}
	for _, bad := range []string{"", ":", "1", "0:1s", "-1:1s", "NaN:1s", "101:1s", "1:99ms", "1:2h", "1:1s,", "1:1h,1:1s", strings.Repeat("1:1s,", 64) + "1:1s"} {
		if s, err := parseShape(bad); err == nil {
			t.Errorf("%q is read as %v", bad, s)
		}
	}
}

func FuzzParseShape(f *testing.F) {
	for _, seed := range []string{"0.5:5s,5:10s,0.5:10s", "1e-3:1h", "5:1s ,5:.1s", "Inf:1s", "1:1s,,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseShape(text)
		if err != nil {
			return
		}
		again, err := parseShape(s.String())
		if err != nil || !slices.Equal(s, again) {
			t.Fatalf("%q is read as %v, and that as %v: %v", text, s, again, err)
		}
		if s.total() > maxShape || len(s) > maxPhases || s.arrivals(1e6) <= 0 {
			t.Fatalf("%q is out of bounds: %v", text, s)
		}
	})
}

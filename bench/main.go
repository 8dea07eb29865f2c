package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"time"
)

// A part is what -kinds can name beside the comparisons.
const (
	loopbackPart = "loopback"
	sizesPart    = "sizes"
)

func main() {
	log.SetFlags(0)
	if err := likeAService(); err != nil {
		log.Fatal("bench: ", err)
	}
	if len(os.Args) == 2 && os.Args[1] == serveCommand {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	write := flag.String("write", "", "write the page to this `file` and not to the standard output")
	only := flag.String("kinds", "", "measure only these, separated by commas: "+strings.Join(parts(), ","))
	short := flag.Bool("short", false, "measure shortly, to see that everything works")
	rounds := flag.Int("rounds", 0, "`number` of rounds, 8 to 1000; 9 without it, 8 with -short")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("bench: what is %q? See -help", flag.Arg(0))
	}
	e := thorough
	if *short {
		e = hasty
	}
	if *rounds != 0 {
		if *rounds < 8 || *rounds > 1000 {
			log.Fatalf("bench: %d rounds are not 8 to 1000", *rounds)
		}
		e.rounds = *rounds
	}
	wanted := parts()
	if *only != "" {
		wanted = strings.Split(*only, ",")
		for _, part := range wanted {
			if !slices.Contains(parts(), part) {
				log.Fatalf("bench: no kind %q; there are %s", part, strings.Join(parts(), ", "))
			}
		}
	}
	p, err := measure(wanted, e)
	if err != nil {
		log.Fatal("bench: ", err)
	}
	p.whole = !*short && len(wanted) == len(parts())
	var text bytes.Buffer
	p.print(&text)
	if *write == "" {
		io.Copy(os.Stdout, &text)
	} else if err := os.WriteFile(*write, text.Bytes(), 0o644); err != nil {
		log.Fatal("bench: ", err)
	}
}

var (
	thorough = effort{rounds: 9, sample: 20 * time.Millisecond, second: 500 * time.Millisecond}
	hasty    = effort{rounds: 8, sample: time.Millisecond, second: 50 * time.Millisecond}
)

// parts are the names that -kinds knows.
func parts() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return append(names, loopbackPart, sizesPart)
}

// measure measures the wanted parts, and tells how far it is.
func measure(wanted []string, e effort) (*page, error) {
	p := &page{began: time.Now(), effort: e, machine: thisMachine()}
	step := func(name string, do func() error) error {
		if !slices.Contains(wanted, name) {
			return nil
		}
		began := time.Now()
		err := do()
		fmt.Fprintf(os.Stderr, "%-16s %5.1f s\n", name, time.Since(began).Seconds())
		return err
	}
	// The server is a process of its own, so it is measured while there is
	// nothing in this one.
	if err := step(loopbackPart, func() (err error) { p.loopback, err = measureLoopback(e); return err }); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		if err := step(k.name, func() error { p.comparisons = append(p.comparisons, k.measure(e)); return nil }); err != nil {
			return nil, err
		}
	}
	if err := step(sizesPart, func() error { p.curves = measureSizes(e); return nil }); err != nil {
		return nil, err
	}
	p.took = time.Since(p.began)
	return p, nil
}

// Command grafana writes the dashboards of deploy/grafana.
//
// They are generated because a panel is twenty lines of JSON around one
// expression, and because what selects an instance, what counts as an error and
// how a percentile is asked for must be the same in all of them:
//
//	go generate ./deploy/...
package main

import (
	"log"
	"os"
	"path/filepath"
)

//go:generate go run .

// target is where the dashboards are, seen from this folder.
const target = "../../grafana"

func main() {
	for name, d := range dashboards() {
		body, err := d.render()
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(target, name), body, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func dashboards() map[string]dashboard {
	return map[string]dashboard{
		"http.json":       requests(),
		"resilience.json": resilience(),
		"runtime.json":    runtime(),
		"health.json":     healthiness(),
	}
}

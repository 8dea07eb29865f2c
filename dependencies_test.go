package handrail_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// dependencies are the modules that importing a package may compile, beside
// the standard library and this module. Modules that one of these needs itself
// are listed behind it.
var dependencies = map[string][]string{
	".":              nil,
	"./load":         {"github.com/shirou/gopsutil/v3", "github.com/tklauser/go-sysconf", "github.com/tklauser/numcpus", "golang.org/x/sys"},
	"./shed":         {"github.com/shirou/gopsutil/v3", "github.com/tklauser/go-sysconf", "github.com/tklauser/numcpus", "golang.org/x/sys", "golang.org/x/time"},
	"./timeout":      nil,
	"./bulkhead":     nil,
	"./breaker":      {"github.com/sony/gobreaker/v2"},
	"./retry":        {"github.com/cenkalti/backoff/v4", "golang.org/x/time"},
	"./internal/...": nil,
}

func TestDependencies(t *testing.T) {
	for pkg, allowed := range dependencies {
		out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for _, module := range slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(out))))) {
			if module != "github.com/handrail-go/handrail" && !slices.Contains(allowed, module) {
				t.Errorf("%s compiles %s, which is none of %v", pkg, module, allowed)
			}
		}
	}
}

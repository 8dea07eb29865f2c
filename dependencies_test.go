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
	".":          nil,
	"./load":     {"github.com/shirou/gopsutil/v3", "github.com/tklauser/go-sysconf", "github.com/tklauser/numcpus", "golang.org/x/sys"},
	"./shed":     {"github.com/shirou/gopsutil/v3", "github.com/tklauser/go-sysconf", "github.com/tklauser/numcpus", "golang.org/x/sys", "golang.org/x/time"},
	"./timeout":  nil,
	"./bulkhead": nil,
	"./breaker":  {"github.com/sony/gobreaker/v2"},
	"./retry":    {"github.com/cenkalti/backoff/v4", "golang.org/x/time"},
	"./observe":  {"golang.org/x/time"},
	"./observe/prom": {
		"github.com/prometheus/client_golang", "github.com/beorn7/perks", "github.com/cespare/xxhash/v2", "github.com/munnerz/goautoneg",
		"github.com/prometheus/client_model", "github.com/prometheus/common", "github.com/prometheus/procfs", "golang.org/x/sys",
		"google.golang.org/protobuf", "golang.org/x/time",
	},
	"./observe/trace": {
		"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/trace", "go.opentelemetry.io/otel/log", "go.opentelemetry.io/otel/metric",
		"go.opentelemetry.io/auto/sdk", "github.com/cespare/xxhash/v2", "github.com/go-logr/logr", "github.com/go-logr/stdr", "golang.org/x/time",
	},
	"./observe/cloudwatch": {"golang.org/x/time"},
	"./health":             nil,
	"./internal/...":       nil,
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

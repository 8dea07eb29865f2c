package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine is what a reader has to know of where the figures come from.
type machine struct {
	system, goVersion, model string
	processors               int
	peers                    []string // module and version
}

func thisMachine() machine {
	m := machine{
		system:     runtime.GOOS + "/" + runtime.GOARCH,
		goVersion:  runtime.Version(),
		model:      model(),
		processors: runtime.GOMAXPROCS(0),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			for _, peer := range peers {
				if dep.Path == peer {
					m.peers = append(m.peers, fmt.Sprintf("%s %s", dep.Path, dep.Version))
				}
			}
		}
	}
	return m
}

// model is what Linux says the processor is, "" elsewhere.
func model() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// peers are the modules whose versions the page names.
var peers = []string{
	"github.com/afex/hystrix-go",
	"github.com/alexliesenfeld/health",
	"github.com/avast/retry-go/v5",
	"github.com/cenkalti/backoff/v4",
	"github.com/cenkalti/backoff/v5",
	"github.com/failsafe-go/failsafe-go",
	"github.com/go-chi/chi/v5",
	"github.com/go-chi/httplog/v3",
	"github.com/go-chi/httprate",
	"github.com/go-kratos/aegis",
	"github.com/hellofresh/health-go/v5",
	"github.com/prometheus/client_golang",
	"github.com/samber/slog-http",
	"github.com/sony/gobreaker/v2",
	"github.com/zeromicro/go-zero",
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
	"go.opentelemetry.io/otel/sdk",
	"golang.org/x/sync",
}

// absent are those that could not be measured.
var absent = []string{
	"github.com/alibaba/sentinel-golang",
	"github.com/platinummonkey/go-concurrency-limits",
	"github.com/slok/goresilience",
	"github.com/cep21/circuit/v4",
}

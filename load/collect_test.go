package load_test

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/load"
)

var _ handrail.Source = (*load.Sampler)(nil)

// collect returns the metrics by name, with the value of the label
// "percentile" where there is one.
func collect(t *testing.T, s *load.Sampler) map[string]handrail.Metric {
	t.Helper()
	all := map[string]handrail.Metric{}
	valid := regexp.MustCompile(`^handrail_load_[a-z_]+$`)
	s.Collect(func(m handrail.Metric) {
		key := m.Name
		for _, l := range m.Labels[1:] {
			key += "/" + l.Value
		}
		if _, twice := all[key]; twice {
			t.Errorf("%s is emitted twice", key)
		}
		if !valid.MatchString(m.Name) || m.Help == "" || (m.Kind == handrail.Counter) != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%+v", m)
		}
		if m.Labels[0].Name != "name" || math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
			t.Errorf("%+v", m)
		}
		all[key] = m
	})
	return all
}

func TestMetricsTellWhatTheSnapshotTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(t, load.WithName("edge"), load.WithSource(func() (load.Usage, error) {
			return load.Usage{
				CPU:    load.Value{V: 0.4, Known: true},
				Memory: load.Value{V: 0.25, Known: true},
			}, errors.New("no host")
		}), load.WithScheduler(func() load.Scheduler {
			return load.Scheduler{Runnable: 2, Latency: 3 * time.Millisecond, Known: true}
		}))
		defer s.Close()
		time.Sleep(10 * time.Second)
		for range 30 {
			s.Enter(nil)
			s.Exit(time.Second, load.Success)
		}
		for range 10 {
			s.Enter(nil)
			s.Exit(time.Second, load.Failure)
		}
		s.Enter(nil)
		s.Enter(nil)
		s.Enter(nil)
		s.Detach()
		golden.Metrics(t, "testdata/metrics.golden", s)
		got := collect(t, s)
		for name, want := range map[string]float64{
			"cpu_ratio":                    0.4,
			"memory_ratio":                 0.25,
			"runnable_goroutines_per_proc": 2,
			"scheduling_latency_seconds":   0.003,
			"pressure_ratio":               0.5,
			"in_flight_requests":           2,
			"long_lived_requests":          1,
			"requests_per_second":          4,
			"error_ratio":                  0.25,
			"latency_mean_seconds":         1,
			"latency_seconds/50":           1,
			"latency_seconds/95":           1,
			"latency_seconds/99":           1,
			"stale":                        0,
			"source_failures_total":        1,
		} {
			m, ok := got["handrail_load_"+name]
			if !ok || !about(m.Value, want, 1./32) || m.Labels[0].Value != "edge" {
				t.Errorf("%s: %+v, want %v", name, m, want)
			}
			delete(got, "handrail_load_"+name)
		}
		for name := range got {
			t.Errorf("%s is emitted too", name)
		}
	})
}

func TestUnknownIsAbsentFromTheMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(t, isolated()...)
		s.Close()
		got := collect(t, s)
		for _, name := range []string{"cpu_ratio", "host_cpu_ratio", "memory_ratio", "runnable_goroutines_per_proc",
			"scheduling_latency_seconds", "error_ratio", "latency_mean_seconds", "latency_seconds/99"} {
			if m, ok := got["handrail_load_"+name]; ok {
				t.Errorf("%+v", m)
			}
		}
		if m := got["handrail_load_stale"]; m.Value != 1 {
			t.Errorf("after Close: %+v", m)
		}
	})
}

func TestTheManualListsEveryMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := load.Value{V: 0.5, Known: true}
		s := newSampler(t, load.WithSource(func() (load.Usage, error) {
			return load.Usage{CPU: known, HostCPU: known, Memory: known}, nil
		}), load.WithScheduler(func() load.Scheduler { return load.Scheduler{Known: true} }))
		defer s.Close()
		s.Enter(nil)
		s.Exit(time.Second, load.Success)
		golden.Manual(t, s)
	})
}

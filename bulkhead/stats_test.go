package bulkhead_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/golden"
)

// busy is a bulkhead in which all that can happen has happened.
func busy(t *testing.T) *site {
	s := open(t, bulkhead.WithName("front"), bulkhead.WithLimit(4), bulkhead.PerTenant(byTenant, 2), byOperation, bulkhead.WithOperationLimits(map[string]int{"none": 0}),
		bulkhead.WithTenantLimits(map[string]int{"none": 0, "big": 4}), trusting, bulkhead.WithMaxQueue(2))
	s.send("", "T", "none")
	s.send("", "T", "big", "O", "none")
	s.send("", "T", "a", "O", "x")
	s.send("", "T", "a", "O", "x")
	s.send("", "T", "big", "O", "x")
	s.send("", "T", "big", "O", "x")
	s.send("left", "T", "a", "P", "low").cancel()
	synctest.Wait()
	s.send("times out", "T", "big", "P", "high")
	time.Sleep(time.Second)
	synctest.Wait()
	s.send("comes in", "T", "big", "P", "high")
	time.Sleep(30 * time.Millisecond)
	s.end(s.all[4], "return")
	s.send("waits", "T", "big", "P", "low")
	s.send("waits", "T", "a", "P", "critical")
	s.send("refused", "T", "c", "P", "background")
	if err := s.b.Update(bulkhead.WithMaxWait(0)); err != nil {
		t.Fatal(err)
	}
	s.send("global", "T", "c")
	return s
}

func TestEveryFigureIsMovedByWhatItCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := busy(t)
		got := s.b.Stats()
		if got.Waits.Sum != time.Second+30*time.Millisecond || len(got.Waits.Buckets) == 0 {
			t.Errorf("%+v", got.Waits)
		}
		for i, b := range got.Waits.Buckets {
			want := uint64(1) // the one that left at once
			if b.UpperBound >= .03 {
				want++
			}
			if b.UpperBound >= 1 {
				want++
			}
			if b.Cumulative != want || i > 0 && b.UpperBound <= got.Waits.Buckets[i-1].UpperBound {
				t.Errorf("%+v", b)
			}
		}
		got.Waits.Buckets, got.Waits.Sum = nil, 0
		want := bulkhead.Stats{
			Name: "front", InUse: 4, Limit: 4, Utilization: 1,
			Waiting: 2, WaitingByPriority: [handrail.Priorities]int{0: 1, 3: 1},
			Admitted: 5, Rejected: 5, Canceled: 1,
			Reasons: map[bulkhead.Reason]uint64{bulkhead.ReasonTenant: 1, bulkhead.ReasonOperation: 1, bulkhead.ReasonWaitTimeout: 1,
				bulkhead.ReasonQueueFull: 1, bulkhead.ReasonGlobal: 1},
			Waits:   bulkhead.WaitStats{Count: 3},
			Tenants: 4, Operations: 3,
			ByTenant: []bulkhead.KeyStats{
				{Key: "big", InUse: 2, Limit: 4, Waiting: 1, Admitted: 3, Rejected: 2},
				{Key: "a", InUse: 2, Limit: 2, Waiting: 1, Admitted: 2},
				{Key: "c", Limit: 2, Rejected: 2},
				{Key: "none", Limit: 0, Rejected: 1},
			},
			ByOperation: []bulkhead.KeyStats{
				{Key: "x", InUse: 3, Limit: 20, Admitted: 4},
				{Key: "", InUse: 1, Limit: 20, Waiting: 2, Admitted: 1, Rejected: 4},
				{Key: "none", Limit: 0, Rejected: 1},
			},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\n%+v, want\n%+v", got, want)
		}
		if err := s.b.Update(bulkhead.WithLimit(bulkhead.Unlimited), bulkhead.WithTenantLimit(bulkhead.Unlimited)); err != nil {
			t.Fatal(err)
		}
		if got := s.b.Stats(); got.Limit != bulkhead.Unlimited || got.Utilization != 0 ||
			!slices.ContainsFunc(got.ByTenant, func(k bulkhead.KeyStats) bool { return k.Key == "c" && k.Limit == bulkhead.Unlimited }) {
			t.Errorf("%+v", got)
		}
	})
}

func TestMetricsTellWhatTheStatisticsTell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := busy(t)
		golden.Metrics(t, "testdata/metrics.golden", s.b)
		golden.Manual(t, s.b)
		got := map[string]float64{}
		kinds := map[string]handrail.MetricKind{}
		s.b.Collect(func(m handrail.Metric) {
			if m.Labels[0] != (handrail.Label{Name: "name", Value: "front"}) || m.Help == "" {
				t.Errorf("%+v", m)
			}
			if k, ok := kinds[m.Name]; ok && k != m.Kind {
				t.Errorf("%s is of two kinds", m.Name)
			}
			kinds[m.Name] = m.Kind
			key := m.Name
			for _, l := range m.Labels[1:] {
				key += fmt.Sprintf(" %s=%s", l.Name, l.Value)
			}
			if _, twice := got[key]; twice {
				t.Errorf("%s is told twice", key)
			}
			got[key] = m.Value
			if m.Kind == handrail.Histogram {
				got[key] = float64(m.Count)
				if last := m.Buckets[len(m.Buckets)-1].Cumulative; last > m.Count || m.Sum != 1.03 {
					t.Errorf("%+v", m)
				}
			}
		})
		want := map[string]float64{
			"handrail_bulkhead_in_use_slots":                                4,
			"handrail_bulkhead_limit_slots":                                 4,
			"handrail_bulkhead_utilization_ratio":                           1,
			"handrail_bulkhead_waiting_requests priority=critical":          1,
			"handrail_bulkhead_waiting_requests priority=high":              0,
			"handrail_bulkhead_waiting_requests priority=normal":            0,
			"handrail_bulkhead_waiting_requests priority=low":               1,
			"handrail_bulkhead_waiting_requests priority=background":        0,
			"handrail_bulkhead_exempt_requests":                             0,
			"handrail_bulkhead_tenants":                                     4,
			"handrail_bulkhead_operations":                                  3,
			"handrail_bulkhead_admitted_requests_total":                     5,
			"handrail_bulkhead_rejected_requests_total reason=global":       1,
			"handrail_bulkhead_rejected_requests_total reason=tenant":       1,
			"handrail_bulkhead_rejected_requests_total reason=operation":    1,
			"handrail_bulkhead_rejected_requests_total reason=queue_full":   1,
			"handrail_bulkhead_rejected_requests_total reason=wait_timeout": 1,
			"handrail_bulkhead_canceled_requests_total":                     1,
			"handrail_bulkhead_dropped_events_total":                        0,
			"handrail_bulkhead_wait_seconds":                                3,
		}
		if !maps.Equal(got, want) {
			for k, v := range want {
				if got[k] != v {
					t.Errorf("%s is %v, want %v", k, got[k], v)
				}
			}
			t.Errorf("%v", got)
		}
	})
}

func TestStatisticsTellTheBusiestKeysOnly(t *testing.T) {
	b := made(t, bulkhead.PerTenant(byTenant, 10))
	h := b.Wrap(noop)
	for i := range 100 {
		for range i + 1 {
			h.ServeHTTP(&nullWriter{map[string][]string{}}, request("T", fmt.Sprint(i)))
		}
	}
	s := b.Stats()
	if s.Tenants != 100 || len(s.ByTenant) != bulkhead.TopKeys || s.ByTenant[0].Key != "99" || s.ByTenant[0].Admitted != 100 || s.ByTenant[19].Key != "80" {
		t.Errorf("%+v", s.ByTenant)
	}
}

func TestEventsThatABlockedCallbackCostAreCounted(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	b := made(t, bulkhead.Basic(0), bulkhead.OnReject(func(bulkhead.Event) { <-block }))
	h := b.Wrap(noop)
	for range 3000 {
		h.ServeHTTP(&nullWriter{map[string][]string{}}, request())
	}
	if got := b.Stats().DroppedEvents; got < 1900 || got > 3000 {
		t.Errorf("%d", got)
	}
	before := b.Stats().DroppedEvents
	if err := b.Update(bulkhead.OnReject(func(bulkhead.Event) {})); err != nil {
		t.Fatal(err)
	}
	if got := b.Stats().DroppedEvents; got != before {
		t.Errorf("%d after the callback was replaced, %d before", got, before)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	for why, want := range map[bulkhead.Reason]string{
		bulkhead.ReasonGlobal: "global", bulkhead.ReasonTenant: "tenant", bulkhead.ReasonOperation: "operation",
		bulkhead.ReasonQueueFull: "queue_full", bulkhead.ReasonWaitTimeout: "wait_timeout", 200: "unknown",
	} {
		if got := why.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

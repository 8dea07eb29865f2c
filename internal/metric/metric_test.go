package metric_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
)

func TestMetricsAreNamedAndLabelled(t *testing.T) {
	var got []handrail.Metric
	m := metric.New("handrail_front_", "edge", func(one handrail.Metric) { got = append(got, one) })
	high := handrail.Label{Name: "priority", Value: "high"}
	buckets := []handrail.Bucket{{UpperBound: .1, Cumulative: 2}, {UpperBound: 1, Cumulative: 3}}
	m.Gauge("limit_slots", "Slots there are.", -1)
	m.Gauge("waiting_requests", "Requests in the queue.", 2.5, high)
	m.Flag("stale", "1 where it is old.", true)
	m.Flag("mode", "1 for the mode that holds.", false, high)
	m.Counter("admitted_requests", "Requests let in.", 1<<53, high)
	m.Duration("delay", "Time waited.", 1500*time.Millisecond, high)
	m.Histogram("wait_seconds", "Time in the queue.", buckets, 4, 7.5, high)

	alone := []handrail.Label{{Name: "name", Value: "edge"}}
	both := append(alone[:1:1], high)
	want := []handrail.Metric{
		{Name: "handrail_front_limit_slots", Help: "Slots there are.", Kind: handrail.Gauge, Labels: alone, Value: -1},
		{Name: "handrail_front_waiting_requests", Help: "Requests in the queue.", Kind: handrail.Gauge, Labels: both, Value: 2.5},
		{Name: "handrail_front_stale", Help: "1 where it is old.", Kind: handrail.Gauge, Labels: alone, Value: 1},
		{Name: "handrail_front_mode", Help: "1 for the mode that holds.", Kind: handrail.Gauge, Labels: both},
		{Name: "handrail_front_admitted_requests_total", Help: "Requests let in.", Kind: handrail.Counter, Labels: both, Value: 1 << 53},
		{Name: "handrail_front_delay_seconds_total", Help: "Time waited.", Kind: handrail.Counter, Labels: both, Value: 1.5},
		{Name: "handrail_front_wait_seconds", Help: "Time in the queue.", Kind: handrail.Histogram, Labels: both, Buckets: buckets, Count: 4, Sum: 7.5},
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("metric %d of\n%+v\nwant\n%+v", i, got, want)
		}
	}
}

// Whoever collects may change the labels of one metric in place.
func TestMetricsShareNoLabels(t *testing.T) {
	var got []handrail.Metric
	m := metric.New("handrail_front_", "edge", func(one handrail.Metric) { got = append(got, one) })
	labels := []handrail.Label{{Name: "reason", Value: "limit"}}
	for range 2 {
		m.Gauge("tenants", "Tenants told apart now.", 1)
		m.Gauge("waiting_requests", "Requests in the queue.", 1, labels...)
	}
	for _, l := range got[:2] {
		for i := range l.Labels {
			l.Labels[i].Value = "changed"
		}
	}
	if labels[0].Value != "limit" || got[2].Labels[0].Value != "edge" || got[3].Labels[0].Value != "edge" || got[3].Labels[1].Value != "limit" {
		t.Errorf("%+v, %+v", got, labels)
	}
}

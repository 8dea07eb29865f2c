package cloudwatch_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

func FuzzALineIsValidOrDropped(f *testing.F) {
	f.Add("queue", "orders", "depth", "Count", 1.5, 3, "note", "text", int64(0))
	f.Add("_aws", "\x00", "größe", "Miles", math.Inf(1), 101, "", "\u2028\xff", int64(math.MaxInt64))
	f.Add("a", " ", "a", "", math.NaN(), 0, "a", "\"\\\n", int64(-1209600001))
	f.Add(":d", "v", "level", "Bytes/Second", 1e109, -1, "stage", "", int64(7200001))
	f.Fuzz(func(t *testing.T, dimension, value, metric, unit string, v float64, n int, field, text string, offset int64) {
		p := &page{}
		m, err := cloudwatch.NewMetrics(p, cloudwatch.WithMode(cloudwatch.PerRequest), cloudwatch.WithService("s"),
			cloudwatch.WithConstant("stage", "prod"), cloudwatch.WithLineLevel("INFO"))
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float64, min(max(n, 0), 200))
		for i := range values {
			values[i] = v / float64(i+1)
		}
		err = m.Line().Dimension(dimension, value).Metric(metric, cloudwatch.Unit(unit), values...).Metric("m", "", v).
			Text(field, text).Number("n", v).At(time.Now().Add(time.Duration(offset) * time.Millisecond)).Write()
		s := m.Stats()
		if all := documents(t, p.text()); len(all) == 1 && (err != nil || s.Dropped != 0) || len(all) == 0 && (err == nil || s.Dropped != 1) || len(all) > 1 {
			t.Fatalf("%d lines, %v, %+v", len(all), err, s)
		}
	})
}

func FuzzTheLineOfARequestIsValidWhateverTheRequestIs(f *testing.F) {
	f.Add("GET", "/orders/{id}", "/orders/1", "https", 200, "", "", "", "id", "k", "v", 1.5, int64(1000), true)
	f.Add("G\nET", "\xff\u2028", "/\"},{\"_aws\":1", "\x00", -7, "panic", "a\nb", "\u0085", "\x1b[31m", "level", "ERROR\n{", math.NaN(), int64(-5), false)
	f.Fuzz(func(t *testing.T, method, route, path, scheme string, status int, outcome, policy, reason, id, key, value string, number float64, d int64, long bool) {
		for _, mode := range []cloudwatch.Mode{cloudwatch.Aggregated, cloudwatch.PerRequest} {
			for _, opts := range [][]cloudwatch.Option{
				{cloudwatch.WithMode(mode)},
				{cloudwatch.WithMode(mode), cloudwatch.WithDimensions([]string{cloudwatch.ErrorType, cloudwatch.Scheme, cloudwatch.StatusCode}, nil), cloudwatch.WithLineLevel("WARN")},
			} {
				p := &page{}
				m, err := cloudwatch.NewMetrics(p, opts...)
				if err != nil {
					t.Fatal(err)
				}
				m.Observe(&observe.Exchange{
					Request: &http.Request{URL: &url.URL{Path: path}}, Method: method, Route: route, Scheme: scheme, Status: status,
					Duration: time.Duration(d), RequestBytes: d, ResponseBytes: -d, LongLived: long, RequestID: id, ErrorType: outcome,
					Cause: observe.Cause{Outcome: outcome, Policy: policy, Reason: reason}, Trace: observe.TraceIDs{TraceID: [16]byte{1}, SpanID: [8]byte{1}},
					Attrs: []slog.Attr{slog.String(key, value), slog.Float64("f", number), slog.Group(value, slog.Any("raw", json.RawMessage(value)), slog.Duration("d", time.Duration(d)))},
				})
				m.Close(context.Background())
				if all := documents(t, p.text()); len(all) != 1 {
					t.Fatalf("%d lines, want 1; %+v", len(all), m.Stats())
				}
			}
		}
	})
}

func FuzzFiguresOfASourceAreValidOrDropped(f *testing.F) {
	f.Add("x_seconds", "label", "value", 1.5, uint8(2), uint64(3), uint64(5), 0.1, 0.2)
	f.Add("_aws", "_aws", "\xff", math.NaN(), uint8(1), uint64(math.MaxUint64), uint64(1), math.Inf(-1), 0.0)
	f.Fuzz(func(t *testing.T, name, label, value string, v float64, kind uint8, one, two uint64, low, high float64) {
		p, grown := &page{}, 0.0
		src := source(func(emit func(handrail.Metric)) {
			metric := handrail.Metric{Name: name, Kind: handrail.MetricKind(kind % 4), Labels: labels(label, value, "name", ""), Value: v + grown,
				Count: one + uint64(grown), Sum: v * grown, Buckets: []handrail.Bucket{{UpperBound: low, Cumulative: two}, {UpperBound: high, Cumulative: one}}}
			emit(metric)
			metric.Name, metric.Value = "other", -v
			emit(metric)
		})
		m, err := cloudwatch.NewMetrics(p, cloudwatch.WithSources(src, src), cloudwatch.WithLineLevel("INFO"), cloudwatch.WithConstant("stage", "prod"))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			grown = grown*10 + 7
			m.Flush(context.Background())
		}
		m.Close(context.Background())
		documents(t, p.text())
	})
}

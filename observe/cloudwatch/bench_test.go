package cloudwatch_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

// The line of one request, and the same by the means of the standard library.
//
//	go test ./observe/cloudwatch -run - -bench Line -count 10
func BenchmarkLine(b *testing.B) {
	x := exchange("/orders/{id}", 200, 1234567*time.Nanosecond)
	x.Trace = observe.TraceIDs{TraceID: [16]byte{1}, SpanID: [8]byte{1}}
	opts := []cloudwatch.Option{cloudwatch.WithMode(cloudwatch.PerRequest), cloudwatch.WithService("shop")}
	metadata := func() map[string]any {
		return map[string]any{"Timestamp": time.Now().UnixMilli(), "CloudWatchMetrics": []any{map[string]any{
			"Namespace":  "Handrail",
			"Dimensions": [][]string{{cloudwatch.Service, cloudwatch.Method, cloudwatch.Route, cloudwatch.StatusClass}},
			"Metrics": []any{map[string]string{"Name": cloudwatch.Requests, "Unit": "Count"}, map[string]string{"Name": cloudwatch.Errors, "Unit": "Count"},
				map[string]string{"Name": cloudwatch.RequestDuration, "Unit": "Seconds"}}}}}
	}
	b.Run("handrail", func(b *testing.B) {
		m, _ := cloudwatch.NewMetrics(io.Discard, opts...)
		b.ReportAllocs()
		for b.Loop() {
			m.Observe(x)
		}
	})
	b.Run("handrail/parallel", func(b *testing.B) {
		m, _ := cloudwatch.NewMetrics(io.Discard, opts...)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.Observe(x)
			}
		})
	})
	b.Run("handrail/aggregated", func(b *testing.B) {
		m, _ := cloudwatch.NewMetrics(io.Discard, cloudwatch.WithService("shop"))
		defer m.Close(context.Background())
		b.ReportAllocs()
		for b.Loop() {
			m.Observe(x)
		}
	})
	b.Run("json.Marshal of a map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			line, _ := json.Marshal(map[string]any{
				"_aws": metadata(), cloudwatch.Service: "shop", cloudwatch.Method: x.Method, cloudwatch.Route: x.Route, cloudwatch.StatusClass: "2xx",
				cloudwatch.Requests: 1, cloudwatch.Errors: 0, cloudwatch.RequestDuration: x.Duration.Seconds(), "msg": "http request",
				"http.response.status_code": x.Status, "url.scheme": x.Scheme, "url.path": x.Request.URL.Path, "http.response.body.size": x.ResponseBytes,
				"request_id": x.RequestID, "trace_id": "01000000000000000000000000000000", "span_id": "0100000000000000",
			})
			io.Discard.Write(append(line, '\n'))
		}
	})
	b.Run("slog", func(b *testing.B) {
		log := slog.New(slog.NewJSONHandler(io.Discard, nil)).With(cloudwatch.Service, "shop")
		constant := json.RawMessage(`[{"Namespace":"Handrail","Dimensions":[["service.name","http.request.method","http.route","http.response.status_class"]],` +
			`"Metrics":[{"Name":"http.server.requests","Unit":"Count"},{"Name":"http.server.errors","Unit":"Count"},{"Name":"http.server.request.duration","Unit":"Seconds"}]}]`)
		b.ReportAllocs()
		for b.Loop() {
			log.LogAttrs(context.Background(), slog.LevelInfo, "http request",
				slog.Group("_aws", slog.Int64("Timestamp", time.Now().UnixMilli()), slog.Any("CloudWatchMetrics", constant)),
				slog.String(cloudwatch.Method, x.Method), slog.String(cloudwatch.Route, x.Route), slog.String(cloudwatch.StatusClass, "2xx"),
				slog.Int(cloudwatch.Requests, 1), slog.Int(cloudwatch.Errors, 0), slog.Float64(cloudwatch.RequestDuration, x.Duration.Seconds()),
				slog.Int("http.response.status_code", x.Status), slog.String("url.scheme", x.Scheme), slog.String("url.path", x.Request.URL.Path),
				slog.Int64("http.response.body.size", x.ResponseBytes), slog.String("request_id", x.RequestID),
				slog.String("trace_id", "01000000000000000000000000000000"), slog.String("span_id", "0100000000000000"))
		}
	})
}

// A record on its way into the buffer, and the same to nowhere.
//
//	go test ./observe/cloudwatch -run - -bench Handle -count 10
func BenchmarkHandle(b *testing.B) {
	log := func(b *testing.B, l *slog.Logger) {
		b.ReportAllocs()
		for b.Loop() {
			l.LogAttrs(context.Background(), slog.LevelInfo, "order placed", slog.Int("order", 7), slog.String("customer", "acme"), slog.Duration("took", time.Second))
		}
	}
	b.Run("handrail", func(b *testing.B) {
		h, _ := cloudwatch.NewHandler(&void{})
		defer h.Close(context.Background())
		log(b, slog.New(h))
	})
	b.Run("slog.JSONHandler", func(b *testing.B) { log(b, slog.New(slog.NewJSONHandler(io.Discard, nil))) })
}

type void struct{}

func (*void) Put(context.Context, []cloudwatch.Event) (cloudwatch.Rejected, error) {
	return cloudwatch.Rejected{}, nil
}

package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	chi "github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httplog/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	sloghttp "github.com/samber/slog-http"
	"github.com/zeromicro/go-zero/core/stat"
	zero "github.com/zeromicro/go-zero/rest/handler"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
	tracing "github.com/handrail-go/handrail/observe/trace"
)

var metrics = kind{
	name:  "metrics",
	title: "observe: metrics",
	about: "A histogram of durations by method, route and status, and how many are being served. Classic and native buckets both, as Prometheus advises; promhttp's have both too.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: observed(metricsSink())},
			{name: ours + ", no sink", wrap: observe.Middleware()},
			{name: "promhttp, duration", without: "routes, requests that panic, errors, requests in flight", wrap: promDuration},
			{name: "promhttp, all five", without: "routes, requests that panic, errors", wrap: promFive},
			{name: "go-zero", without: "requests that panic, errors, requests in flight, native buckets; the duration is in whole ms", less: true, wrap: zero.PrometheusHandler("/orders", http.MethodGet)},
			{name: "otelhttp", without: "requests that panic, routes that nobody sets; its labels hold the client's Host", wrap: otelhttp.NewMiddleware("bench",
				otelhttp.WithTracerProvider(tracenoop.NewTracerProvider()), otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
				otelhttp.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))))},
		}
	},
	budgets: []budget{
		{time: 200 * time.Nanosecond, allocs: 0, because: "reading the clock before and after is two fifths of what the observer takes without a sink, 0.15 µs"},
		{of: "promhttp, duration", share: .5, allocs: unlimited},
	},
}

var logs = kind{
	name:  "log",
	title: "observe: access log",
	about: "One line of JSON for each request, to nowhere.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: observed(logSink())},
			{name: ours + ", slog's handler", wrap: observed(must(observe.NewAccessLog(discarded())))},
			{name: "a line of slog", without: "everything but the line: the same attributes, known before", less: true, wrap: slogLine},
			{name: "httplog", without: "causes, sampling, limits of repeated lines", wrap: httpLog()},
			{name: "slog-http", without: "causes, sampling, limits of repeated lines, panics", wrap: sloghttp.New(jsonLogger())},
			{name: "go-zero", without: "a schema, bytes, causes", wrap: zero.LogHandler},
			{name: "chi Logger", without: "structure: it is a line of text", wrap: chi.RequestLogger(&chi.DefaultLogFormatter{Logger: slog.NewLogLogger(discarded(), slog.LevelInfo), NoColor: true})},
		}
	},
	budgets: []budget{
		{time: 1500 * time.Nanosecond, allocs: 0},
		{of: "a line of slog", share: .5, allocs: unlimited},
		{row: ours + ", slog's handler", of: "a line of slog", share: 1, allocs: 2},
	},
}

var traces = kind{
	name:  "trace",
	title: "observe: trace",
	about: "A span for each request from OpenTelemetry's SDK, sampled, with a processor that does nothing with it; and one that is not sampled.",
	rows: func() []row {
		sampled, never := provider(sdk.AlwaysSample()), provider(sdk.NeverSample())
		const lacks = "the status where a handler panics, causes"
		return []row{
			{name: ours, wrap: observed(traceSink(sampled))},
			{name: ours + ", not sampled", wrap: observed(traceSink(never))},
			{name: ours + ", attributes for the sampler", wrap: observed(traceSink(sampled, tracing.WithSamplerAttributes()))},
			{name: "otelhttp", without: lacks, wrap: otelHTTP(sampled)},
			{name: "otelhttp, not sampled", without: lacks, less: true, wrap: otelHTTP(never)},
			{name: "go-zero", without: lacks + ", routes of a mux", wrap: zeroTrace(sampled)},
		}
	},
	budgets: []budget{
		{time: 4500 * time.Nanosecond, allocs: unlimited},
		{of: "otelhttp", share: .6, allocs: unlimited},
		{row: ours + ", not sampled", of: "otelhttp, not sampled", share: .6, allocs: unlimited},
	},
}

var everything = kind{
	name:  "observe-all",
	title: "observe: metrics, access log and trace",
	about: "All three in one middleware, and as three where a peer has them apart. Sampled.",
	rows: func() []row {
		sampled := provider(sdk.AlwaysSample())
		return []row{
			{name: ours, wrap: observed(traceSink(sampled), metricsSink(), logSink())},
			{name: "otelhttp, promhttp, httplog", without: "the trace's ids in the log, routes in the metrics, requests that panic, causes", wrap: chain(otelHTTP(sampled), httpLog(), promFive)},
			{name: "go-zero", without: "requests that panic, causes, bytes", wrap: chain(zeroTrace(sampled), zero.LogHandler, zero.PrometheusHandler("/orders", http.MethodGet), zero.MetricHandler(stat.NewMetrics("all")))},
		}
	},
	budgets: []budget{{of: "otelhttp, promhttp, httplog", share: .5, allocs: unlimited}},
}

func observed(sinks ...observe.Sink) middleware {
	return observe.Middleware(observe.WithSink(sinks...))
}

func metricsSink() observe.Sink { return must(prom.New()) }

func logSink() observe.Sink {
	return must(observe.NewAccessLog(observe.NewJSONHandler(io.Discard, nil)))
}

func traceSink(provider trace.TracerProvider, opts ...tracing.Option) observe.Sink {
	return must(tracing.New(append(opts, tracing.WithTracerProvider(provider))...))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func discarded() slog.Handler  { return slog.NewJSONHandler(io.Discard, nil) }
func jsonLogger() *slog.Logger { return slog.New(discarded()) }

// slogLine is what a line costs that says what our access log says.
func slogLine(next http.Handler) http.Handler {
	logger := jsonLogger()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		logger.LogAttrs(r.Context(), slog.LevelInfo, "http request",
			slog.String("http.request.method", r.Method),
			slog.String("http.route", r.Pattern),
			slog.String("url.scheme", "http"),
			slog.String("url.path", r.URL.Path),
			slog.Int("http.response.status_code", 200),
			slog.Int64("http.request.body.size", 0),
			slog.Int64("http.response.body.size", 0),
			slog.Float64("duration_ms", 1.25),
			slog.String("client.address", r.RemoteAddr),
			slog.String("user_agent.original", r.UserAgent()),
			slog.String("network.protocol.version", "1.1"),
		)
	})
}

func httpLog() middleware {
	return httplog.RequestLogger(jsonLogger(), &httplog.Options{Level: slog.LevelInfo, Schema: httplog.SchemaOTEL, RecoverPanics: true})
}

var codeAndMethod = []string{"code", "method"}

func histogram(name string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Buckets: prometheus.DefBuckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour}, codeAndMethod)
}

func promDuration(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerDuration(histogram("duration"), next)
}

// promFive is promhttp's usual chain.
func promFive(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerInFlight(prometheus.NewGauge(prometheus.GaugeOpts{Name: "in_flight"}),
		promhttp.InstrumentHandlerDuration(histogram("duration"),
			promhttp.InstrumentHandlerCounter(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests"}, codeAndMethod),
				promhttp.InstrumentHandlerRequestSize(histogram("request_size"),
					promhttp.InstrumentHandlerResponseSize(histogram("response_size"), next)))))
}

// forgetful is a span processor with nothing behind it.
type forgetful struct{}

func (forgetful) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (forgetful) OnEnd(sdk.ReadOnlySpan)                     {}
func (forgetful) Shutdown(context.Context) error             { return nil }
func (forgetful) ForceFlush(context.Context) error           { return nil }

func provider(s sdk.Sampler) trace.TracerProvider {
	return sdk.NewTracerProvider(sdk.WithSampler(s), sdk.WithSpanProcessor(forgetful{}))
}

func otelHTTP(provider trace.TracerProvider) middleware {
	return otelhttp.NewMiddleware("bench", otelhttp.WithTracerProvider(provider),
		otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()), otelhttp.WithPropagators(propagation.TraceContext{}))
}

// zeroTrace is go-zero's, which takes the global provider when it wraps.
func zeroTrace(provider trace.TracerProvider) middleware {
	return func(h http.Handler) http.Handler {
		before := otel.GetTracerProvider()
		otel.SetTracerProvider(provider)
		otel.SetTextMapPropagator(propagation.TraceContext{})
		defer otel.SetTracerProvider(before)
		return zero.TraceHandler("bench", "/orders")(h)
	}
}

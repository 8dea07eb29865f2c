package cloudwatch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

func TestEveryWrongOptionOfMetricsIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[cloudwatch.Option]
	wrong := func(option, value string, opts ...cloudwatch.Option) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	construct := func(opts ...cloudwatch.Option) (*cloudwatch.Metrics, error) {
		return cloudwatch.NewMetrics(&page{}, opts...)
	}
	long := strings.Repeat("x", 1025)
	var twenty []cloudwatch.Option
	for i := range 21 {
		twenty = append(twenty, cloudwatch.WithConstant(fmt.Sprint("c", i), "v"))
	}
	optiontest.Run(t, "cloudwatch", construct, nil, []mistake{
		wrong("Option", "0", cloudwatch.Option(nil)),
		wrong("WithName", long[:65], cloudwatch.WithName(long[:65])),
		wrong("WithNamespace", "", cloudwatch.WithNamespace("")),
		wrong("WithNamespace", "AWS/Logs", cloudwatch.WithNamespace("AWS/Logs")),
		wrong("WithNamespace", ":n", cloudwatch.WithNamespace(":n")),
		wrong("WithNamespace", "a+b", cloudwatch.WithNamespace("a+b")),
		wrong("WithNamespace", long[:256], cloudwatch.WithNamespace(long[:256])),
		wrong("WithService", "", cloudwatch.WithService("")),
		wrong("WithService", "größe", cloudwatch.WithService("größe")),
		wrong("WithService", long, cloudwatch.WithService(long)),
		wrong("WithConstant", ":n", cloudwatch.WithConstant(":n", "v")),
		wrong("WithConstant", "_aws", cloudwatch.WithConstant("_aws", "v")),
		wrong("WithConstant", "http.route", cloudwatch.WithConstant("http.route", "v")),
		wrong("WithConstant", "url.path", cloudwatch.WithConstant("url.path", "v")),
		wrong("WithConstant", "service.name", cloudwatch.WithConstant("service.name", "v")),
		wrong("WithConstant", "c20", twenty...),
		wrong(`WithConstant["stage"]`, "", cloudwatch.WithConstant("stage", "")),
		wrong("+WithDimensions", "0", cloudwatch.WithDimensions()),
		wrong("+WithDimensions", "11", cloudwatch.WithDimensions(make([][]string, 11)...)),
		wrong("+WithDimensions[0]", "31", cloudwatch.WithDimensions(make([]string, 31))),
		wrong("+WithDimensions[0]", "[url.scheme url.scheme]", cloudwatch.WithDimensions([]string{"url.scheme", "url.scheme"})),
		wrong("+WithDimensions[1]", "[http.request.method http.route]", cloudwatch.WithDimensions([]string{cloudwatch.Route, cloudwatch.Method}, []string{cloudwatch.Method, cloudwatch.Route})),
		wrong("+WithDimensions[2]", "[]", cloudwatch.WithDimensions(nil, []string{cloudwatch.Route}, []string{})),
		wrong("+WithDimensions[1]", "client.address", cloudwatch.WithDimensions([]string{"url.scheme"}, []string{"client.address"})),
		wrong("+WithDimensions[0]", "service.name", cloudwatch.WithDimensions([]string{"service.name"})),
		wrong("WithMode", "2", cloudwatch.WithMode(2)),
		wrong("WithInterval", "999.999999ms", cloudwatch.WithInterval(time.Second-1)),
		wrong("WithInterval", "1m0.000000001s", cloudwatch.WithInterval(time.Minute+1)),
		wrong("WithSources[0]", "<nil>", cloudwatch.WithSources(nil)),
		wrong("+WithSources", "101", cloudwatch.WithSources(hundred()...)),
		wrong("WithMaxSeries", "0", cloudwatch.WithMaxSeries(0)),
		wrong("WithMaxSeries", "10001", cloudwatch.WithMaxSeries(10_001)),
		wrong("WithMaxSamples", "0", cloudwatch.WithMaxSamples(0)),
		wrong("WithMaxSamples", "100001", cloudwatch.WithMaxSamples(100_001)),
		wrong("WithLogGroup", "", cloudwatch.WithLogGroup("")),
		wrong("WithLogGroup", "a b", cloudwatch.WithLogGroup("a b")),
		wrong("WithLineLevel", "info", cloudwatch.WithLineLevel("info")),
	})
	_, err := cloudwatch.NewMetrics(nil, cloudwatch.WithMode(9))
	if faults := optiontest.Faults(t, err); len(faults) != 2 || faults[0].Option != "NewMetrics" {
		t.Errorf("without a writer the faults are %v", err)
	}
}

func hundred() (all []handrail.Source) {
	for range 101 {
		all = append(all, source(func(func(handrail.Metric)) {}))
	}
	return all
}

func TestEveryWrongOptionOfTheHandlerIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[cloudwatch.LogOption]
	wrong := func(option, value string, opts ...cloudwatch.LogOption) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	construct := func(opts ...cloudwatch.LogOption) (*cloudwatch.Handler, error) {
		return cloudwatch.NewHandler(&store{}, opts...)
	}
	long := strings.Repeat("x", 65)
	optiontest.Run(t, "cloudwatch", construct, nil, []mistake{
		wrong("LogOption", "0", cloudwatch.LogOption(nil)),
		wrong("WithLogName", long, cloudwatch.WithLogName(long)),
		wrong("WithLevel", "<nil>", cloudwatch.WithLevel(nil)),
		wrong("WithReplaceAttr", "<nil>", cloudwatch.WithReplaceAttr(nil)),
		wrong("WithFlushInterval", "9.999999ms", cloudwatch.WithFlushInterval(10*time.Millisecond-1)),
		wrong("WithFlushInterval", "5m0.000000001s", cloudwatch.WithFlushInterval(5*time.Minute+1)),
		wrong("WithBatch.events", "0", cloudwatch.WithBatch(0, 1<<10)),
		wrong("WithBatch.events", "10001", cloudwatch.WithBatch(10_001, 1<<10)),
		wrong("WithBatch.bytes", "1023", cloudwatch.WithBatch(1, 1<<10-1)),
		wrong("WithBatch.bytes", "1048577", cloudwatch.WithBatch(1, 1<<20+1)),
		wrong("WithBuffer.events", "0", cloudwatch.WithBuffer(0, 2<<20)),
		wrong("WithBuffer.bytes", "1023", cloudwatch.WithBuffer(1, 1<<10-1)),
		wrong("+WithBuffer", "1048575", cloudwatch.WithBuffer(1, 1<<20-1)),
		wrong("WithOverflow", "2", cloudwatch.WithOverflow(2)),
		wrong("WithMaxEvent", "511", cloudwatch.WithMaxEvent(511)),
		wrong("WithMaxEvent", "1048551", cloudwatch.WithMaxEvent(1<<20-25)),
		wrong("WithCallTimeout", "9.999999ms", cloudwatch.WithCallTimeout(10*time.Millisecond-1)),
		wrong("WithAttempts", "0", cloudwatch.WithAttempts(0)),
		wrong("WithAttempts", "1001", cloudwatch.WithAttempts(1001)),
		wrong("WithBackoff.first", "0s", cloudwatch.WithBackoff(0, time.Second)),
		wrong("WithBackoff.most", "10ms", cloudwatch.WithBackoff(time.Second, 10*time.Millisecond)),
		wrong("OnError", "<nil>", cloudwatch.OnError(nil)),
	})
	_, err := cloudwatch.NewHandler(nil, cloudwatch.WithAttempts(0))
	if faults := optiontest.Faults(t, err); len(faults) != 2 || faults[0].Option != "NewHandler" {
		t.Errorf("without a client the faults are %v", err)
	}
}

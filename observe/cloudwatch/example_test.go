package cloudwatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

// A service in a container: some lines a minute to its standard output, which is
// a buffer here.
func Example() {
	var stdout bytes.Buffer
	limit, err := bulkhead.New(bulkhead.WithName("orders"))
	if err != nil {
		fmt.Println(err)
		return
	}
	metrics, err := cloudwatch.NewMetrics(&stdout,
		cloudwatch.WithService("checkout"),
		cloudwatch.WithDimensions([]string{cloudwatch.Service}, []string{cloudwatch.Service, cloudwatch.Route, cloudwatch.StatusClass}),
		cloudwatch.WithSources(limit),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {})
	h := observe.Middleware(observe.WithSink(metrics))(limit.Wrap(mux))

	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/orders/7", nil))
	}
	metrics.Close(context.Background())

	line, _ := stdout.ReadBytes('\n')
	var fields map[string]any
	json.Unmarshal(line, &fields)
	fmt.Println(fields[cloudwatch.Service], fields[cloudwatch.Route], fields[cloudwatch.StatusClass], fields[cloudwatch.Requests])
	// Output: checkout /orders/{id} 2xx 3
}

// On Lambda each request is a line of its own, which is its log entry too.
func ExampleWithMode() {
	metrics, err := cloudwatch.NewMetrics(os.Stdout,
		cloudwatch.WithMode(cloudwatch.PerRequest),
		cloudwatch.WithLineLevel("INFO"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = observe.Middleware(observe.WithSink(metrics))
}

// All faults of the options are told at once.
func ExampleWithDimensions() {
	_, err := cloudwatch.NewMetrics(os.Stdout,
		cloudwatch.WithNamespace("AWS/Mine"),
		cloudwatch.WithDimensions([]string{"client.address"}), // never from the request
	)
	fmt.Println(err)
	// Output:
	// cloudwatch: WithNamespace(AWS/Mine): must be 1 to 255 of letters, digits, spaces and .-_/#: and begin with neither a colon nor AWS/
	// cloudwatch: WithDimensions[0](client.address): must be one that requests have, or the name of a constant
}

// A figure of the service's own.
func ExampleMetrics_Line() {
	metrics, err := cloudwatch.NewMetrics(os.Stdout, cloudwatch.WithMode(cloudwatch.PerRequest), cloudwatch.WithNamespace("Shop"))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = metrics.Line().At(time.Unix(1, 0)).
		Dimension("queue", "orders").
		Metric("depth", cloudwatch.Count, 12).
		Text("oldest", "7f3a").
		Write()
	var invalid *cloudwatch.InvalidError
	fmt.Println(errors.As(err, &invalid), err)
	// Output: true cloudwatch: line dropped: its time is more than 14 days ago or 2 hours ahead
}

// printer is a client that prints.
type printer struct{}

func (printer) Put(_ context.Context, events []cloudwatch.Event) (cloudwatch.Rejected, error) {
	for _, e := range events {
		fmt.Println(e.Message)
	}
	return cloudwatch.Rejected{}, nil
}

// Records are put in batches, and Close waits until they are.
func ExampleNewHandler() {
	handler, err := cloudwatch.NewHandler(printer{}, cloudwatch.WithReplaceAttr(func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // for the sake of this example
		}
		return a
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	log := slog.New(handler)
	log.Info("order placed", "order", 7)
	log.Debug("not logged")

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(handler.Close(ctx))
	s := handler.Stats()
	fmt.Println(s.Logged, s.Delivered, s.Dropped, s.Pending)
	// Output:
	// {"level":"INFO","msg":"order placed","order":7}
	// <nil>
	// 1 1 0 0
}

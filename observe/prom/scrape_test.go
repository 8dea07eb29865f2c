package prom_test

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
)

const (
	askText        = "text/plain;version=0.0.4"
	askOpenMetrics = "application/openmetrics-text;version=1.0.0"
	askProtobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// scrape is the answer of a real server to a scraper that accepts this.
func scrape(t testing.TB, r *prometheus.Registry, accept string) (string, http.Header) {
	t.Helper()
	// What cannot be exposed is an error here and not left out in silence.
	srv := httptest.NewServer(promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError}))
	defer srv.Close()
	req, _ := http.NewRequest("GET", srv.URL, nil)
	req.Header.Set("Accept", accept)
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("status %d, %v: %s", resp.StatusCode, err, body)
	}
	return string(body), resp.Header
}

// compare compares a scrape in text with a file, or writes the file where the
// test runs with -update.
func compare(t *testing.T, file string, r *prometheus.Registry) {
	t.Helper()
	got, _ := scrape(t, r, askText)
	if update := flag.Lookup("update"); update != nil && update.Value.String() == "true" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(was), len(is)) {
		a, b := "", ""
		if i < len(was) {
			a = was[i]
		}
		if i < len(is) {
			b = is[i]
		}
		if a != b {
			t.Fatalf("%s:%d: is %q, was %q", file, i+1, b, a)
		}
	}
}

func sampled(x *observe.Exchange) {
	x.Trace = observe.TraceIDs{TraceID: [16]byte{0xab, 15: 0xcd}, SpanID: [8]byte{0x12, 7: 0x34}, Flags: 1}
}

func TestAScrapeInTextHasClassicBucketsAndNoExemplars(t *testing.T) {
	m := made(t)
	pass(m, answered(sampled))
	body, header := scrape(t, registered(t, m), askText)
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("Content-Type is %q", got)
	}
	families, err := parser().TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	h := families["http_server_request_duration_seconds"].GetMetric()[0].GetHistogram()
	if len(h.GetBucket()) != 15 || h.GetBucket()[2].GetCumulativeCount() != 0 || h.GetBucket()[3].GetCumulativeCount() != 1 {
		t.Errorf("30 ms are in the buckets %v", h.GetBucket())
	}
	if strings.Contains(body, "trace_id") {
		t.Error("there is an exemplar")
	}
}

func TestAScrapeInOpenMetricsHasTheExemplarOfASampledTrace(t *testing.T) {
	m := made(t)
	pass(m, answered(sampled))
	pass(m, answered(func(x *observe.Exchange) { x.Route = "/unsampled"; sampled(x); x.Trace.Flags = 0 }))
	pass(m, answered(func(x *observe.Exchange) { x.Route = "/untraced"; x.Trace.Flags = 1 }))
	body, header := scrape(t, registered(t, m), askOpenMetrics)
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text; version=1.0.0") {
		t.Errorf("Content-Type is %q", got)
	}
	if !strings.HasSuffix(body, "# EOF\n") {
		t.Error("the scrape has no end")
	}
	var with []string
	for line := range strings.Lines(body) {
		if strings.Contains(line, " # {") {
			with = append(with, line)
		}
	}
	if len(with) != 1 {
		t.Fatalf("exemplars are at\n%s", strings.Join(with, ""))
	}
	for _, part := range []string{`le="0.05"`, `http_route="/orders/{id}"`, `trace_id="ab0000000000000000000000000000cd"`, `span_id="1200000000000034"`, "} 0.03 "} {
		if !strings.Contains(with[0], part) {
			t.Errorf("%s is missing in %s", part, with[0])
		}
	}
}

func TestAScrapeInProtobufHasNativeHistogramsAndTheirExemplars(t *testing.T) {
	m := made(t)
	for range 100 {
		pass(m, answered(sampled))
	}
	body, header := scrape(t, registered(t, m), askProtobuf)
	h := protobuf(t, body, header)["http_server_request_duration_seconds"].GetMetric()[0].GetHistogram()
	// Schema 3 has 8 buckets for each power of two: the greatest growth that is
	// not above 1.1.
	if h.GetSchema() != 3 || h.GetZeroThreshold() != prometheus.DefNativeHistogramZeroThreshold || h.GetZeroCount() != 0 {
		t.Errorf("schema %d, zero threshold %v, zero count %d", h.GetSchema(), h.GetZeroThreshold(), h.GetZeroCount())
	}
	// 30 ms is in the bucket that ends at 2^(-40/8) = 31.25 ms.
	if len(h.PositiveSpan) != 1 || h.PositiveSpan[0].GetOffset() != -40 || h.PositiveSpan[0].GetLength() != 1 ||
		len(h.PositiveDelta) != 1 || h.PositiveDelta[0] != 100 {
		t.Errorf("buckets %v, deltas %v", h.PositiveSpan, h.PositiveDelta)
	}
	if h.GetSampleCount() != 100 || len(h.Bucket) != 14 || h.GetCreatedTimestamp() == nil {
		t.Errorf("%d samples, %d classic buckets, made %v", h.GetSampleCount(), len(h.Bucket), h.GetCreatedTimestamp())
	}
	if len(h.Exemplars) != 1 || h.Exemplars[0].GetValue() != .03 {
		t.Errorf("the exemplars are %v", h.Exemplars)
	}
}

func TestANativeHistogramHas160BucketsAtMostAndItsResolutionBackAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := made(t, prom.WithBuckets())
		r := registered(t, m)
		for d := int64(1); d < 1<<50; d += d/20 + 1 {
			pass(m, answered(func(x *observe.Exchange) { x.Duration = time.Duration(d) }))
		}
		shows := func() (buckets int, schema int32, samples uint64) {
			h := gathered(t, r)[`http_server_request_duration_seconds{http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"}`].GetHistogram()
			for _, s := range h.PositiveSpan {
				buckets += int(s.GetLength())
			}
			return buckets, h.GetSchema(), h.GetSampleCount()
		}
		if n, schema, samples := shows(); n > 160 || n < 50 || schema >= 3 || samples == 0 {
			t.Errorf("%d buckets at schema %d with %d samples", n, schema, samples)
		}
		time.Sleep(time.Hour - time.Millisecond)
		if _, schema, samples := shows(); schema >= 3 || samples == 0 {
			t.Errorf("before an hour it is at schema %d with %d samples", schema, samples)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n, schema, samples := shows(); n != 0 || schema != 3 || samples != 0 {
			t.Errorf("after an hour it has %d buckets at schema %d with %d samples", n, schema, samples)
		}
	})
}

func protobuf(t *testing.T, body string, header http.Header) map[string]*dto.MetricFamily {
	t.Helper()
	format := expfmt.ResponseFormat(header)
	if format.FormatType() != expfmt.TypeProtoDelim {
		t.Fatalf("Content-Type is %q", header.Get("Content-Type"))
	}
	all := map[string]*dto.MetricFamily{}
	for from := expfmt.NewDecoder(strings.NewReader(body), format); ; {
		var f dto.MetricFamily
		if err := from.Decode(&f); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[f.GetName()] = &f
	}
}

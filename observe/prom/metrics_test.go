package prom_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
)

func made(t testing.TB, opts ...prom.Option) *prom.Metrics {
	t.Helper()
	m, err := prom.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// registered is a registry with these collectors that finds every fault.
func registered(t testing.TB, collectors ...prometheus.Collector) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		if err := r.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// gathered are the metrics of a registry by name and labels, such as
// `x_total{code="200"}`. Empty labels are left out.
func gathered(t testing.TB, r prometheus.Gatherer) map[string]*dto.Metric {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dto.Metric{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				if l.GetValue() != "" {
					labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
				}
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m
		}
	}
	return all
}

// answered is an exchange that went well.
func answered(change ...func(*observe.Exchange)) *observe.Exchange {
	x := &observe.Exchange{
		Request: &http.Request{}, Began: time.Now(), Duration: 30 * time.Millisecond,
		Method: "GET", Scheme: "https", Route: "/orders/{id}", Status: 200, RequestBytes: 10, ResponseBytes: 2000,
	}
	for _, c := range change {
		c(x)
	}
	return x
}

func pass(m *prom.Metrics, x *observe.Exchange) {
	m.Start(x)
	if x.LongLived {
		m.LongLived(x)
	}
	m.Observe(x)
}

func TestWhatBecameOfARequestIsInItsLabels(t *testing.T) {
	for _, tc := range []struct {
		name            string
		change          func(*observe.Exchange)
		labels, classic string
	}{
		{"answered", func(x *observe.Exchange) {}, `error_type="",http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"`,
			`code="200",method="get",route="/orders/{id}"`},
		{"by http", func(x *observe.Exchange) { x.Scheme, x.Method = "http", "DELETE" }, `error_type="",http_request_method="DELETE",http_response_status_code="200",http_route="/orders/{id}",url_scheme="http"`,
			`code="200",method="delete",route="/orders/{id}"`},
		{"no route", func(x *observe.Exchange) { x.Route, x.Status = "", 404 }, `error_type="",http_request_method="GET",http_response_status_code="404",http_route="unmatched",url_scheme="https"`,
			`code="404",method="get",route="unmatched"`},
		{"a method of nobody's", func(x *observe.Exchange) { x.Method = "_OTHER" }, `error_type="",http_request_method="_OTHER",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"`,
			`code="200",method="unknown",route="/orders/{id}"`},
		{"a method that a sink made up", func(x *observe.Exchange) { x.Method = "BREW" }, `error_type="",http_request_method="_OTHER",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"`,
			`code="200",method="unknown",route="/orders/{id}"`},
		{"failed", func(x *observe.Exchange) { x.Status, x.ErrorType = 502, "502" }, `error_type="502",http_request_method="GET",http_response_status_code="502",http_route="/orders/{id}",url_scheme="https"`,
			`code="502",method="get",route="/orders/{id}"`},
		{"shed", func(x *observe.Exchange) { x.Status, x.ErrorType = 503, "shed" }, `error_type="shed",http_request_method="GET",http_response_status_code="503",http_route="/orders/{id}",url_scheme="https"`,
			`code="503",method="get",route="/orders/{id}"`},
		{"panicked before it answered", func(x *observe.Exchange) { x.Status, x.ErrorType, x.Panic = 0, "panic", "oops" }, `error_type="panic",http_request_method="GET",http_response_status_code="unknown",http_route="/orders/{id}",url_scheme="https"`,
			`code="unknown",method="get",route="/orders/{id}"`},
		{"panicked after it answered", func(x *observe.Exchange) { x.ErrorType, x.Panic = "panic", "oops" }, `error_type="panic",http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"`,
			`code="200",method="get",route="/orders/{id}"`},
		{"an unusual status", func(x *observe.Exchange) { x.Status, x.ErrorType = 799, "600+" }, `error_type="_OTHER",http_request_method="GET",http_response_status_code="unknown",http_route="/orders/{id}",url_scheme="https"`,
			`code="unknown",method="get",route="/orders/{id}"`},
		{"a route that is no text", func(x *observe.Exchange) { x.Route = "/caf\xe9" }, `error_type="",http_request_method="GET",http_response_status_code="200",http_route="/caf�",url_scheme="https"`,
			`code="200",method="get",route="/caf�"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, c := made(t), made(t, prom.WithClassicNames())
			r := registered(t, m, c)
			for range 3 {
				pass(m, answered(tc.change))
				pass(c, answered(tc.change))
			}
			// Empty labels are shown here, as they are part of what is promised.
			want := map[string]uint64{"http_server_request_duration_seconds{" + tc.labels + "}": 3, "http_request_duration_seconds{" + tc.classic + "}": 3}
			families, err := r.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				for _, x := range f.Metric {
					if x.Histogram == nil {
						continue
					}
					var labels []string
					for _, l := range x.Label {
						labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
					}
					id := f.GetName() + "{" + strings.Join(labels, ",") + "}"
					if x.Histogram.GetSampleCount() != want[id] {
						t.Errorf("%s has %d samples, want %d", id, x.Histogram.GetSampleCount(), want[id])
					}
					delete(want, id)
				}
			}
			for id := range want {
				t.Errorf("%s is missing", id)
			}
		})
	}
}

func TestDurationsAndSizesAreWhatTheyWere(t *testing.T) {
	m := made(t, prom.WithSizes())
	r := registered(t, m)
	pass(m, answered())
	pass(m, answered(func(x *observe.Exchange) { x.Duration, x.RequestBytes, x.ResponseBytes = 2*time.Second, -1, 0 }))
	pass(m, answered(func(x *observe.Exchange) { x.Duration = -time.Second })) // a clock that was set back
	const labels = `{http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"}`
	all := gathered(t, r)
	for name, want := range map[string]struct {
		count uint64
		sum   float64
	}{
		"http_server_request_duration_seconds":  {3, 2.03},
		"http_server_request_body_size_bytes":   {2, 20},
		"http_server_response_body_size_bytes":  {3, 4000},
		"http_server_request_duration_seconds ": {},
	} {
		got := all[name+labels].GetHistogram()
		if got.GetSampleCount() != want.count || got.GetSampleSum() != want.sum {
			t.Errorf("%s has %d samples with the sum %v, want %d and %v", name, got.GetSampleCount(), got.GetSampleSum(), want.count, want.sum)
		}
	}
}

func TestGaugesFollowExchangesFromTheirStartToTheirEnd(t *testing.T) {
	m, c := made(t), made(t, prom.WithClassicNames())
	r := registered(t, m, c)
	get, post, stream := answered(), answered(func(x *observe.Exchange) { x.Method, x.Scheme = "POST", "http" }), answered()
	shows := func(at string, active, posts, longLived, counted float64) {
		t.Helper()
		all := gathered(t, r)
		for id, want := range map[string]float64{
			`http_server_active_requests{http_request_method="GET",url_scheme="https"}`:             active,
			`http_server_active_requests{http_request_method="POST",url_scheme="http"}`:             posts,
			`http_server_active_long_lived_requests{http_request_method="GET",url_scheme="https"}`:  longLived,
			`http_server_active_long_lived_requests{http_request_method="POST",url_scheme="https"}`: 0,
			`http_requests_in_flight{method="get"}`:                                                 active,
			`http_requests_in_flight{method="post"}`:                                                posts,
			`http_long_lived_requests_in_flight{method="get"}`:                                      longLived,
		} {
			if got := all[id].GetGauge().GetValue(); got != want {
				t.Errorf("%s: %s is %v, want %v", at, id, got, want)
			}
		}
		for _, id := range []string{
			`http_server_long_lived_requests_total{http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"}`,
			`http_requests_total{code="200",method="get",route="/orders/{id}"}`,
		} {
			if got := all[id].GetCounter().GetValue(); got != counted {
				t.Errorf("%s: %s is %v, want %v", at, id, got, counted)
			}
		}
	}
	each := func(do func(*prom.Metrics)) { do(m); do(c) }
	shows("before", 0, 0, 0, 0)
	each(func(m *prom.Metrics) { m.Start(get); m.Start(post); m.Start(stream) })
	shows("under way", 2, 1, 0, 0)
	stream.LongLived = true
	each(func(m *prom.Metrics) { m.LongLived(stream) })
	shows("long-lived", 1, 1, 1, 0)
	each(func(m *prom.Metrics) { m.Observe(stream) })
	shows("ended", 1, 1, 0, 1)
	post.Route = "/other"
	each(func(m *prom.Metrics) { m.Observe(post) })
	shows("only one left", 1, 0, 0, 1)
	get.Route = "/another"
	each(func(m *prom.Metrics) { m.Observe(get) })
	shows("none left", 0, 0, 0, 1)
	if all := gathered(t, r); all[`http_server_request_duration_seconds{http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="https"}`] != nil {
		t.Error("an exchange that was long-lived has a duration")
	}
}

func TestConstantLabelsTellTwoInOneRegistryApart(t *testing.T) {
	in, out := made(t, prom.WithConstLabels(prometheus.Labels{"listener": "public"})), made(t, prom.WithConstLabels(prometheus.Labels{"listener": "admin"}))
	r := registered(t, in, out)
	pass(in, answered())
	for id, m := range gathered(t, r) {
		if !strings.Contains(id, `listener="public"`) && !strings.Contains(id, `listener="admin"`) {
			t.Errorf("%s has no such label: %v", id, m)
		}
	}
	if err := r.Register(made(t, prom.WithConstLabels(prometheus.Labels{"listener": "admin"}))); err == nil {
		t.Error("a second one with the same labels was registered")
	}
}

func TestTheOptionsDecideOnBuckets(t *testing.T) {
	for _, tc := range []struct {
		name    string
		opts    []prom.Option
		classic int
		native  bool
	}{
		{"both", nil, 14, true},
		{"classic only", []prom.Option{prom.WithNativeHistograms(false)}, 14, false},
		{"native only", []prom.Option{prom.WithBuckets()}, 0, true},
		{"own bounds", []prom.Option{prom.WithBuckets(.1, .2, .3)}, 3, true},
	} {
		m := made(t, tc.opts...)
		pass(m, answered())
		for id, x := range gathered(t, registered(t, m)) {
			if h := x.Histogram; h != nil && (len(h.Bucket) != tc.classic || (h.Schema != nil) != tc.native) {
				t.Errorf("%s: %s has %d classic buckets, native %v", tc.name, id, len(h.Bucket), h.Schema != nil)
			}
		}
	}
}

func TestTheExpositionIsPinned(t *testing.T) {
	for name, opts := range map[string][]prom.Option{
		"semantic": {prom.WithSizes(1000, 10_000)},
		"classic":  {prom.WithClassicNames(), prom.WithBuckets(.1, 1), prom.WithSizes(1000, 10_000), prom.WithConstLabels(prometheus.Labels{"listener": "public"})},
	} {
		t.Run(name, func(t *testing.T) {
			m := made(t, opts...)
			pass(m, answered())
			pass(m, answered(func(x *observe.Exchange) { x.Status, x.ErrorType, x.Panic = 0, "panic", "oops" }))
			pass(m, answered(func(x *observe.Exchange) { x.LongLived, x.Route = true, "/events" }))
			m.Start(answered(func(x *observe.Exchange) { x.Method = "POST" }))
			compare(t, "testdata/"+name+".txt", registered(t, m))
		})
	}
}

func TestNamesAndUnitsFollowTheRules(t *testing.T) {
	for _, opts := range [][]prom.Option{{prom.WithSizes()}, {prom.WithSizes(), prom.WithClassicNames()}} {
		m := made(t, opts...)
		pass(m, answered())
		pass(m, answered(func(x *observe.Exchange) { x.LongLived = true }))
		problems, err := testutil.GatherAndLint(registered(t, m))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

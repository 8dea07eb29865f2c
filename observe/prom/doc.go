// Package prom exposes to Prometheus what package observe sees of requests, and
// the figures of every policy.
//
//	metrics, err := prom.New()
//	...
//	observer, err := observe.New(observe.WithSink(metrics))
//	...
//	registry.MustRegister(metrics, prom.NewCollector(limit, circuit, shedder))
//	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
//	http.ListenAndServe(":8080", observer.Wrap(mux))
//
// [Metrics] and [Collector] are collectors like any other of client_golang:
// nothing is registered behind one's back, and a prefix or label for all of them
// is a matter of [prometheus.WrapRegistererWithPrefix] and
// [prometheus.WrapRegistererWith].
//
// # Requests
//
// The names are those of the OpenTelemetry semantic conventions for HTTP servers
// as Prometheus spells them, so dashboards for services that use OpenTelemetry
// fit:
//
//   - http_server_request_duration_seconds, a histogram. Its labels are
//     http_request_method, url_scheme, http_route, http_response_status_code and
//     error_type. Its _count is the number of requests.
//   - http_server_active_requests, a gauge with the labels http_request_method
//     and url_scheme.
//   - http_server_active_long_lived_requests, a gauge with the same labels, and
//     http_server_long_lived_requests_total, a counter with those of the
//     duration: event streams and hijacked connections, which are counted once
//     they end, and leave the other gauge once they are known to be long-lived.
//     Their duration is no latency, so they are in no histogram.
//   - http_server_request_body_size_bytes and
//     http_server_response_body_size_bytes, histograms with the labels of the
//     duration, where WithSizes asks for them. A request whose size is not known
//     is in the second only.
//
// WithClassicNames calls them http_request_duration_seconds,
// http_requests_in_flight (label method), http_long_lived_requests_in_flight
// (label method), http_request_size_bytes and http_response_size_bytes, adds
// http_requests_total, which counts long-lived ones too, and has the labels code,
// method (in lower case) and route. There, the error is no label: what panicked
// before it answered has the code "unknown", and what panicked later is not told
// apart. One Metrics of each kind fit into one registry, for as long as it takes
// to change the dashboards.
//
// # Labels
//
// No label's value comes from a client as it is, so clients cannot make series:
//
//   - The method is one of RFC 9110 or PATCH, and "_OTHER" for all else.
//   - The route is the pattern that matched. It is "unmatched" where none did,
//     such as for 404, 405 and what a policy outside of the mux refused.
//   - The status is what the client got. It is "unknown" where it got none,
//     because the handler panicked or aborted before it answered or the client
//     left, and where it got one outside of 100 to 599.
//   - error_type is empty where all is well; shed, timeout, breaker_open,
//     bulkhead_full, canceled, panic or aborted where that is why; and else the
//     status from 500 to 599, and "_OTHER" above. A handler that panicked after it had answered is
//     error_type "panic" with the status that it had sent.
//
// WithMaxSeries bounds how many combinations there are. Those beyond share series
// whose route is "_other", whose method is "_OTHER" and whose status is a class,
// "2xx" or "5xx", so that sums and error ratios stay right. The gauge
// handrail_prom_series says how many there are, and
// handrail_prom_shared_series_requests_total how many requests had to share; with
// classic names they begin with handrail_prom_classic.
//
// # Histograms
//
// There are classic buckets and native ones, and the scrape decides: Prometheus
// asks for native ones where its configuration says scrape_native_histograms.
// Classic buckets take a line each: where nobody needs them, WithBuckets without
// a bound leaves them out. Native ones grow by 10 % each, are at most 160, and
// keep their resolution: if there are too many, they become coarser for up to an
// hour, and then the histogram begins anew, which Prometheus takes for a restart.
//
// # Exemplars
//
// Where a sink for traces comes before this one, a duration has the ids of its
// trace as an exemplar, if it is sampled: at most one a second for each bucket of
// each series. Scrapes in the text format have none: set EnableOpenMetrics.
//
// # Policies
//
// A [Collector] reads every [handrail.Source] when it is scraped: all policies,
// the load sampler, the observer itself. Give each instance of a package a name;
// those with the same name, or none, are told apart by a number behind it. They
// are not added up, as limits, ratios and states have no sum.
//
// A source that panics, or tells something that Prometheus would refuse, costs
// nobody else the scrape: it is left out and counted by
// handrail_prom_faults_total, whose label fault says what was wrong.
//
// # Cost
//
// A request costs two atomic operations for the gauges, two lookups in maps that
// are never locked and the observation itself, and allocates nothing. An exemplar
// allocates, at most once a second for a bucket. What is not scraped costs
// nothing at all for a policy.
//
// # Mistakes to avoid
//
//   - Wrapping Metrics in an [observe.SinkFunc]: its gauges count starts, and it
//     would not be told of them.
//   - The tenant, user or host as a label: each value is a histogram. They belong
//     into logs and traces.
//   - promhttp's InstrumentHandler functions beside it: they count the same, but
//     leave out requests that panic.
//   - Observing scrapes and probes: [observe.WithFilter] leaves them out.
//   - Averages of averages: use rate(..._sum) ÷ rate(..._count), and quantiles
//     over sums of buckets.
package prom

package prom

import "strings"

// naming is what the metrics are called. No name is in both, so that a service
// can expose both while its dashboards are changed.
type naming struct {
	duration, active, longLivedActive string
	longLived                         string // counts long-lived exchanges, "" where requests counts all
	requests                          string // counts all, "" where the histogram's count does
	requestSize, responseSize         string
	series, shared                    string // of Metrics themselves

	// labels are those of histograms and counters, gaugeLabels of gauges.
	labels, gaugeLabels []string
}

// semantic are the names of the semantic conventions as Prometheus spells them.
var semantic = naming{
	duration:        "http_server_request_duration_seconds",
	active:          "http_server_active_requests",
	longLivedActive: "http_server_active_long_lived_requests",
	longLived:       "http_server_long_lived_requests_total",
	requestSize:     "http_server_request_body_size_bytes",
	responseSize:    "http_server_response_body_size_bytes",
	series:          "handrail_prom_series",
	shared:          "handrail_prom_shared_series_requests_total",
	labels:          []string{"http_request_method", "url_scheme", "http_route", "http_response_status_code", "error_type"},
	gaugeLabels:     []string{"http_request_method", "url_scheme"},
}

// classic are those that were in use before.
var classic = naming{
	duration:        "http_request_duration_seconds",
	active:          "http_requests_in_flight",
	longLivedActive: "http_long_lived_requests_in_flight",
	requests:        "http_requests_total",
	requestSize:     "http_request_size_bytes",
	responseSize:    "http_response_size_bytes",
	series:          "handrail_prom_classic_series",
	shared:          "handrail_prom_classic_shared_series_requests_total",
	labels:          []string{"code", "method", "route"},
	gaugeLabels:     []string{"method"},
}

// values are the label values of a series, in the order of labels.
func (n *naming) values(route string, k key) []string {
	if n == &classic {
		return []string{k.status(), lower(k.method()), route}
	}
	return []string{k.method(), k.scheme(), route, k.status(), k.errorType()}
}

// gaugeValues are those of a gauge, in the order of gaugeLabels.
func (n *naming) gaugeValues(g int) []string {
	k := key(g)
	if n == &classic {
		return []string{lower(k.method())}
	}
	return []string{k.method(), k.scheme()}
}

// only drops from a key what is no label.
func (n *naming) only(k key) key {
	if n == &classic {
		return k &^ (keyScheme | keyError)
	}
	return k
}

// lower is a method as promhttp spells it.
func lower(method string) string {
	if method == otherMethod {
		return "unknown"
	}
	return strings.ToLower(method)
}

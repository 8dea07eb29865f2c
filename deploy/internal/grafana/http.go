package main

import "fmt"

// Duration of requests, of which there may be classic buckets, native
// histograms, or both: a server that scrapes native histograms has no series
// with the suffixes unless it is told to keep them.
const (
	duration       = "http_server_request_duration_seconds"
	anyDuration    = `{__name__=~"` + duration + `|` + duration + `_count"%s}`
	failed         = `error_type!~"|canceled"`
	ofRoute        = `http_route=~"$route"`
	methodAndRoute = "http_request_method, http_route"
)

// served is how many requests ended in a second, per series.
func served(matchers string) string {
	return fmt.Sprintf("(%s or histogram_count(%s))", rate(duration+"_count", matchers), rate(duration, matchers))
}

// percentile of the durations.
func percentile(p float64, by, matchers string) string {
	le := "le"
	if by != "" {
		le = "le, " + by
	}
	return fmt.Sprintf("histogram_quantile(%g, %s) or histogram_quantile(%g, %s)",
		p, sum(by, rate(duration, matchers)), p, sum(le, rate(duration+"_bucket", matchers)))
}

// distribution of the durations over time.
func distribution(matchers string) string {
	native := sum("", rate(duration, matchers))
	return fmt.Sprintf("%s or (%s unless on () %s)", native, sum("le", rate(duration+"_bucket", matchers)), native)
}

func requests() dashboard {
	anchor := fmt.Sprintf(anyDuration, "")
	route := labelValues("route", "Route", fmt.Sprintf(anyDuration, `,job=~"$job",instance=~"$instance"`), "http_route")
	vars := []object{}
	for _, v := range variables(anchor, route) {
		if v["name"] == "instance" {
			v = labelValues("instance", "Instance", fmt.Sprintf(anyDuration, `,job=~"$job"`), "instance")
		}
		vars = append(vars, v)
	}
	and := func(m string) string { return ofRoute + "," + m }
	errors := func(by string) string {
		return share(sum(by, served(and(failed))), sum(by, served(ofRoute)))
	}
	return dashboard{
		uid: "handrail-http", title: "handrail / HTTP",
		description: "Rate, errors and duration of every route. Errors are panics, timeouts, refusals and statuses of 500 and above; clients that left are none.",
		variables:   vars,
		panels: []panel{
			row("Now"),
			stat("Requests", "Requests that ended, per second.", perSecond, sum("", served(ofRoute))),
			stat("Errors", "Share of the requests that failed, refused ones among them.", ratio, errors(""), 0.01, 0.05),
			stat("p99", "99 % of the requests took no longer.", seconds, percentile(0.99, "", ofRoute), 0.5, 1),
			stat("In flight", "Requests inside now, of all routes.", count, sum("", series("http_server_active_requests", ""))),
			stat("Panics", "Handlers that panicked, per second.", events,
				fmt.Sprintf("%s or 0 * %s", sum("", served(and(`error_type="panic"`))), sum("", served(ofRoute))), 0.0001, 0.1),
			stat("Clients that left", "Share of the requests whose client did not wait for the answer. It grows before timeouts do.", ratio,
				share(sum("", served(and(`error_type="canceled"`))), sum("", served(ofRoute))), 0.02, 0.1),
			table("Routes", "Every method and route, the busiest first; click a column's head to sort by errors or duration.",
				[]object{{"label": "http_request_method", "title": "Method"}, {"label": "http_route", "title": "Route"}},
				column{"Requests/s", perSecond, sum(methodAndRoute, served(ofRoute))},
				column{"Errors", ratio, errors(methodAndRoute)},
				column{"p50", seconds, percentile(0.5, methodAndRoute, ofRoute)},
				column{"p95", seconds, percentile(0.95, methodAndRoute, ofRoute)},
				column{"p99", seconds, percentile(0.99, methodAndRoute, ofRoute)}),

			row("By route"),
			graph("Requests", "Requests that ended, per second.", perSecond,
				q(sum(methodAndRoute, served(ofRoute)), "{{http_request_method}} {{http_route}}")),
			graph("Error ratio", "Share of the requests that failed.", ratio,
				q(errors(methodAndRoute), "{{http_request_method}} {{http_route}}")).lines(0.05),
			graph("p99", "99 % of the requests took no longer.", seconds,
				q(percentile(0.99, methodAndRoute, ofRoute), "{{http_request_method}} {{http_route}}")).lines(1).exemplars(),

			row("Answers and durations"),
			graph("Status", "Answers per second; the status is what the client got.", perSecond,
				q(sum("http_response_status_code", served(ofRoute)), "{{http_response_status_code}}")).stacked(),
			graph("Why requests failed", "What decided: a policy of handrail, a fault, or the handler's status.", perSecond,
				q(sum("error_type", served(and(`error_type!=""`))), "{{error_type}}")).stacked(),
			graph("Percentiles", "Of all chosen routes together.", seconds,
				q(percentile(0.5, "", ofRoute), "p50"), q(percentile(0.95, "", ofRoute), "p95"), q(percentile(0.99, "", ofRoute), "p99")).exemplars(),
			heatmap("Durations", "Two clouds mean two kinds of requests, such as hits and misses of a cache.", seconds, distribution(ofRoute)),
			graph("In flight", "Requests inside, by method.", count,
				q(sum("http_request_method", series("http_server_active_requests", "")), "{{http_request_method}}")),
			longLivedExchanges(),

			row("By instance"),
			graph("Requests", "An uneven share is the load balancer's doing.", perSecond,
				q(sum("instance", served(ofRoute)), "{{instance}}")),
			graph("Error ratio", "One line above the others is one bad instance: drain it.", ratio,
				q(errors("instance"), "{{instance}}")).lines(0.05),
			graph("p99", "99 % of the requests took no longer.", seconds,
				q(percentile(0.99, "instance", ofRoute), "{{instance}}")).lines(1),
		},
	}
}

func longLivedExchanges() panel {
	return graph("Long-lived exchanges", "Event streams and connections taken over. Their duration is no latency.", count,
		q(sum("instance", series("http_server_active_long_lived_requests", "")), "{{instance}} open"),
		q(sum("instance", rate("http_server_long_lived_requests_total", ofRoute)), "{{instance}} ended/s"))
}

// Command quickstart is a small service with the whole chain in front of it:
// orders, kept in memory, that are reserved in a warehouse which fails now and
// then. Copy stack.go to begin a service of your own.
//
//	go -C examples/quickstart run .
//	curl -i -H 'X-Tenant: acme' -d '{"item":"lamp","quantity":2}' localhost:8080/orders
//	curl -i -H 'X-Tenant: acme' localhost:8080/orders/1
//
// Requests come on :8080, where a load balancer also asks /readyz and its like.
// What is for those who run the service listens apart, on localhost:9090:
// /metrics for Prometheus, and /debug/live/, a page to look at. Nobody else may
// reach that one.
//
// The warehouse is another HTTP server of this program, which answers 503 to a
// tenth of the requests (-flaky). Have it fail altogether to see the circuit
// open: -flaky 1. Traces are sent where OTEL_EXPORTER_OTLP_ENDPOINT says, if it
// is set.
//
// Ctrl-C, or SIGTERM, drains: readiness fails, requests go on for a while (-drain),
// and then the servers are shut down.
//
// Who may set the header X-Tenant is a gateway that knows its clients, such as
// examples/gateway, which removes it from what comes from outside. Without one,
// take the tenant from what authenticates a client.
package main

// Package e2e has the tests that need a real component from elsewhere: a
// Prometheus server, an OpenTelemetry exporter, a client of AWS. They are a
// module of their own, so that the toolkit depends on none of them.
package e2e

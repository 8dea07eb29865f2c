// Package trace proves that package observe/trace works with the OpenTelemetry
// SDK as it does with the API alone: samplers decide, parents and children meet,
// and what an exporter delivers is what happened.
package trace

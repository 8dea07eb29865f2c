package observe

// Schema is how the attributes of a line are called.
type Schema uint8

const (
	// OTEL are the names of the OpenTelemetry semantic conventions, and
	// duration_ms, request_id, trace_id, span_id and trace_flags.
	OTEL Schema = iota
	// ECS are the names of the Elastic Common Schema where it has one. Its
	// event.duration is in nanoseconds.
	ECS

	schemas = iota
)

// String returns the name in capitals.
func (s Schema) String() string {
	switch s {
	case OTEL:
		return "OTEL"
	case ECS:
		return "ECS"
	default:
		return "unknown"
	}
}

// names are the keys of a schema. Those that have none are left out.
type names struct {
	method, route, path, query, status, requestSize, responseSize, client, agent, host, version,
	requestID, traceID, spanID, flags, panicType, panicMessage, panicStack string
}

var schemaNames = [schemas]names{
	OTEL: {
		method: "http.request.method", route: "http.route", path: "url.path", query: "url.query",
		status: "http.response.status_code", requestSize: "http.request.body.size",
		responseSize: "http.response.body.size", client: "client.address", agent: "user_agent.original",
		host: "server.address", version: "network.protocol.version", requestID: "request_id",
		traceID: "trace_id", spanID: "span_id", flags: "trace_flags",
		panicType: "exception.type", panicMessage: "exception.message", panicStack: "exception.stacktrace",
	},
	ECS: {
		method: "http.request.method", route: "http.route", path: "url.path", query: "url.query",
		status: "http.response.status_code", requestSize: "http.request.body.bytes",
		responseSize: "http.response.body.bytes", client: "client.address", agent: "user_agent.original",
		host: "server.address", version: "http.version", requestID: "http.request.id",
		traceID: "trace.id", spanID: "span.id",
		panicMessage: "error.message", panicStack: "error.stack_trace",
	},
}

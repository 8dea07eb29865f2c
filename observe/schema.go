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
	requestID, traceID, spanID, flags, panicType, panicMessage, panicStack key
}

// The keys that both have.
var (
	errorTypeKey     = named("error.type")
	policyKey        = named("handrail.policy")
	reasonKey        = named("handrail.reason")
	durationKey      = named("duration_ms")
	eventDurationKey = named("event.duration")
	longLivedKey     = named("long_lived")
	suppressedKey    = named("suppressed")
	countKey         = named("count")
)

var schemaNames = [schemas]names{
	OTEL: {
		method: named("http.request.method"), route: named("http.route"), path: named("url.path"), query: named("url.query"),
		status: named("http.response.status_code"), requestSize: named("http.request.body.size"),
		responseSize: named("http.response.body.size"), client: named("client.address"), agent: named("user_agent.original"),
		host: named("server.address"), version: named("network.protocol.version"), requestID: named("request_id"),
		traceID: named("trace_id"), spanID: named("span_id"), flags: named("trace_flags"),
		panicType: named("exception.type"), panicMessage: named("exception.message"), panicStack: named("exception.stacktrace"),
	},
	ECS: {
		method: named("http.request.method"), route: named("http.route"), path: named("url.path"), query: named("url.query"),
		status: named("http.response.status_code"), requestSize: named("http.request.body.bytes"),
		responseSize: named("http.response.body.bytes"), client: named("client.address"), agent: named("user_agent.original"),
		host: named("server.address"), version: named("http.version"), requestID: named("http.request.id"),
		traceID: named("trace.id"), spanID: named("span.id"),
		panicMessage: named("error.message"), panicStack: named("error.stack_trace"),
	},
}

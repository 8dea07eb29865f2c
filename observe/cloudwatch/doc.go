// Package cloudwatch takes what a service does to Amazon CloudWatch: figures in
// the embedded metric format, which needs no call of AWS, and log records in
// batches. It compiles no SDK; package awslogs, a module of its own, connects the
// log handler to the one of AWS.
//
//	metrics, err := cloudwatch.NewMetrics(os.Stdout,
//		cloudwatch.WithService("checkout"),
//		cloudwatch.WithSources(shedder, limit),
//	)
//	...
//	defer metrics.Close(ctx)
//	observer, err := observe.New(observe.WithSink(metrics))
//
// # What is written
//
// A line is one JSON object that is a log event and, by its member "_aws", says
// which of its other members are metrics and dimensions; CloudWatch Logs makes
// the metrics ("Specification: Embedded metric format" in the Amazon CloudWatch
// User Guide). Of requests there are three: [Requests] and [Errors], of which
// Sum is the number, and [RequestDuration] in seconds, for averages, percentiles
// and the maximum; their quotient, Errors by Requests, is a matter of metric
// math. They have the dimensions [Method], [Route] and [StatusClass], and
// [Service] where WithService says it.
//
// The figures of [handrail.Source] components are written every interval under
// their own names and with their labels as dimensions, without those that are
// empty: counters as what they grew by, and nothing where they did not, so let
// alarms treat missing data as good; gauges as they are, and several of one name
// and label set as several values; a histogram as name_count and name_sum, which
// are exact, and up to 100 values under its name that have its quantiles, because
// the format has no way to say that a value occurred often. SampleCount and Sum
// of the latter mean nothing.
//
// Nothing is written that breaks a rule of the format: 100 metrics, 30
// dimensions and 100 values of a metric on a line, 1 MB, names, units, finite
// numbers within ±2^360, dimensions with a value, no name twice. What would is
// dropped and counted in Stats. A mistake in the options is one of the
// constructor's faults, each a [*handrail.OptionError].
//
// # Which mode where
//
// On Lambda, write each request to os.Stdout with [PerRequest]: it is the log
// entry, and nobody is left behind when the sandbox is frozen. Call Flush at the
// end of an invocation if there are sources. With JSON logs Lambda filters by
// level, and takes a line without one for INFO: give lines a level that passes
// with WithLineLevel ("Configuring JSON and plain text log formats" and "Log-level
// filtering" in the AWS Lambda Developer Guide).
//
// On ECS and Fargate, [Aggregated] to os.Stdout: since June 2025 the default of
// the awslogs driver is to drop lines when its buffer is full ("Using the awslogs
// log driver" in the Amazon ECS Developer Guide), so a line per request loses
// figures in a burst, and a few lines a minute do not. For new services AWS
// advises the OpenTelemetry endpoint there.
//
// On EKS the agent or Fluent Bit collects os.Stdout just so; where Prometheus is
// at hand, package prom is the shorter way.
//
// On EC2 the CloudWatch agent takes lines over TCP or UDP on port 25888 with
// {"logs":{"metrics_collected":{"emf":{}}}} in its configuration, and needs
// WithLogGroup ("Using the CloudWatch agent to send embedded metric format logs").
// A connection is a writer; one that blocks or breaks is no harm in Aggregated
// mode.
//
// The other way is OTLP: CloudWatch takes OpenTelemetry metrics, logs and traces
// at monitoring, logs and xray.REGION.amazonaws.com ("OpenTelemetry" in the
// Amazon CloudWatch User Guide), from a collector or the OpenTelemetry SDK. It is
// billed by volume and queried in PromQL. Choose the embedded format where metric
// and log entry belong together or no collector should run.
//
// # What it costs
//
// Money first: every combination of a metric's name and its dimensions' values is
// billed as a custom metric in every hour in which it is written. 50 routes with
// two methods and three classes are 300 label sets, 900 metrics. WithMaxSeries
// (500) bounds the label sets while the process lives; what is beyond is filed
// under "_other". WithDimensions makes fewer or coarser sets. Constants are
// fields, no dimensions, unless it names them. Nothing that a client sends
// becomes a dimension: methods and routes are those of observe, which are
// bounded.
//
// A set of states, such as handrail_breaker_mode or handrail_health_check_status, is
// a row for each state, those that are 0 included. They are written, because nothing
// here tells such a set from a number by state, as handrail_breaker_circuits is, and
// because a 0 means something: an alarm goes back to OK by it, and the average over
// instances is a share only with it. A source of your own around another one leaves
// out what you do not want.
//
// A request costs some 0.1 µs in Aggregated mode and 0.5 µs and the write in
// PerRequest, no allocation. In Aggregated mode the writer may block for as long
// as it likes: the figures go on adding up in bounded memory, WithMaxSamples
// durations (1000) for each label set. In PerRequest mode the request waits for
// the writer.
//
// Each line is one call of Write. One that the writer fails at is counted, not
// written again. Delivery by CloudWatch is at least once, and it reports lines
// that it could not read only in AWS/Logs as EMFParsingErrors and
// EMFValidationErrors: have an alarm on these.
//
// # Logs
//
// Where stdout is collected, log to stdout: [slog.JSONHandler] and observe's
// access log are all it takes. [Handler] is for services whose output nobody
// collects. It puts records in batches to a [Client], which keeps the limits of
// PutLogEvents: 1 MiB counted as UTF-8 and 26 bytes for each event, 10,000
// events, 24 hours, in order of time, none older than 14 days or more than 2
// hours ahead. A batch goes when it is full or its first record is 5 s old
// (WithFlushInterval).
//
//	client, err := awslogs.New(api, "/shop/checkout", host)
//	...
//	handler, err := cloudwatch.NewHandler(client, cloudwatch.WithLevel(slog.LevelInfo))
//	...
//	defer handler.Close(ctx) // with a deadline
//	log := slog.New(handler)
//
// Logging never waits and never fails: a buffer of bounded size
// (WithBuffer) stands between, and when it is full, records are dropped
// (WithOverflow). A batch that fails is put again after a growing pause with some
// chance in it, after what the service asks for if it does (throttling), and is
// dropped after 8 attempts (WithAttempts). A record too long for an event is
// shortened to its time, level and the beginning of its message.
//
// What becomes of a record is never unknown: at every moment, in one reading of
// Stats, Logged = Delivered + Dropped + Pending, and after Close nothing is
// pending. Flush returns nil only where all that was logged before is delivered,
// but for what Flush or Close had told of as lost.
// Delivered means that the client said so; a call that timed out may have
// delivered too, and is repeated, so records may arrive twice.
//
// # Mistakes to avoid
//
//   - Not calling Close: the last interval, or the last seconds of the log, are
//     lost. Its context's deadline says how long a client or a writer that hangs
//     may take; without one that is [CloseTimeout].
//   - A dimension for a tenant, a user or a request: see what it costs.
//   - SampleCount of the duration as the number of requests: beyond
//     WithMaxSamples it is a sample. Use Sum of [Requests].
//   - Metrics as a source of itself without an end in view: it is legal, and each
//     interval then has something to tell about the last one.
//   - Logging through the Handler in OnError or in the Client: each failure would
//     make the next record.
package cloudwatch

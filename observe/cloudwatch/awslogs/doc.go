// Package awslogs connects the log handler of package cloudwatch to Amazon
// CloudWatch Logs with the AWS SDK for Go. It is a module of its own, so that
// nobody else compiles the SDK.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	...
//	client, err := awslogs.New(cloudwatchlogs.NewFromConfig(cfg), "/shop/checkout", host, awslogs.WithCreate())
//	...
//	handler, err := cloudwatch.NewHandler(client)
//	...
//	defer handler.Close(ctx)
//	slog.SetDefault(slog.New(handler))
//
// It needs the permission logs:PutLogEvents, and those that [WithCreate] and
// [WithRetention] name.
//
// A batch is one call of PutLogEvents, which the SDK does not repeat, because the
// handler does. What the answer says is heeded: events left out of a batch
// (rejectedLogEventsInfo) count as rejected, throttling and Retry-After make the
// handler wait, and what the service says it will never take
// (InvalidParameterException) is dropped at once. A missing group, missing
// permissions and everything else are tried again, since somebody may mend them.
// Requests that time out may have been taken all the same, and are put again:
// delivery is at least once.
package awslogs

package awslogs

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/handrail-go/handrail/observe/cloudwatch"
)

// Client puts log events into one log stream. It is safe for concurrent use.
type Client struct {
	api           *cloudwatchlogs.Client
	group, stream string
	set           settings
	// owed says that this Client made the group, which has no retention yet.
	owed atomic.Bool
}

var _ cloudwatch.Client = (*Client)(nil)

// The patterns of LogGroupName and LogStreamName in the API reference.
var (
	groupName  = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)
	streamName = regexp.MustCompile(`^[^:*]{1,512}$`)
)

// New returns a Client for a log group and stream. Every writer should have a
// stream of its own, such as its host or task, so that its events stay together.
//
// The faults are of type [*handrail.OptionError], joined.
func New(api *cloudwatchlogs.Client, group, stream string, opts ...Option) (*Client, error) {
	c := &Client{api: api, group: group, stream: stream}
	if api == nil {
		c.set.fault("New", nil, "needs a client of Amazon CloudWatch Logs")
	}
	if !groupName.MatchString(group) {
		c.set.fault("New.group", group, "must be 1 to 512 of letters, digits and .-_/#")
	}
	if !streamName.MatchString(stream) {
		c.set.fault("New.stream", stream, "must be 1 to 512 characters, none of them a colon or an asterisk")
	}
	for i, o := range opts {
		if o == nil {
			c.set.fault("Option", i, "is nil")
			continue
		}
		o(&c.set)
	}
	if c.set.retention != 0 && !c.set.create {
		c.set.fault("WithRetention", c.set.retention, "needs WithCreate")
	}
	if len(c.set.faults) > 0 {
		return nil, errors.Join(c.set.faults...)
	}
	return c, nil
}

// once keeps the SDK from repeating calls on its own: the handler does, and two
// that do multiply.
func once(o *cloudwatchlogs.Options) { o.Retryer = aws.NopRetryer{} }

// Put implements [cloudwatch.Client].
func (c *Client) Put(ctx context.Context, events []cloudwatch.Event) (cloudwatch.Rejected, error) {
	in := &cloudwatchlogs.PutLogEventsInput{
		LogGroupName:  &c.group,
		LogStreamName: &c.stream,
		LogEvents:     make([]types.InputLogEvent, len(events)),
	}
	for i := range events {
		in.LogEvents[i] = types.InputLogEvent{Message: &events[i].Message, Timestamp: aws.Int64(events[i].Time.UnixMilli())}
	}
	out, err := c.api.PutLogEvents(ctx, in, once)
	if missing := (*types.ResourceNotFoundException)(nil); c.set.create && errors.As(err, &missing) {
		if err := c.make(ctx); err != nil {
			return cloudwatch.Rejected{}, explain(err)
		}
		out, err = c.api.PutLogEvents(ctx, in, once)
	}
	if taken := (*types.DataAlreadyAcceptedException)(nil); errors.As(err, &taken) {
		return cloudwatch.Rejected{}, nil // an answer that got lost, repeated
	}
	if err != nil {
		return cloudwatch.Rejected{}, explain(err)
	}
	return rejected(out.RejectedLogEventsInfo, len(events)), nil
}

// rejected reads RejectedLogEventsInfo: what is too old or expired is in front of
// an index, what is too new from an index on.
func rejected(info *types.RejectedLogEventsInfo, n int) (r cloudwatch.Rejected) {
	if info == nil {
		return r
	}
	for _, end := range []*int32{info.TooOldLogEventEndIndex, info.ExpiredLogEventEndIndex} {
		if end != nil {
			r.Old = max(r.Old, int(*end))
		}
	}
	if start := info.TooNewLogEventStartIndex; start != nil {
		r.New = max(n-int(*start), 0)
	}
	return r
}

// make makes the stream, and the group if it is missing as well. The stream comes
// last: as long as it is missing, what failed before it is done again.
func (c *Client) make(ctx context.Context) error {
	if err := c.retain(ctx); err != nil {
		return err
	}
	err := c.makeStream(ctx)
	if missing := (*types.ResourceNotFoundException)(nil); !errors.As(err, &missing) {
		return err
	}
	_, err = c.api.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &c.group}, once)
	if err == nil {
		c.owed.Store(c.set.retention != 0)
		err = c.retain(ctx)
	}
	if err = existing(err); err != nil {
		return err
	}
	return c.makeStream(ctx)
}

func (c *Client) retain(ctx context.Context) error {
	if !c.owed.Load() {
		return nil
	}
	_, err := c.api.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{
		LogGroupName: &c.group, RetentionInDays: &c.set.retention}, once)
	if err == nil {
		c.owed.Store(false)
	}
	return err
}

func (c *Client) makeStream(ctx context.Context) error {
	_, err := c.api.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &c.group, LogStreamName: &c.stream}, once)
	return existing(err)
}

// existing drops the error that says somebody else was faster.
func existing(err error) error {
	if there := (*types.ResourceAlreadyExistsException)(nil); errors.As(err, &there) {
		return nil
	}
	return err
}

// explain tells the handler what an error of the SDK means. What an operator can
// mend meanwhile, such as a permission or a group that is missing, is tried
// again.
func explain(err error) error {
	how := &cloudwatch.PutError{Err: err}
	var fault smithy.APIError
	if errors.As(err, &fault) {
		switch code := fault.ErrorCode(); code {
		case "InvalidParameterException", "SerializationException", "ValidationException":
			how.Permanent = true
		default:
			_, how.Throttled = retry.DefaultThrottleErrorCodes[code]
		}
	}
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.Response != nil {
		how.Throttled = how.Throttled || answer.HTTPStatusCode() == http.StatusTooManyRequests
		// 413 is not repeated: the batch stays as large.
		how.Permanent = how.Permanent || answer.HTTPStatusCode() == http.StatusRequestEntityTooLarge
		how.RetryAfter = retryAfter(answer.Response.Header)
	}
	return how
}

// retryAfter reads the header of RFC 9110, section 10.2.3, in seconds or as a
// date, or else the milliseconds of x-amz-retry-after.
func retryAfter(h http.Header) time.Duration {
	if n, err := strconv.ParseUint(h.Get("X-Amz-Retry-After"), 10, 31); err == nil {
		return time.Duration(n) * time.Millisecond
	}
	value := h.Get("Retry-After")
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

package awslogs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/observe/cloudwatch"
	"github.com/handrail-go/handrail/observe/cloudwatch/awslogs"
)

// service speaks the protocol of Amazon CloudWatch Logs, AWS JSON 1.1, and checks
// what PutLogEvents requires. Its script answers before it does.
type service struct {
	t *testing.T
	*httptest.Server
	script func(w http.ResponseWriter, r *http.Request, operation string, n int) (answered bool)

	mu       sync.Mutex
	missing  map[string]bool // "group", "stream"
	seen     []string
	puts     int
	messages []string
	retained int
	rejected map[string]int
}

type put struct {
	LogGroupName, LogStreamName string
	RetentionInDays             int
	LogEvents                   []struct {
		Timestamp int64
		Message   string
	}
}

func serve(t *testing.T) *service {
	s := &service{t: t, missing: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func fault(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":%q,"message":"as the test wants it"}`, code)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
	if !ok || r.Method != "POST" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		s.t.Errorf("%s %s is not the protocol: %v", r.Method, r.URL, r.Header)
	}
	var in put
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		return // a client that gave up
	}
	s.mu.Lock()
	s.seen = append(s.seen, operation)
	if operation == "PutLogEvents" {
		s.puts++
	}
	n := s.puts
	s.mu.Unlock()
	if s.script != nil && s.script(w, r, operation, n) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.LogGroupName != "/shop/web" {
		s.t.Errorf("the group is %q", in.LogGroupName)
	}
	switch operation {
	case "CreateLogGroup":
		delete(s.missing, "group")
	case "CreateLogStream":
		if s.missing["group"] {
			fault(w, 400, "ResourceNotFoundException")
			return
		}
		delete(s.missing, "stream")
	case "PutRetentionPolicy":
		s.retained = in.RetentionInDays
	case "PutLogEvents":
		if len(s.missing) > 0 {
			fault(w, 400, "ResourceNotFoundException")
			return
		}
		bytes, last := 0, int64(0)
		for _, e := range in.LogEvents {
			if e.Timestamp < last || e.Message == "" {
				s.t.Error("a batch is not in order, or has an empty message")
			}
			last = e.Timestamp
			bytes += len(e.Message) + 26
		}
		if len(in.LogEvents) == 0 || len(in.LogEvents) > 10_000 || bytes > 1_048_576 || in.LogStreamName != "host-1" {
			s.t.Errorf("a batch of %d events, %d bytes, for %q", len(in.LogEvents), bytes, in.LogStreamName)
		}
		for _, e := range in.LogEvents {
			s.messages = append(s.messages, e.Message)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		json.NewEncoder(w).Encode(map[string]any{"nextSequenceToken": "x", "rejectedLogEventsInfo": s.rejected})
		return
	}
	fmt.Fprint(w, "{}")
}

func (s *service) client(opts ...awslogs.Option) *awslogs.Client {
	s.t.Helper()
	api := cloudwatchlogs.New(cloudwatchlogs.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(s.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	})
	c, err := awslogs.New(api, "/shop/web", "host-1", opts...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

var background = context.Background()

func events(n int) (all []cloudwatch.Event) {
	for i := range n {
		all = append(all, cloudwatch.Event{Time: time.UnixMilli(time.Now().UnixMilli()), Message: fmt.Sprint("event ", i)})
	}
	return all
}

func TestABatchArrivesAsItIs(t *testing.T) {
	s := serve(t)
	r, err := s.client().Put(background, events(3))
	if err != nil || r != (cloudwatch.Rejected{}) {
		t.Fatal(r, err)
	}
	if got := fmt.Sprint(s.messages); got != "[event 0 event 1 event 2]" {
		t.Error(got)
	}
}

func TestRejectedEventsAreCountedFromBothEnds(t *testing.T) {
	for _, c := range []struct {
		info map[string]int
		want cloudwatch.Rejected
	}{
		{map[string]int{"tooOldLogEventEndIndex": 2}, cloudwatch.Rejected{Old: 2}},
		{map[string]int{"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 4}, cloudwatch.Rejected{Old: 4}},
		{map[string]int{"tooNewLogEventStartIndex": 7}, cloudwatch.Rejected{New: 3}},
		{map[string]int{"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 0}, cloudwatch.Rejected{Old: 1, New: 10}},
		{nil, cloudwatch.Rejected{}},
	} {
		s := serve(t)
		s.rejected = c.info
		if r, err := s.client().Put(background, events(10)); err != nil || r != c.want {
			t.Errorf("%v is %+v, %v", c.info, r, err)
		}
	}
}

func TestEveryErrorSaysWhatToDoAndIsAskedForOnce(t *testing.T) {
	for name, c := range map[string]struct {
		status               int
		code                 string
		header               http.Header
		permanent, throttled bool
		after                time.Duration
	}{
		"failing":        {500, "InternalFailure", nil, false, false, 0},
		"unavailable":    {503, "ServiceUnavailableException", http.Header{"Retry-After": {"7"}}, false, false, 7 * time.Second},
		"throttling":     {400, "ThrottlingException", nil, false, true, 0},
		"asked to wait":  {400, "ThrottlingException", http.Header{"X-Amz-Retry-After": {"1500"}}, false, true, 1500 * time.Millisecond},
		"too many":       {429, "Whatever", nil, false, true, 0},
		"invalid":        {400, "InvalidParameterException", nil, true, false, 0},
		"too large":      {413, "RequestEntityTooLarge", nil, true, false, 0},
		"not permitted":  {400, "AccessDeniedException", nil, false, false, 0},
		"no such group":  {400, "ResourceNotFoundException", nil, false, false, 0},
		"unknown client": {400, "UnrecognizedClientException", nil, false, false, 0},
	} {
		s := serve(t)
		s.script = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) bool {
			for k, v := range c.header {
				w.Header()[k] = v
			}
			fault(w, c.status, c.code)
			return true
		}
		_, err := s.client().Put(background, events(1))
		var how *cloudwatch.PutError
		if !errors.As(err, &how) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if how.Permanent != c.permanent || how.Throttled != c.throttled || how.RetryAfter != c.after || len(s.seen) != 1 {
			t.Errorf("%s: %+v after %d calls", name, how, len(s.seen))
		}
	}
	s := serve(t)
	s.script = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) bool {
		fault(w, 400, "DataAlreadyAcceptedException")
		return true
	}
	if _, err := s.client().Put(background, events(1)); err != nil {
		t.Errorf("what was taken already is an error: %v", err)
	}
}

func TestMissingGroupAndStreamAreMade(t *testing.T) {
	for _, missing := range [][]string{{"stream"}, {"group", "stream"}} {
		s := serve(t)
		for _, m := range missing {
			s.missing[m] = true
		}
		failed := false
		s.script = func(w http.ResponseWriter, _ *http.Request, operation string, _ int) bool {
			if operation != "PutRetentionPolicy" || failed {
				return false
			}
			failed = true
			fault(w, 500, "InternalFailure")
			return true
		}
		c := s.client(awslogs.WithCreate(), awslogs.WithRetention(30))
		if len(missing) == 2 {
			if _, err := c.Put(background, events(1)); err == nil {
				t.Fatal("the retention failed, and nobody said so")
			}
		}
		if _, err := c.Put(background, events(1)); err != nil {
			t.Fatal(err)
		}
		if len(s.messages) != 1 || len(missing) == 2 && s.retained != 30 || len(missing) == 1 && s.retained != 0 {
			t.Errorf("%v missing: %d events, retention %d, calls %v", missing, len(s.messages), s.retained, s.seen)
		}
	}
	s := serve(t)
	s.missing["stream"] = true
	if _, err := s.client().Put(background, events(1)); err == nil || len(s.seen) != 1 {
		t.Errorf("without the option: %v after %v", err, s.seen)
	}
}

func TestWrongOptionsAreRefusedTogether(t *testing.T) {
	_, err := awslogs.New(nil, "a b", "a:b", nil, awslogs.WithRetention(2), awslogs.WithRetention(7))
	var names []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var f *handrail.OptionError
		if !errors.As(e, &f) || f.Package != "awslogs" || f.Reason == "" {
			t.Fatalf("%v is no fault of an option", e)
		}
		names = append(names, f.Option)
	}
	if got := fmt.Sprint(names); got != "[New New.group New.stream Option WithRetention WithRetention]" {
		t.Error(got)
	}
}

// The handler in front of the real SDK, and a service that does everything
// wrong: the account is true at every moment it is looked at, batches keep their
// limits, and Flush means delivered.
func TestTheAccountIsTrueWhateverTheServiceDoes(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) }) // after those that run in parallel
	for name, script := range map[string]func(http.ResponseWriter, *http.Request, string, int) bool{
		"well": nil,
		"failing at first": func(w http.ResponseWriter, _ *http.Request, _ string, n int) bool {
			if n <= 2 {
				fault(w, 500, "InternalFailure")
			}
			return n <= 2
		},
		"always failing": func(w http.ResponseWriter, _ *http.Request, _ string, _ int) bool {
			fault(w, 500, "InternalFailure")
			return true
		},
		"invalid now and then": func(w http.ResponseWriter, _ *http.Request, _ string, n int) bool {
			if n%3 == 0 {
				fault(w, 400, "InvalidParameterException")
			}
			return n%3 == 0
		},
		"hanging": func(_ http.ResponseWriter, r *http.Request, _ string, n int) bool {
			if n != 1 {
				return false
			}
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return true
		},
		"throttling once": func(w http.ResponseWriter, _ *http.Request, _ string, n int) bool {
			if n == 1 {
				fault(w, 400, "ThrottlingException")
			}
			return n == 1
		},
		"rejecting": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.script = script
			if name == "rejecting" {
				s.rejected = map[string]int{"tooOldLogEventEndIndex": 1}
			}
			h, err := cloudwatch.NewHandler(s.client(), cloudwatch.WithBatch(100, 32<<10), cloudwatch.WithAttempts(3),
				cloudwatch.WithBackoff(time.Millisecond, 10*time.Millisecond), cloudwatch.WithCallTimeout(200*time.Millisecond),
				cloudwatch.WithFlushInterval(10*time.Millisecond), cloudwatch.WithBuffer(100_000, 16<<20))
			if err != nil {
				t.Fatal(err)
			}
			check := func() cloudwatch.LogStats {
				st := h.Stats()
				if st.Logged != st.Delivered+st.Dropped+st.Pending {
					t.Fatalf("the account is not true: %+v", st)
				}
				return st
			}
			log := slog.New(h)
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range 100 {
						log.Info("record", "worker", w, "i", i)
						check()
					}
				})
			}
			wg.Wait()
			ctx, cancel := context.WithTimeout(background, 30*time.Second)
			defer cancel()
			err = h.Flush(ctx)
			st := check()
			s.mu.Lock()
			taken := len(s.messages)
			s.mu.Unlock()
			lossy := name == "always failing" || name == "invalid now and then" || name == "rejecting"
			if (err != nil) != lossy {
				t.Errorf("Flush returned %v, and the figures are %+v", err, st)
			}
			if err == nil && (taken < 800 || st.Delivered != 800) || st.Delivered > uint64(taken) || st.Pending != 0 {
				t.Errorf("%d were taken, and the figures are %+v", taken, st)
			}
			if err := h.Close(ctx); err != nil { // Flush told of what is lost
				t.Errorf("Close returned %v", err)
			}
			if st := check(); st.Logged != 800 || st.Logged != st.Delivered+st.Dropped {
				t.Errorf("after Close the figures are %+v", st)
			}
			switch name {
			case "hanging":
				if st.Failed == 0 {
					t.Errorf("the figures are %+v", st)
				}
			case "throttling once":
				if st.Throttled != 1 {
					t.Errorf("the figures are %+v", st)
				}
			case "invalid now and then":
				if st.Reasons[cloudwatch.LossPermanent] == 0 {
					t.Errorf("the figures are %+v", st)
				}
			case "rejecting":
				if st.Reasons[cloudwatch.LossRejected] == 0 {
					t.Errorf("the figures are %+v", st)
				}
			}
		})
	}
}

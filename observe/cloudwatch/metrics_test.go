package cloudwatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

var background = context.Background()

// page keeps what is written to it, each call apart.
type page struct {
	mu    sync.Mutex
	calls [][]byte
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, bytes.Clone(b))
	return len(b), nil
}

func (p *page) text() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Join(p.calls, nil)
}

// documents reads what was written, where each call must be one valid line.
func (p *page) documents(t *testing.T) (all []document) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, call := range p.calls {
		d, err := read(call)
		if err != nil {
			t.Fatalf("%v: %.3000s", err, call)
		}
		all = append(all, d)
	}
	return all
}

func metrics(t *testing.T, opts ...cloudwatch.Option) (*cloudwatch.Metrics, *page) {
	t.Helper()
	p := &page{}
	m, err := cloudwatch.NewMetrics(p, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(background) })
	return m, p
}

func perRequest(opts ...cloudwatch.Option) []cloudwatch.Option {
	return append([]cloudwatch.Option{cloudwatch.WithMode(cloudwatch.PerRequest)}, opts...)
}

func exchange(route string, status int, d time.Duration) *observe.Exchange {
	return &observe.Exchange{
		Request: httptest.NewRequest("GET", "/orders/7?token=secret", nil), Began: time.Now().Add(-d), Duration: d,
		Method: "GET", Scheme: "https", Route: route, Status: status, RequestBytes: -1, ResponseBytes: 512,
		RequestID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

func (d document) number(t *testing.T, name string) float64 {
	t.Helper()
	values, err := d.values(name)
	if err != nil || len(values) != 1 {
		t.Fatalf("%s is %v: %v", name, d.root[name], err)
	}
	return values[0]
}

// sum adds up a metric over lines, those that do not have it left out.
func sum(t *testing.T, all []document, name string) (total float64, count int) {
	t.Helper()
	for _, d := range all {
		if d.root[name] == nil {
			continue
		}
		values, err := d.values(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			total += v
		}
		count += len(values)
	}
	return total, count
}

func TestTheLineOfARequestIsItsFiguresAndItsLogEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := metrics(t, perRequest(cloudwatch.WithService("checkout"), cloudwatch.WithLineLevel("INFO"), cloudwatch.WithConstant("stage", "prod"))...)
		x := exchange("/orders/{id}", 503, 1500*time.Microsecond)
		x.RequestBytes, x.ErrorType = 12, "shed"
		x.Cause = observe.Cause{Outcome: "shed", Policy: "front", Reason: "overload"}
		x.Trace = observe.TraceIDs{TraceID: [16]byte{1, 2, 15: 0xff}, SpanID: [8]byte{3, 7: 0xee}, Flags: 1}
		x.Attrs = []slog.Attr{slog.String("level", "FORGED"), slog.Int("n", 3), slog.Group("g", slog.Bool("ok", true))}
		m.Observe(x)
		want := `{"_aws":{"Timestamp":946684800000,"CloudWatchMetrics":[{"Namespace":"Handrail",` +
			`"Dimensions":[["service.name","http.request.method","http.route","http.response.status_class"]],` +
			`"Metrics":[{"Name":"http.server.requests","Unit":"Count"},{"Name":"http.server.errors","Unit":"Count"},` +
			`{"Name":"http.server.request.duration","Unit":"Seconds"}]}]},"level":"INFO","service.name":"checkout","stage":"prod",` +
			`"http.request.method":"GET","http.route":"/orders/{id}","http.response.status_class":"5xx",` +
			`"http.server.requests":1,"http.server.errors":1,"http.server.request.duration":0.0015,"msg":"http request",` +
			`"http.response.status_code":503,"error.type":"shed","url.scheme":"https","url.path":"/orders/7",` +
			`"http.request.body.size":12,"http.response.body.size":512,"request_id":"4bf92f3577b34da6a3ce929d0e0e4736",` +
			`"trace_id":"010200000000000000000000000000ff","span_id":"03000000000000ee",` +
			`"handrail.policy":"front","handrail.reason":"overload",` +
			`"app":{"level":"FORGED","n":3,"g":{"ok":true}}}` + "\n"
		if got := string(p.text()); got != want {
			t.Errorf("the line is\n%swant\n%s", got, want)
		}
		p.documents(t)
	})
}

func TestALongLivedExchangeIsCountedButIsNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []cloudwatch.Mode{cloudwatch.Aggregated, cloudwatch.PerRequest} {
			m, p := metrics(t, cloudwatch.WithMode(mode))
			x := exchange("/events", 200, time.Hour)
			x.LongLived = true
			m.Observe(x)
			m.Close(background)
			all := p.documents(t)
			if len(all) != 1 || all[0].number(t, cloudwatch.Requests) != 1 {
				t.Fatalf("%v: it is written as %s", mode, p.text())
			}
			for _, metric := range all[0].meta.CloudWatchMetrics[0].Metrics {
				if metric.Name == cloudwatch.RequestDuration {
					t.Errorf("%v: its duration is a metric", mode)
				}
			}
		}
	})
}

func TestErrorsAreWhatTheServiceFailedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			status  int
			outcome string
			want    float64
		}{{200, "", 0}, {404, "", 0}, {429, "bulkhead_full", 0}, {499, "canceled", 0}, {200, "aborted", 0}, {500, "", 1},
			{503, "shed", 1}, {0, "panic", 1}, {200, "timeout", 1}, {200, "panic", 1}} {
			m, p := metrics(t)
			x := exchange("/", c.status, time.Second)
			x.Cause.Outcome = c.outcome
			m.Observe(x)
			m.Close(background)
			if got := p.documents(t)[0].number(t, cloudwatch.Errors); got != c.want {
				t.Errorf("%d %s: %v errors", c.status, c.outcome, got)
			}
		}
	})
}

func TestAnIntervalIsOneLinePerLabelSetAndEveryRequestIsInTheRightMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(20*time.Second + 7*time.Millisecond) // not on a minute
		m, p := metrics(t)
		began := time.Now()
		total := map[int]int{}
		want := 0.0
		for i := range 500 { // 2 min 40 s of traffic
			d := time.Duration(i+1) * time.Millisecond
			m.Observe(exchange("/a", 200, d))
			total[int(time.Since(began.Truncate(time.Minute))/time.Minute)]++
			want += d.Seconds()
			time.Sleep(320 * time.Millisecond)
		}
		m.Close(background)
		all := p.documents(t)
		got := map[int]int{}
		for _, d := range all {
			if n := d.root[cloudwatch.Requests]; n != nil {
				minute := time.UnixMilli(*d.meta.Timestamp).Sub(began.Truncate(time.Minute)) / time.Minute
				got[int(minute)] += int(d.number(t, cloudwatch.Requests))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(total) {
			t.Errorf("requests by minute are %v, want %v", got, total)
		}
		if s, n := sum(t, all, cloudwatch.RequestDuration); n != 500 || s < want-1e-9 || s > want+1e-9 {
			t.Errorf("%d durations of %v s, want 500 of %v s", n, s, want)
		}
		if n := len(all); n > 8 {
			t.Errorf("%d lines for three minutes of one label set", n)
		}
	})
}

func TestMoreDurationsThanAreKeptAreAFairSampleWithTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := metrics(t, cloudwatch.WithMaxSamples(1000))
		const n = 20_000
		for i := range n {
			m.Observe(exchange("/", 200, time.Duration(i*7919%n+1)*time.Millisecond))
		}
		m.Close(background)
		all := p.documents(t)
		if got, _ := sum(t, all, cloudwatch.Requests); got != n {
			t.Errorf("%v requests, want %d", got, n)
		}
		var values []float64
		for _, d := range all {
			some, err := d.values(cloudwatch.RequestDuration)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, some...)
		}
		slices.Sort(values)
		if len(values) != 1000 || len(all) != 10 {
			t.Fatalf("%d durations on %d lines, want 1000 on 10", len(values), len(all))
		}
		if values[999] != n/1000 {
			t.Errorf("the longest is %v s, want %d s", values[999], n/1000)
		}
		// The standard error of the median of 1000 is 1.6 % of the range.
		if median := values[500]; median < 8.5 || median > 11.5 {
			t.Errorf("the median is %v s, want about 10 s", median)
		}
	})
}

func TestMillionsOfRoutesAreABoundedNumberOfLabelSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []cloudwatch.Mode{cloudwatch.Aggregated, cloudwatch.PerRequest} {
			m, p := metrics(t, cloudwatch.WithMode(mode), cloudwatch.WithMaxSeries(50), cloudwatch.WithInterval(time.Second))
			n := 1_000_000
			switch {
			case mode == cloudwatch.PerRequest:
				n = 700 // each is read back
			case race.Enabled:
				n = 10_000
			}
			x := exchange("", 200, time.Millisecond)
			for i := range n {
				x.Route = fmt.Sprintf("/route/%d", i)
				m.Observe(x)
			}
			m.Close(background)
			sets := map[any]bool{}
			all := p.documents(t)
			for _, d := range all {
				sets[d.root[cloudwatch.Route]] = true
			}
			if len(sets) != 51 || !sets["_other"] {
				t.Errorf("%v: %d label sets, want 50 and _other", mode, len(sets))
			}
			if got, _ := sum(t, all, cloudwatch.Requests); int(got) != n {
				t.Errorf("%v: %v requests, want %d", mode, got, n)
			}
			if s := m.Stats(); s.LabelSets != 50 || s.Overflowed != uint64(n-50) {
				t.Errorf("%v: the figures are %+v", mode, s)
			}
		}
	})
}

func TestDimensionsAreThoseThatTheOptionNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := metrics(t, cloudwatch.WithService("checkout"), cloudwatch.WithConstant("stage", "prod"), cloudwatch.WithHighResolution(),
			cloudwatch.WithNamespace("Shop/Web"), cloudwatch.WithLogGroup("/shop/web"),
			cloudwatch.WithDimensions([]string{cloudwatch.Service, "stage"}, []string{cloudwatch.Scheme, cloudwatch.StatusCode, cloudwatch.ErrorType}, []string{}))
		x := exchange("/a", 0, time.Millisecond)
		m.Observe(x)
		x.Status, x.Route = 201, "/b"
		m.Observe(x)
		x.Route = "/c"
		m.Observe(x)
		m.Close(background)
		all := p.documents(t)
		if len(all) != 2 {
			t.Fatalf("%d lines, want one for each status", len(all))
		}
		slices.SortFunc(all, func(a, b document) int {
			return strings.Compare(a.root[cloudwatch.StatusCode].(string), b.root[cloudwatch.StatusCode].(string))
		})
		d := all[0]
		directive := d.meta.CloudWatchMetrics[0]
		if got := fmt.Sprint(directive.Dimensions); got != "[[service.name stage] [url.scheme http.response.status_code error.type] []]" {
			t.Errorf("the sets are %s", got)
		}
		if directive.Namespace != "Shop/Web" || *d.meta.LogGroupName != "/shop/web" || *directive.Metrics[0].StorageResolution != 1 {
			t.Errorf("the metadata are %+v", d.meta)
		}
		if d.root[cloudwatch.StatusCode] != "201" || all[1].root[cloudwatch.StatusCode] != "none" || d.root[cloudwatch.ErrorType] != "none" ||
			d.root["stage"] != "prod" || d.number(t, cloudwatch.Requests) != 2 {
			t.Errorf("the fields are %v", d.root)
		}
	})
}

func TestRoutesThatNoDimensionMayHaveAreEscaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for route, want := range map[string]string{
			"":                         "unmatched",
			"  ":                       "none",
			"/größe/{id}":              "/gr%C3%B6%C3%9Fe/{id}",
			"/a\nb\x7f":                "/a%0Ab%7F",
			strings.Repeat("/x", 1000): strings.Repeat("/x", 511),
			strings.Repeat("ü", 1000):  strings.Repeat("%C3%BC", 170) + "%C3",
			":colon":                   ":colon",
		} {
			m, p := metrics(t)
			m.Observe(exchange(route, 200, 0))
			m.Close(background)
			if got := p.documents(t)[0].root[cloudwatch.Route]; got != want {
				t.Errorf("%.20q is %v, want %v", route, got, want)
			}
		}
	})
}

func TestCloseWritesWhatIsLeftAndWhatComesLaterIsCounted(t *testing.T) {
	for _, mode := range []cloudwatch.Mode{cloudwatch.Aggregated, cloudwatch.PerRequest} {
		synctest.Test(t, func(t *testing.T) {
			m, p := metrics(t, cloudwatch.WithMode(mode))
			m.Observe(exchange("/", 200, time.Millisecond))
			for range 3 {
				if err := m.Close(background); err != nil {
					t.Error(err)
				}
			}
			m.Observe(exchange("/", 200, time.Millisecond))
			m.Observe(exchange("/new", 200, time.Millisecond))
			if err := m.Line().Metric("n", cloudwatch.Count, 1).Write(); err == nil {
				t.Error("a line was written after Close")
			}
			if err := m.Flush(background); err != nil {
				t.Error(err)
			}
			if n := len(p.documents(t)); n != 1 {
				t.Errorf("%v: %d lines, want 1", mode, n)
			}
			if got := m.Stats().Reasons[cloudwatch.DropClosed]; got != 3 {
				t.Errorf("%v: %d dropped, want 3", mode, got)
			}
		})
	}
}

func TestNoRequestIsLostBetweenAggregatingAndClosing(t *testing.T) {
	p := &page{}
	m, err := cloudwatch.NewMetrics(p, cloudwatch.WithMaxSeries(8))
	if err != nil {
		t.Fatal(err)
	}
	const workers, each = 64, 100
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				m.Observe(exchange(fmt.Sprintf("/%d", (w+i)%12), 200, time.Duration(i)*time.Millisecond))
				if i == each/2 && w == 0 {
					m.Flush(background)
				}
				if i == each-20 && w == 1 {
					m.Close(background)
				}
				m.Stats()
			}
		})
	}
	wg.Wait()
	m.Close(background)
	got, _ := sum(t, p.documents(t), cloudwatch.Requests)
	if dropped := m.Stats().Reasons[cloudwatch.DropClosed]; int(got)+int(dropped) != workers*each {
		t.Errorf("%v written and %d dropped are not %d", got, dropped, workers*each)
	}
}

// faulty is a writer that does what its script says, call by call.
type faulty struct {
	page
	script func(b []byte) (n int, err error)
}

func (f *faulty) Write(b []byte) (int, error) {
	n, err := f.script(b)
	if n > 0 {
		f.page.Write(b[:min(n, len(b))])
	}
	return n, err
}

func TestAWriterThatFailsIsCountedAndTheNextLineIsWhole(t *testing.T) {
	for name, fail := range map[string]func(b []byte) (int, error){
		"an error":       func(b []byte) (int, error) { return 0, errors.New("broken pipe") },
		"half a line":    func(b []byte) (int, error) { return len(b) / 2, nil },
		"half and error": func(b []byte) (int, error) { return len(b) / 2, errors.New("disk full") },
		"a panic":        func(b []byte) (int, error) { panic("writer") },
		"nothing":        func(b []byte) (int, error) { return 0, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			f, calls := &faulty{}, 0
			f.script = func(b []byte) (int, error) {
				if calls++; calls == 1 || calls == 2 {
					return fail(b)
				}
				return len(b), nil
			}
			m, err := cloudwatch.NewMetrics(f, perRequest()...)
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				m.Observe(exchange("/", 200, time.Millisecond))
			}
			if s := m.Stats(); s.Lines != 2 || s.FailedLines != 2 {
				t.Errorf("%s: the figures are %+v", name, s)
			}
			whole := 0
			for line := range bytes.Lines(f.text()) {
				if _, err := read(line); err == nil {
					whole++
				}
			}
			if whole != 2 {
				t.Errorf("%s: %d whole lines in\n%s", name, whole, f.text())
			}
		})
	}
}

func TestAWriterThatBlocksStallsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &faulty{script: func(b []byte) (int, error) { <-release; return len(b), nil }}
		m, err := cloudwatch.NewMetrics(f, cloudwatch.WithInterval(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for range 600 { // ten minutes, in which nothing can be written
			m.Observe(exchange("/", 200, time.Millisecond)) // would never return
			time.Sleep(time.Second)
		}
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if err := m.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush returned %v", err)
		}
		if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		close(release)
		if err := m.Close(background); err != nil {
			t.Error(err)
		}
		if got, _ := sum(t, f.documents(t), cloudwatch.Requests); got != 600 {
			t.Errorf("%v requests, want 600", got)
		}
	})
}

func TestFlushTellsTheWritersFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		m, err := cloudwatch.NewMetrics(&faulty{script: func([]byte) (int, error) { return 0, broken }})
		if err != nil {
			t.Fatal(err)
		}
		m.Observe(exchange("/", 200, 0))
		if err := m.Flush(background); !errors.Is(err, broken) {
			t.Errorf("Flush returned %v", err)
		}
		m.Observe(exchange("/", 200, 0))
		if err := m.Close(background); !errors.Is(err, broken) {
			t.Errorf("Close returned %v", err)
		}
	})
}

func TestMetricsOfARunningServerAreValid(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, mode := range []cloudwatch.Mode{cloudwatch.Aggregated, cloudwatch.PerRequest} {
			m, p := metrics(t, cloudwatch.WithMode(mode), cloudwatch.WithService("shop"))
			o, err := observe.New(observe.WithSink(m))
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
			mux.HandleFunc("GET /panic", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
			s := httptest.NewUnstartedServer(o.Wrap(mux))
			s.EnableHTTP2 = h2
			s.StartTLS()
			for _, path := range []string{"/orders/1", "/orders/2", "/nowhere", "/panic"} {
				resp, err := s.Client().Get(s.URL + path)
				if err == nil {
					resp.Body.Close()
				}
			}
			s.Close()
			m.Close(background)
			byRoute := map[any]float64{}
			for _, d := range p.documents(t) {
				byRoute[d.root[cloudwatch.Route]] += d.number(t, cloudwatch.Requests)
			}
			// A client may repeat a GET whose connection broke.
			if byRoute["/orders/{id}"] != 2 || byRoute["unmatched"] != 1 || byRoute["/panic"] < 1 || len(byRoute) != 3 {
				t.Errorf("HTTP/2 %t, %v: requests by route are %v", h2, mode, byRoute)
			}
		}
	}
}

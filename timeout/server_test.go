package timeout_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/timeout"
)

// limits are the four timeouts of a server: header, read, write, idle.
type limits [4]time.Duration

func limitsOf(srv *http.Server) limits {
	return limits{srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout}
}

func limited(l limits) *http.Server {
	return &http.Server{ReadHeaderTimeout: l[0], ReadTimeout: l[1], WriteTimeout: l[2], IdleTimeout: l[3]}
}

const sec = time.Second

var (
	spareNone = timeout.WithStreams(timeout.SpareNone)
	unknown   = timeout.WithCalculator(timeout.CalculatorFunc(func(_ *http.Request, base time.Duration) time.Duration { return base }))
	critical  = timeout.WithCalculator(timeout.ByPriority(func(*http.Request) handrail.Priority { return handrail.Critical }))
	tenant    = timeout.WithTenant(handrail.ByHost)
)

func TestTheServersTimeoutsFitThePolicy(t *testing.T) {
	for name, c := range map[string]struct {
		opts        []timeout.Option
		given, want limits
	}{
		"nothing":           {nil, limits{}, limits{10 * sec, 50 * sec, 0, 120 * sec}},
		"spare all":         {[]timeout.Option{timeout.WithStreams(timeout.SpareAll)}, limits{}, limits{10 * sec, 0, 0, 120 * sec}},
		"spare none":        {[]timeout.Option{spareNone}, limits{}, limits{10 * sec, 50 * sec, 40 * sec, 120 * sec}},
		"longest operation": {[]timeout.Option{spareNone, timeout.PerOperation(sec, map[string]time.Duration{"a": 2 * sec, "b": 90 * sec, "c": 3 * sec})}, limits{}, limits{10 * sec, 110 * sec, 100 * sec, 120 * sec}},
		"longest tenant":    {[]timeout.Option{spareNone, tenant, timeout.PerTenant(sec, map[string]time.Duration{"a": 2 * sec, "b": 60 * sec})}, limits{}, limits{10 * sec, 80 * sec, 70 * sec, 120 * sec}},
		"read and write":    {[]timeout.Option{spareNone, timeout.WithReadTimeout(70 * sec), timeout.WithWriteTimeout(80 * sec)}, limits{}, limits{10 * sec, 90 * sec, 90 * sec, 120 * sec}},
		"calculator":        {[]timeout.Option{spareNone, critical}, limits{}, limits{10 * sec, 170 * sec, 160 * sec, 120 * sec}},
		"own calculator":    {[]timeout.Option{spareNone, unknown}, limits{}, limits{10 * sec, 0, 0, 120 * sec}},
		"all set":           {[]timeout.Option{spareNone}, limits{sec, 31 * sec, 32 * sec, 3 * sec}, limits{sec, 31 * sec, 32 * sec, 3 * sec}},
		"all off":           {[]timeout.Option{spareNone}, limits{-1, -1, -1, -1}, limits{-1, -1, -1, -1}},
		"no header time":    {[]timeout.Option{spareNone}, limits{-1, 0, 0, 0}, limits{-1, 40 * sec, 40 * sec, 120 * sec}},
		"long header":       {[]timeout.Option{spareNone}, limits{60 * sec, 0, 0, 0}, limits{60 * sec, 100 * sec, 40 * sec, 120 * sec}},
		"short read":        {[]timeout.Option{timeout.Basic(sec)}, limits{0, 5 * sec, 0, 0}, limits{5 * sec, 5 * sec, 0, 120 * sec}},
		"long read":         {[]timeout.Option{timeout.Basic(sec)}, limits{0, 50 * sec, 0, 0}, limits{10 * sec, 50 * sec, 0, 120 * sec}},
		"write kept":        {nil, limits{0, 0, 31 * sec, 0}, limits{10 * sec, 50 * sec, 31 * sec, 120 * sec}},
	} {
		srv := limited(c.given)
		if err := newTimeout(t, c.opts...).ConfigureServer(srv); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := limitsOf(srv); got != c.want {
			t.Errorf("%s: header, read, write, idle are %v, want %v", name, got, c.want)
		}
	}
}

func TestTheServersTimeoutsDoNotOverflow(t *testing.T) {
	calc := timeout.ByComplexity(timeout.ComplexityFactors{Read: 1000, Query: 1000, Body: 1000, Max: 1000})
	to := newTimeout(t, spareNone, timeout.Dynamic(24*time.Hour, timeout.Compose(calc, calc, calc, calc)))
	srv := new(http.Server)
	if err := to.ConfigureServer(srv); err != nil || srv.WriteTimeout != math.MaxInt64 || srv.ReadTimeout != math.MaxInt64 {
		t.Errorf("%v: %v", err, limitsOf(srv))
	}
}

func TestServersThatCannotAnswerAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		opts  []timeout.Option
		given limits
		want  []string
	}{
		"write as long":    {nil, limits{0, 0, 30 * sec, 0}, []string{"ConfigureServer.WriteTimeout"}},
		"write shorter":    {nil, limits{0, 0, 1, 0}, []string{"ConfigureServer.WriteTimeout"}},
		"both":             {[]timeout.Option{timeout.WithReadTimeout(2 * sec)}, limits{0, sec, sec, 0}, []string{"ConfigureServer.WriteTimeout", "ConfigureServer.ReadTimeout"}},
		"operation":        {[]timeout.Option{timeout.PerOperation(sec, map[string]time.Duration{"a": 20 * sec})}, limits{0, 0, 20 * sec, 0}, []string{"ConfigureServer.WriteTimeout"}},
		"tenant":           {[]timeout.Option{tenant, timeout.PerTenant(sec, map[string]time.Duration{"a": 20 * sec})}, limits{0, 0, 20 * sec, 0}, []string{"ConfigureServer.WriteTimeout"}},
		"calculator":       {[]timeout.Option{critical}, limits{0, 0, 150 * sec, 0}, []string{"ConfigureServer.WriteTimeout"}},
		"own calculator":   {[]timeout.Option{unknown}, limits{0, 0, 30 * sec, 0}, []string{"ConfigureServer.WriteTimeout"}},
		"read option":      {[]timeout.Option{timeout.WithReadTimeout(40 * sec)}, limits{0, 40 * sec, 31 * sec, 0}, []string{"ConfigureServer.ReadTimeout"}},
		"write option":     {[]timeout.Option{timeout.WithWriteTimeout(40 * sec)}, limits{0, sec, 40 * sec, 0}, []string{"ConfigureServer.WriteTimeout"}},
		"header and idle":  {nil, limits{1, 0, 0, 1}, nil},
		"just long enough": {[]timeout.Option{timeout.WithReadTimeout(sec)}, limits{0, sec + 1, 30*sec + 1, 0}, nil},
	} {
		srv := limited(c.given)
		err := newTimeout(t, c.opts...).ConfigureServer(srv)
		var got []string
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				var fault *handrail.OptionError
				if !errors.As(e, &fault) || fault.Package != "timeout" || fault.Value == nil || fault.Reason == "" {
					t.Errorf("%s: told as %v", name, e)
					continue
				}
				got = append(got, fault.Option)
			}
		}
		if !slices.Equal(got, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil && limitsOf(srv) != c.given {
			t.Errorf("%s: refused, and changed to %v", name, limitsOf(srv))
		}
	}
	var fault *handrail.OptionError
	if err := newTimeout(t).ConfigureServer(nil); !errors.As(err, &fault) || fault.Option != "ConfigureServer" {
		t.Errorf("no server: %v", err)
	}
}

// configured runs a test in virtual time, over both protocols, with a server
// that the policy has configured.
func configured(t *testing.T, opts []timeout.Option, h http.HandlerFunc, test func(t *testing.T, client *http.Client)) {
	for _, proto := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP", proto), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := newTimeout(t, opts...)
				base := remote(t, proto, to.Wrap(h).ServeHTTP, func(srv *http.Server) {
					if err := to.ConfigureServer(srv); err != nil {
						t.Fatal(err)
					}
				})
				test(t, &http.Client{Transport: base})
			})
		})
	}
}

func TestAConfiguredServerLeavesTimeForTheAnswer(t *testing.T) {
	for _, streams := range []timeout.StreamPolicy{timeout.SpareEventStreams, timeout.SpareNone, timeout.SpareAll} {
		opts := []timeout.Option{timeout.Basic(30 * sec), timeout.WithStreams(streams)}
		configured(t, opts, gone, func(t *testing.T, client *http.Client) {
			start := time.Now()
			resp, err := client.Get("http://remote/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if took := time.Since(start).Round(100 * time.Millisecond); resp.StatusCode != 503 || took != 30*sec {
				t.Errorf("%d after %v", resp.StatusCode, took)
			}
		})
	}
}

func TestAConfiguredServerLetsSparedStreamsLive(t *testing.T) {
	stream := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 100 {
			if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil || r.Context().Err() != nil {
				return
			}
			http.NewResponseController(w).Flush()
			time.Sleep(time.Minute)
		}
		io.WriteString(w, "data: end\n\n")
	}
	configured(t, nil, stream, func(t *testing.T, client *http.Client) {
		resp, err := client.Get("http://remote/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || len(body) < 11 || string(body[len(body)-11:]) != "data: end\n\n" {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
}

// Why such a server is refused.
func TestAWriteTimeoutThatIsTooShortSwallowsResponsesThatAreInTime(t *testing.T) {
	t.Parallel()
	for _, proto := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			to := newTimeout(t, timeout.Basic(30*sec))
			base := remote(t, proto, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(25 * sec)
				io.WriteString(w, "in time")
			})).ServeHTTP, func(srv *http.Server) { srv.WriteTimeout = 20 * sec })
			if resp, err := base.RoundTrip(plainGet()); err == nil {
				t.Errorf("HTTP/%d: answered %d", proto, resp.StatusCode)
				resp.Body.Close()
			}
			time.Sleep(time.Minute) // the handler ends
		})
	}
}

// Why ReadTimeout is set: the server waits for the rest of a body before it
// answers, also where the handler is not interested.
func TestAConfiguredServerDoesNotWaitForAnUploadThatStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := newTimeout(t)
		base := remote(t, 1, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "not interested")
		})).ServeHTTP, func(srv *http.Server) {
			if err := to.ConfigureServer(srv); err != nil {
				t.Fatal(err)
			}
		})
		conn, err := base.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		start := time.Now()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: remote\r\nContent-Length: 1000\r\n\r\nstalled")
		answer, err := io.ReadAll(conn)
		if took := time.Since(start); took > 51*sec || err != nil {
			t.Errorf("%q and %v after %v", answer, err, took)
		}
	})
}

func ExampleTimeout_ConfigureServer() {
	limit, err := timeout.New(timeout.Basic(20*time.Second), timeout.WithStreams(timeout.SpareNone))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{Handler: limit.Wrap(http.NotFoundHandler())}
	fmt.Println(limit.ConfigureServer(srv))
	fmt.Println(srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout)

	srv.WriteTimeout = 15 * time.Second
	fmt.Println(limit.ConfigureServer(srv))
	// Output:
	// <nil>
	// 10s 40s 30s 2m0s
	// timeout: ConfigureServer.WriteTimeout(15s): must be 0 or longer than 20s, which a request may take
}

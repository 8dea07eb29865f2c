package main

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestARequestIsAnsweredMeasuredAndTraced(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	rates := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"EUR":1,"USD":2}`)
	}))
	defer rates.Close()
	p := start(t, "RATES_URL="+rates.URL, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	a := p.ask("GET", "/convert", "amount=10&from=EUR&to=USD", 5*time.Second)
	if a.StatusCode != 200 || a.Body != "{\"amount\":20.00}\n" || a.IsBase64Encoded || a.Headers["Content-Type"] != "application/json" {
		t.Errorf("%+v", a)
	}
	// Before the answer: the process may stand still from then on.
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(traceID, "1-"), "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	if n := c.count(raw); n != 2 { // served, and sent to where the rates are
		t.Errorf("%d spans of the invocation's trace", n)
	}
	if a := p.ask("GET", "/convert", "amount=x", 5*time.Second); a.StatusCode != 400 {
		t.Errorf("%+v", a)
	}

	found := false
	for _, line := range p.end() {
		if line["request_id"] != "invocation-1" && line["http.request.id"] != "invocation-1" {
			continue
		}
		found = true
		if line["_aws"] == nil || line["http.server.requests"] != 1. || line["http.route"] != "/convert" ||
			line["service.name"] != "money" || line["level"] != "INFO" {
			t.Errorf("%v", line)
		}
	}
	if !found {
		t.Errorf("no line of the first request in %s", p.out.Bytes())
	}
}

func TestFailuresAreRepeatedAndOpenTheCircuit(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	rates := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer rates.Close()
	p := start(t, "RATES_URL="+rates.URL)
	for n := 1; ; n++ {
		a := p.ask("GET", "/convert", "amount=10&from=EUR&to=USD", 5*time.Second)
		if a.StatusCode == 503 {
			after, err := strconv.Atoi(a.Headers["Retry-After"])
			if err != nil || after < 1 || after > 10 || !strings.Contains(a.Body, "CIRCUIT_BREAKER_OPEN") {
				t.Errorf("%+v", a)
			}
			break
		}
		if a.StatusCode != 502 || n > 5 {
			t.Fatalf("answer %d: %+v", n, a)
		}
	}
	if asked.Load() != 5 {
		t.Errorf("asked %d times", asked.Load())
	}
	p.end()
}

func TestTheInvocationsDeadlineIsAnsweredBefore(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	rates := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer rates.Close()
	defer close(hang)
	p := start(t, "RATES_URL="+rates.URL)
	// The timeout of the chain is 10 s; the time of this invocation is less.
	began := time.Now()
	a := p.ask("GET", "/convert", "amount=10&from=EUR&to=USD", 2*time.Second)
	if took := time.Since(began); took >= 2*time.Second {
		t.Errorf("answered after %v, when the process would have been killed", took)
	}
	if a.StatusCode != 503 || !strings.Contains(a.Body, `"TIMEOUT"`) {
		t.Errorf("%+v", a)
	}
	timedOut := false
	for _, line := range p.end() {
		timedOut = timedOut || line["error.type"] == "timeout"
	}
	if !timedOut {
		t.Errorf("no line says so: %s", p.out.Bytes())
	}
}

func TestAnEventThatIsNoRequestIsTheFunctionsError(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, payload := range []string{`{"source":"aws.events"}`, `not JSON`, `{"version":"1.0","httpMethod":"GET"}`,
		strings.Replace(event("POST", "/", ""), `"isBase64Encoded":false`, `"isBase64Encoded":true,"body":"%"`, 1)} {
		if r := p.invoke(payload, 5*time.Second); r.kind != "error" || !strings.Contains(string(r.body), "errorMessage") {
			t.Errorf("%s: %s %s", payload, r.kind, r.body)
		}
	}
	// It goes on, and asks nobody for the rates.
	if a := p.ask("GET", "/convert", "amount=10&from=EUR&to=USD", 5*time.Second); a.StatusCode != 200 || a.Body != "{\"amount\":12.50}\n" {
		t.Errorf("%+v", a)
	}
	p.end()
}

func TestOutsideOfLambdaItIsAServer(t *testing.T) {
	f, err := newFunction(t.Context(), io.Discard, "")
	if err != nil {
		t.Fatal(err)
	}
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serve(ctx, f, "127.0.0.1:0", write) }()
	said := make([]byte, 100)
	n, err := read.Read(said)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(strings.Fields(string(said[:n]))[2] + "/convert?amount=1&from=EUR&to=USD")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "{\"amount\":1.25}\n" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
}

package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func TestARequestIsWhatTheEventSays(t *testing.T) {
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "id-1"})
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: "/prod/a%2Fb/c d", RawQueryString: "q=1&q=%20",
		Headers:         map[string]string{"host": "api.example.org", "x-many": "a,b", "x-request-id": "forged"},
		Cookies:         []string{"a=1", "b=2"},
		Body:            base64.StdEncoding.EncodeToString([]byte("\xff\x00 body")),
		IsBase64Encoded: true,
	}
	e.RequestContext.Stage = "prod"
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP = "POST", "2001:db8::1"
	r, err := newRequest(ctx, &e)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	if r.Method != "POST" || r.URL.Path != "/a/b/c d" || r.URL.Query()["q"][1] != " " || string(body) != "\xff\x00 body" || r.ContentLength != 7 {
		t.Errorf("%s %v %q %d", r.Method, r.URL, body, r.ContentLength)
	}
	if r.Host != "api.example.org" || r.Header.Get("Host") != "" || r.RemoteAddr != "[2001:db8::1]:0" || r.Header.Get("X-Many") != "a,b" {
		t.Errorf("%s %s %v", r.Host, r.RemoteAddr, r.Header)
	}
	if c, err := r.Cookie("b"); err != nil || c.Value != "2" {
		t.Error(c, err)
	}
	if id := r.Header.Get("X-Request-Id"); id != "id-1" {
		t.Errorf("id %q", id)
	}
}

func TestAnAnswerIsWhatTheHandlerSays(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    events.APIGatewayV2HTTPResponse
	}{
		{"nothing", func(w http.ResponseWriter, r *http.Request) {},
			events.APIGatewayV2HTTPResponse{StatusCode: 200}},
		{"text", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Add("Vary", "A")
			w.Header().Add("Vary", "B")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK)
			w.Header().Set("Late", "x")
			io.WriteString(w, "short")
		}, events.APIGatewayV2HTTPResponse{StatusCode: 418, Body: "short", Cookies: []string{"a=1", "b=2"}, Headers: map[string]string{"Vary": "A, B", "Content-Type": "text/plain; charset=utf-8"}}},
		{"binary", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			io.WriteString(w, "\x89PNG\xff")
		}, events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: base64.StdEncoding.EncodeToString([]byte("\x89PNG\xff")), IsBase64Encoded: true, Headers: map[string]string{"Content-Type": "image/png"}}},
		{"panic", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Secret", "x")
			io.WriteString(w, "half")
			panic("fault")
		}, events.APIGatewayV2HTTPResponse{StatusCode: 500, Body: "Internal Server Error\n", Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}}},
		{"too long", func(w http.ResponseWriter, r *http.Request) {
			for range 5 {
				io.WriteString(w, strings.Repeat("x", 1<<20))
			}
		}, events.APIGatewayV2HTTPResponse{StatusCode: 500, Body: "Internal Server Error\n", Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}}},
	} {
		r, err := http.NewRequest("GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.want.Headers == nil {
			c.want.Headers = map[string]string{}
		}
		got, _ := json.Marshal(answerOf(c.handler, r))
		want, _ := json.Marshal(c.want)
		if string(got) != string(want) {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, want)
		}
	}
}

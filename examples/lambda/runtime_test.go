package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// mainEnv makes this test binary the program.
const mainEnv = "HANDRAIL_LAMBDA_TEST_MAIN"

func TestMain(m *testing.M) {
	if _, program := os.LookupEnv(mainEnv); program {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runtimeAPI is what Lambda offers to the process of a function.
type runtimeAPI struct {
	*httptest.Server
	next    chan invocation
	results chan result
	// registered is closed when the process wants to be told of its end.
	registered chan struct{}
}

type invocation struct {
	payload  string
	id       string
	deadline time.Time
	trace    string
}

type result struct {
	id, kind string // response or error
	body     []byte
	at       time.Time
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	api := &runtimeAPI{next: make(chan invocation), results: make(chan result, 10), registered: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case i := <-api.next:
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
			h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(i.deadline.UnixMilli()))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:convert")
			h.Set("Lambda-Runtime-Trace-Id", i.trace)
			io.WriteString(w, i.payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{kind}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		api.results <- result{r.PathValue("id"), r.PathValue("kind"), body, time.Now()}
		w.WriteHeader(http.StatusAccepted)
	})
	var once sync.Once
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", "1")
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(api.registered) })
		<-r.Context().Done()
	})
	api.Server = httptest.NewServer(mux)
	t.Cleanup(api.Close)
	return api
}

// process is the function's.
type process struct {
	t   *testing.T
	api *runtimeAPI
	cmd *exec.Cmd
	out bytes.Buffer
	n   int
}

func start(t *testing.T, environ ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, api: newRuntimeAPI(t), cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), mainEnv+"=1", "GORACE=atexit_sleep_ms=0", "AWS_LAMBDA_FUNCTION_NAME=money",
		"AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(p.api.URL, "http://"))
	p.cmd.Env = append(p.cmd.Env, environ...)
	p.cmd.Stdout = &p.out
	var said bytes.Buffer
	p.cmd.Stderr = &said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("it said %s", said.Bytes())
		}
	})
	return p
}

const traceID = "1-5759e988-bd862e3fe1be46a994272793"

// invoke has the process serve a payload, and returns what came of it.
func (p *process) invoke(payload string, within time.Duration) result {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf("invocation-%d", p.n)
	i := invocation{payload, id, time.Now().Add(within), "Root=" + traceID + ";Parent=53995c3f42cd8ad8;Sampled=1"}
	select {
	case p.api.next <- i:
	case <-time.After(30 * time.Second):
		p.t.Fatal("it does not ask for work")
	}
	select {
	case r := <-p.api.results:
		if r.id != id {
			p.t.Errorf("result of %s", r.id)
		}
		return r
	case <-time.After(30 * time.Second):
		p.t.Fatal("it says nothing")
	}
	return result{}
}

// ask is invoke with a request, which has to be answered.
func (p *process) ask(method, path, query string, within time.Duration) events.APIGatewayV2HTTPResponse {
	p.t.Helper()
	r := p.invoke(event(method, path, query), within)
	var answer events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(r.body, &answer); r.kind != "response" || err != nil {
		p.t.Fatalf("%s: %s", r.kind, r.body)
	}
	return answer
}

// end has the process told that it ends, and returns its lines.
func (p *process) end() (lines []map[string]any) {
	p.t.Helper()
	<-p.api.registered
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("it ended with %v", err)
	}
	for text := range bytes.Lines(p.out.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			p.t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

// event is one as a function URL sends it.
func event(method, path, query string) string {
	return fmt.Sprintf(`{"version":"2.0","routeKey":"$default","rawPath":%q,"rawQueryString":%q,
		"headers":{"host":"abc.lambda-url.eu-central-1.on.aws","accept":"*/*","x-amzn-trace-id":"Root=%s"},
		"requestContext":{"stage":"$default","domainName":"abc.lambda-url.eu-central-1.on.aws","requestId":"r1",
		"http":{"method":%q,"path":%q,"protocol":"HTTP/1.1","sourceIp":"192.0.2.1","userAgent":"curl"}},"isBase64Encoded":false}`,
		path, query, traceID, method, path)
}

// collector is where spans are sent.
type collector struct {
	*httptest.Server
	mu   sync.Mutex
	sent []byte
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sent = append(c.sent, body...)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) count(what []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Count(c.sent, what)
}

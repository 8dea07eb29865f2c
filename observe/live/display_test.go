package live_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/live"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[live.Option]
	source := live.WithSource(must(bulkhead.New()))
	wrong := func(option, value string, opts ...live.Option) mistake {
		return mistake{Option: option, Value: value, Opts: append(opts, source)}
	}
	long := strings.Repeat("t", 65)
	optiontest.Run(t, "live", live.New, nil, []mistake{
		wrong("Option", "0", live.Option(nil)),
		wrong("WithSource", "1", live.WithSource(must(bulkhead.New()), nil)),
		{Option: "+WithSource", Value: "<nil>"},
		wrong("WithTitle", "<nil>", live.WithTitle("")),
		wrong("WithTitle", long, live.WithTitle(long)),
		wrong("WithInterval", "999ms", live.WithInterval(999*time.Millisecond)),
		wrong("WithInterval", "1m0.000000001s", live.WithInterval(time.Minute+1)),
		wrong("WithMaxViewers", "0", live.WithMaxViewers(0)),
		wrong("WithMaxViewers", "1001", live.WithMaxViewers(1001)),
		wrong("WithAuthorize", "<nil>", live.WithAuthorize(nil)),
	})
	for _, sources := range [][]handrail.Source{nil, {nil}} {
		func() {
			defer func() {
				if err, _ := recover().(error); err == nil || !strings.Contains(err.Error(), "live: WithSource") {
					t.Errorf("Page of %v panicked with %v", sources, err)
				}
			}()
			live.Page(sources...)
		}()
	}
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	for _, opts := range [][]live.Option{
		{live.WithInterval(time.Second), live.WithMaxViewers(1), live.WithTitle("t"), live.WithRuntimePlots(false)},
		{live.WithInterval(time.Minute), live.WithMaxViewers(1000), live.WithTitle(strings.Repeat("t", 64)), live.WithRuntimePlots(true)},
	} {
		if _, err := live.New(append(opts, live.WithSource(must(bulkhead.New())))...); err != nil {
			t.Error(err)
		}
	}
}

func get(t *testing.T, client *http.Client, method, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// dial opens the stream of a page, as the browser does.
func dial(url string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{HandshakeTimeout: 10 * time.Second, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return d.Dial("ws"+strings.TrimPrefix(url, "http")+"ws", header)
}

// message reads one message of the stream.
func message(t *testing.T, conn *websocket.Conn) (event string, series map[string]json.RawMessage) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var m struct {
		Event string
		Data  struct{ Series json.RawMessage }
	}
	if err := conn.ReadJSON(&m); err != nil {
		t.Fatal(err)
	}
	if m.Event == "metrics" {
		if err := json.Unmarshal(m.Data.Series, &series); err != nil {
			t.Fatal(err)
		}
	}
	return m.Event, series
}

func TestThePageItsFilesAndItsStreamAreServedBelowAnyPath(t *testing.T) {
	leaktest.Check(t)
	page := live.Page(must(bulkhead.New()))
	defer page.Close()
	mux := http.NewServeMux()
	mux.Handle("/debug/live/", page)
	mux.Handle("GET /a/b/c/{rest...}", page)
	mux.Handle("/stripped/", http.StripPrefix("/stripped", page))
	mux.Handle("/bare/", http.StripPrefix("/bare/", page))
	asset := regexp.MustCompile(`(?:src|href)="\./(assets/[^"]+)"`)
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		server := httptest.NewUnstartedServer(mux)
		server.EnableHTTP2 = version == "HTTP/2.0"
		server.StartTLS()
		for _, path := range []string{"/debug/live/", "/a/b/c/", "/stripped/"} {
			t.Run(version+path, func(t *testing.T) {
				res, index := get(t, server.Client(), "GET", server.URL+path)
				if res.StatusCode != 200 || res.Proto != version || !strings.Contains(index, "<title>handrail</title>") || strings.Contains(index, ">Statsviz<") {
					t.Fatalf("%s %s: %s", res.Proto, res.Status, index)
				}
				if res.Header.Get("Content-Security-Policy") == "" || res.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%v", res.Header)
				}
				files := asset.FindAllStringSubmatch(index, -1)
				if len(files) < 2 {
					t.Fatalf("the page has the files %q", files)
				}
				for _, f := range append(files, []string{"", "favicon.ico"}) {
					res, text := get(t, server.Client(), "GET", server.URL+path+f[1])
					if res.StatusCode != 200 || len(text) < 1000 {
						t.Errorf("%s: %s, %d bytes", f[1], res.Status, len(text))
					}
				}
				if res, text := get(t, server.Client(), "HEAD", server.URL+path); res.StatusCode != 200 || res.ContentLength != int64(len(index)) || text != "" {
					t.Errorf("HEAD: %s, %d bytes of %d", res.Status, res.ContentLength, len(index))
				}
				for _, missing := range []string{"assets/none.js", "index.html", "x"} {
					if res, _ := get(t, server.Client(), "GET", server.URL+path+missing); res.StatusCode != 404 {
						t.Errorf("%s: %s", missing, res.Status)
					}
				}
				conn, _, err := dial(server.URL+path, http.Header{"Origin": {server.URL}})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if event, _ := message(t, conn); event != "config" {
					t.Errorf("the first message is %s", event)
				}
				if path != "/debug/live/" {
					return // a second saved
				}
				if event, series := message(t, conn); event != "metrics" || string(series["bulkhead"]) != "[100,0,0]" {
					t.Errorf("then comes %s with %s", event, series["bulkhead"])
				}
			})
		}
		if res, _ := get(t, server.Client(), "GET", server.URL+"/bare/"); res.StatusCode != 404 {
			t.Errorf("without a slash in what is left: %s", res.Status)
		}
		if res, _ := get(t, server.Client(), "POST", server.URL+"/debug/live/"); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %s", res.Status)
		}
		if res, _ := get(t, server.Client(), "GET", server.URL+"/debug/live/ws"); res.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("the stream without a WebSocket: %s", res.Status)
		}
		server.Client().CloseIdleConnections()
		server.Close()
	}
}

func TestWhoMayNotSeeGetsNothing(t *testing.T) {
	leaktest.Check(t)
	page := must(live.New(live.WithSource(must(bulkhead.New())),
		live.WithAuthorize(func(r *http.Request) bool { return r.Header.Get("X-Role") == "operator" })))
	defer page.Close()
	server := httptest.NewServer(page)
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	_, index := get(t, server.Client(), "GET", server.URL+"/x")
	for _, path := range []string{"/", "/favicon.ico", "/assets/x.js", "/ws"} {
		if res, text := get(t, server.Client(), "GET", server.URL+path); res.StatusCode != 403 || text != index {
			t.Errorf("%s: %s: %s", path, res.Status, text)
		}
	}
	if _, res, err := dial(server.URL+"/", nil); err == nil || res.StatusCode != 403 {
		t.Errorf("the stream: %v, %v", res, err)
	}
	conn, _, err := dial(server.URL+"/", http.Header{"X-Role": {"operator"}})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestAnotherSiteCannotReadTheStream(t *testing.T) {
	leaktest.Check(t)
	page := live.Page(must(bulkhead.New()))
	defer page.Close()
	server := httptest.NewServer(page)
	defer server.Close()
	for _, origin := range []string{"https://elsewhere.example", "null", "http://127.0.0.1", "http://" + strings.TrimPrefix(server.URL, "http://") + ".elsewhere.example"} {
		_, res, err := dial(server.URL+"/", http.Header{"Origin": {origin}})
		if err == nil || res.StatusCode != 403 {
			t.Errorf("%s: %v, %v", origin, res, err)
		}
	}
	if st := page.Stats(); st.Viewers != 0 {
		t.Errorf("%+v", st)
	}
}

func TestViewersAreBoundedAndLeave(t *testing.T) {
	leaktest.Check(t)
	page := must(live.New(live.WithSource(must(bulkhead.New())), live.WithMaxViewers(2)))
	defer page.Close()
	server := httptest.NewServer(page)
	defer server.Close()
	open := func() (*websocket.Conn, error) {
		conn, res, err := dial(server.URL+"/", nil)
		if err != nil && (res == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "") {
			t.Errorf("%v, %v", res, err)
		}
		return conn, err
	}
	one, err := open()
	if err != nil {
		t.Fatal(err)
	}
	two, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if _, err := open(); err == nil {
		t.Error("a third one is let in")
	}
	// What a viewer says is not listened to, and one that says much is cut off.
	if err := two.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Error(err)
	}
	one.WriteMessage(websocket.BinaryMessage, make([]byte, 64<<10))
	for page.Stats().Viewers != 1 {
		time.Sleep(time.Millisecond)
	}
	one.Close()
	three, err := open()
	if err != nil {
		t.Fatal("there is no room after one has gone:", err)
	}
	defer three.Close()
	if event, _ := message(t, two); event != "config" {
		t.Errorf("the second is told %s", event)
	}

	if err := page.Close(); err != nil {
		t.Error(err)
	}
	for _, conn := range []*websocket.Conn{two, three} {
		for err = nil; err == nil; {
			conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, _, err = conn.ReadMessage()
		}
		if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("Close ends a stream with %v", err)
		}
	}
	if _, err := open(); err == nil {
		t.Error("one is let in after Close")
	}
	if res, _ := get(t, server.Client(), "GET", server.URL+"/"); res.StatusCode != 200 {
		t.Errorf("the page itself: %s", res.Status)
	}
	server.Client().CloseIdleConnections()
	if st := page.Stats(); st.Viewers != 0 || st.Refused != 2 {
		t.Errorf("%+v", st)
	}
}

// Inside of a chain the page is one more handler, and who looks at it for hours
// is no request that takes hours.
func TestThePageWorksInsideOfAChain(t *testing.T) {
	leaktest.Check(t, "load.(*Sampler).run") // serves the whole process
	observer := must(observe.New())
	shedder := must(shed.New())
	limit := must(timeout.New(timeout.Basic(200 * time.Millisecond)))
	hold := must(bulkhead.New(bulkhead.WithLimit(5)))
	page := live.Page(observer, shedder, limit)
	defer page.Close()
	server := httptest.NewServer(handrail.Chain(observer.Wrap, shedder.Wrap, limit.Wrap, hold.Wrap)(page))
	defer server.Close()
	conn, _, err := dial(server.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 { // beyond the timeout
		message(t, conn)
	}
	if st := observer.Stats(); st.LongLived != 1 || st.InFlight != 0 {
		t.Errorf("%+v", st)
	}
	if st := limit.Stats(); st.Timeouts != 0 {
		t.Errorf("%+v", st)
	}
}

func TestATitleIsTextAndNotMarkup(t *testing.T) {
	page := must(live.New(live.WithSource(must(bulkhead.New())), live.WithTitle(`<script>alert("1")</script>`), live.WithRuntimePlots(false)))
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	text := w.Body.String()
	if strings.Contains(text, "<script>alert") || strings.Count(text, "&lt;script&gt;alert(&#34;1&#34;)") != 2 {
		t.Error(text)
	}
	// The library's page still has what is renamed and hidden in it.
	for _, want := range []string{">Requests</label", ">Policies</label", ">Load</label", ">Go runtime</label", `label[for="tag-misc"]`,
		`id="tag-misc"`, `id="btn-gc-events"`, `title="runtime/metrics doc"`, `data-tag="cpu"`, `data-tag="gc"`, `data-tag="scheduler"`, `data-tag="misc"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// Whatever is drawn is told by a real source: a metric that is renamed leaves no
// plot empty unnoticed.
func TestEveryMetricThatIsDrawnIsTold(t *testing.T) {
	s := newStack(t)
	s.get("/orders", "high")
	s.get("/stock", "low")
	for range 100 {
		told := map[string]bool{}
		for _, source := range s.sources {
			source.Collect(func(m handrail.Metric) { told[m.Name] = true })
		}
		var missing []string
		for _, name := range live.Drawn() {
			if !told[name] && !strings.HasPrefix(name, "go_") {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return
		}
		if msg := fmt.Sprint(missing); strings.Contains(msg, "handrail_load_") && !strings.Contains(strings.ReplaceAll(msg, "handrail_load_", ""), "handrail_") {
			time.Sleep(100 * time.Millisecond) // a sampler has to sample first
			continue
		}
		t.Fatalf("nobody tells %q", missing)
	}
	t.Error("the sampler does not tell what is drawn")
}

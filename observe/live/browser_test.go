package live_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/health"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/live"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

var update = flag.Bool("update", false, "write the picture of the page in docs/ anew")

const width = 1680 // of the browser: three plots in a row

// The shape of an overload: half of what the service can do, three times as
// much, and half again.
var phases = []struct {
	name  string
	of    float64 // the capacity
	lasts time.Duration
	seen  func(shed float64) bool // what is shed a second says that it is this phase
}{
	{"calm", 0.5, 3 * time.Second, func(float64) bool { return true }},
	{"overload", 3, 4 * time.Second, func(shed float64) bool { return shed > 0.1*capacity }},
	{"after", 0.5, 3 * time.Second, func(shed float64) bool { return shed < 0.05*capacity }},
}

// capacity of the service is slots ÷ service time, in requests per second.
const (
	slots    = 8
	service  = 40 * time.Millisecond
	capacity = float64(slots) / 0.04
)

// stack is a service with everything the toolkit has in front of it.
type stack struct {
	*httptest.Server
	page    *live.Display
	sources []handrail.Source
	// broken makes the dependency fail.
	broken atomic.Bool
	client *http.Client
	users  sync.WaitGroup
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newStack(t *testing.T) *stack {
	s := &stack{}
	sampler := must(load.New(load.WithInterval(250*time.Millisecond), load.WithWindow(2*time.Second)))
	observer := must(observe.New())
	shedder := must(shed.New(shed.WithSampler(sampler), shed.WithLimits(2, 12, 64), shed.WithPriorityHeader("X-Priority"), shed.WithMaxWait(50*time.Millisecond)))
	limit := must(timeout.New(timeout.Basic(250 * time.Millisecond)))
	again := must(retry.New(retry.WithFixed(2 * time.Millisecond)))
	circuit := must(breaker.New(breaker.PerOperation(), breaker.WithOpenFor(time.Second), breaker.WithConsecutiveFailures(5)))
	hold := must(bulkhead.New(bulkhead.WithLimit(slots), bulkhead.WithMaxWait(30*time.Millisecond)))
	probes := must(health.New(health.WithLogger(slog.New(slog.DiscardHandler)), health.WithCheck("load", health.Load(sampler.Pressure, 1, 2))))

	seats := make(chan struct{}, slots)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		select {
		case seats <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		defer func() { <-seats }()
		took := time.Duration(float64(service) * (0.5 + rand.Float64()))
		if rand.IntN(100) == 0 {
			took *= 10
		}
		select {
		case <-time.After(took):
		case <-r.Context().Done():
		}
		io.WriteString(w, "order")
	})
	mux.HandleFunc("GET /stock", func(w http.ResponseWriter, r *http.Request) {
		if s.broken.Load() {
			http.Error(w, "no stock", http.StatusServiceUnavailable)
		}
	})
	policies := handrail.Chain(shedder.Wrap, limit.Wrap, again.Wrap)
	inner := http.NewServeMux()
	inner.Handle("GET /orders", circuit.Wrap(hold.Wrap(mux)))
	inner.Handle("GET /stock", circuit.Wrap(mux))

	s.sources = []handrail.Source{observer, shedder, limit, again, circuit, hold, sampler, probes}
	s.page = must(live.New(live.WithSource(s.sources...), live.WithTitle("orders")))
	front := http.NewServeMux()
	front.Handle("/", observer.Wrap(policies(inner)))
	front.Handle("/debug/live/", s.page)
	s.Server = httptest.NewServer(front)
	s.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 512}}
	t.Cleanup(func() {
		s.users.Wait()
		s.client.CloseIdleConnections()
		s.page.Close()
		s.Server.Close()
		for _, c := range []io.Closer{sampler, probes} {
			c.Close()
		}
	})
	return s
}

// offer sends requests at a rate that does not depend on the answers.
func (s *stack) offer(rate float64, d time.Duration) {
	begin := time.Now()
	for sent := 0; time.Since(begin) < d; time.Sleep(5 * time.Millisecond) {
		for ; float64(sent) < rate*time.Since(begin).Seconds(); sent++ {
			path, class := "/orders", [...]string{"critical", "high", "normal", "low", "background"}[rand.IntN(5)]
			if sent%10 == 0 {
				path = "/stock"
			}
			s.users.Go(func() { s.get(path, class) })
		}
	}
}

func (s *stack) get(path, class string) {
	r, _ := http.NewRequest("GET", s.URL+path, nil)
	r.Header.Set("X-Priority", class)
	res, err := s.client.Do(r)
	if err != nil {
		return
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

// browser starts a headless one, and returns what it runs in and a function that
// returns what was complained of on the console.
func browser(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("HANDRAIL_REQUIRE_CHROMIUM") == "1" {
			t.Fatal("there is no Chromium on the path, and HANDRAIL_REQUIRE_CHROMIUM asks for one")
		}
		t.Skip("there is no Chromium on the path: the page was not looked at (HANDRAIL_REQUIRE_CHROMIUM=1 makes this a failure)")
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WindowSize(width, 3700),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
	)
	t.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(allocator)
	t.Cleanup(stopTab)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var complaints []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning {
				mu.Lock()
				complaints = append(complaints, m.String())
				mu.Unlock()
			}
		}
	}()
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(complaints)
	}
}

// drawn is what the page shows, read from what the library drew.
type drawn struct {
	Name, Title string
	Curves      []drawnCurve
}

type drawnCurve struct {
	Name string
	Y    []*float64 // nil is a gap
}

func (c drawnCurve) max() (most float64) {
	for _, y := range c.Y {
		if y != nil {
			most = max(most, *y)
		}
	}
	return most
}

const readPage = `[...document.querySelectorAll('.plot-card')].map(e => ({
	Name: e.id,
	Title: e.querySelector('.gtitle')?.textContent ?? '',
	Curves: (e.data ?? []).map(c => ({Name: c.name ?? '', Y: [...c.y ?? []].map(v => Number.isFinite(v) ? v : null)})),
}))`

func look(t *testing.T, ctx context.Context) map[string]drawn {
	t.Helper()
	all, err := chromedp.Run(ctx, chromedp.Evaluate[[]drawn](readPage))
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]drawn{}
	for _, d := range all {
		page[d.Title] = d
	}
	return page
}

// peak is the highest point of the curves of that name, or of all.
func (d drawn) peak(curve string) (most float64) {
	for _, c := range d.Curves {
		if curve == "" || c.Name == curve {
			most = max(most, c.max())
		}
	}
	return most
}

// last is the last point of the curve of that name, 0 where there is none.
func (d drawn) last(curve string) float64 {
	for _, c := range d.Curves {
		if n := len(c.Y); n > 0 && c.Name == curve && c.Y[n-1] != nil {
			return *c.Y[n-1]
		}
	}
	return 0
}

func (d drawn) curves() (names []string) {
	for _, c := range d.Curves {
		names = append(names, c.Name)
	}
	return names
}

func TestABrowserDrawsAnOverload(t *testing.T) {
	leaktest.Check(t)
	begin := time.Now()
	ctx, complaints := browser(t)
	t.Log("the browser is there after", time.Since(begin).Round(time.Millisecond))
	s := newStack(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL+"/debug/live/"), chromedp.WaitVisible(chromedp.CSS(".plot-card .gtitle"))); err != nil {
		t.Fatal(err)
	}
	pages := map[string]map[string]drawn{}
	for _, p := range phases {
		s.broken.Store(p.name == "overload")
		if *update {
			p.lasts *= 5 // to fill the minute that the page shows
		}
		// On a busy machine it may take longer until it is to be seen.
		for tries := 0; tries == 0 || tries < 10 && !p.seen(pages[p.name]["Requests by outcome"].last("shed")); tries++ {
			s.offer(p.of*capacity, max(p.lasts, time.Second))
			p.lasts = 0
			pages[p.name] = look(t, ctx)
		}
		t.Log(p.name, "is over after", time.Since(begin).Round(time.Millisecond))
	}
	end := pages["after"]

	for _, title := range []string{
		"Requests by outcome", "Latency, percentiles", "In flight against the limit", "Shed by class", "Breaker circuits by state",
		"Bulkhead slots and queue", "Load signals", "Goroutines that wait for a CPU", "Timeouts", "Retries",
		"Breaker results and refusals", "Shed by reason", "Bulkhead rejections", "Wait in the bulkhead's queue, percentiles", "Health",
		"Goroutines", "Memory",
	} {
		d, ok := end[title]
		if !ok {
			t.Errorf("there is no plot %q", title)
			continue
		}
		points := 0
		for _, c := range d.Curves {
			points = max(points, len(c.Y))
		}
		if points < 8 {
			t.Errorf("%s has %d points after 10 s", title, points)
		}
	}
	if t.Failed() {
		t.Logf("the page has %d plots", len(end))
	}

	moves := func(title, curve string, above float64) {
		t.Helper()
		if got := end[title].peak(curve); got <= above {
			t.Errorf("%s, %q: its peak is %v, want above %v; it has %q", title, curve, got, above, end[title].curves())
		}
	}
	moves("Requests by outcome", "answered", 0.1*capacity)
	moves("Requests by outcome", "shed", 0.1*capacity)
	moves("Latency, percentiles", "p99", 0.02)
	moves("Shed by class", "background", 1)
	moves("Shed by reason", "", 1)
	moves("Breaker circuits by state", "open", 0)
	moves("Breaker results and refusals", "failure", 0)
	moves("Bulkhead slots and queue", "in use", 1)
	moves("Retries", "retried", 0)
	moves("Load signals", "errors", 0)
	moves("In flight against the limit", "hold a slot", 2)
	moves("Goroutines", "goroutines", 10)
	moves("Memory", "objects", 1e5)
	if got, want := end["Bulkhead slots and queue"].peak("limit"), float64(slots); got != want {
		t.Errorf("the bulkhead's limit is drawn at %v, want %v", got, want)
	}
	if during, after := pages["overload"]["Requests by outcome"].last("shed"), end["Requests by outcome"].last("shed"); during < 0.1*capacity || after > 0.5*during {
		t.Errorf("%v requests a second are shed in the overload and %v after it", during, after)
	}

	// The controls: the search and the filters hide and show, and a longer range
	// is drawn.
	count := func(do string) int {
		t.Helper()
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](do+`; [...document.querySelectorAll('.plot-card')].filter(e => !e.hidden).length`))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	search := func(text string) string {
		return fmt.Sprintf(`{const s = document.getElementById('plot-search'); s.value = %q; s.dispatchEvent(new Event('input'))}`, text)
	}
	shown := count("0")
	if n := count(search("breaker_circuits")); n != 1 {
		t.Errorf("searching for a metric shows %d plots", n)
	}
	if n := count(search("")); n != shown {
		t.Errorf("an empty search shows %d plots of %d", n, shown)
	}
	if n := count(`document.getElementById('tag-misc').click()`); n != shown-3 {
		t.Errorf("without those of the runtime there are %d plots of %d", n, shown)
	}
	if n := count(`document.getElementById('tag-misc').click()`); n != shown {
		t.Errorf("with those of the runtime there are %d plots of %d", n, shown)
	}

	var span float64
	for deadline := time.Now().Add(10 * time.Second); span != 300_000 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		span = must(chromedp.Run(ctx, chromedp.Evaluate[float64](`document.getElementById('range5').click(); {const r = document.getElementById('requests').layout.xaxis.range; new Date(r[1]) - new Date(r[0])}`)))
	}
	if span != 300_000 {
		t.Errorf("five minutes are %v ms", span)
	}
	count(`document.getElementById('range1').click()`)

	// Nobody asks for anything any more: there is nothing to be a percentile of,
	// and a percentile of 0 would be a lie.
	s.users.Wait()
	if err := chromedp.Do(ctx, chromedp.Sleep(2500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for _, c := range look(t, ctx)["Wait in the bulkhead's queue, percentiles"].Curves {
		if n := len(c.Y); n == 0 || c.Y[n-1] != nil || c.max() == 0 {
			t.Errorf("the wait's %s has no gap at its end, or nothing before it", c.Name)
		}
	}

	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(shot) < 50_000 {
		t.Errorf("the picture of the page has %d bytes: it cannot show much", len(shot))
	}
	if *update {
		picture := must(png.Decode(bytes.NewReader(shot))).(interface {
			SubImage(image.Rectangle) image.Image
		}).SubImage(image.Rect(0, 0, width, rows(t, ctx, 3)))
		var file bytes.Buffer
		if err := errors.Join(png.Encode(&file, picture), os.WriteFile("../../docs/live.png", file.Bytes(), 0o644)); err != nil {
			t.Error(err)
		}
	}

	title, err := chromedp.Run(ctx, chromedp.Title())
	if err != nil || title != "orders" {
		t.Errorf("the title is %q, %v", title, err)
	}
	for _, c := range complaints() {
		t.Errorf("on the console: %s", c)
	}
	if st := s.page.Stats(); st.Viewers != 1 || st.SourcePanics != 0 || st.Collections < 8 {
		t.Errorf("%+v", st)
	}
}

// rows is how high the page is down to the end of the n-th row of plots.
func rows(t *testing.T, ctx context.Context, n int) int {
	t.Helper()
	y, err := chromedp.Run(ctx, chromedp.Evaluate[float64](fmt.Sprintf(
		`document.querySelectorAll('.plot-card')[%d].getBoundingClientRect().bottom`, 3*n-1)))
	if err != nil {
		t.Fatal(err)
	}
	return int(y)
}

// A handler in front that asks for a password guards the stream, too, and the
// page gets it: the browser repeats what it was told.
func TestABrowserShowsItsPasswordAlsoForTheStream(t *testing.T) {
	leaktest.Check(t)
	ctx, complaints := browser(t)
	page := live.Page(must(bulkhead.New()))
	var streams atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "operator" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="live"`)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/ws") {
			streams.Add(1)
		}
		page.ServeHTTP(w, r)
	}))
	defer server.Close()
	defer page.Close()
	// The browser remembers what the first address says, as if it were typed in.
	typed := strings.Replace(server.URL, "http://", "http://operator:secret@", 1)
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(soon, chromedp.Navigate(typed+"/favicon.ico"), chromedp.Navigate(server.URL+"/"),
		chromedp.WaitVisible(chromedp.CSS(".plot-card .gtitle"))); err != nil {
		t.Fatal(err)
	}
	if streams.Load() != 1 || page.Stats().Viewers != 1 {
		t.Errorf("%d streams, %+v", streams.Load(), page.Stats())
	}
	for _, c := range complaints() {
		t.Errorf("on the console: %s", c)
	}
}

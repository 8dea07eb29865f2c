package live

import (
	"net/http"
	"strings"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/option"
)

// Display is the page: an [http.Handler] to mount below any path that ends in a
// slash. It is safe for concurrent use.
type Display struct {
	set  settings
	page page
	hub  *hub
}

// Page is New for sources and no option. It panics where New returns an error:
// where there is no source, or one is nil.
func Page(sources ...handrail.Source) *Display {
	d, err := New(WithSource(sources...))
	if err != nil {
		panic(err)
	}
	return d
}

// New returns a Display, or all the faults of its options, joined, each an
// [*handrail.OptionError]. Nothing runs until somebody looks.
func New(opts ...Option) (*Display, error) {
	d := &Display{set: defaults()}
	option.Apply(&d.set.Faults, &d.set, opts)
	d.set.check()
	if err := d.set.Err(); err != nil {
		return nil, err
	}
	if d.set.runtime {
		d.set.sources = append(d.set.sources, goRuntime{})
	}
	d.page = newPage(d.set.title, d.set.runtime)
	d.hub = newHub(d.set.sources, d.set.interval, d.set.maxViewers)
	return d, nil
}

// ServeHTTP implements [http.Handler]. It looks at the end of the path only, so
// it does not matter whether a prefix was stripped: the page is what ends in a
// slash, and its files and stream are beside it. Other methods than GET and HEAD
// get 405.
func (d *Display) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if d.set.authorize != nil && !d.set.authorize(r) {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	folder, file := "", r.URL.Path
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		folder, file = file[:i], file[i+1:]
	}
	switch {
	case file == "ws":
		d.view(w, r)
	case file == "" && r.URL.Path != "":
		d.page.serveIndex(w, r)
	case strings.HasSuffix("/"+folder, "/assets"):
		d.page.serveFile(w, r, "/assets/"+file)
	case file == "favicon.ico":
		d.page.serveFile(w, r, "/"+file)
	default:
		http.NotFound(w, r)
	}
}

// Close disconnects all who look, waits until nothing runs any more, and has
// later ones refused with 503; pages still open try to come back every few
// seconds. It waits up to 10 s for a browser that does not take what it is sent,
// and for a source until it returns from Collect. It returns nil, also when it
// is called again.
//
// [http.Server.Shutdown] does not close these connections: give Close to
// [http.Server.RegisterOnShutdown], or call it.
func (d *Display) Close() error {
	d.hub.close()
	return nil
}

// Stats are a Display's figures at one moment. Counts are since it was made.
type Stats struct {
	// Viewers are connected now.
	Viewers int
	// Refused counts viewers that were too many or came after Close.
	Refused uint64
	// Collections is how often the sources were asked, SourcePanics how often
	// one of them panicked, whose figures are missing then.
	Collections, SourcePanics uint64
	// SkippedPoints were not sent to viewers that were too slow to take them.
	SkippedPoints uint64
}

// Stats returns the figures.
func (d *Display) Stats() Stats { return d.hub.stats() }

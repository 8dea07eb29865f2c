package live

import (
	"bytes"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/arl/statsviz"
)

// page is what the browser loads. It is that of statsviz, with a title of ours,
// the filters named after what they filter here, and without the controls that
// have no use here.
type page struct {
	index  []byte
	assets http.Handler
}

func newPage(title string, runtime bool) page {
	// Of a Server that was never started only the files are used: started, it
	// would collect for as long as the process lives.
	p := page{assets: new(statsviz.Server).Index()}
	var index memory
	p.assets.ServeHTTP(&index, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}})

	title = html.EscapeString(title)
	hidden := `label[for="btn-gc-events"],a[title="runtime/metrics doc"]`
	if !runtime {
		hidden += `,label[for="tag-misc"]`
	}
	p.index = []byte(strings.NewReplacer(
		"<title>Statsviz</title>", "<title>"+title+"</title>",
		`h1">Statsviz</span>`, `h1">`+title+"</span>",
		">CPU</label", ">Requests</label",
		">GC</label", ">Policies</label",
		">Scheduler</label", ">Load</label",
		">Misc</label", ">Go runtime</label",
		"</head>", "<style>"+hidden+"{display:none}#navCategories .btn{white-space:nowrap}"+
			"text{font-family:system-ui,sans-serif!important}</style></head>",
	).Replace(index.String()))
	return p
}

// policy lets the page load nothing from elsewhere and be framed by nobody. The
// drawing library sets styles of its own.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; connect-src 'self'; font-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (p *page) serveIndex(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p.index)))
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodHead {
		w.Write(p.index)
	}
}

// serveFile serves a file of the library by its path within it.
func (p *page) serveFile(w http.ResponseWriter, r *http.Request, path string) {
	file := *r
	file.URL = &url.URL{Path: path}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "private, no-cache")
	p.assets.ServeHTTP(w, &file)
}

// memory is a response that is kept.
type memory struct {
	bytes.Buffer
	header http.Header
}

func (m *memory) Header() http.Header {
	if m.header == nil {
		m.header = http.Header{}
	}
	return m.header
}

func (m *memory) WriteHeader(int) {}

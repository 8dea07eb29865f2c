package health

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProbesAnswerAsTheKubernetesAPIServerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t, steady, WithDefaults(FailAfter(1)), WithCheck("ping", passing, In(Live|Ready)), WithCheck("bad", failing),
			WithCheck("hooks/start", passing), WithCheck("soft", failing, Degrading()))
		wrapped := h.Wrap(http.NotFoundHandler())
		synctest.Wait()
		const list = "[+]ping ok\n[-]bad failed: reason withheld\n[+]hooks/start ok\n[!]soft degraded: reason withheld\n[+]shutdown ok\n"
		const without = "[+]ping ok\n[+]bad excluded: ok\n[+]hooks/start ok\n[!]soft degraded: reason withheld\n[+]shutdown ok\n"
		for _, c := range []struct {
			path string
			code int
			body string
		}{
			{"/livez", 200, "ok"},
			{"/livez?verbose", 200, "[+]ping ok\nlivez check passed\n"},
			{"/livez/ping", 200, "ok"},
			{"/livez/ping?verbose", 200, "[+]ping ok\n"},
			{"/livez/bad", 404, "there is no such check\n"},
			{"/readyz", 503, list + "readyz check failed\n"},
			{"/readyz?verbose", 503, list + "readyz check failed\n"},
			{"/readyz?exclude=bad", 200, "ok"},
			{"/readyz?verbose&exclude=bad", 200, without + "readyz check passed\n"},
			{"/readyz?verbose=false&exclude=bad&exclude=bad", 200, without + "readyz check passed\n"},
			{"/readyz?exclude=bad&exclude=none", 200, "ok"},
			{"/readyz?verbose&exclude=bad&exclude=none&exclude=%0aany", 200, without + "warn: some health checks cannot be excluded: no matches for \"\\nany\",\"none\"\nreadyz check passed\n"},
			{"/readyz?exclude=ping", 503, strings.Replace(list, "ping ok", "ping excluded: ok", 1) + "readyz check failed\n"},
			{"/readyz?exclude=bad%zz&exclude=ba%64", 200, "ok"},
			{"/readyz/bad", 503, "[-]bad failed: reason withheld\n"},
			{"/readyz/hooks/start", 200, "ok"},
			{"/readyz/soft", 200, "[!]soft degraded: reason withheld\n"},
			{"/readyz/shutdown", 200, "ok"},
			{"/readyz/none", 404, "there is no such check\n"},
			{"/healthz?exclude=bad", 200, "ok"},
			{"/startupz", 200, "ok"},
			{"/readyz?" + strings.Repeat("x", 4097), 414, "the query is too long\n"},
			{"/readyz/", 404, "404 page not found\n"},
			{"/readyzz", 404, "404 page not found\n"},
			{"/READYZ", 404, "404 page not found\n"},
			{"/", 404, "404 page not found\n"},
		} {
			says(t, wrapped, c.path, c.code, c.body)
			if strings.Count(c.path, "/") == 1 && c.code != 404 {
				w := httptest.NewRecorder()
				wrapped.ServeHTTP(w, httptest.NewRequest("HEAD", c.path, nil))
				if w.Code != c.code || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(c.body)) {
					t.Errorf("HEAD %s: %d %q %v", c.path, w.Code, w.Body, w.Header())
				}
			}
		}
	})
}

func TestEveryAnswerIsNotToBeStoredAndOnlyGetAndHeadAreAllowed(t *testing.T) {
	h := made(t, WithCheck("bad", failing, Initially(Fail)))
	for _, path := range []string{"/livez", "/readyz", "/readyz/bad", "/readyz/none", "/readyz?exclude=bad", "/healthz?verbose"} {
		for _, accept := range []string{"", "application/health+json"} {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "DELETE", "get"} {
				r := httptest.NewRequest("GET", path, nil)
				r.Method = method
				r.Header.Set("Accept", accept)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				header := w.Header()
				if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s %s: %v", method, path, header)
				}
				allowed := method == "GET" || method == "HEAD"
				if (w.Code == 405) == allowed || header.Get("Allow") != map[bool]string{true: "", false: "GET, HEAD"}[allowed] {
					t.Errorf("%s %s: %d %v", method, path, w.Code, header)
				}
			}
		}
	}
}

func TestJSONHasTheFieldsOfTheDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := []Option{steady, WithDefaults(FailAfter(1)),
			WithAbout(About{Version: "1", ReleaseID: "1.2.2", ServiceID: "f03e", Description: "of a test", Notes: []string{"hello"}, Links: map[string]string{"about": "http://api.test/about"}}),
			WithCheck("db", func(ctx context.Context) error {
				time.Sleep(1500 * time.Microsecond)
				Observe(ctx, "connections", 75, "")
				Observe(ctx, "utilization", 30, "percent")
				Observe(ctx, "utilization", 37.5, "percent")
				Observe(ctx, "a:b", 1, "")
				return errDown
			}, Component("datastore", "dfd6"), Affects("/users/{id}"), Links(map[string]string{"self": "http://db.test/"})),
			WithCheck("cache", func(context.Context) error { return Warning(errDown) }),
			WithCheck("good", passing, Affects("/never"), Component("http://schema.org/Thing", "")),
		}
		h, public := made(t, append(opts, everybody)...), made(t, opts...)
		time.Sleep(time.Second)
		tree := func(h http.Handler, path string, want int) map[string]any {
			t.Helper()
			w := get(h, path, "Accept", "application/health+json")
			var v map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != want || w.Header().Get("Content-Type") != "application/health+json" {
				t.Fatalf("%d %v %v: %s", w.Code, w.Header(), err, w.Body)
			}
			return v
		}
		of := func(fields ...any) []any {
			m := map[string]any{}
			for i := 0; i < len(fields); i += 2 {
				m[fields[i].(string)] = fields[i+1]
			}
			return []any{m}
		}
		const began, done = "2000-01-01T00:00:00Z", "2000-01-01T00:00:00.0015Z"
		db := func(value float64, more ...any) []any {
			return of(append(more, "componentId", "dfd6", "componentType", "datastore", "observedValue", value, "status", "fail",
				"affectedEndpoints", []any{"/users/{id}"}, "time", done, "output", "connection refused", "links", map[string]any{"self": "http://db.test/"})...)
		}
		want := map[string]any{
			"status": "fail", "version": "1", "releaseId": "1.2.2", "serviceId": "f03e", "description": "of a test", "notes": []any{"hello"},
			"links": map[string]any{"about": "http://api.test/about"}, "output": "failed: db; degraded: cache",
			"checks": map[string]any{
				"db:responseTime":    db(1.5, "observedUnit", "ms"),
				"db:connections":     db(75),
				"db:utilization":     db(37.5, "observedUnit", "percent"),
				"cache:responseTime": of("componentType", "component", "status", "warn", "time", began, "output", "connection refused", "observedValue", 0.0, "observedUnit", "ms"),
				"good:responseTime":  of("componentType", "http://schema.org/Thing", "status", "pass", "time", began, "observedValue", 0.0, "observedUnit", "ms"),
				"shutdown":           of("componentType", "system", "status", "pass"),
			},
		}
		if got := tree(h, "/readyz", 503); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		// Who is not known sees names and statuses.
		want = map[string]any{
			"status": "fail", "output": "failed: db; degraded: cache",
			"checks": map[string]any{
				"db":       of("componentType", "datastore", "status", "fail", "time", done),
				"cache":    of("componentType", "component", "status", "warn", "time", began),
				"good":     of("componentType", "http://schema.org/Thing", "status", "pass", "time", began),
				"shutdown": of("componentType", "system", "status", "pass"),
			},
		}
		if got := tree(public, "/readyz", 503); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := tree(public, "/readyz?exclude=db&exclude=none", 200); got["status"] != "warn" || got["output"] != "degraded: cache" ||
			!reflect.DeepEqual(got["notes"], []any{`some health checks cannot be excluded: no matches for "none"`}) {
			t.Errorf("got %v", got)
		}
		if got := tree(public, "/livez", 200); !reflect.DeepEqual(got, map[string]any{"status": "pass"}) {
			t.Errorf("got %v", got)
		}
		if got := tree(public, "/readyz/good", 200); got["status"] != "pass" || len(got["checks"].(map[string]any)) != 1 {
			t.Errorf("got %v", got)
		}
		if got := tree(public, "/readyz/cache", 200); got["status"] != "warn" || got["output"] != "degraded: cache" {
			t.Errorf("got %v", got)
		}
	})
}

func TestTheFormatIsTheOneThatAcceptPrefers(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                 "text/plain; charset=utf-8",
		"*/*":                              "text/plain; charset=utf-8",
		"text/html":                        "text/plain; charset=utf-8",
		"application/*":                    "text/plain; charset=utf-8",
		"application/health+json":          "application/health+json",
		"APPLICATION/Health+JSON;v=1;q=.5": "application/health+json",
		"text/plain, application/health+json;q=0.9":       "text/plain; charset=utf-8",
		"text/plain;q=0.5, application/health+json;q=0.9": "application/health+json",
		"application/json":                                          "application/json",
		"application/json;q=0.5, */*":                               "text/plain; charset=utf-8",
		"*/*, application/json;q=0.5, text/*;q=0.2":                 "application/json",
		"text/plain;q=0.1, text/*, */*, application/json;q=.5":      "application/json",
		"application/json, text/plain, */*":                         "application/json",
		"application/json, application/health+json;q=0.1":           "application/json",
		"application/health+json;q=0":                               "text/plain; charset=utf-8",
		"application/health+json;q=2":                               "text/plain; charset=utf-8",
		"application/health+json;q=NaN":                             "text/plain; charset=utf-8",
		strings.Repeat("x/y,", 300) + "application/health+json":     "text/plain; charset=utf-8",
		",;,=;q,application/health+json ; q = 1 ,*/*":               "application/health+json",
		"text/*;q=0.2, application/json;q=0.2, text/html;level=1;q": "application/json",
	} {
		if got := get(made(t), "/readyz", "Accept", accept).Header().Get("Content-Type"); got != want {
			t.Errorf("Accept: %.80s: %s, want %s", accept, got, want)
		}
	}
}

func TestAnswersThatAreKeptAreKeptApart(t *testing.T) {
	h := made(t, WithCheck("db", passing, Initially(Pass), Every(time.Hour)), WithAuthorize(func(r *http.Request) bool { return r.Header.Get("Authorization") != "" }))
	for h.Stats().Checks[0].Passes == 0 {
		time.Sleep(time.Millisecond) // the last snapshot for an hour
	}
	for range 2 {
		for _, who := range []string{"", "x"} {
			for accept, part := range map[string]string{"text/plain": "[+]db ok", "application/health+json": `"status":"pass"`, "application/json": `"status":"pass"`} {
				w := get(h, "/readyz?verbose", "Accept", accept, "Authorization", who)
				kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
				if kind != accept || !strings.Contains(w.Body.String(), part) || strings.Contains(w.Body.String(), "responseTime") != (who != "" && accept != "text/plain") {
					t.Errorf("%s for %q: %s %s", accept, who, kind, w.Body)
				}
			}
		}
	}
}

func TestDetailsAreForThoseWhoAreAuthorized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		h := made(t, steady, WithDefaults(FailAfter(1)), WithCheck("db", script("pf")), WithAuthorize(func(r *http.Request) bool {
			asked++
			if r.Header.Get("Authorization") == "panic" {
				panic("on purpose")
			}
			return r.Header.Get("Authorization") == "let me in"
		}))
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok", "Accept", "*/*")
		if asked != 0 {
			t.Error("asked where there is nothing to see")
		}
		time.Sleep(11 * time.Second)
		for range 2 { // answers are kept apart
			has(t, h, "/readyz", 503, "[-]db failed: reason withheld\n")
			has(t, h, "/readyz", 503, "[-]db failed: connection refused\n", "Authorization", "let me in")
			has(t, h, "/readyz", 503, "[-]db failed: reason withheld\n", "Authorization", "panic")
			has(t, h, "/readyz/db", 503, "[-]db failed: reason withheld\n")
			has(t, h, "/readyz/db", 503, "[-]db failed: connection refused\n", "Authorization", "let me in")
			for _, path := range []string{"/readyz", "/readyz/db", "/readyz?exclude=x", "/healthz"} {
				if body := get(h, path, "Accept", "application/health+json").Body.String(); strings.Contains(body, "refused") {
					t.Errorf("%s told everybody: %s", path, body)
				}
				has(t, h, path, 503, "refused", "Accept", "application/json", "Authorization", "let me in")
			}
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := []Option{steady, everybody, WithDefaults(FailAfter(1))}
		for i := range maxChecks {
			opts = append(opts, WithCheck(fmt.Sprintf("%064d", i), func(context.Context) error { return fmt.Errorf("%05000d", i) }))
		}
		h := made(t, opts...)
		synctest.Wait()
		if n := get(h, "/readyz?verbose").Body.Len(); n > maxChecks*(maxText+100) {
			t.Errorf("%d bytes of text", n)
		}
		if n := get(h, "/readyz", "Accept", "application/health+json").Body.Len(); n > maxChecks*(maxText+400) {
			t.Errorf("%d bytes of JSON", n)
		}
		q := "/readyz?" + strings.Repeat("exclude=%00&", 330) + "exclude=" + strings.Repeat("%01", 30)
		if n := get(h, q).Body.Len(); n > maxChecks*(maxText+100)+maxQuery*4 {
			t.Errorf("%d bytes with a long query", n)
		}
	})
}

func TestPathsAreThoseOfTheOption(t *testing.T) {
	h := made(t, WithPaths(Paths{Health: "/health", Ready: "/health/ready"}), WithCheck("db", failing, Initially(Fail)), WithCheck("ready/x", passing, In(Live)))
	w := h.Wrap(http.NotFoundHandler())
	has(t, w, "/health", 503, "healthz check failed")
	has(t, w, "/health/ready", 503, "readyz check failed")
	has(t, w, "/health/ready/db", 503, "[-]db")
	has(t, w, "/health/db", 503, "[-]db")
	says(t, w, "/livez", 404, "404 page not found\n")
	mux := http.NewServeMux()
	mux.Handle("/status", h)
	mux.Handle("GET /alive", h.Handler(Live))
	has(t, mux, "/status", 503, "healthz check failed")
	says(t, mux, "/alive", 200, "ok")
	basic := made(t, Basic()).Wrap(http.NotFoundHandler())
	says(t, basic, "/healthz", 200, "ok")
	says(t, basic, "/readyz", 404, "404 page not found\n")
	func() {
		defer func() {
			if got := fmt.Sprint(recover()); got != "health: Handler: live+ready is not Live, Ready, Startup or All" {
				t.Errorf("panicked with %q", got)
			}
		}()
		h.Handler(Live | Ready)
	}()
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{"", "verbose", "exclude=a&exclude=b", "verbose=1&exclude=%61", "a;b&exclude=%zz", "&&=&exclude", "exclude=a=b&verbose+=1"} {
		f.Add(q)
	}
	h := made(f, WithCheck("a", passing, Initially(Pass)))
	f.Fuzz(func(t *testing.T, query string) {
		got := ask(query)
		r := &http.Request{Method: "GET", URL: httptest.NewRequest("GET", "/readyz", nil).URL}
		r.URL.RawQuery = query
		values := r.URL.Query()
		want := slices.Compact(slices.Sorted(slices.Values(values["exclude"])))
		if got.verbose != values.Has("verbose") || !slices.Equal(got.exclude, want) {
			t.Fatalf("%q: %+v, want %v", query, got, values)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if len(query) <= maxQuery && w.Code != 200 || w.Body.Len() > 8*maxQuery+200 {
			t.Fatalf("%q: %d, %d bytes", query, w.Code, w.Body.Len())
		}
		for _, c := range w.Body.Bytes() {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Fatalf("%q: %q", query, w.Body)
			}
		}
	})
}

func FuzzPathAndAccept(f *testing.F) {
	f.Add("/readyz/a", "application/health+json;q=0.5, */*")
	f.Add("/healthz//", "text/plain;q=")
	f.Add("/readyz/a/b", ";;,,==")
	h := made(f, WithCheck("a", passing, Initially(Pass)), WithCheck("a/b", failing, Initially(Fail)))
	w := h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(299) }))
	f.Fuzz(func(t *testing.T, path, accept string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		r.Header.Set("Accept", accept)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		ours := slices.ContainsFunc([]string{"/healthz", "/livez", "/readyz", "/startupz"}, func(p string) bool {
			return path == p || strings.HasPrefix(path, p+"/") && path != p+"/"
		})
		if ours == (rec.Code == 299) {
			t.Fatalf("%q: %d", path, rec.Code)
		}
		if ours && rec.Code != 200 && rec.Code != 503 && rec.Code != 404 {
			t.Fatalf("%q: %d", path, rec.Code)
		}
		if strings.Contains(rec.Header().Get("Content-Type"), "json") && !json.Valid(rec.Body.Bytes()) {
			t.Fatalf("%q %q: %s", path, accept, rec.Body)
		}
	})
}

func TestAProbeIsWhatWrapAnswers(t *testing.T) {
	for name, opts := range map[string][]Option{
		"usual": nil, "basic": {Basic()},
		"others": {WithPaths(Paths{Health: "/status", Live: "/status/live", Ready: "/r"})},
	} {
		t.Run(name, func(t *testing.T) {
			h := made(t, append(opts, WithCheck("db", func(context.Context) error { return nil }))...)
			passed := false
			front := h.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }))
			probes := 0
			for _, path := range []string{
				"/healthz", "/livez", "/readyz", "/startupz", "/readyz/db", "/readyz/none", "/readyz/", "/readyzz", "/", "", "*",
				"/status", "/status/db", "/status/live", "/status/live/db", "/status/", "/r", "/r/db", "/orders", "/x/healthz", "/HEALTHZ",
			} {
				for _, method := range []string{"GET", "POST"} {
					r := httptest.NewRequest(method, "/", nil)
					r.URL.Path = path
					passed = false
					front.ServeHTTP(httptest.NewRecorder(), r)
					if got := h.IsProbe(r); got == passed {
						t.Errorf("%s %q: a probe %t, passed on %t", method, path, got, passed)
					} else if got {
						probes++
					}
				}
			}
			if probes == 0 {
				t.Error("nothing was a probe")
			}
			r := httptest.NewRequest("GET", "/readyz/db", nil)
			if n := testing.AllocsPerRun(100, func() { h.IsProbe(r) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestEveryRowServesOrRefusesAsItsKindSays(t *testing.T) {
	for _, k := range kinds {
		for _, r := range k.rows() {
			reached := 0
			h := r.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached++
				w.WriteHeader(http.StatusNoContent)
			}))
			const requests = 3
			for range requests {
				c := connect(k.path)
				_, req, end := c.request()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				end()
				c.close()
				switch {
				case k.path != "" && w.Code == http.StatusOK:
				case k.answers && w.Code != http.StatusTooManyRequests && w.Code != http.StatusServiceUnavailable:
					t.Errorf("%s: %s refuses with %d", k.name, r.name, w.Code)
				case !k.answers && w.Code != http.StatusNoContent:
					t.Errorf("%s: %s answers %d", k.name, r.name, w.Code)
				}
			}
			want := requests
			if k.answers {
				want = 0
			}
			if reached != want {
				t.Errorf("%s: %s let %d of %d requests in, want %d", k.name, r.name, reached, requests, want)
			}
		}
	}
}

func TestEveryKindIsComplete(t *testing.T) {
	names := map[string]bool{}
	for _, k := range kinds {
		rows := k.rows()
		if names[k.name] || k.title == "" || k.about == "" || rows[0].name != ours {
			t.Errorf("kind %q is there twice, or without a title, what it is about, or ours first", k.name)
		}
		names[k.name] = true
		known := map[string]bool{"": true}
		for _, r := range rows {
			if known[r.name] {
				t.Errorf("%s: two rows %q", k.name, r.name)
			}
			known[r.name] = true
			if !isOurs(r.name) && r.without == "" {
				t.Errorf("%s: %s doesn't say what it leaves out", k.name, r.name)
			}
		}
		for _, b := range k.budgets {
			if !known[b.subject()] || !known[b.of] {
				t.Errorf("%s: a budget of %q and %q, which are no rows", k.name, b.subject(), b.of)
			}
		}
	}
}

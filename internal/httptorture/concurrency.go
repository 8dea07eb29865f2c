package httptorture

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

var concurrencyCases = []testCase{
	{"concurrent-requests", both, false, concurrentRequests},
	{"nothing-is-left-behind", both, true, nothingIsLeftBehind},
}

// parallel is how many requests the suite runs at once at most.
const parallel = 64

// concurrentRequests first has all requests in the handler at the same time,
// and then lets each go on alone, looking for what belongs to another.
func concurrentRequests(e *env) {
	const each = 4
	var inside atomic.Int32
	full := make(chan struct{})
	open := sync.OnceFunc(func() { close(full) })
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("turn") == "0" {
			if inside.Add(1) == parallel {
				open()
			}
			if !e.await(full) {
				open()
				http.Error(w, "not all requests are served at the same time", http.StatusInternalServerError)
				return
			}
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Echo", r.URL.RawQuery)
		w.WriteHeader(http.StatusAccepted)
		w.Write(body)
	})
	var wg sync.WaitGroup
	var once sync.Once
	fail := func(format string, args ...any) { once.Do(func() { e.Errorf(format, args...) }) }
	for i := range parallel {
		wg.Go(func() {
			for turn := range each {
				query := fmt.Sprintf("client=%d&turn=%d", i, turn)
				body := bytes.Repeat([]byte(query+";"), 200)
				re, err := s.fetch(s.request("POST", "/?"+query, bytes.NewReader(body)))
				if err != nil {
					fail("request %s: %v", query, err)
					return
				}
				if re.StatusCode != http.StatusAccepted || re.Header.Get("X-Echo") != query || !bytes.Equal(re.body, body) {
					fail("request %s is answered with %d, %q, %.100q", query, re.StatusCode, re.Header.Get("X-Echo"), re.body)
					return
				}
			}
		})
	}
	wg.Wait()
}

// nothingIsLeftBehind ends requests in every way there is. What it looks for
// is looked for after each case: goroutines that are still there when the
// server is gone.
func nothingIsLeftBehind(e *env) {
	waiting := make(chan struct{})
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/leave":
			select {
			case waiting <- struct{}{}:
				e.await(r.Context().Done())
			case <-e.over.Done():
			}
		case "/panic":
			panic(http.ErrAbortHandler)
		case "/flush":
			http.NewResponseController(w).Flush()
		}
	})
	for range 3 {
		s.get("/")
		s.get("/flush")
		s.fetch(s.request("GET", "/panic", nil))
		leave := s.leaving("/leave")
		e.must(waiting, "the handler starts")
		leave()
		e.must(s.served, "the handler returns")
	}
}

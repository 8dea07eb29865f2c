package timeout_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

// about waits until about d after the start, a bit before or after, or for the
// context, so that what follows meets the deadline.
func about(ctx context.Context, start time.Time, d time.Duration) {
	if rand.IntN(4) == 0 {
		<-ctx.Done()
		return
	}
	time.Sleep(time.Until(start.Add(d + time.Duration(rand.IntN(600)-400)*time.Microsecond)))
}

// racers are handlers that do something at their deadline. Each writes nothing
// but the id of its request.
var racers = map[string]func(w http.ResponseWriter, id string, meet func()){
	"returns": func(w http.ResponseWriter, id string, meet func()) {
		meet()
	},
	"writes": func(w http.ResponseWriter, id string, meet func()) {
		meet()
		w.Header().Set("X-Handler", id)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, strings.Repeat(id, 20))
	},
	"wrote": func(w http.ResponseWriter, id string, meet func()) {
		w.Header().Set("X-Handler", id)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, strings.Repeat(id, 20))
		meet()
	},
	"writes-in-parts": func(w http.ResponseWriter, id string, meet func()) {
		w.Header().Set("X-Handler", id)
		w.WriteHeader(http.StatusCreated)
		for i := range 20 {
			if i == 10 {
				meet()
			}
			io.WriteString(w, id)
		}
	},
	"flushes": func(w http.ResponseWriter, id string, meet func()) {
		w.Header().Set("X-Handler", id)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, strings.Repeat(id, 10))
		meet()
		w.(http.Flusher).Flush()
		io.WriteString(w, strings.Repeat(id, 10))
	},
	"writes-much": func(w http.ResponseWriter, id string, meet func()) {
		w.Header().Set("X-Handler", id)
		w.WriteHeader(http.StatusCreated)
		for range 10 {
			io.WriteString(w, id)
		}
		meet()
		io.WriteString(w, strings.Repeat(id, 10_000))
	},
	"panics": func(w http.ResponseWriter, id string, meet func()) {
		io.WriteString(w, id)
		meet()
		panic(http.ErrAbortHandler)
	},
	"changes-headers": func(w http.ResponseWriter, id string, meet func()) {
		done := make(chan struct{})
		go func() {
			meet()
			close(done)
		}()
		for i := 0; ; i++ {
			select {
			case <-done:
				w.Header().Set("X-Handler", id)
				w.WriteHeader(http.StatusCreated)
				io.WriteString(w, strings.Repeat(id, 20))
				return
			default:
				w.Header().Set(fmt.Sprintf("X-Handler-%d", i%10), "changing")
				w.Header().Del(fmt.Sprintf("X-Handler-%d", i%10))
				time.Sleep(10 * time.Microsecond)
			}
		}
	},
}

// sizes are the complete bodies in ids, for those that have one.
var sizes = map[string]int{"writes": 20, "wrote": 20, "writes-in-parts": 20, "flushes": 20, "writes-much": 10_010, "changes-headers": 20}

// verdict is what became of one race: "done", "late", "cut", or what is wrong.
func verdict(re *reply, racer, id string) (string, error) {
	switch size, has := sizes[racer]; {
	case re.Response == nil && racer != "flushes" && racer != "writes-much" && racer != "panics":
		return "", re.err
	case re.Response == nil:
		return "cut", nil
	case re.cut == nil && re.StatusCode == http.StatusServiceUnavailable:
		if f := faults(re, 503, "deadline", ""); len(f) > 0 {
			return "", fmt.Errorf("%q", f)
		}
		return "late", nil
	case re.cut != nil && (racer == "flushes" || racer == "writes-much"):
		if re.StatusCode != http.StatusCreated || re.Header.Get("X-Handler") != id || !strings.HasPrefix(strings.Repeat(id, size), re.body) {
			return "", fmt.Errorf("a response that was cut is not the handler's: %v, header %v", re, re.Header)
		}
		return "cut", nil
	case re.cut != nil:
		return "", fmt.Errorf("cut: %v", re)
	case racer == "returns" && re.StatusCode == http.StatusOK && re.body == "":
		return "done", nil
	case has && re.StatusCode == http.StatusCreated && re.Header.Get("X-Handler") == id && re.body == strings.Repeat(id, size):
		return "done", nil
	}
	return "", fmt.Errorf("%v, header %v", re, re.Header)
}

// What a handler does at its deadline either comes first or not at all, on a
// connection that goes on being used.
func TestAHandlerAndItsDeadlineMeet(t *testing.T) {
	leaktest.Check(t)
	const d = 3 * time.Millisecond
	for _, l := range lanes {
		t.Run(l.name, func(t *testing.T) {
			rounds, crowd := race.Either(400, 25), 16
			var events atomic.Uint64
			to := made(t, timeout.Basic(d), timeout.OnTimeout(func(e timeout.Event) {
				events.Add(1)
				if e.Reason != timeout.ReasonDeadline || e.Method != "GET" {
					t.Errorf("event %+v", e)
				}
			}))
			// The mux within writes the pattern into the request.
			mux := http.NewServeMux()
			for name, racer := range racers {
				mux.HandleFunc("GET /"+name+"/{id}", func(w http.ResponseWriter, r *http.Request) {
					start := time.Now()
					racer(w, r.PathValue("id"), func() { about(r.Context(), start, d) })
				})
			}
			var outcomes sync.Map
			var arrived atomic.Uint64 // a client repeats what got no answer at all
			s := serve(t, l, to, func(next http.Handler) http.Handler {
				return observing(&outcomes, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					arrived.Add(1)
					next.ServeHTTP(w, r)
				}))
			}, mux)
			defer s.close()
			var names []string
			for name := range racers {
				names = append(names, name)
			}
			var all sync.WaitGroup
			var done, late, cut atomic.Uint64
			for c := range crowd {
				all.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(c), 1))
					for i := range rounds {
						name, id := names[rng.IntN(len(names))], fmt.Sprintf("<%d.%d>", c, i)
						re := s.get("/" + name + "/" + id)
						v, err := verdict(re, name, id)
						want := httpwrap.None
						switch v {
						case "done":
							done.Add(1)
						case "late":
							late.Add(1)
							want = httpwrap.Timeout
						case "cut":
							cut.Add(1)
							want = httpwrap.Timeout
						default:
							t.Errorf("%s %s: %v", name, id, err)
							continue
						}
						if name == "panics" {
							continue // has an outcome of its own where it comes first
						}
						if got, ok := outcomes.Load(id); l.shared && (!ok || got != want) {
							// A client may have all of a response, or nothing of
							// it, before the handler has returned.
							if !eventually(func() bool { got, ok = outcomes.Load(id); return ok && got == want }) {
								t.Errorf("%s %s: the client finds it %s, and the outcome is %v", name, id, v, got)
							}
						}
					}
				})
			}
			all.Wait()
			if !eventually(func() bool { return to.Stats().Overdue == 0 && events.Load() == to.Stats().Timeouts }) {
				t.Errorf("%d events, %+v", events.Load(), to.Stats())
			}
			st := to.Stats()
			t.Logf("%d done, %d late, %d cut; Stats has %d timeouts, %d aborted, %d canceled", done.Load(), late.Load(), cut.Load(), st.Timeouts, st.Aborted, st.Canceled)
			if st.Requests != arrived.Load() || st.Timeouts-st.Aborted != late.Load() || st.Canceled != 0 {
				t.Errorf("%d done, %d late, %d cut; Stats has %+v", done.Load(), late.Load(), cut.Load(), st)
			}
		})
	}
}

// observing stores the outcome of each request under the end of its path, where
// somebody further out looks at it.
func observing(outcomes *sync.Map, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if rec := httpwrap.Find(w); rec != nil {
				outcomes.Store(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], rec.Outcome())
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// Thousands of draws in a bubble, where handler and deadline are there at the
// very same instant: a recorder may be touched by nobody when ServeHTTP has
// returned.
func TestThousandsOfDrawsAreDecided(t *testing.T) {
	t.Parallel()
	const d = time.Second
	for name, racer := range racers {
		if name == "changes-headers" {
			continue // does not wait for an instant
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := made(t, timeout.Basic(d))
				h := to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					racer(w, r.URL.Query().Get("id"), func() { time.Sleep(d) })
				}))
				rounds, crowd := race.Either(60, 8), 50
				var done, late, cut atomic.Uint64
				for round := range rounds {
					var all sync.WaitGroup
					for c := range crowd {
						all.Go(func() {
							id := fmt.Sprintf("<%d.%d>", c, round)
							w := httptest.NewRecorder()
							r := httptest.NewRequest("GET", "/?id="+id, nil)
							aborted := func() (aborted bool) {
								defer func() { aborted = recover() != nil }()
								h.ServeHTTP(w, r)
								return
							}()
							re := new(reply)
							re.take(w.Result())
							if aborted {
								re.cut = http.ErrAbortHandler
								if !w.Flushed && len(re.body) == 0 {
									re.Response = nil
								}
							}
							v, err := verdict(re, name, id)
							switch v {
							case "done":
								done.Add(1)
							case "late":
								late.Add(1)
							case "cut":
								cut.Add(1)
							default:
								t.Errorf("%s: %v", id, err)
							}
						})
					}
					all.Wait()
				}
				synctest.Wait()
				if st := to.Stats(); st.Timeouts-st.Aborted != late.Load() || st.Overdue != 0 {
					t.Errorf("%d done, %d late, %d cut; Stats has %+v", done.Load(), late.Load(), cut.Load(), st)
				}
			})
		})
	}
}

// Handlers that were cut off go on writing as if nothing had happened, while
// writers and buffers are reused by others: nobody gets a byte that is not its
// own.
func TestNobodyGetsWhatAHandlerWritesThatWasCutOff(t *testing.T) {
	leaktest.Check(t)
	for _, l := range lanes {
		t.Run(l.name, func(t *testing.T) {
			rounds := race.Either(150, 8)
			to := made(t, timeout.Basic(5*time.Millisecond))
			over := make(chan struct{})
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id := r.URL.Query().Get("id")
				// Another layer of this module within reuses its writers too.
				rw, rec, owner := httpwrap.Wrap(w)
				if owner {
					defer rec.Release()
				}
				if r.URL.Path == "/hang" {
					<-r.Context().Done()
					for range race.Either(200, 40) {
						rw.Header().Set("X-Handler", "of another")
						rw.WriteHeader(http.StatusTeapot)
						io.WriteString(rw, id)
						rw.(http.Flusher).Flush()
						http.NewResponseController(rw).SetWriteDeadline(longAgo)
						http.NewResponseController(rw).SetReadDeadline(longAgo)
						io.ReadAll(r.Body)
						select {
						case <-over:
							return
						case <-time.After(100 * time.Microsecond):
						}
					}
					return
				}
				body, _ := io.ReadAll(r.Body)
				rw.Header().Set("X-Echo", id)
				io.WriteString(rw, strings.Repeat(id, 10))
				if rand.IntN(2) == 0 {
					rw.(http.Flusher).Flush()
				}
				rw.Write(body)
			})
			// The quick ones have all the time they need.
			h2 := made(t, timeout.Basic(time.Minute)).Wrap(h)
			s := serve(t, l, to, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/hang" {
						next.ServeHTTP(w, r)
					} else {
						h2.ServeHTTP(w, r)
					}
				})
			}, h)
			var all sync.WaitGroup
			for c := range 16 {
				all.Go(func() {
					for i := range rounds {
						id := fmt.Sprintf("<%d.%d>", c, i)
						if i%3 == c%3 {
							re := s.fetch(s.request("POST", "/hang?id="+id, strings.NewReader(id)))
							for _, f := range faults(re, 503, "deadline", "") {
								t.Errorf("%s: %s", id, f)
							}
							continue
						}
						re := s.fetch(s.request("POST", "/quick?id="+id, strings.NewReader(strings.Repeat(id, 100))))
						if re.Response == nil || re.cut != nil || re.StatusCode != 200 || re.Header.Get("X-Echo") != id ||
							re.Header.Get("X-Handler") != "" || re.body != strings.Repeat(id, 110) {
							t.Errorf("%s: %v, header %v", id, re, re.Header)
						}
					}
				})
			}
			all.Wait()
			close(over)
			s.close()
			if !eventually(func() bool { return to.Stats().Overdue == 0 }) {
				t.Errorf("%+v", to.Stats())
			}
		})
	}
}

// Somebody reads the body of a request when its handler has returned, as the
// transport of a proxy may. It must not get anything of the next request.
func TestAReaderThatIsLeftBehindTakesNothingFromTheNextRequest(t *testing.T) {
	leaktest.Check(t)
	for name, opts := range map[string][]timeout.Option{
		"plain":             {timeout.Basic(time.Minute)},
		"with read timeout": {timeout.Basic(time.Minute), timeout.WithReadTimeout(time.Minute)},
	} {
		for _, l := range lanes {
			t.Run(name+"/"+l.name, func(t *testing.T) {
				rounds := race.Either(200, 10)
				to := made(t, opts...)
				var readers sync.WaitGroup
				s := serve(t, l, to, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/leave" {
						body := r.Body
						readers.Go(func() {
							p := make([]byte, 64)
							for range race.Either(300, 60) {
								if n, err := body.Read(p); n == 0 && err != nil {
									time.Sleep(10 * time.Microsecond)
								}
							}
						})
						return
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Errorf("read: %v", err)
					}
					w.Write(body)
				}))
				var all sync.WaitGroup
				for c := range 8 {
					all.Go(func() {
						for i := range rounds {
							body := strings.Repeat(fmt.Sprintf("<%d.%d>", c, i), 200)
							if i%2 == 0 {
								s.fetch(s.request("POST", "/leave", strings.NewReader(body)))
								continue
							}
							re := s.fetch(s.request("POST", "/", strings.NewReader(body)))
							if re.Response == nil || re.body != body {
								t.Errorf("%d.%d: %v", c, i, re)
							}
						}
					})
				}
				all.Wait()
				readers.Wait()
				s.close()
			})
		}
	}
}

// The answer of the service's own looks at the request, while the handler comes
// back and the layers within have changed theirs.
func TestTheAnswerMayLookAtTheRequestWhileTheHandlerReturns(t *testing.T) {
	leaktest.Check(t)
	for _, l := range lanes {
		t.Run(l.name, func(t *testing.T) {
			var failed atomic.Pointer[string]
			to := made(t, timeout.Basic(2*time.Millisecond), timeout.WithRejectionHandler(
				func(w http.ResponseWriter, r *http.Request, _ handrail.Rejection) {
					seen := fmt.Sprint(r.Method, r.URL, r.Pattern, r.Host, r.Header["X-Id"], r.ContentLength, r.MultipartForm != nil)
					if !strings.HasPrefix(seen, "GET") {
						failed.Store(&seen)
					}
					w.WriteHeader(http.StatusTeapot)
					io.WriteString(w, "mine")
				}), timeout.OnTimeout(func(timeout.Event) {}))
			mux := http.NewServeMux()
			mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				// About as long as a handler is given to return.
				time.Sleep(time.Duration(rand.IntN(2500)) * time.Microsecond)
			})
			s := serve(t, l, to, nil, mux)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range race.Either(200, 15) {
						if re := s.get("/things/7"); re.Response == nil || re.StatusCode != http.StatusTeapot || re.body != "mine" || re.cut != nil {
							t.Errorf("the client has %v", re)
						}
					}
				})
			}
			all.Wait()
			s.close()
			if seen := failed.Load(); seen != nil {
				t.Errorf("the request is %s", *seen)
			}
		})
	}
}

// Connections are taken over at the deadline: by the handler or not at all.
func TestATakeoverMeetsTheDeadline(t *testing.T) {
	leaktest.Check(t)
	const d = 3 * time.Millisecond
	for _, l := range lanesHTTP1 {
		t.Run(l.name, func(t *testing.T) {
			to := made(t, timeout.Basic(d))
			s := serve(t, l, to, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				start := time.Now()
				about(r.Context(), start, d)
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					if err != http.ErrHandlerTimeout {
						t.Errorf("Hijack: %v", err)
					}
					return
				}
				time.Sleep(2 * d)
				if r.Context().Err() != nil {
					t.Errorf("the context has %v", r.Context().Err())
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\ntaken")
				conn.Close()
			}))
			var all sync.WaitGroup
			var taken, late atomic.Uint64
			for range 8 {
				all.Go(func() {
					for range race.Either(200, 15) {
						re := s.get("/")
						switch {
						case re.Response != nil && re.body == "taken" && re.cut == nil:
							taken.Add(1)
						case len(faults(re, 503, "deadline", "")) == 0:
							late.Add(1)
						default:
							t.Errorf("the client has %v", re)
						}
					}
				})
			}
			all.Wait()
			s.close()
			if !eventually(func() bool {
				st := to.Stats()
				return st.Overdue == 0 && st.LongLived == 0 && st.Timeouts == late.Load()
			}) {
				t.Errorf("%d taken, %d late: %+v", taken.Load(), late.Load(), to.Stats())
			}
			if logged := s.log.String(); logged != "" {
				t.Errorf("the server's log: %s", logged)
			}
		})
	}
}

// The figures may be read at any time.
func TestStatsMayBeReadAtAnyTime(t *testing.T) {
	leaktest.Check(t)
	to := made(t, timeout.Basic(2*time.Millisecond))
	s := serve(t, plainHTTP1, to, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		about(r.Context(), time.Now(), 2*time.Millisecond)
	}))
	defer s.close()
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		var before timeout.Stats
		for {
			select {
			case <-over:
				return
			default:
			}
			st := to.Stats()
			if st.Requests < before.Requests || st.Timeouts < before.Timeouts || st.Overdue < 0 || st.LongLived < 0 || st.Ratio < 0 || st.Ratio > 1 ||
				st.MinDuration > st.MeanDuration || st.MeanDuration > st.MaxDuration {
				t.Errorf("after %+v comes %+v", before, st)
			}
			before = st
			to.Collect(func(handrail.Metric) {})
			time.Sleep(100 * time.Microsecond)
		}
	})
	for range race.Either(200, 60) {
		s.get("/")
	}
	close(over)
	all.Wait()
}

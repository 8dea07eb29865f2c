package timeout_test

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/timeout"
)

// A handler that is done in time behaves as it does without the timeout.

// filesOnly is what ReadFrom promises; that it keeps the promise is proven
// below.
var filesOnly = httptorture.Without("a source that is no file may keep the server waiting, so it is not handed on",
	"HTTP1/copy-reaches-the-connection")

func TestWhatIsDoneInTimeBehavesAsWithoutTheTimeout(t *testing.T) {
	httptorture.Run(t, timeout.Middleware(timeout.Basic(time.Minute)), filesOnly)
}

// Behind a wrapper that it cannot know, the timeout runs the handler on a
// goroutine of its own over HTTP/1.1 too.
func TestWhatIsDoneInTimeBehavesAsWithoutTheTimeoutBehindAForeignWrapper(t *testing.T) {
	httptorture.Run(t, func(next http.Handler) http.Handler {
		return foreign(timeout.Middleware(timeout.Basic(time.Minute))(next))
	}, filesOnly)
}

// telling notes what it is asked to copy from.
type telling struct {
	foreignWriter1
	sources chan<- io.Reader
}

func (w telling) ReadFrom(src io.Reader) (int64, error) {
	w.sources <- src
	return w.foreignWriter1.ReadFrom(src)
}

func TestAFileReachesTheServerAsItIs(t *testing.T) {
	sources := make(chan io.Reader, 10)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	to := made(t, timeout.Basic(time.Minute))
	s := serve(t, plainHTTP1, to, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(telling{foreignWriter1{w.(serverHTTP1)}, sources}, r)
		})
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/served" {
			http.ServeFile(w, r, file)
			return
		}
		f, err := os.Open(file)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		io.Copy(w, f)
	}))
	defer s.close()
	for _, path := range []string{"/served", "/copied"} {
		if re := s.get(path); re.Response == nil || len(re.body) != 100_000 || re.cut != nil {
			t.Errorf("%s: %v", path, re)
		}
		select {
		case src := <-sources:
			if limited, ok := src.(*io.LimitedReader); ok {
				src = limited.R
			}
			// As package net knows a file, which io.Copy puts into a wrapper.
			if _, ok := src.(interface {
				fs.File
				syscall.Conn
			}); !ok {
				t.Errorf("%s: the server is given a %T", path, src)
			}
		default:
			t.Errorf("%s: the server's ReadFrom is not called", path)
		}
	}
}

// With every option that does something to a request that is done in time.
func TestWhatIsDoneInTimeBehavesAsWithoutTheTimeoutWhateverItsOptions(t *testing.T) {
	httptorture.Run(t, timeout.Middleware(
		timeout.Basic(time.Minute),
		timeout.WithIdleTimeout(time.Minute),
		timeout.WithReadTimeout(time.Minute),
		timeout.WithWriteTimeout(time.Minute),
		timeout.WithMaxOverdue(1),
		timeout.WithDeadlineHeader("X-Deadline"),
		timeout.OnTimeout(func(timeout.Event) {}),
	), filesOnly, httptorture.Without("WithWriteTimeout sets a deadline for each write, which takes the place of the handler's own", "HTTP1/write-deadline"))
}

package health

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// run runs a check once, as Health does.
func run(t *testing.T, c Check) error {
	t.Helper()
	if err := c.faults.Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.Run(ctx)
}

// comesTo fails unless a check has that result, and says that.
func comesTo(t *testing.T, c Check, want Status, text string) {
	t.Helper()
	err := run(t, c)
	if got := level(err); got != want || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%v: %v, want %v and %q", got, err, want, text)
	}
}

func TestAClosedPortFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	comesTo(t, TCP(l.Addr().String()), Pass, "nil")
	l.Close()
	comesTo(t, TCP(l.Addr().String()), Fail, "refused")
	comesTo(t, HTTP(nil, "http://"+l.Addr().String()+"/"), Fail, "refused")
	comesTo(t, Certificate(l.Addr().String(), nil, 0, 0), Fail, "refused")
}

func TestANameThatIsNotThereFails(t *testing.T) {
	comesTo(t, DNS("localhost"), Pass, "nil")
	err := run(t, DNS("no-such-name.invalid"))
	var e *net.DNSError
	if !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
}

func TestOnlyAStatusOf2xxPassesAndNoRedirectIsFollowed(t *testing.T) {
	endless, followed := make(chan error, 1), false
	mux := http.NewServeMux()
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.PathValue("code"), &code)
		w.Header().Set("Location", "/landed")
		w.WriteHeader(code)
	})
	mux.HandleFunc("/landed", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				endless <- err
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for code, want := range map[int]Status{200: Pass, 204: Pass, 299: Pass, 301: Fail, 302: Fail, 400: Fail, 404: Fail, 500: Fail, 503: Fail} {
		url := fmt.Sprint(server.URL, "/status/", code)
		comesTo(t, HTTP(nil, url), want, map[bool]string{true: "nil", false: fmt.Sprint(code)}[want == Pass])
		comesTo(t, HTTP(server.Client(), url), want, "")
	}
	if followed {
		t.Error("a redirect was followed")
	}
	comesTo(t, HTTP(nil, server.URL+"/endless"), Pass, "nil")
	if err := <-endless; err == nil {
		t.Error("the body was read to the end")
	}
	if err := run(t, HTTP(nil, "http://user:secret@"+server.Listener.Addr().String()+"/status/500")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("told %v", err)
	}
}

// authority issues certificates that end whenever a test wants.
func authority(t *testing.T, ends, leafEnds time.Time) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	issue := func(c, by *x509.Certificate, key, with *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, with)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	fresh := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	begins := time.Now().Add(-1000 * 24 * time.Hour)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: begins, NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, key := fresh(), fresh()
	root, err := x509.ParseCertificate(issue(ca, ca, caKey, caKey))
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: begins, NotAfter: leafEnds, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool, tls.Certificate{Certificate: [][]byte{issue(leaf, root, key, caKey)}, PrivateKey: key}
}

func TestACertificateFailsBeforeAndWhenItExpires(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name     string
		ca, leaf time.Duration
		want     Status
		text     string
	}{
		{"far", 1000 * day, 22 * day, Pass, "nil"},
		{"three weeks", 1000 * day, 20 * day, Warn, `"leaf" expires in 4`},
		{"three days", 1000 * day, 2 * day, Fail, `"leaf" expires in 4`},
		{"expired", 1000 * day, -day, Fail, "expired"},
		{"authority", 2 * day, 500 * day, Fail, `"authority" expires`},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool, certificate := authority(t, time.Now().Add(c.ca), time.Now().Add(c.leaf))
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.(*tls.Conn).Handshake()
					io.Copy(io.Discard, conn)
					conn.Close()
				}
			}()
			address := l.Addr().String()
			comesTo(t, Certificate(address, &tls.Config{RootCAs: pool}, CertificateWarn, CertificateFail), c.want, c.text)
			comesTo(t, Certificate(address, nil, CertificateWarn, CertificateFail), Fail, "certificate")
			comesTo(t, Certificate(address, &tls.Config{RootCAs: pool, ServerName: "other.test"}, 0, 0), Fail, "certificate")
			if c.leaf < 0 {
				comesTo(t, Certificate(address, &tls.Config{InsecureSkipVerify: true}, 0, 0), Fail, "expires in -24h")
			}
		})
	}
}

func TestAFullDiskFails(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("filling a disk needs one of its own, which only root can mount")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=100", "handrail-test", dir).CombinedOutput(); err != nil {
		t.Skipf("this root may not mount: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	}()
	disk := Disk(dir, 0.5, 0.1)
	comesTo(t, disk, Pass, "nil")
	fill := func(name string, size int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil && size < 1<<20 {
			t.Fatal(err)
		}
	}
	fill("some", 600<<10)
	comesTo(t, disk, Warn, "of its bytes")
	fill("all", 1<<20) // there is no room for it
	comesTo(t, disk, Fail, "has 0.0% of its bytes")
	for _, name := range []string{"some", "all"} {
		os.Remove(filepath.Join(dir, name))
	}
	comesTo(t, disk, Pass, "nil")
	for i := range 95 {
		fill(fmt.Sprint(i), 0)
	}
	comesTo(t, disk, Fail, "of its files left")
}

func TestAMissingDiskIsRefused(t *testing.T) {
	if _, err := New(silent, WithCheck("disk", Disk(filepath.Join(t.TempDir(), "none"), 0.1, 0.05))); err == nil {
		t.Error("accepted")
	}
}

func TestBallastFailsMemory(t *testing.T) {
	if _, known := MemoryUsage(); known {
		t.Skip("there is a memory limit already")
	}
	memory := Memory(nil, 0.5, 0.9)
	comesTo(t, memory, Pass, "nil") // without a limit nothing is known
	debug.FreeOSMemory()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(96 << 20))
	comesTo(t, memory, Pass, "nil")
	ballast := make([]byte, 50<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	comesTo(t, memory, Warn, "of the memory that may be used")
	more := make([]byte, 37<<20)
	for i := 0; i < len(more); i += 4096 {
		more[i] = 1
	}
	comesTo(t, memory, Fail, "of the memory that may be used")
	runtime.KeepAlive(ballast)
	runtime.KeepAlive(more)
	ballast, more = nil, nil
	debug.FreeOSMemory()
	comesTo(t, memory, Pass, "nil")
	own, known := 0.95, true
	other := Memory(func() (float64, bool) { return own, known }, 0, 0.9)
	comesTo(t, other, Fail, "95.0%")
	known = false
	comesTo(t, other, Pass, "nil")
}

func TestGoroutinesAreCounted(t *testing.T) {
	n := runtime.NumGoroutine()
	c := Goroutines(n+500, n+1000)
	comesTo(t, c, Pass, "nil")
	stop := make(chan struct{})
	for range 700 {
		go func() { <-stop }()
	}
	comesTo(t, c, Warn, "goroutines")
	for range 400 {
		go func() { <-stop }()
	}
	comesTo(t, c, Fail, "goroutines")
	close(stop)
	for runtime.NumGoroutine() > n {
		time.Sleep(time.Millisecond)
	}
	comesTo(t, c, Pass, "nil")
}

func TestPausesAreThoseSinceTheLastRun(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	any, none := GCPause(0, time.Nanosecond), GCPause(0, time.Hour)
	run(t, any)
	comesTo(t, any, Pass, "nil") // no collection since
	runtime.GC()
	comesTo(t, any, Fail, "1 of 100 pauses")
	comesTo(t, none, Pass, "nil")
	comesTo(t, any, Pass, "nil")
	bounds := []float64{math.Inf(-1), 1, 2, 3, math.Inf(1)}
	for _, c := range []struct {
		counts []uint64
		want   float64
		some   bool
	}{{[]uint64{0, 0, 0, 0}, 0, false}, {[]uint64{1, 0, 0, 0}, 0, true}, {[]uint64{0, 99, 1, 0}, 1, true}, {[]uint64{0, 98, 1, 1}, 2, true}, {[]uint64{0, 0, 0, 5}, 3, true}} {
		if got, some := quantile(c.counts, bounds, 0.99); got != c.want || some != c.some {
			t.Errorf("%v: %v %v", c.counts, got, some)
		}
	}
}

func TestASilentHeartbeatFailsLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		beat := NewHeartbeat(15 * time.Second)
		h := made(t, steady, everybody, WithCheck("worker", beat.Check(), In(Live)))
		for range 10 {
			time.Sleep(10 * time.Second)
			beat.Beat()
			says(t, h, "/livez", 200, "ok")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		says(t, h, "/livez", 200, "ok")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		has(t, h, "/livez", 503, "[-]worker failed: no heartbeat for 20s")
		beat.Beat()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		says(t, h, "/livez", 200, "ok")
	})
}

// pool has figures as a test wants.
type pool struct{ stats sql.DBStats }

func (p *pool) Stats() sql.DBStats { return p.stats }

func TestAFullPoolFailsUntilATenthLessIsInUse(t *testing.T) {
	p := &pool{sql.DBStats{MaxOpenConnections: 100}}
	c := SQLPool(p, 0.8, 1)
	for _, step := range []struct {
		used int
		want Status
	}{{0, Pass}, {79, Pass}, {80, Warn}, {73, Warn}, {71, Pass}, {79, Pass}, {100, Fail}, {95, Fail}, {90, Fail}, {89, Warn}, {99, Warn}, {0, Pass}} {
		p.stats.InUse = step.used
		comesTo(t, c, step.want, "")
	}
	p.stats = sql.DBStats{InUse: 1000}
	comesTo(t, c, Pass, "nil")
}

func TestLoadIsToldWithHysteresisAndNeverFailsLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pressure atomic.Value
		pressure.Store(0.5)
		h := made(t, steady, WithCheck("load", Load(func() float64 { return pressure.Load().(float64) }, 1, 3)))
		state := func(after time.Duration, want Status) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := h.Stats().Checks[0].Status; got != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
		state(4100*time.Millisecond, Pass)
		pressure.Store(2.0)
		state(4*time.Second, Pass) // four results
		state(time.Second, Warn)
		pressure.Store(0.95)
		state(time.Hour, Warn) // nine tenths are not reached
		pressure.Store(0.85)
		state(4*time.Second, Warn)
		state(time.Second, Pass)
		for range 100 { // it swings, and nothing else does
			pressure.Store(2.5 - pressure.Load().(float64))
			state(time.Second, Pass)
		}
		pressure.Store(5.0)
		state(5*time.Second, Fail)
		says(t, h, "/livez", 200, "ok")
		pressure.Store(math.NaN())
		state(5*time.Second, Pass)
	})
	db := &pool{}
	for name, c := range map[string]Check{
		"load": Load(func() float64 { return 0 }, 1, 0), "breaker": Breaker(func() error { return nil }), "pool": SQLPool(db, 0.5, 1),
		"memory": Memory(nil, 0.5, 1), "goroutines": Goroutines(1, 2), "pause": GCPause(1, 2),
	} {
		if _, err := New(silent, WithCheck(name, c, In(Live|Ready))); err == nil || !strings.Contains(err.Error(), "keep it out of Live") {
			t.Errorf("%s for liveness: %v", name, err)
		}
		h := made(t)
		if err := h.Add(name, c, In(Live)); err == nil {
			t.Errorf("%s was added for liveness", name)
		}
		if err := h.Add(name, c); err != nil {
			t.Error(err)
		}
	}
}

func TestAnOpenBreakerDegradesAndNeverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Pointer[error]
		h := made(t, steady, everybody, WithCheck("checkout", Breaker(func() error {
			if err := open.Load(); err != nil {
				return *err
			}
			return nil
		})))
		time.Sleep(100 * time.Millisecond)
		err := errors.New("breaker: checkout: open")
		open.Store(&err)
		time.Sleep(time.Hour)
		says(t, h, "/readyz?verbose", 200, "[!]checkout degraded: breaker: checkout: open\n[+]shutdown ok\nreadyz check passed\n")
		open.Store(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		has(t, h, "/readyz?verbose", 200, "degraded")
		time.Sleep(time.Second)
		synctest.Wait()
		has(t, h, "/readyz?verbose", 200, "[+]checkout ok")
	})
}

// They read memory only, and who asks whether a circuit is open does not want to
// know how it was ten seconds ago.
func TestLoadAndBreakerRunOnceASecondUnlessAnOptionSaysOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t, WithDefaults(Every(time.Minute), Jitter(0)),
			WithCheck("load", Load(func() float64 { return 0 }, 1, 0)),
			WithCheck("circuits", Breaker(func() error { return nil })),
			WithCheck("own", Breaker(func() error { return nil }), Every(20*time.Second)),
			WithCheck("default", passing))
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		for i, want := range []uint64{60, 60, 3, 1} {
			if c := h.Stats().Checks[i]; c.Runs != want {
				t.Errorf("%s ran %d times in a minute, want %d", c.Name, c.Runs, want)
			}
		}
	})
}

package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/internal/optiontest"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[Option]
	wrong := func(option, value string, opts ...Option) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	n := 0
	check := func(option, value string, c Check, opts ...CheckOption) mistake {
		n++
		name := fmt.Sprint("c", n)
		if option != "" {
			option = ": " + name + ": " + option
		} else {
			value = name
		}
		return wrong("WithCheck"+option, value, WithCheck(name, c, opts...))
	}
	fine := Func(passing)
	var many []Option
	for i := range maxChecks + 1 {
		many = append(many, WithCheck(fmt.Sprint("m", i), passing))
	}
	long := strings.Repeat("n", 65)
	db := &pool{}
	optiontest.Run(t, "health", New, Middleware, []mistake{
		wrong("Option", "0", Option(nil)),
		wrong("WithName", long, WithName(long)),
		wrong("+WithPaths", "livez", WithPaths(Paths{Live: "livez"})),
		wrong("+WithPaths", "/", WithPaths(Paths{Live: "/"})),
		wrong("+WithPaths", "/livez/", WithPaths(Paths{Live: "/livez/"})),
		wrong("+WithPaths", "/livez?", WithPaths(Paths{Live: "/livez?"})),
		wrong("+WithPaths", "/a", WithPaths(Paths{Live: "/a", Ready: "/a"})),
		wrong("WithAbout", "16385", WithAbout(About{Notes: []string{strings.Repeat("x", 16385)}})),
		wrong("WithAuthorize", "<nil>", WithAuthorize(nil)),
		wrong("WithDrainDelay", "-1ns", WithDrainDelay(-1)),
		wrong("WithDrainDelay", "10m0.000000001s", WithDrainDelay(10*time.Minute+1)),
		wrong("WithLogger", "<nil>", WithLogger(nil)),
		wrong("OnChange", "<nil>", OnChange(nil)),
		wrong("WithDefaults: Every", "0s", WithDefaults(Every(0))),
		wrong("WithDefaults: CheckOption", "0", WithDefaults(nil)),
		wrong("WithCheck", "", WithCheck("", passing)),
		wrong("WithCheck", long, WithCheck(long, passing)),
		wrong("WithCheck", "a b", WithCheck("a b", passing)),
		wrong("WithCheck", "a:b", WithCheck("a:b", passing)),
		wrong("WithCheck", "/a", WithCheck("/a", passing)),
		wrong("WithCheck", "a/", WithCheck("a/", passing)),
		wrong("WithCheck", "shutdown", WithCheck("shutdown", passing)),
		wrong("WithCheck", "twice", WithCheck("twice", passing), WithCheck("twice", fine)),
		wrong("+WithCheck", "257", many...),
		check("", "", Check{}),
		check("", "", Load(func() float64 { return 0 }, 1, 0), In(Live)),
		check("Func", "<nil>", Func(nil)),
		check("In", "0", fine, In(0)),
		check("In", "8", fine, In(8)),
		check("Every", "999.999µs", fine, Every(time.Millisecond-1)),
		check("Every", "24h0m0.000000001s", fine, Every(24*time.Hour+1)),
		check("Jitter", "0.51", fine, Jitter(0.51)),
		check("Jitter", "NaN", fine, Jitter(math.NaN())),
		check("Timeout", "0s", fine, Timeout(0)),
		check("MaxAge", "-1ns", fine, MaxAge(-1)),
		check("MaxAge", "12.999s", fine, MaxAge(12999*time.Millisecond)),
		check("FailAfter", "0", fine, FailAfter(0)),
		check("PassAfter", "1001", fine, PassAfter(1001)),
		check("Initially", "4", fine, Initially(4)),
		check("GracePeriod", "-1ns", fine, GracePeriod(-1)),
		check("Component", "", fine, Component("", "")),
		check("Affects", "", fine, Affects("")),
		check("Affects", "33", fine, Affects(slices.Repeat([]string{"/"}, 33)...)),
		check("Links", "", fine, Links(map[string]string{"": "/"})),
		check("CheckOption", "0", fine, nil),
		check("SQL", "<nil>", SQL(nil)),
		check("SQLPool", "<nil>", SQLPool(nil, 0.5, 1)),
		check("SQLPool", "[0.9 0.5]", SQLPool(db, 0.9, 0.5)),
		check("SQLPool", "[0 1.1]", SQLPool(db, 0, 1.1)),
		check("HTTP", "ftp://x/", HTTP(nil, "ftp://x/")),
		check("HTTP", "http://", HTTP(nil, "http://")),
		check("TCP", "localhost", TCP("localhost")),
		check("DNS", "127.0.0.1", DNS("127.0.0.1")),
		check("DNS", "", DNS("")),
		check("Certificate", "x", Certificate("x", &tls.Config{}, 0, 0)),
		check("Certificate", "[1s 2s]", Certificate("x:1", nil, time.Second, 2*time.Second)),
		check("Disk", "[0 0]", Disk(".", 0, 0)),
		check("Disk", "[0.1 0.2]", Disk(".", 0.1, 0.2)),
		check("Goroutines", "[0 0]", Goroutines(0, 0)),
		check("Goroutines", "[-1 0]", Goroutines(-1, 0)),
		check("Memory", "[0 2]", Memory(nil, 0, 2)),
		check("GCPause", "[0 -1]", GCPause(0, -time.Second)),
		check("Load", "<nil>", Load(nil, 1, 0)),
		check("Load", "[NaN 0]", Load(func() float64 { return 0 }, math.NaN(), 0)),
		check("Breaker", "<nil>", Breaker(nil)),
		check("NewHeartbeat", "0s", NewHeartbeat(0).Check()),
	})
}

func TestAddRefusesWhatWithCheckDoes(t *testing.T) {
	h := made(t)
	err := h.Add("a b", TCP("nowhere"), Every(-1), In(0))
	found := optiontest.Faults(t, err)
	if len(found) != 4 || found[0].Option != "Add" || found[1].Option != "Add: a b: TCP" || found[2].Option != "Add: a b: Every" {
		t.Errorf("%v", err)
	}
	if len(h.Stats().Checks) != 0 {
		t.Error("it was added")
	}
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	for name, opts := range map[string][]Option{
		"least": {WithDrainDelay(0), WithPaths(Paths{}), WithName(""), WithDefaults(), WithAbout(About{}),
			WithCheck("a", passing, Every(time.Millisecond), Timeout(time.Millisecond), Jitter(0), FailAfter(1), PassAfter(1), GracePeriod(0), MaxAge(2*time.Millisecond))},
		"most": {WithDrainDelay(10 * time.Minute), WithName(strings.Repeat("n", 64)),
			WithCheck(strings.Repeat("n", 64), passing, Every(24*time.Hour), Timeout(24*time.Hour), Jitter(0.5), FailAfter(1000), PassAfter(1000), GracePeriod(24*time.Hour), MaxAge(7*24*time.Hour), In(All))},
		"thresholds":        {WithCheck("a", SQLPool(&pool{}, 0, 1)), WithCheck("b", Disk(".", 1, 0)), WithCheck("c", Disk(".", 0, 1)), WithCheck("d", Goroutines(0, 1))},
		"a type of its own": {WithCheck("a", named(passing)), WithDefaults(Degrading()), WithCheck("b", Func(passing), Required())},
	} {
		h, err := New(append(opts, silent)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		h.Close()
	}
}

type named func(context.Context) error

func TestWrappingNothingPanics(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "health: ") {
			t.Errorf("panicked with %q", got)
		}
	}()
	made(t).Wrap(nil)
	t.Error("did not panic")
}

func TestPresetsResolveToTheirPinnedValues(t *testing.T) {
	var pinned []golden.Settings
	for _, preset := range []struct {
		name string
		opts []Option
	}{
		{"nothing", nil},
		{"Kubernetes()", []Option{Basic(), Kubernetes()}},
		{"Basic()", []Option{Basic()}},
	} {
		set := defaults()
		if set.apply(preset.opts); set.Err() != nil {
			t.Fatalf("%s: %v", preset.name, set.Err())
		}
		pinned = append(pinned, golden.Settings{Name: preset.name, Value: &set})
	}
	h := &Health{set: defaults(), ctx: context.Background()}
	for _, c := range []struct {
		name  string
		check Check
	}{
		{"a function", Func(passing)},
		{"SQL", SQL(nopDB{})},
		{"SQLPool", SQLPool(&pool{}, 0.8, 1)},
		{"HTTP", HTTP(nil, "http://localhost/")},
		{"TCP", TCP("localhost:1")},
		{"DNS", DNS("localhost")},
		{"Certificate", Certificate("localhost:1", nil, CertificateWarn, CertificateFail)},
		{"Disk", Disk(".", 0.1, 0.05)},
		{"Goroutines", Goroutines(1, 2)},
		{"Memory", Memory(nil, 0.8, 0.9)},
		{"GCPause", GCPause(1, 2)},
		{"Heartbeat", NewHeartbeat(time.Second).Check()},
		{"Load", Load(func() float64 { return 0 }, 1, 0)},
		{"Breaker", Breaker(func() error { return nil })},
	} {
		made, err := h.newCheck("WithCheck", registration{name: "c", check: c.check})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		made.cancel()
		pinned = append(pinned, golden.Settings{Name: c.name, Value: &made.set})
	}
	golden.Compare(t, "testdata/presets.golden", pinned...)
}

type nopDB struct{}

func (nopDB) PingContext(context.Context) error { return nil }

func TestMiddlewareServesAndPassesOn(t *testing.T) {
	h := Middleware()(http.NotFoundHandler())
	says(t, h, "/readyz", 200, "ok")
	says(t, h, "/other", 404, "404 page not found\n")
}

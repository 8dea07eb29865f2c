package option_test

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/option"
	"github.com/handrail-go/handrail/internal/optiontest"
)

// Users read these sentences, so what they say is pinned here for all packages.
func TestEveryCheckSaysWhatIsRight(t *testing.T) {
	long := strings.Repeat("n", 65)
	for name, tc := range map[string]struct {
		check  func(f *option.Faults)
		value  any
		reason string
	}{
		"below":          {func(f *option.Faults) { f.Within("With", -.1, 0, 1) }, -.1, "must be between 0 and 1"},
		"above":          {func(f *option.Faults) { f.Within("With", 1_000_001, 1, 1e6) }, 1000001., "must be between 1 and 1e+06"},
		"no number":      {func(f *option.Faults) { f.Within("With", math.Inf(-1), 0, 1) }, math.Inf(-1), "must be between 0 and 1"},
		"too few":        {func(f *option.Faults) { f.Count("With", 0, 1, 1_000_000) }, 0, "must be between 1 and 1000000"},
		"too many":       {func(f *option.Faults) { f.Count("With", 11, 1, 10) }, 11, "must be between 1 and 10"},
		"too short":      {func(f *option.Faults) { f.Lasting("With", 0, time.Millisecond, time.Minute) }, time.Duration(0), "must be between 1ms and 1m0s"},
		"too long":       {func(f *option.Faults) { f.Lasting("With", time.Hour, 0, time.Minute) }, time.Hour, "must be between 0s and 1m0s"},
		"no time":        {func(f *option.Faults) { f.Positive("With", 0, time.Hour) }, time.Duration(0), "must be above 0 and at most 1h0m0s"},
		"negative":       {func(f *option.Faults) { f.Optional("With", -1, time.Hour) }, time.Duration(-1), "must be above 0 and at most 1h0m0s"},
		"optional":       {func(f *option.Faults) { f.Optional("With", time.Hour+1, time.Hour) }, time.Hour + 1, "must be above 0 and at most 1h0m0s"},
		"nothing":        {func(f *option.Faults) { f.Given("With", false, "a sampler") }, nil, "needs a sampler"},
		"no function":    {func(f *option.Faults) { f.Func("With", false) }, nil, "needs a function"},
		"long name":      {func(f *option.Faults) { f.Name("With", long) }, long, "must not be longer than 64 bytes"},
		"long message":   {func(f *option.Faults) { f.Message("With", strings.Repeat("m", 1025)) }, 1025, "must not be longer than 1024 bytes"},
		"no header":      {func(f *option.Faults) { f.Header("With", "") }, nil, "needs a header's name"},
		"bad header":     {func(f *option.Faults) { f.Header("With", "X Y") }, "X Y", "must be the name of a header"},
		"no error":       {func(f *option.Faults) { f.ErrorStatus("With", 399) }, 399, "must be between 400 and 599"},
		"no status":      {func(f *option.Faults) { f.ErrorStatus("With", 600) }, 600, "must be between 400 and 599"},
		"no refusal":     {func(f *option.Faults) { f.RefusalStatus("With", 200) }, 200, "must be between 400 and 599 and not 408"},
		"repeated again": {func(f *option.Faults) { f.RefusalStatus("With", 408) }, 408, "must be between 400 and 599 and not 408"},
	} {
		f := option.Faults{Package: "front"}
		tc.check(&f)
		want := handrail.OptionError{Package: "front", Option: "With", Value: tc.value, Reason: tc.reason}
		if found := optiontest.Faults(t, f.Err()); len(found) != 1 || !reflect.DeepEqual(*found[0], want) {
			t.Errorf("%s: %v, want %+v", name, found, want)
		}
	}
	var f option.Faults
	if f.Within("With", math.NaN(), 0, 1); len(optiontest.Faults(t, f.Err())) != 1 {
		t.Error("NaN is within a range")
	}
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	f := option.Faults{Package: "front"}
	f.Within("With", 0, 0, 1)
	f.Within("With", 1, 0, 1)
	f.Count("With", 0, 0, 7)
	f.Count("With", 7, 0, 7)
	f.Lasting("With", 0, 0, time.Hour)
	f.Lasting("With", time.Hour, 0, time.Hour)
	f.Positive("With", 1, time.Hour)
	f.Positive("With", time.Hour, time.Hour)
	f.Optional("With", 0, time.Hour)
	f.Optional("With", time.Hour, time.Hour)
	f.Name("With", "")
	f.Name("With", strings.Repeat("n", 64))
	f.Message("With", "")
	f.Message("With", strings.Repeat("m", 1024))
	f.ErrorStatus("With", 400)
	f.ErrorStatus("With", 408)
	f.ErrorStatus("With", 599)
	f.RefusalStatus("With", 400)
	f.RefusalStatus("With", 599)
	if !f.Given("With", true, "a sampler") || !f.Func("With", true) {
		t.Error("what is given is not")
	}
	if err := f.Err(); err != nil {
		t.Error(err)
	}
	if f.Given("With", false, "a sampler") || f.Func("With", false) {
		t.Error("what is missing is given")
	}
}

// The bytes of a token are those that net/http lets through in a request.
func TestAHeadersNameIsAToken(t *testing.T) {
	nowhere := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("there is no network") }}
	for c := range 256 {
		name := "X-" + string([]byte{byte(c)})
		r, err := http.NewRequest("GET", "http://upstream/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header[name] = []string{"1"}
		_, err = nowhere.RoundTrip(r)
		legal := !strings.Contains(err.Error(), "invalid header field name")
		var f option.Faults
		if got := f.Header("With", name); (f.Err() == nil) != legal || got != http.CanonicalHeaderKey(name) {
			t.Errorf("%q: %q, %v, but net/http says %v", name, got, f.Err(), err)
		}
	}
	var f option.Faults
	if got := f.Header("With", "x-attempt"); got != "X-Attempt" || f.Err() != nil {
		t.Errorf("%q, %v", got, f.Err())
	}
}

type settings struct {
	option.Faults
	called []int
}

type with func(*settings)

func TestOptionsAreAppliedInOrderAndFaultsOfEarlierOnesDropped(t *testing.T) {
	call := func(n int) with {
		return func(s *settings) { s.called = append(s.called, n); s.Count("WithN", n, 0, 1) }
	}
	s := settings{Faults: option.Faults{Package: "front"}}
	option.Apply(&s.Faults, &s, []with{call(3), nil, call(1), nil, call(2)})
	s.Fault("WithTwo", nil, "goes without WithOne")
	s.Add()
	s.Add(&handrail.OptionError{Package: "front", Option: "WithThree", Value: 3, Reason: "is no good"})
	var got []string
	for _, fault := range optiontest.Faults(t, s.Err()) {
		got = append(got, fault.Error())
	}
	want := []string{
		"front: WithN(3): must be between 0 and 1", "front: Option(1): is nil", "front: Option(3): is nil",
		"front: WithN(2): must be between 0 and 1", "front: WithTwo: goes without WithOne", "front: WithThree(3): is no good",
	}
	if !slices.Equal(got, want) || !slices.Equal(s.called, []int{3, 1, 2}) {
		t.Errorf("%q, called %v", got, s.called)
	}
	var fault *handrail.OptionError
	if !errors.As(s.Err(), &fault) || fault.Value != 3 {
		t.Errorf("the first is %v", fault)
	}

	again := s
	option.Apply(&again.Faults, &again, []with{call(0)})
	if again.Err() != nil || s.Err() == nil || again.Package != "front" {
		t.Errorf("%v, and before %v", again.Err(), s.Err())
	}
}

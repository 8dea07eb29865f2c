package shed_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/shed"
)

func TestRepeatedAttemptsAreShedBeforeFirstOnesOfTheirClass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// Twice what twenty slots of 10 ms can serve, half of it repeated.
		s := shedder(t, trusting(fixed(20))...)
		h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) }))
		got := traffic(t, h, 11, race.Either(4*time.Second, 2*time.Second), []sender{
			{1700, []string{classHeader, "normal"}},
			{1700, []string{classHeader, "normal", attemptHeader, "1"}},
			{300, []string{classHeader, "low"}},
			{300, []string{classHeader, "low", attemptHeader, "2"}},
		})
		first, repeated, low, lowRepeated := got[0].share(), got[1].share(), got[2].share(), got[3].share()
		if first < .98 {
			t.Errorf("of the first attempts %.3f were served, although they fit", first)
		}
		if repeated > .3 || repeated < .05 {
			t.Errorf("of the repeated attempts %.3f were served, want what is left", repeated)
		}
		if low > repeated || lowRepeated > low {
			t.Errorf("normal %.3f and repeated %.3f, low %.3f and repeated %.3f", first, repeated, low, lowRepeated)
		}
	})
}

func TestAFirstAttemptTakesTheSlotBeforeAnOlderRepeatedOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, trusting(fixed(1))...)
		h := s.Wrap(desk)
		busy := settled(h)
		repeated := settled(h, attemptHeader, "1")
		time.Sleep(time.Millisecond)
		first := settled(h)
		time.Sleep(time.Millisecond)
		better := settled(h, attemptHeader, "7", classHeader, "high")
		for i, want := range []*call{better, first, repeated} {
			finish([]*call{busy})
			if !want.inside.Load() {
				t.Fatalf("slot %d went to another", i+1)
			}
			busy = want
		}
		finish([]*call{busy})
	})
}

func TestTheAttemptHeaderIsIgnoredWithoutItsOption(t *testing.T) {
	var attempt int
	s := shedder(t, shed.Using(func(s shed.Snapshot, _ *http.Request) bool { attempt = s.Attempt; return false }))
	get(s.Wrap(noop), attemptHeader, "3")
	if attempt != 0 {
		t.Errorf("attempt %d", attempt)
	}
}

// FuzzAttemptHeader: whatever comes, the attempt is a number that the header
// really says, or 0.
func FuzzAttemptHeader(f *testing.F) {
	for _, seed := range []string{"", "0", "1", "999999999", "1000000000", "-1", "+1", " 1", "1 ", "01", "0x1", "1e3", "1_0",
		"٣", "99999999999999999999", "\x00", "1,2", strings.Repeat("9", 1<<16)} {
		f.Add(seed, false)
	}
	f.Add("1", true)
	var attempt int
	s := shedder(f, shed.WithAttemptHeader("x-attempt"), shed.Using(func(s shed.Snapshot, _ *http.Request) bool {
		attempt = s.Attempt
		return false
	}))
	h := s.Wrap(noop)
	f.Fuzz(func(t *testing.T, value string, twice bool) {
		r := request()
		r.Header["X-Attempt"] = []string{value}
		if twice {
			r.Header["X-Attempt"] = []string{value, value}
		}
		h.ServeHTTP(&nullWriter{http.Header{}}, r)
		digits := value != "" && strings.Trim(value, "0123456789") == ""
		switch {
		case twice || !digits || len(value) > 9:
			if attempt != 0 {
				t.Errorf("%.40q (twice: %t) is attempt %d", value, twice, attempt)
			}
		default:
			if want, _ := strconv.Atoi(value); attempt != want {
				t.Errorf("%q is attempt %d", value, attempt)
			}
		}
	})
}

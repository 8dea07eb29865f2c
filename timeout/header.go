package timeout

import (
	"math"
	"strconv"
	"time"
)

// grpcTimeout is the header of gRPC, which has a format of its own: at most
// eight digits and a unit ("Requests" in gRPC's PROTOCOL-HTTP2.md). Every other
// header is read as Envoy's x-envoy-expected-rq-timeout-ms: whole milliseconds.
const grpcTimeout = "Grpc-Timeout"

const (
	// remainingDigits are enough for 115 days of milliseconds, and for no
	// overflow.
	remainingDigits = 10
	grpcDigits      = 8
)

// grpcUnits are the units of gRPC, the finest first. Their letters differ in
// case: minutes are M and milliseconds m.
var grpcUnits = [...]struct {
	letter byte
	unit   time.Duration
}{
	{'n', time.Nanosecond},
	{'u', time.Microsecond},
	{'m', time.Millisecond},
	{'S', time.Second},
	{'M', time.Minute},
	{'H', time.Hour},
}

// parseRemaining reads how much time is left from the values of the deadline
// header with that canonical name. It returns false where the header is absent
// or repeated, is anything but digits and, in gRPC's format, one unit, or says
// more than a Duration can. No time left is 0 and true.
func parseRemaining(name string, values []string) (d time.Duration, ok bool) {
	if len(values) != 1 {
		return 0, false
	}
	value := values[0]
	if name != grpcTimeout {
		n, ok := parseDigits(value, remainingDigits)
		return time.Duration(n) * time.Millisecond, ok
	}
	if value == "" {
		return 0, false
	}
	letter := value[len(value)-1]
	for _, u := range grpcUnits {
		if u.letter != letter {
			continue
		}
		n, ok := parseDigits(value[:len(value)-1], grpcDigits)
		if !ok || n > math.MaxInt64/int64(u.unit) {
			return 0, false
		}
		return time.Duration(n) * u.unit, true
	}
	return 0, false
}

// parseDigits reads 1 to most decimal digits and nothing else.
func parseDigits(s string, most int) (n int64, ok bool) {
	if len(s) == 0 || len(s) > most {
		return 0, false
	}
	for i := range len(s) {
		digit := s[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = 10*n + int64(digit)
	}
	return n, true
}

// formatRemaining is the value of the deadline header with that canonical name
// for d. It never says more time than there is, with one exception: less than a
// millisecond is said to be one, because 0 means that it is over. gRPC's format
// has the finest unit that leaves room enough. What is negative is 0, and what
// is too long for the format the longest it can say.
func formatRemaining(name string, d time.Duration) string {
	d = max(d, 0)
	var space [remainingDigits]byte
	if name != grpcTimeout {
		ms := min(int64(d/time.Millisecond), maxOfDigits(remainingDigits))
		if ms == 0 && d > 0 {
			ms = 1
		}
		return string(strconv.AppendInt(space[:0], ms, 10))
	}
	for _, u := range grpcUnits {
		// Hours always fit: the longest Duration has two and a half million.
		if n := int64(d / u.unit); n <= maxOfDigits(grpcDigits) {
			return string(append(strconv.AppendInt(space[:0], n, 10), u.letter))
		}
	}
	panic("unreachable")
}

func maxOfDigits(digits int) int64 {
	n := int64(1)
	for range digits {
		n *= 10
	}
	return n - 1
}

package cloudwatch

import "strings"

// Unit is the unit of a metric. The zero value is the same as [None]. Those
// that are not here are spelled as MetricDatum spells them: "Gigabits/Second".
type Unit string

// The units that services use most.
const (
	None           Unit = "None"
	Count          Unit = "Count"
	CountPerSecond Unit = "Count/Second"
	Percent        Unit = "Percent"
	Seconds        Unit = "Seconds"
	Milliseconds   Unit = "Milliseconds"
	Microseconds   Unit = "Microseconds"
	Bytes          Unit = "Bytes"
	BytesPerSecond Unit = "Bytes/Second"
)

// Valid says that CloudWatch knows the unit.
func (u Unit) Valid() bool {
	switch u {
	case "", None, Count, CountPerSecond, Percent, Seconds, Milliseconds, Microseconds:
		return true
	}
	s := strings.TrimSuffix(string(u), "/Second")
	switch s {
	case "Bytes", "Bits":
		return true
	}
	for _, prefix := range [...]string{"Kilo", "Mega", "Giga", "Tera"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return rest == "bytes" || rest == "bits"
		}
	}
	return false
}

// unitOf is the unit that a metric's name tells, by the convention of
// [handrail.Metric].
func unitOf(name string) Unit {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_per_second"):
		return CountPerSecond
	case strings.HasSuffix(name, "_seconds"):
		return Seconds
	case strings.HasSuffix(name, "_bytes"):
		return Bytes
	}
	return None
}

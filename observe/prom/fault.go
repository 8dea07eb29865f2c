package prom

// Fault is what is wrong with a metric of a source, or with the source. What has
// a fault is left out, unless it says something else.
type Fault uint8

const (
	// FaultPanic is a source that panicked, as one that is nil does. What it
	// told before that is exposed.
	FaultPanic Fault = iota
	// FaultName is a name that is not allowed.
	FaultName
	// FaultLabel is a label whose name is not allowed or is there twice.
	FaultLabel
	// FaultText is help or a label's value that is no UTF-8. It is mended and
	// exposed.
	FaultText
	// FaultValue is a counter that is negative or no finite number, and a
	// histogram whose buckets do not ascend or do not fit its count or sum.
	FaultValue
	// FaultHelp is help that differs from that of the same metric elsewhere. It
	// is exposed with the help that was there first.
	FaultHelp
	// FaultKind is a kind or a set of labels that differs from that of the same
	// metric elsewhere, and a name that another metric takes: a histogram x
	// takes x_count, x_sum and x_bucket, a counter x_total takes x.
	FaultKind
	// FaultDuplicate is a series that was told before.
	FaultDuplicate

	noFault
	faults = noFault
)

var faultNames = [faults]string{"panic", "name", "label", "text", "value", "help", "kind", "duplicate"}

// String is the fault as the label "fault" says it.
func (f Fault) String() string {
	if f >= faults {
		return ""
	}
	return faultNames[f]
}

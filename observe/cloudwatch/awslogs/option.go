package awslogs

import (
	"fmt"

	"github.com/handrail-go/handrail"
)

// Option changes one setting of a [Client]. A later option wins.
type Option func(*settings)

type settings struct {
	create    bool
	retention int32
	faults    []error
}

func (s *settings) fault(option string, value any, reason string) {
	s.faults = append(s.faults, &handrail.OptionError{Package: "awslogs", Option: option, Value: value, Reason: reason})
}

// WithCreate makes the log group and the log stream where they are missing,
// which needs the permissions logs:CreateLogGroup and logs:CreateLogStream.
func WithCreate() Option { return func(s *settings) { s.create = true } }

// retentions are the numbers of days that PutRetentionPolicy takes.
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// WithRetention is for how many days a log group that WithCreate makes keeps its
// events: one of the numbers that PutRetentionPolicy takes, such as 1, 3, 7, 14,
// 30, 90 or 365; for ever without this option. It needs logs:PutRetentionPolicy.
// A group that exists already keeps its own.
func WithRetention(days int32) Option {
	return func(s *settings) {
		for _, n := range retentions {
			if n == days {
				s.retention = days
				return
			}
		}
		s.fault("WithRetention", days, fmt.Sprintf("must be one of %v", retentions))
	}
}

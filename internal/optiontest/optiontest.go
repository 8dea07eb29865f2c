// Package optiontest proves that a package refuses wrong options as all of
// this toolkit do: each fault typed and named, all of them at once.
package optiontest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/handrail-go/handrail"
)

// Wrong is a mistake, and how the one fault it makes is to name it.
type Wrong[Option any] struct {
	Option, Value string
	Opts          []Option
}

// Run tries each mistake alone and all of them together, of which each is to
// be found again. A mistake that another one can hide, such as a bound below
// another, is tried alone only: its Option begins with "+", which is dropped.
func Run[T any, Option any](t *testing.T, pkg string, construct func(...Option) (*T, error),
	middleware func(...Option) func(http.Handler) http.Handler, all []Wrong[Option]) {
	t.Helper()
	var together []Option
	want := map[string]int{}
	for _, w := range all {
		name, alone := strings.CutPrefix(w.Option, "+")
		t.Run(name+"="+w.Value, func(t *testing.T) {
			got, err := construct(w.Opts...)
			if got != nil || err == nil {
				t.Fatalf("the constructor returned %v and %v", got, err)
			}
			found := Faults(t, err)
			if len(found) != 1 {
				t.Fatalf("one mistake was reported as %v", found)
			}
			f := found[0]
			if f.Package != pkg || f.Option != name || fmt.Sprint(f.Value) != w.Value || f.Reason == "" {
				t.Errorf("the fault is %+v", *f)
			}
			if middleware != nil {
				mustPanic(t, func() { middleware(w.Opts...) })
			}
		})
		if !alone {
			together = append(together, w.Opts...)
			want[name]++
		}
	}
	t.Run("all at once", func(t *testing.T) {
		_, err := construct(together...)
		got := map[string]int{}
		for _, f := range Faults(t, err) {
			got[f.Option]++
		}
		for name, n := range want {
			if got[name] < n {
				t.Errorf("%s is reported %d times, want %d", name, got[name], n)
			}
			if !strings.Contains(err.Error(), pkg+": "+name) {
				t.Errorf("the text does not name %s", name)
			}
		}
	})
}

// Faults are the faults of an error, however they are joined.
func Faults(t *testing.T, err error) (all []*handrail.OptionError) {
	t.Helper()
	if err == nil {
		return nil
	}
	if one, ok := err.(*handrail.OptionError); ok {
		return []*handrail.OptionError{one}
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T is neither an option's fault nor several", err)
	}
	for _, e := range joined.Unwrap() {
		all = append(all, Faults(t, e)...)
	}
	return all
}

func mustPanic(t *testing.T, do func()) {
	t.Helper()
	defer func() {
		err, _ := recover().(error)
		var fault *handrail.OptionError
		if !errors.As(err, &fault) {
			t.Errorf("the middleware panicked with %v", err)
		}
	}()
	do()
	t.Error("the middleware did not panic")
}

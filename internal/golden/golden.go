// Package golden compares text with a file of the tests, and writes the file
// anew where the test runs with -update.
package golden

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/option"
)

var update = flag.Bool("update", false, "write golden files anew")

// Settings are named values, such as what presets resolve to. Each is a
// pointer to a struct.
type Settings struct {
	Name  string
	Value any
}

// Compare fails the test at every line in which the settings differ from what
// the file says of them.
func Compare(t *testing.T, file string, settings ...Settings) {
	t.Helper()
	var got strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&got, "%s\n", s.Name)
		render(&got, "\t", reflect.ValueOf(s.Value).Elem())
	}
	compare(t, file, got.String())
}

// Metrics fails the test at every line in which what source collects now, in
// this order and with these values, differs from what the file says.
func Metrics(t *testing.T, file string, source handrail.Source) {
	t.Helper()
	var got strings.Builder
	source.Collect(func(m handrail.Metric) {
		fmt.Fprintf(&got, "%v %s", m.Kind, m.Name)
		for _, l := range m.Labels {
			fmt.Fprintf(&got, " %s=%q", l.Name, l.Value)
		}
		if m.Kind == handrail.Histogram {
			fmt.Fprintf(&got, " %d, %.9g in all %v", m.Count, m.Sum, m.Buckets)
		} else {
			fmt.Fprintf(&got, " %.9g", m.Value) // on all processors alike
		}
		fmt.Fprintf(&got, " // %s\n", m.Help)
	})
	compare(t, file, got.String())
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(was), len(is)) {
		a, b := line(was, i), line(is, i)
		if a != b {
			t.Errorf("%s:%d: is %q, was %q", file, i+1, b, a)
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// render prints a struct, one field a line, and of what cannot be printed
// whether it is there.
func render(to io.Writer, indent string, v reflect.Value) {
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		if field.Type() == reflect.TypeFor[option.Faults]() {
			continue // what checks the settings is none of them
		}
		if s, ok := printable(field); ok {
			fmt.Fprintf(to, "%s%s: %s\n", indent, name, s)
			continue
		}
		fmt.Fprintf(to, "%s%s:\n", indent, name)
		render(to, indent+"\t", field)
	}
}

func printable(field reflect.Value) (string, bool) {
	// What is not exported can be looked at, but not asked for its String.
	field = reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
	switch field.Kind() {
	case reflect.Func, reflect.Pointer, reflect.Slice, reflect.Interface, reflect.Chan:
		return fmt.Sprintf("set %t", !field.IsNil()), true
	}
	if s, ok := field.Interface().(fmt.Stringer); ok {
		return s.String(), true
	}
	switch field.Kind() {
	case reflect.Struct:
		return "", false
	case reflect.String:
		return fmt.Sprintf("%q", field.String()), true
	default:
		return fmt.Sprint(field.Interface()), true
	}
}

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
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
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

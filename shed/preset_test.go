package shed

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

var update = flag.Bool("update", false, "write the golden file of the presets anew")

const presetsFile = "testdata/presets.golden"

// What a preset resolves to is a promise: who upgrades gets no other limits.
func TestPresetsResolveToTheirPinnedValues(t *testing.T) {
	var got strings.Builder
	for _, preset := range []struct {
		name string
		opts []Option
	}{
		{"nothing", nil},
		{"Basic()", []Option{Basic()}},
		{"ByPriority(nil)", []Option{ByPriority(nil)}},
		{"ByPriority({background: 1, normal: 0})", []Option{ByPriority(map[handrail.Priority]float64{handrail.Background: 1, handrail.Normal: 0})}},
		{"ForTarget(250ms)", []Option{ForTarget(250 * time.Millisecond)}},
		{"Using(fn)", []Option{Using(func(Snapshot, *http.Request) bool { return false })}},
		{"WithCircuit({})", []Option{WithCircuit(CircuitSettings{})}},
		{"WithStrategy(Random)", []Option{WithStrategy(Random)}},
	} {
		set := defaults()
		if err := set.apply(preset.opts); err != nil {
			t.Fatalf("%s: %v", preset.name, err)
		}
		fmt.Fprintf(&got, "%s\n", preset.name)
		render(&got, "\t", reflect.ValueOf(set))
	}
	if *update {
		if err := os.WriteFile(presetsFile, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(presetsFile)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
	for i := range max(len(was), len(is)) {
		var a, b string
		if i < len(was) {
			a = was[i]
		}
		if i < len(is) {
			b = is[i]
		}
		if a != b {
			t.Fatalf("line %d of %s: pinned %q, now %q", i+1, presetsFile, a, b)
		}
	}
}

// render writes the fields of a struct, one on a line. Of functions it says
// whether there is one.
func render(to *strings.Builder, indent string, v reflect.Value) {
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		switch {
		case field.Type() == reflect.TypeFor[time.Duration]():
			fmt.Fprintf(to, "%s%s: %v\n", indent, name, time.Duration(field.Int()))
		case field.Type() == reflect.TypeFor[Strategy]():
			fmt.Fprintf(to, "%s%s: %v\n", indent, name, Strategy(field.Uint()))
		case field.Kind() == reflect.String:
			fmt.Fprintf(to, "%s%s: %q\n", indent, name, field.String())
		case field.Kind() == reflect.Struct:
			fmt.Fprintf(to, "%s%s:\n", indent, name)
			render(to, indent+"\t", field)
		case field.Kind() == reflect.Func, field.Kind() == reflect.Pointer, field.Kind() == reflect.Slice:
			fmt.Fprintf(to, "%s%s: set %t\n", indent, name, !field.IsNil())
		default:
			fmt.Fprintf(to, "%s%s: %v\n", indent, name, field)
		}
	}
}

package cloudwatch_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/observe/cloudwatch"
)

func TestALineOfOnesOwnIsWrittenAsItWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := metrics(t, cloudwatch.WithService("shop"), cloudwatch.WithNamespace("Shop"))
		line := m.Line().Dimension("queue", "orders").
			Metric("depth", cloudwatch.Count, 12).Metric("age", cloudwatch.Seconds, 0.25, 3, 1e-9).
			Text("note", "a \"quoted\"\nline\u2028 \xff").Number("batch", 7)
		if err := line.Write(); err != nil {
			t.Fatal(err)
		}
		want := `{"_aws":{"Timestamp":946684800000,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["service.name","queue"]],` +
			`"Metrics":[{"Name":"depth","Unit":"Count"},{"Name":"age","Unit":"Seconds"}]}]},"service.name":"shop","queue":"orders",` +
			`"depth":12,"age":[0.25,3,1e-09],"note":"a \"quoted\"\nline\u2028 \ufffd","batch":7}` + "\n"
		if got := string(p.text()); got != want {
			t.Errorf("the line is\n%swant\n%s", got, want)
		}
		line.Reset()
		if err := line.Metric("depth", "", 1).At(time.Now().Add(-time.Hour)).Write(); err != nil {
			t.Error(err)
		}
		if all := p.documents(t); len(all) != 2 || all[1].root["queue"] != nil || *all[1].meta.Timestamp != 946684800000-3600_000 {
			t.Errorf("after Reset it is %s", p.text())
		}
	})
}

func TestWhatIsNotValidIsDroppedCountedAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("n", 256)
		valid := func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("n", cloudwatch.Count, 1) }
		for what, c := range map[string]struct {
			why  cloudwatch.Drop
			line func(*cloudwatch.Metrics) *cloudwatch.Line
		}{
			"no metric":        {cloudwatch.DropValue, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Text("a", "b") }},
			"no value":         {cloudwatch.DropValue, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("n", cloudwatch.Count) }},
			"NaN":              {cloudwatch.DropValue, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("n", "", math.NaN()) }},
			"infinite":         {cloudwatch.DropValue, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("n", "", math.Inf(-1)) }},
			"beyond 2^360":     {cloudwatch.DropValue, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("n", "", math.Ldexp(1, 361)) }},
			"101 values":       {cloudwatch.DropLimit, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("n", "", make([]float64, 101)...) }},
			"unit":             {cloudwatch.DropUnit, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("n", "Fortnights", 1) }},
			"metric name":      {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("größe", "", 1) }},
			"long name":        {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric(long, "", 1) }},
			"blank name":       {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("  ", "", 1) }},
			"_aws":             {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return m.Line().Metric("_aws", "", 1) }},
			"metric twice":     {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Metric("n", "", 2) }},
			"metric and field": {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Text("n", "") }},
			"both":             {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Dimension("n", "v") }},
			"a constant":       {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Number("stage", 1) }},
			"level":            {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Text("level", "x") }},
			"field name":       {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Text("", "x") }},
			"dimension name":   {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Dimension(":d", "v") }},
			"251 bytes of it":  {cloudwatch.DropName, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Dimension(long[:251], "v") }},
			"empty value":      {cloudwatch.DropDimension, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Dimension("d", "") }},
			"blank value":      {cloudwatch.DropDimension, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Dimension("d", " ") }},
			"value not ASCII":  {cloudwatch.DropDimension, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Dimension("d", "ü") }},
			"long value": {cloudwatch.DropDimension, func(m *cloudwatch.Metrics) *cloudwatch.Line {
				return valid(m).Dimension("d", strings.Repeat("v", 1025))
			}},
			"31 dimensions": {cloudwatch.DropDimension, func(m *cloudwatch.Metrics) *cloudwatch.Line {
				l := valid(m)
				for i := range 31 {
					l.Dimension(fmt.Sprint("d", i), "v")
				}
				return l
			}},
			"101 metrics": {cloudwatch.DropLimit, func(m *cloudwatch.Metrics) *cloudwatch.Line {
				l := valid(m)
				for i := range 100 {
					l.Metric(fmt.Sprint("m", i), "", 1)
				}
				return l
			}},
			"257 fields": {cloudwatch.DropLimit, func(m *cloudwatch.Metrics) *cloudwatch.Line {
				l := valid(m)
				for i := range 257 {
					l.Number(fmt.Sprint("f", i), 1)
				}
				return l
			}},
			"old":          {cloudwatch.DropTime, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).At(time.Now().AddDate(0, 0, -15)) }},
			"future":       {cloudwatch.DropTime, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).At(time.Now().Add(3 * time.Hour)) }},
			"NaN in field": {cloudwatch.DropValue, func(m *cloudwatch.Metrics) *cloudwatch.Line { return valid(m).Number("f", math.NaN()) }},
			"1 MB": {cloudwatch.DropSize, func(m *cloudwatch.Metrics) *cloudwatch.Line {
				return valid(m).Text("f", strings.Repeat("\x01", 200_000))
			}},
		} {
			m, p := metrics(t, perRequest(cloudwatch.WithConstant("stage", "prod"), cloudwatch.WithLineLevel("INFO"))...)
			err := c.line(m).Write()
			var invalid *cloudwatch.InvalidError
			if !errors.As(err, &invalid) || invalid.Why != c.why || invalid.Reason == "" || invalid.Error() == "" {
				t.Errorf("%s: the error is %v", what, err)
			}
			if s := m.Stats(); s.Dropped != 1 || s.Reasons[c.why] != 1 || s.Lines != 0 || len(p.text()) != 0 {
				t.Errorf("%s: the figures are %+v, and written is %.200s", what, s, p.text())
			}
		}
	})
}

func TestALineMayBeAsLargeAsTheLimitsAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := metrics(t, perRequest()...)
		l := m.Line().At(time.Now().Add(-14 * 24 * time.Hour))
		for i := range 30 {
			l.Dimension(fmt.Sprintf("d%0249d", i), strings.Repeat("v", 1024))
		}
		values := make([]float64, 100)
		for i := range values {
			values[i] = math.Ldexp(-1, 360)
		}
		for i := range 100 {
			l.Metric(fmt.Sprintf("m%0254d", i), "Gigabits/Second", values...)
		}
		if err := l.Write(); err != nil {
			t.Fatal(err)
		}
		if d := p.documents(t)[0]; len(d.root) != 131 {
			t.Errorf("%d fields, want 131", len(d.root))
		}
		// Exactly 1,000,000 bytes pass, one more does not.
		l = m.Line().Metric("n", "", 1).Text("f", "")
		l.Write()
		room := 1_000_000 - len(p.calls[1])
		l = m.Line().Metric("n", "", 1).Text("f", strings.Repeat("x", room))
		if err := l.Write(); err != nil || len(p.calls[2]) != 1_000_000 {
			t.Errorf("a line of 1 MB: %v", err)
		}
		if err := m.Line().Metric("n", "", 1).Text("f", strings.Repeat("x", room+1)).Write(); err == nil {
			t.Error("a line of more than 1 MB was written")
		}
	})
}

func TestEveryUnitOfTheSpecificationIsValidAndNoOther(t *testing.T) {
	for u := range units {
		if !cloudwatch.Unit(u).Valid() {
			t.Errorf("%s is refused", u)
		}
	}
	for _, u := range []cloudwatch.Unit{"seconds", "Bytes/second", "Seconds/Second", "Kilo", "Kilobytes/Second/Second", "Percent/Second", "bytes", "/Second"} {
		if u.Valid() {
			t.Errorf("%s is taken", u)
		}
	}
}

package cloudwatch_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAttributesOfARequestHaveEveryNameOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := metrics(t, perRequest()...)
		x := exchange("/", 200, time.Second)
		long := strings.Repeat("k", 2000)
		x.Attrs = []slog.Attr{
			slog.Int("a", 1), slog.Int("b", 2), slog.Group("", slog.Int("a", 3), slog.Group("", slog.Int("b", 4))),
			slog.Int("c\xff", 5), slog.Int("c\xfe", 6), slog.Int(long+"1", 7), slog.Int(long+"2", 8),
			slog.Group("g", slog.Int("a", 1), slog.Int("a", 2)), slog.Int("h", 1), slog.Group("h"), {},
		}
		m.Observe(x)
		app, _ := p.documents(t)[0].root["app"].(map[string]any)
		want := fmt.Sprint(map[string]any{"a": 3, "b": 4, "c\ufffd": 6, long[:1024]: 8, "g": map[string]any{"a": 2}, "h": 1})
		if got := fmt.Sprint(app); got != want {
			t.Errorf("they are %.4000s\nwant %.4000s", got, want)
		}
		if n := strings.Count(string(p.text()), `"b":`); n != 1 {
			t.Errorf("one is there %d times: %s", n, p.text())
		}
	})
}

func TestAttributesThatMarshalThemselvesStayUTF8OnOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := metrics(t, perRequest()...)
		x := exchange("/", 200, time.Second)
		x.Attrs = []slog.Attr{slog.Any("bytes", json.RawMessage("\"\xff\"")), slog.Any("lines", json.RawMessage("\"\u0085\u2028\n\"")), slog.Any("next", json.RawMessage("[\n\"\u0085\"]"))}
		m.Observe(x)
		app := p.documents(t)[0].root["app"].(map[string]any)
		if app["bytes"] != "\ufffd" || fmt.Sprint(app["next"]) != "[\u0085]" {
			t.Errorf("they are %q", app)
		}
	})
}

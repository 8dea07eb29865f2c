// Package examples holds programs, in folders of their own.
package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// lines are those of a text without what they are all indented by, and without
// the last ones that are empty.
func lines(text string) []string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	indent := all[0][:len(all[0])-len(strings.TrimLeft(all[0], " \t"))]
	for i, line := range all {
		all[i] = strings.TrimPrefix(line, indent)
	}
	return all
}

// holds reports whether the lines are in the source, one after the other and all
// indented by the same more.
func holds(source string, quoted []string) bool {
	all := strings.Split(source, "\n")
next:
	for i := range all {
		indent, ok := strings.CutSuffix(all[i], quoted[0])
		if !ok || strings.Trim(indent, "\t") != "" || i+len(quoted) > len(all) {
			continue
		}
		for j, line := range quoted {
			if line != "" {
				line = indent + line
			}
			if all[i+j] != line {
				continue next
			}
		}
		return true
	}
	return false
}

func TestCodeOfTheGuideIsThatOfTheExamples(t *testing.T) {
	guide, err := os.ReadFile("../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	// Beside code blocks only the links count: code is from the file that was
	// linked last.
	part := regexp.MustCompile("(?ms)^ *```go\n(.*?)^ *```$|\\]\\(\\.\\./(examples/[^)]*\\.go)\\)")
	file, quotes := "", 0
	for _, m := range part.FindAllStringSubmatch(string(guide), -1) {
		if m[2] != "" {
			file = m[2]
			continue
		}
		quotes++
		source, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Error(err)
			continue
		}
		if !holds(string(source), lines(m[1])) {
			t.Errorf("this is not in %s:\n%s", file, m[1])
		}
	}
	if quotes != strings.Count(string(guide), "```go\n") || quotes == 0 {
		t.Errorf("%d blocks were looked at", quotes)
	}
}

func TestWhatTheGuideRefersToIsThere(t *testing.T) {
	guide, err := os.ReadFile("../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(guide)
	for _, m := range regexp.MustCompile(`\]\(\.\./([^)#]*)(?:#([^)]*))?\)`).FindAllStringSubmatch(text, -1) {
		page, err := os.ReadFile(filepath.Join("..", m[1]))
		if err != nil {
			t.Error(err)
		} else if m[2] != "" && !regexp.MustCompile(`(?mi)^#+ `+m[2]+`$`).Match(page) {
			t.Errorf("%s has no section %s", m[1], m[2])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)go run \./(\S+)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("..", m[1], "main.go")); err != nil {
			t.Error(err)
		}
	}
	// The titles of panels are in italics, or in bold with quotation marks.
	var boards string
	for _, board := range []string{"http", "resilience", "runtime", "health"} {
		text, err := os.ReadFile("../deploy/grafana/" + board + ".json")
		if err != nil {
			t.Fatal(err)
		}
		boards += string(text)
	}
	panels := regexp.MustCompile(`[^*]\*([A-Z][^*]*)\*[^*]|\*\*"([^"]*)"\*\*`).FindAllStringSubmatch(text, -1)
	if len(panels) < 8 {
		t.Errorf("only %d panels are named", len(panels))
	}
	for _, m := range panels {
		if title := m[1] + m[2]; !strings.Contains(boards, `"title": "`+title+`"`) {
			t.Errorf("there is no panel %q", title)
		}
	}
}

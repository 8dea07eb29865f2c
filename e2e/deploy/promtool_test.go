package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// installed is the path of a program of Prometheus. Where it is missing the test
// is skipped, and fails where HANDRAIL_REQUIRE_PROMETHEUS is set.
func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("HANDRAIL_REQUIRE_PROMETHEUS") != "":
		t.Fatalf("%s is not installed, and HANDRAIL_REQUIRE_PROMETHEUS is set", program)
	}
	t.Skipf("%s is not installed (Debian: apt-get install prometheus)", program)
	return ""
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	promtool := installed(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "rules.yml", "alerts.yml"},
		{"check", "config", "prometheus.yml"},
		{"test", "rules", "rules_test.yml", "alerts_test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = filepath.Join(folder, "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// What promtool tests is worth as much as the cases it is given.
func TestEveryAlertHasACaseThatFiresAndOneThatDoesNot(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, name := range []string{"prometheus/rules_test.yml", "prometheus/alerts_test.yml"} {
		var file struct {
			Tests []struct {
				Alerts []struct {
					Name     string           `yaml:"alertname"`
					Expected []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		unmarshal(t, read(t, name), &file)
		for _, test := range file.Tests {
			for _, a := range test.Alerts {
				fires[a.Name] = fires[a.Name] || len(a.Expected) > 0
				silent[a.Name] = silent[a.Name] || len(a.Expected) == 0
			}
		}
	}
	for _, r := range rules(t, "prometheus/alerts.yml") {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: a case that fires %t, one that does not %t", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.+)$`)

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	text := string(read(t, "README.md"))
	anchors := map[string]string{} // to the text of the section
	at := heading.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		anchors[anchor(text[m[2]:m[3]])] = strings.TrimSpace(text[m[1]:end])
	}
	var known []string
	for _, r := range rules(t, "prometheus/alerts.yml") {
		known = append(known, anchor(r.Alert))
		if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for _, a := range []string{"summary", "description"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s: no %s", r.Alert, a)
			}
		}
		file, section, ok := strings.Cut(r.Annotations["runbook_url"], "#")
		if !ok || !strings.HasSuffix(file, "/deploy/README.md") || section != anchor(r.Alert) {
			t.Errorf("%s: the runbook is %q", r.Alert, r.Annotations["runbook_url"])
		}
		if body := anchors[section]; len(body) < 120 {
			t.Errorf("%s: the runbook says %q", r.Alert, body)
		}
	}
	// A section for an alert that is no more would be looked for in vain.
	_, runbook, _ := strings.Cut(text, "\n## Runbook")
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(runbook, -1) {
		if !slices.Contains(known, anchor(m[1])) {
			t.Errorf("the runbook has a section %s without an alert", m[1])
		}
	}
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ToLower(strings.Trim(heading, "` ")), " ", "-")
}

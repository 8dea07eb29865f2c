package handrail_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// proof is a test named in docs/features.md: folder, dot, function.
var proof = regexp.MustCompile("`([A-Za-z0-9_/]+)\\.((?:Test|Fuzz|Benchmark|Example)[A-Za-z0-9_]*)`")

func TestEveryProofOfAFeatureExists(t *testing.T) {
	page, err := os.ReadFile("docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	proofs := proof.FindAllStringSubmatch(string(page), -1)
	if len(proofs) == 0 {
		t.Fatal("docs/features.md names no test")
	}
	sources := map[string]string{}
	for _, p := range proofs {
		folder, name := p[1], p[2]
		if folder == "handrail" {
			folder = "."
		}
		if _, read := sources[folder]; !read {
			files, _ := filepath.Glob(filepath.Join(folder, "*_test.go"))
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				sources[folder] += string(text)
			}
		}
		if !regexp.MustCompile(`(?m)^func ` + name + `\(`).MatchString(sources[folder]) {
			t.Errorf("docs/features.md names %s.%s, which does not exist", p[1], name)
		}
	}
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreUpToDate(t *testing.T) {
	all := dashboards()
	for name, d := range all {
		want, err := d.render()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(target, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what this program writes: run go generate ./deploy/...", name)
		}
	}
	there, err := filepath.Glob(filepath.Join(target, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if _, ok := all[filepath.Base(name)]; !ok {
			t.Errorf("%s is no dashboard of this program", name)
		}
	}
}

package handrail_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/api.txt anew")

// TestTheExportedAPIIsTheRecordedOne keeps a change of what users compile
// against from happening unnoticed: whoever makes one records it, with -update,
// and says so in the changelog.
func TestTheExportedAPIIsTheRecordedOne(t *testing.T) {
	var lines []string
	for path, pkg := range publicPackages(t) {
		for _, d := range exported(pkg) {
			lines = append(lines, "pkg "+path+", "+d.text)
		}
	}
	slices.Sort(lines)
	got := []byte(strings.Join(lines, "\n") + "\n")
	const file = "docs/api.txt"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	recorded := strings.Split(strings.TrimSuffix(string(want), "\n"), "\n")
	for _, line := range recorded {
		if !slices.Contains(lines, line) {
			t.Errorf("gone: %s", line)
		}
	}
	for _, line := range lines {
		if !slices.Contains(recorded, line) {
			t.Errorf("new: %s", line)
		}
	}
	t.Log("go test . -update records it")
}

func TestEverythingExportedHasAComment(t *testing.T) {
	for path, pkg := range publicPackages(t) {
		if strings.TrimSpace(pkg.Doc) == "" {
			t.Errorf("package %s has no comment", path)
		}
		for _, d := range exported(pkg) {
			if strings.TrimSpace(d.comment) == "" {
				t.Errorf("%s: %s has no comment", path, d.text)
			}
		}
	}
}

// publicPackages are those that others can import, by path below the module's,
// also of modules that live in a folder of this one.
func publicPackages(t *testing.T) map[string]*doc.Package {
	t.Helper()
	packages := map[string]*doc.Package{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch name := d.Name(); {
		case name == "internal", name == "testdata", name == "examples", name == "bench", name == "e2e", name == "deploy",
			name != "." && strings.HasPrefix(name, "."):
			return filepath.SkipDir
		}
		names, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		var files []*ast.File
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		if len(files) == 0 {
			return nil
		}
		pkg, err := doc.NewFromFiles(set, files, "handrail/"+filepath.ToSlash(path))
		if err != nil {
			return err
		}
		packages[filepath.ToSlash(path)] = pkg
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 10 {
		t.Fatalf("found %d packages only", len(packages))
	}
	return packages
}

// declaration is something exported and its comment.
type declaration struct{ text, comment string }

func exported(pkg *doc.Package) (all []declaration) {
	function := func(f *doc.Func) {
		d := *f.Decl
		d.Body, d.Doc = nil, nil
		all = append(all, declaration{flat(&d), f.Doc})
	}
	values := func(kind string, groups []*doc.Value) {
		for _, g := range groups {
			var typ string // of a constant that repeats the one before
			for _, spec := range g.Decl.Specs {
				v := spec.(*ast.ValueSpec)
				if v.Type != nil {
					typ = " " + flat(v.Type)
				} else if len(v.Values) > 0 {
					typ = ""
				}
				comment := g.Doc + v.Doc.Text() + v.Comment.Text()
				for _, n := range v.Names {
					if n.IsExported() {
						all = append(all, declaration{kind + " " + n.Name + typ, comment})
					}
				}
			}
		}
	}
	values("const", pkg.Consts)
	values("var", pkg.Vars)
	for _, f := range pkg.Funcs {
		function(f)
	}
	for _, typ := range pkg.Types {
		spec := typ.Decl.Specs[0].(*ast.TypeSpec)
		all = append(all, members(spec, typ.Doc)...)
		values("const", typ.Consts)
		values("var", typ.Vars)
		for _, f := range typ.Funcs {
			function(f)
		}
		for _, m := range typ.Methods {
			if m.Level == 0 {
				function(m)
			}
		}
	}
	return all
}

// members are a type and what of it is exported. A field is told about where its
// own comment is, or that of the fields just before.
func members(spec *ast.TypeSpec, comment string) []declaration {
	name := spec.Name.Name
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		all := []declaration{{"type " + name + " struct", comment}}
		told := comment
		for _, f := range typ.Fields.List {
			if own := f.Doc.Text() + f.Comment.Text(); own != "" {
				told = own
			}
			for _, n := range f.Names {
				if n.IsExported() {
					all = append(all, declaration{"type " + name + " struct, " + n.Name + " " + flat(f.Type), told})
				}
			}
			if len(f.Names) == 0 && ast.IsExported(strings.TrimLeft(flat(f.Type)[strings.LastIndex(flat(f.Type), ".")+1:], "*")) {
				all = append(all, declaration{"type " + name + " struct, " + flat(f.Type), told})
			}
		}
		return all
	case *ast.InterfaceType:
		all := []declaration{{"type " + name + " interface", comment}}
		for _, m := range typ.Methods.List {
			if len(m.Names) == 0 {
				all = append(all, declaration{"type " + name + " interface, " + flat(m.Type), comment})
				continue
			}
			// A method that says nothing of its own is told about with the type.
			all = append(all, declaration{"type " + name + " interface, " + m.Names[0].Name + strings.TrimPrefix(flat(m.Type), "func"),
				comment + m.Doc.Text()})
		}
		return all
	default:
		return []declaration{{"type " + name + " " + flat(typ), comment}}
	}
}

// flat is source text on one line, without comments.
func flat(node any) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// forbidden are words of the private language that the code once spoke; docs/glossary.md
// has the field's.
var forbidden = []string{
	"aside", "behinds", "book", "cries", "detour", "doubt", "exhume", "fate", "fates", "feeder",
	"folds", "halves", "household", "jam", "keeper", "leftover", "leftovers", "leisure", "mailroom",
	"outlet", "parcel", "parcels", "seat", "seats", "sorry", "stray", "strays", "talk", "talks",
}

// words are the parts of an identifier or a file name, in lower case.
func words(name string) []string {
	var out []string
	start := 0
	for i, r := range name {
		if i > start && (unicode.IsUpper(r) || !unicode.IsLetter(r)) {
			out = append(out, strings.ToLower(name[start:i]))
			start = i
		}
		if !unicode.IsLetter(r) {
			start = i + 1
		}
	}
	return append(out, strings.ToLower(name[start:]))
}

// TestNamesAreTheFields keeps the old words from coming back.
func TestNamesAreTheFields(t *testing.T) {
	check := func(where, name string) {
		for _, w := range words(name) {
			if slices.Contains(forbidden, w) {
				t.Errorf("%s: %q says %q: see docs/glossary.md for the field's word", where, name, w)
			}
		}
	}
	files := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "architecture"):
			return fs.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".lua", ".sql", ".sh", ".html", ".css", ".js":
			check(path, strings.TrimSuffix(d.Name(), filepath.Ext(path)))
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		tree, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				check(files.Position(n.Pos()).String(), n.Name)
			case *ast.CallExpr:
				if key := misnamedError(n); key != nil {
					t.Errorf("%s: the log key of an error is \"error\"", files.Position(key.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// misnamedError is the argument "err" of a call that logs.
func misnamedError(call *ast.CallExpr) ast.Expr {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "With"}, f.Sel.Name) {
		return nil
	}
	for _, arg := range call.Args {
		if s, ok := arg.(*ast.BasicLit); ok && s.Value == `"err"` {
			return arg
		}
	}
	return nil
}

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "talk": "talk", "TalkRow": "talk row", "findURL": "find u r l", "pg_talk2rows": "pg talk rows",
	} {
		if got := strings.Join(strings.Fields(strings.Join(words(name), " ")), " "); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

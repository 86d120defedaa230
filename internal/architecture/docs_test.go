package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`(Test[A-Z]\\w+)`")
	namedFile = regexp.MustCompile("`([a-z][\\w/-]*/[\\w-]+\\.go)`")
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	pageLink  = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

// TestDocsNameWhatExists: the tests and files that the documentation points to
// are there, and so are the pages that it links.
func TestDocsNameWhatExists(t *testing.T) {
	t.Parallel()
	var tests, files []string
	for _, root := range []string{"../../internal", "../../cmd", "../../bench", "../../deploy"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				if d != nil && d.Name() == "node_modules" {
					return fs.SkipDir
				}
				return err
			}
			files = append(files, filepath.ToSlash(path))
			if !strings.HasSuffix(path, "_test.go") {
				return nil
			}
			src, err := os.ReadFile(path)
			for _, m := range testFunc.FindAllSubmatch(src, -1) {
				tests = append(tests, string(m[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("docs: %v %v", pages, err)
	}
	for _, page := range append(pages, "../../README.md", "../../README.es.md", "../../examples/consumer/README.md") {
		src, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namedTest.FindAllSubmatch(src, -1) {
			if !slices.Contains(tests, string(m[1])) {
				t.Errorf("%s names %s, which is no test", page, m[1])
			}
		}
		for _, m := range namedFile.FindAllSubmatch(src, -1) {
			if !slices.ContainsFunc(files, func(f string) bool { return strings.HasSuffix(f, "/"+string(m[1])) }) {
				t.Errorf("%s names %s, which is no file", page, m[1])
			}
		}
		for _, m := range pageLink.FindAllSubmatch(src, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), string(m[1]))); err != nil {
				t.Errorf("%s links %s: %v", page, m[1], err)
			}
		}
	}
}

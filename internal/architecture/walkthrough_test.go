package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// name is package.Name or package.Type.Method, as walkthrough.md writes it.
var name = regexp.MustCompile("`([a-z0-9]+)\\.([A-Za-z]\\w*)(?:\\.([A-Za-z]\\w*))?`")

// TestWalkthroughIsTrue: the page names only what is there.
func TestWalkthroughIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/walkthrough.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := declarations(t)
	named := name.FindAllStringSubmatch(string(page), -1)
	if len(named) < 25 {
		t.Errorf("only %d names in the walkthrough: it should say where each step is", len(named))
	}
	for _, m := range named {
		full := strings.TrimSuffix(m[1]+"."+m[2]+"."+m[3], ".")
		if !declared[full] {
			t.Errorf("docs/walkthrough.md names %s, which is not there", full)
		}
	}
}

// declarations has every package.Name, package.Type.Method and package.Interface.Method
// of internal.
func declarations(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range tree.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				receiver := ""
				if decl.Recv != nil {
					receiver = typeName(decl.Recv.List[0].Type) + "."
				}
				out[tree.Name.Name+"."+receiver+decl.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok {
						out[tree.Name.Name+"."+spec.Name.Name] = true
						addMembers(out, tree.Name.Name+"."+spec.Name.Name, spec.Type)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// addMembers adds an interface's methods and a struct's fields.
func addMembers(out map[string]bool, prefix string, kind ast.Expr) {
	var fields *ast.FieldList
	switch kind := kind.(type) {
	case *ast.InterfaceType:
		fields = kind.Methods
	case *ast.StructType:
		fields = kind.Fields
	default:
		return
	}
	for _, f := range fields.List {
		for _, id := range f.Names {
			out[prefix+"."+id.Name] = true
		}
	}
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

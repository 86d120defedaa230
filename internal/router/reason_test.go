package router

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// declared reads the reasons from the source, so that none can be forgotten.
func declared(t *testing.T) []Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []Reason
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if ok && lit.Kind == token.STRING {
			code, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, Reason(code))
		}
		return true
	})
	return list
}

func TestEveryReasonHasItsSentences(t *testing.T) {
	t.Parallel()
	want := declared(t)
	if len(want) < 40 {
		t.Fatalf("found only %d reasons in reason.go", len(want))
	}
	got := Reasons()
	for _, r := range want {
		if !slices.Contains(got, r) {
			t.Errorf("%s has no sentences", r)
			continue
		}
		if es, en := r.Text("es"), r.Text("en"); es == "" || en == "" || es == en {
			t.Errorf("%s: es %q, en %q", r, es, en)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the table has %d reasons, reason.go %d", len(got), len(want))
	}
}

func TestReasonOfANewerVersion(t *testing.T) {
	t.Parallel()
	if got := Reason("from_the_future").Text("es"); got != "from_the_future" {
		t.Errorf("got %q", got)
	}
}

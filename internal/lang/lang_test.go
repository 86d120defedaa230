package lang

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestIn(t *testing.T) {
	text := Text{"%d de %s", "%d of %s"}
	for lang, want := range map[string]string{"es": "3 de %", "": "3 de %", "en": "3 of %"} {
		if got := text.In(lang, 3, "%"); got != want {
			t.Errorf("%q: got %q, want %q", lang, got, want)
		}
	}
	if got := (Text{"al 90 %", "at 90 %"}).In("en"); got != "at 90 %" {
		t.Errorf("without arguments: got %q", got)
	}
}

// TestEveryText reads every lang.Text in the program's source: both languages are
// present, with the same verbs and placeholders.
func TestEveryText(t *testing.T) {
	found := 0
	for _, root := range []string{"../../cmd", "../../internal"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				for _, text := range textsOf(n) {
					found++
					if problem := check(text); problem != "" {
						t.Errorf("%s: %s", files.Position(text.Pos()), problem)
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
	if found == 0 {
		t.Error("no text was found: the test looks in the wrong place")
	}
}

func TestCheck(t *testing.T) {
	for source, want := range map[string]string{
		`Text{ES: "hola %s", EN: "hello %s"}`:                             "",
		`Text{EN: "{value} of %[1]d %% %s", ES: "%s {value} " + "de %d"}`: "verbs differ",
		`Text{ES: "%d de " + "%s", EN: "of %[2]s %[1]d"}`:                 "",
		`Text{ES: "{subject} 90 %.", EN: "{subject} 90 %."}`:              "",
		`Text{ES: "{subject}", EN: "{subjects}"}`:                         "verbs differ",
		`Text{ES: "hola", EN: ""}`:                                        "a language is missing",
		`Text{ES: "hola"}`:                                                "a language is missing",
		`Text{"hola", "hello"}`:                                           "name the languages",
		`Text{ES: es, EN: "hello"}`:                                       "not a literal",
	} {
		expr, err := parser.ParseExpr(source)
		if err != nil {
			t.Fatal(err)
		}
		if got := check(expr.(*ast.CompositeLit)); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

// textsOf returns the texts that n itself writes: lang.Text{…}, and the elements of
// slices and maps of texts, which do not name the type.
func textsOf(n ast.Node) []*ast.CompositeLit {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var element ast.Expr
	switch typ := literal.Type.(type) {
	case *ast.ArrayType:
		element = typ.Elt
	case *ast.MapType:
		element = typ.Value
	default:
		if isText(literal.Type) && len(literal.Elts) > 0 {
			return []*ast.CompositeLit{literal}
		}
		return nil
	}
	if !isText(element) {
		return nil
	}
	var texts []*ast.CompositeLit
	for _, e := range literal.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			e = pair.Value
		}
		if text, ok := e.(*ast.CompositeLit); ok && text.Type == nil {
			texts = append(texts, text)
		}
	}
	return texts
}

func isText(e ast.Expr) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != "Text" {
		return false
	}
	name, ok := selector.X.(*ast.Ident)
	return ok && name.Name == "lang"
}

// check returns the problem of a text, "" without one.
func check(text *ast.CompositeLit) string {
	var both [2]string // es, en
	for _, e := range text.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return "name the languages"
		}
		i := 0
		if pair.Key.(*ast.Ident).Name == "EN" {
			i = 1
		}
		value, ok := literal(pair.Value)
		if !ok {
			return "not a literal: write both languages as literals"
		}
		both[i] = value
	}
	if both[0] == "" || both[1] == "" {
		return "a language is missing"
	}
	if es, en := verbs(both[0]), verbs(both[1]); !slices.Equal(es, en) {
		return "verbs differ: es " + strings.Join(es, " ") + ", en " + strings.Join(en, " ")
	}
	return ""
}

func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		value, err := strconv.Unquote(e.Value)
		return value, err == nil
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, too := literal(e.Y)
		return left + right, ok && too
	default:
		return "", false
	}
}

var verb = regexp.MustCompile(`%%|%(?:\[(\d+)\])?([+#0-]*[\d.]*[a-zA-Z])|\{\w+\}`)

// verbs returns the verbs of a format with the numbers of their arguments, and the
// {placeholders} of a text that is filled in by name, sorted.
func verbs(text string) []string {
	var list []string
	next := 1
	for _, m := range verb.FindAllStringSubmatch(text, -1) {
		switch {
		case m[0] == "%%":
		case m[2] == "":
			list = append(list, m[0])
		default:
			if m[1] != "" {
				next, _ = strconv.Atoi(m[1])
			}
			list = append(list, strconv.Itoa(next)+m[2])
			next++
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

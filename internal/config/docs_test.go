package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

const docFile = "../../docs/configuration.md"

// TestDocumentationIsTrue: docs/configuration.md agrees with the struct.
func TestDocumentationIsTrue(t *testing.T) {
	want := document()
	if *update {
		if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docFile)
	if err != nil || string(got) != want {
		t.Errorf("docs/configuration.md differs from the struct (%v): run go test ./internal/config -run Documentation -update", err)
	}
}

// TestEveryKeyIsDocumented: each key has a sentence, and its variable leads back to it.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	for _, s := range sections() {
		for _, f := range fields(s.typ) {
			key := keyOf(f)
			if doc := f.Tag.Get("doc"); doc == "" || !strings.HasSuffix(doc, ".") {
				t.Errorf("%s.%s: doc %q is not a sentence", s.path, key, doc)
			}
			path := strings.NewReplacer("<id>", "wsp4", "<n>", "0").Replace(join2(s.path, key))
			if got, _ := locate(EnvName(path)); strings.Join(got, ".") != path {
				t.Errorf("%s leads not to %s but to %v", EnvName(path), path, got)
			}
		}
	}
}

func join2(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

const docHead = `# Configuration

<!-- Generated from internal/config by its test (-update). Do not edit. -->

` + "`psi-router serve --config psi.yaml`" + ` reads a YAML file, then the environment; the environment wins. Without either, the router starts with the sandbox and its public development identity, on 127.0.0.1:3002.

- Every key has a variable: ` + "`PSI_<KEY>`, `PSI_LINES_<ID>_<KEY>`, `PSI_ENDPOINTS_<N>_<KEY>`" + ` (N counts from 0; variables write the - of an id as _). An empty variable counts as not set.
- Every secret takes one value or, during a rotation, a list: ` + "`[new, old]`" + `. ` + "`<key>_file`" + ` (in the environment ` + "`<NAME>_FILE`" + `) reads the secret from a file, one value a line. Secrets are never printed.
- ` + "`${VAR}` and `${VAR:-default}`" + ` in the file are replaced from the environment; ` + "`$${`" + ` is a literal ` + "`${`" + `. Between { and } quote the reference: ` + "`'${VAR}'`" + `.
- Durations: ` + "`500ms`, `30s`, `10m`, `24h`, `30d`, `1w`" + `. Rates: ` + "`80/s`, `600/m`, `5000/h`" + `. Sizes: ` + "`500KB`, `100MB`, `1GiB`" + `.
- Unknown keys are errors, as are the names of the previous product in the environment ([migration.md](migration.md#its-env-file)). One message lists all problems, each with its place, reason and cure.

`

func document() string {
	var b strings.Builder
	b.WriteString(docHead)
	for _, s := range sections() {
		title := "At the top"
		if s.path != "" {
			title = "`" + s.path + "`"
		}
		fmt.Fprintf(&b, "## %s\n\n| key | variable | default | meaning |\n| --- | --- | --- | --- |\n", title)
		for _, f := range fields(s.typ) {
			key := keyOf(f)
			path := join2(s.path, key)
			variable := "`" + EnvName(path) + "`"
			if deeper(f.Type) {
				variable = "see below"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", key, variable, code(f.Tag.Get("default")), meaning(f))
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func deeper(t reflect.Type) bool {
	return t.Kind() == reflect.Map || isStruct(t) || t.Kind() == reflect.Slice && isStruct(t.Elem())
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func meaning(f reflect.StructField) string {
	out := strings.ReplaceAll(strings.ReplaceAll(f.Tag.Get("doc"), "|", "\\|"), "<", "&lt;")
	if one := f.Tag.Get("oneof"); one != "" {
		out += " One of `" + strings.Join(strings.Fields(one), "`, `") + "`."
	}
	if f.Type == secretType {
		out += " *Secret.*"
	}
	if f.Tag.Get("required") == "true" {
		out += " *Required.*"
	}
	if example := f.Tag.Get("example"); example != "" {
		out += " For example `" + example + "`."
	}
	if later := f.Tag.Get("later"); later != "" {
		out += " **No effect in this version:** " + later + "."
	}
	return out
}

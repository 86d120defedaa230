package flow

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func psi(t *testing.T) *Flow {
	t.Helper()
	src, err := os.ReadFile("../../flows/psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, problems := Check("psi.yaml", src)
	if len(problems) > 0 {
		t.Fatalf("psi.yaml must lint clean:\n%v", problems)
	}
	return f
}

// TestShippedFlow: the shipped flow has the codes that people at PSI know by heart.
func TestShippedFlow(t *testing.T) {
	t.Parallel()
	f := psi(t)
	got := make(map[string]string)
	for code, c := range f.Codes {
		o, _ := f.Option(c)
		got[code] = "menu " + o.Menu
		if o.Handoff != nil {
			got[code] = o.Handoff.Area + "/" + o.Handoff.Tag
		}
	}
	want := map[string]string{
		"1": "menu admin", "2": "menu alumnos", "3": "menu inscripciones", "4": "menu comunidad", "5": "revisar/otra_consulta",
		"11": "admin/pagos", "12": "admin/cuota", "13": "admin/facturas", "14": "admin/certificados", "15": "admin/otro",
		"21": "alumnos/campus", "22": "alumnos/clases", "23": "alumnos/recursos", "24": "alumnos/certificados", "25": "alumnos/duda", "26": "alumnos/otro",
		"31": "ventas/vigentes", "32": "ventas/inscripcion", "33": "ventas/pagos", "34": "ventas/modalidades", "35": "ventas/promos", "36": "ventas/asesora",
		"41": "comunidad/acceso", "42": "comunidad/calendario", "43": "comunidad/transmision", "44": "comunidad/grabaciones", "45": "comunidad/recursos", //nolint:misspell // Spanish
		"46": "comunidad/tecnico", "47": "comunidad/otro",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("codes (-got +want):\n%s", diff)
	}
	if want := []string{"admin", "alumnos", "ventas", "comunidad", "revisar"}; !slices.Equal(f.AreaOrder, want) {
		t.Errorf("areas %v, want %v", f.AreaOrder, want)
	}
	for _, id := range f.MenuOrder {
		if m := f.Menus[id]; m.Style != StyleList || (m.Parent != "principal") != (id == "principal") {
			t.Errorf("menu %s: style %s, parent %q", id, m.Style, m.Parent)
		}
	}
	if p := f.Policies; p.MenuBreaksHandoff || p.InvalidLimit != 3 || p.AutoPerHour != 20 || p.OfferArea != "revisar" {
		t.Errorf("policies %+v", p)
	}
}

// TestContractExample parses the contract's example.
func TestContractExample(t *testing.T) {
	t.Parallel()
	f, err := Parse("contract.yaml", []byte(`
version: 1
lines:
  wsp4: {start: principal}
areas:
  admin: {name: Administración, expected: "2 a 4 h hábiles"}
  revisar: {name: Atención}
texts:
  handed_off: "✅ Listo, te paso con *{area}*. Tu número es {ticket}. {expected}"
  invalid: "No encontré esa opción 🙈 Mirá el menú y mandame el número."
commands:
  menu: [menu, menú, "0", inicio]
  back: [volver, atras]
menus:
  principal:
    style: auto            # auto | text | list | buttons; text where a line cannot do lists
    text: "¡Hola! 👋 ¿Con quién querés hablar?"
    options:
      - {code: "1", title: Administración, menu: admin}
      - {code: "5", title: Otra consulta, handoff: {area: revisar, tag: otra_consulta}}
  admin:
    text: "*Administración* 🟨 ¿Qué necesitás?"
    options:
      - {code: "11", title: Pagos y medios, description: Cómo y dónde pagar, handoff: {area: admin, tag: pagos}}
      - {code: 15, title: Hablar con alguien, handoff: {area: admin, tag: otro}}
policies: {menu_breaks_handoff: false, invalid_limit: 3, auto_per_hour: 20}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Commands.Menu; !slices.Equal(got, []string{"menu", "0", "inicio"}) {
		t.Errorf("commands.menu %q", got)
	}
	if got := f.Menus["principal"].Style; got != StyleButtons {
		t.Errorf("two short options are shown as %s", got)
	}
	if got := f.Menus["admin"].Style; got != StyleList {
		t.Errorf("options with a description are shown as %s", got)
	}
	if got := f.Menus["admin"].Options[1].Code; got != "15" {
		t.Errorf("a code without quotes is %q", got)
	}
	if got := f.Texts.MenuButton; got == "" {
		t.Error("texts that are left out have no default")
	}
}

// TestAllProblemsAtOnce: one run reports all problems, in the order of the file.
func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	src := strings.NewReplacer("start: uno", "start: doss", "code: \"2\"", "code: \"0\"", "title: Efectivo", "titel: Efectivo").Replace(good)
	_, err := Parse("a.yaml", []byte(src))
	want := `a.yaml:3:14: error: line a starts in the menu "doss", which does not exist; did you mean "dos"?
a.yaml:11:16: error: code "0" is a word of commands.menu and would never be chosen; write another code, or remove that word there
a.yaml:15:22: error: unknown key "titel" in menus.dos.options.0; did you mean "title"?`
	if err == nil {
		t.Fatal("it was accepted")
	}
	if diff := cmp.Diff(err.Error(), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Errorf("%T", err)
	}
}

func TestWarningsAreNotErrors(t *testing.T) {
	t.Parallel()
	src := []byte(strings.Replace(good, ", expected: hoy}", "}", 1))
	if _, err := Parse("a.yaml", src); err != nil {
		t.Errorf("refused for a warning: %v", err)
	}
	if f, problems := Check("a.yaml", src); f == nil || len(problems) != 1 || problems[0].Severity != SeverityWarning {
		t.Errorf("check: %v", problems)
	}
}

// TestAliases: YAML aliases work and cannot unfold without bound.
func TestAliases(t *testing.T) {
	t.Parallel()
	src := strings.Replace(good, "handoff: {area: admin, tag: otra}", "handoff: &h {area: admin, tag: otra}", 1)
	src = strings.Replace(src, "handoff: {area: admin, tag: efectivo}", "handoff: *h", 1)
	f, err := Parse("a.yaml", []byte(src))
	if err != nil || f.Menus["dos"].Options[0].Handoff.Tag != "otra" {
		t.Errorf("%v", err)
	}
	var b strings.Builder
	b.WriteString("version: 1\nareas:\n  a: {name: A, aliases: &many [")
	for i := range 2000 {
		fmt.Fprintf(&b, "x%d,", i)
	}
	b.WriteString("]}\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "  a%d: {name: A, aliases: *many}\n", i)
	}
	if _, err := Parse("bomb.yaml", []byte(b.String())); err == nil || !strings.Contains(err.Error(), "without aliases") {
		t.Error("it was unfolded")
	}
	if _, err := Parse("large.yaml", []byte("# "+strings.Repeat("x", 256<<10))); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error("it was read")
	}
}

package flow

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// odd is a flow with everything that could break a drawing.
const odd = `version: 1
lines:
  a: {start: uno}
  b: {start: tres}
areas:
  admin: {name: "A & B <c> \"d\"", expected: hoy}
menus:
  uno:
    text: "*Hola* <script>alert(1)</script> & \"chau\" #1, un texto que no entra en la tarjeta\notra línea"
    options:
      - {code: "1", title: "A <b> & \"c\"", menu: dos}
      - {code: "2", title: Un título de 24 letras…, reply: "De 9 a 18"}
      - {code: "3", title: A nadie más, handoff: {area: admin}}
  dos:
    text: "Segundo"
    options:
      - {code: "21", title: Otra vez, menu: uno}
      - {code: "22", title: Adelante, menu: tres}
  tres:
    text: "Tercero"
    options:
      - {code: "31", title: Persona, handoff: {area: admin, tag: una_etiqueta_muy_larga}}
  suelto:
    text: "Nadie llega"
    options:
      - {code: "41", title: Persona, handoff: {area: admin, tag: x}}
`

func TestDiagrams(t *testing.T) {
	t.Parallel()
	strange, err := Parse("odd.yaml", []byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*Flow{"psi": psi(t), "odd": strange} {
		for ext, draw := range map[string]func(*Flow) string{"svg": SVG, "mmd": Mermaid} {
			file := "testdata/" + name + "." + ext
			got := draw(f)
			if again := draw(f); again != got {
				t.Errorf("%s is not the same twice", file)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, string(want)); diff != "" {
				t.Errorf("%s (-got +want), write it anew with -update:\n%s", file, diff)
			}
		}
	}
}

// TestSVGIsXML: whatever a flow's texts contain, the picture is well-formed and they add no
// element.
func TestSVGIsXML(t *testing.T) {
	t.Parallel()
	f, err := Parse("odd.yaml", []byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	picture := SVG(f)
	if strings.Contains(picture, "<script") {
		t.Error("a text became an element")
	}
	dec := xml.NewDecoder(strings.NewReader(picture))
	for {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, menu := range f.MenuOrder {
		if !strings.Contains(picture, ">"+menu) {
			t.Errorf("menu %s is not drawn", menu)
		}
	}
}

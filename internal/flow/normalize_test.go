package flow

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Hola":                    "hola",
		"  ¡HOLA!!  ":             "hola",
		"holaaaa":                 "hola",
		"holaa":                   "holaa",
		"Buen día 🌞":              "buen dia",
		"BUENOS DÍAS.":            "buenos dias",
		"buenos di\u0301as":       "buenos dias",
		"Menú":                    "menu",
		"ñandú":                   "nandu",
		"1.":                      "1",
		"*11*":                    "11",
		"(35)":                    "35",
		"1️⃣":                     "1",
		"１１":                      "11",
		"1 1":                     "1 1",
		"1,5":                     "1 5",
		"1-5":                     "1 5",
		"111":                     "111",
		"$11":                     "$11",
		"11%":                     "11%",
		"👍":                       "👍",
		"👍🏽👍🏽":                    "👍",
		"❤️":                      "❤",
		"gracias 🙏":               "gracias",
		"🙏 gracias":               "gracias",
		"👩‍🎓":                     "👩🎓",
		"?":                       "",
		"...":                     "",
		"":                        "",
		"\xff\xfe":                "",
		strings.Repeat("a b", 80): "",
	} {
		if got := Normalize(in); got != want {
			t.Errorf("Normalize(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormalizeIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := Normalize(rapid.String().Draw(t, "text"))
		if twice := Normalize(once); twice != once {
			t.Errorf("%q became %q", once, twice)
		}
	})
}

func TestCovers(t *testing.T) {
	t.Parallel()
	phrases := []string{"hola", "buenas", "buenas tardes", "que tal", ""}
	for word, want := range map[string]bool{
		"hola":                             true,
		"hola buenas tardes que tal":       true,
		"buenas buenas tardes":             true,
		"que tal hola hola":                true,
		"hola que":                         false,
		"holabuenas":                       false,
		"hola  buenas":                     false,
		"buenas tardes quiero anotarme":    false,
		"tardes":                           false,
		"":                                 false,
		strings.Repeat("hola ", 100) + "x": false,
	} {
		if got := Covers(phrases, word); got != want {
			t.Errorf("Covers(%q) = %v", word, got)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	f := psi(t)
	for _, tc := range []struct{ menu, word, want string }{
		{"principal", "1", "1"},
		{"admin", "1", "1"},
		{"admin", "22", "22"},
		{"", "47", "47"},
		{"admin", "pagos y medios", "11"},
		{"principal", "pagos y medios", ""}, // titles count only in their own menu
		{"principal", "becas", "35"},        // a synonym of only one option
		{"principal", "soy alumno", "2"},
		{"comunidad", "otra consulta", "47"},
		{"principal", "otra consulta", "5"},
		{"principal", "51", ""},
		{"principal", "", ""},
	} {
		c, ok := f.Match(tc.menu, tc.word)
		o, _ := f.Option(c)
		if !ok {
			o = Option{}
		}
		if o.Code != tc.want {
			t.Errorf("%q in %q chose %q, want %q", tc.word, tc.menu, o.Code, tc.want)
		}
	}
	// As people write it.
	for said, want := range map[string]string{
		"1 · Administración": "1", "*11* · Pagos y medios": "11", "11. Pagos y medios": "11", "11 Pagos y medios — Cómo y dónde pagar": "11",
		"11 pagos y algo más": "", "opción 1": "1", "Opcion 11": "11", "la 5": "5", "el 2": "2", "nro. 22": "22", "número 22": "22",
		"1º": "1", "1°": "1", "1ª": "1", "1ro": "1", "2da": "2", "11mo": "11", "1x": "", "opción": "", "opción 99": "", "la otra": "",
		"1 kilo": "", "2 o 3": "",
		"1.º": "1", "1.ª": "1", "1.°": "1", "1.er": "1", "2.do": "2", "Nº 1": "1", "N° 1": "1", "nº1": "1", "n.º 11": "11", "No. 1": "1", "N 1": "1",
		"la opción 1": "1", "opción número 1": "1", "la numero 1": "1", "la opción nro. 22": "22", "opciones 1": "1", "el número 5": "5",
		"opcion1": "1", "Opción11": "11", "nro22": "22", "op1": "1", "n1": "1", "opción 1ra": "1", "la 1.ª": "1",
		"opción 1 · Administración": "1", "la 1 · Administración": "1", "*Opción 11* · Pagos y medios — Cómo y dónde pagar": "11", "1º Administración": "1", "1.º Administración": "1",
		"no 1 vez": "", "no, 1 vez": "", "la 1 y la 2": "", "el 1 de mayo": "", "la 1 o la 2": "", "no": "", "la opción": "", "n": "", "el": "",
		"opción 1 a 2": "", "1 a 3": "", "1 o": "1", "opcion1x": "", "x1": "", "hola 1": "", "no quiero la 1": "", "la de 1": "", "no 99": "", "la 1 ventas": "", "no a 1": "", "11 a 22": "",
		"1 no": "", "la 1 no": "", "la 1 va": "", "5 da": "", "no la 1": "", "no el 2": "", "no no 1": "", "la opción no": "", "opción Nº 1": "1", "no opción 1": "",
	} {
		c, ok := f.Match("principal", Normalize(said))
		o, _ := f.Option(c)
		if !ok {
			o = Option{}
		}
		if o.Code != want {
			t.Errorf("%q (%q) chose %q, want %q", said, Normalize(said), o.Code, want)
		}
	}
	if _, ok := f.Option(Choice{Menu: "admin", Index: 99}); ok {
		t.Error("an option that is not there")
	}
}

func TestAreaAliases(t *testing.T) {
	t.Parallel()
	f := psi(t)
	for name, want := range map[string]string{
		"admin": "admin", "administracion": "admin", "Administración": "admin", " ADMIN ": "admin", "ventas_1": "ventas", "Inscripciones": "ventas",
		"marketing": "", "": "", "!": "",
	} {
		a, ok := f.Area(name)
		if ok != (want != "") || a.ID != want {
			t.Errorf("Area(%q) = %q, %v", name, a.ID, ok)
		}
	}
	if got := len(f.AreaList()); got != 5 {
		t.Errorf("%d areas", got)
	}
}

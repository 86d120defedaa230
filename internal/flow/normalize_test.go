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

func TestNormalizeTwiceIsOnce(t *testing.T) {
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
		{"principal", "pagos y medios", ""}, // titles only where they are shown
		{"principal", "becas", "35"},        // a synonym that only one option has
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

func TestAreasByOldNames(t *testing.T) {
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

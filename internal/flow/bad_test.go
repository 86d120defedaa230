package flow

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// good is the smallest flow without a problem. The bad flows change it.
const good = `version: 1
lines:
  a: {start: uno}
areas:
  admin: {name: Administración, expected: hoy}
menus:
  uno:
    text: "¿Qué?"
    options:
      - {code: "1", title: Pagos, menu: dos}
      - {code: "2", title: Otra, handoff: {area: admin, tag: otra}}
  dos:
    text: "¿Cómo?"
    options:
      - {code: "21", title: Efectivo, handoff: {area: admin, tag: efectivo}}
`

func TestSmallestFlow(t *testing.T) {
	t.Parallel()
	f, problems := Check("a.yaml", []byte(good))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if f.Menus["dos"].Parent != "uno" || f.Menus["uno"].Parent != "" || f.Codes["21"] != (Choice{Menu: "dos", Index: 0}) {
		t.Errorf("parents or codes: %+v %+v", f.Menus, f.Codes)
	}
	if f.Start("a").ID != "uno" || f.Start("unnamed").ID != "uno" {
		t.Error("starts")
	}
}

// TestBadFlows: each change of the good flow gets a message at the right position that says
// what to write instead.
func TestBadFlows(t *testing.T) {
	t.Parallel()
	const option = "      - {code: \"21\", title: Efectivo, handoff: {area: admin, tag: efectivo}}\n"
	long := func(n int) string { return strings.Repeat("a", n) }
	rows := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("      - {code: \"x" + string(rune('a'+i)) + "\", title: T" + string(rune('a'+i)) + ", reply: r}\n")
		}
		return b.String()
	}
	for _, tc := range []struct {
		name, from, to string
		want           string
	}{
		// the file
		{"not YAML", "lines:\n", "lines: [\n", `a.yaml:2:1: error: this is not YAML: did not find expected ',' or ']'; check indentation, colons and quotes`},
		{"two documents", "menus:\n", "---\nmenus:\n", `a.yaml:6:1: error: the file must hold one flow; remove the second document (---)`},
		{"no version", "version: 1\n", "", `a.yaml:1:1: error: version is missing; begin with version: 1`},
		{"another version", "version: 1", "version: 2", `a.yaml:1:10: error: version "2" is not known here; write version: 1`},
		{"unknown key", "areas:", "areaas:", `a.yaml:4:1: error: unknown key "areaas" in the flow; did you mean "areas"?`},
		{"unknown key, nothing near", "text: \"¿Cómo?\"", "colour: red", `a.yaml:13:5: error: unknown key "colour" in menus.dos; write one of: style, text, footer, button, options`},
		{"key twice", "  admin: {name: Administración, expected: hoy}", "  admin: {name: A, expected: hoy}\n  admin: {name: B}", `a.yaml:6:3: error: "admin" is here twice (first on line 5); keep one`},
		{"a list for a mapping", "  a: {start: uno}", "  - a", `a.yaml:2:1: error: lines must be a mapping; write {wsp4: {start: principal}}`},
		{"a mapping for a text", "text: \"¿Qué?\"", "text: {es: hola}", `a.yaml:8:5: error: menus.uno.text must be a text; write it in quotes`},
		{"a text for options", option, "      nothing\n", `a.yaml:15:7: error: menus.dos.options must be a list; write - {code: "11", title: Pagos, handoff: {area: admin, tag: pagos}}`},

		// lines and areas
		{"no line", "  a: {start: uno}\n", "", `a.yaml:2:7: error: no line says where conversations start; write lines: {wsp4: {start: uno}}`},
		{"no start", "{start: uno}", "{}", `a.yaml:3:3: error: line a has no start; write start: uno`},
		{"unknown start", "start: uno", "start: unno", `a.yaml:3:14: error: line a starts in the menu "unno", which does not exist; did you mean "uno"?`},
		{"line id", "  a: {", "  \"A b\": {", `a.yaml:3:3: error: line id "A b" may hold only a-z, 0-9, _ and -; write "a_b"`},
		{"area without a name", "{name: Administración, expected: hoy}", "{expected: hoy}", `a.yaml:5:3: error: area admin has no name; write name: what people read, for example "Admin"`},
		{"area that does not say when", ", expected: hoy}", "}", `a.yaml:5:3: warning: area admin does not say when it answers; write expected: "1 a 2 h hábiles"`},
		{"alias twice", "expected: hoy}", "expected: hoy}\n  ventas: {name: Ventas, expected: hoy, aliases: [Ádmin]}", `a.yaml:6:51: error: "Ádmin" already names the area admin; keep it in one`},
		{"area id", "expected: hoy}", "expected: hoy}\n  Atención: {name: Atención, expected: hoy}", `a.yaml:6:3: error: area id "Atención" may hold only a-z, 0-9, _ and -; write "atencion"`},

		// menus, within WhatsApp's limits
		{"menu without text", "text: \"¿Cómo?\"", "text: \"\"", `a.yaml:12:3: error: menu dos has no text; write text: "¿Qué necesitás?"`},
		{"menu without options", option, "", `a.yaml:12:3: error: menu dos has no options; write options: [{code: "11", title: Pagos, handoff: {area: admin, tag: pagos}}]`},
		{"menu id", option, option + "  Tres!:\n    text: t\n    options:\n" + rows(1), `a.yaml:16:3: error: menu id "Tres!" may hold only a-z, 0-9, _ and -, and at most 40; write "tres"`},
		{"unknown style", "text: \"¿Cómo?\"", "style: lista\n    text: \"¿Cómo?\"", `a.yaml:13:12: error: unknown style "lista"; did you mean "list"?`},
		{"eleven rows", option, rows(11), ``},
		{"eleven rows in a list", "text: \"¿Cómo?\"\n    options:\n" + option, "text: \"¿Cómo?\"\n    style: list\n    options:\n" + rows(11), `a.yaml:15:5: error: a list takes 10 rows and this has 11; move some to another menu, or write style: text`},
		{"four buttons", "text: \"¿Cómo?\"\n    options:\n" + option, "text: \"¿Cómo?\"\n    style: buttons\n    options:\n" + rows(4), `a.yaml:15:5: error: there is room for 3 buttons and this has 4; write style: list`},
		{"long title", "title: Efectivo", "title: " + long(25), `a.yaml:15:29: error: menus.dos.options.0.title has 25 characters and WhatsApp takes 24; write 1 fewer (an emoji counts two)`},
		{"title long by its emoji", "title: Efectivo", "title: " + long(23) + "🙈", `a.yaml:15:29: error: menus.dos.options.0.title has 25 characters and WhatsApp takes 24; write 1 fewer (an emoji counts two)`},
		{"long button", "text: \"¿Cómo?\"\n    options:\n      - {code: \"21\", title: Efectivo", "text: \"¿Cómo?\"\n    style: buttons\n    options:\n      - {code: \"21\", title: " + long(21), `a.yaml:16:29: error: menus.dos.options.0.title has 21 characters and WhatsApp takes 20; write 1 fewer (an emoji counts two)`},
		{"button with description", "text: \"¿Cómo?\"\n    options:\n      - {code: \"21\",", "text: \"¿Cómo?\"\n    style: buttons\n    options:\n      - {code: \"21\", description: d,", `a.yaml:16:35: error: buttons have no description; write style: list, or remove it`},
		{"long description", "title: Efectivo", "title: Efectivo, description: " + long(68), `a.yaml:15:52: error: menus.dos.options.0.description has 73 characters and WhatsApp takes 72; write 1 fewer (an emoji counts two)`},
		{"long footer", "text: \"¿Cómo?\"", "footer: " + long(61) + "\n    text: \"¿Cómo?\"", `a.yaml:13:13: error: menus.dos.footer has 61 characters and WhatsApp takes 60; write 1 fewer (an emoji counts two)`},
		{"long label", "text: \"¿Cómo?\"", "button: " + long(21) + "\n    style: list\n    text: \"¿Cómo?\"", `a.yaml:13:13: error: menus.dos.button has 21 characters and WhatsApp takes 20; write 1 fewer (an emoji counts two)`},
		{"label of nothing", "text: \"¿Cómo?\"", "button: Ver\n    text: \"¿Cómo?\"", `a.yaml:13:13: warning: menu dos is shown as buttons, which has no button to open it; remove button`},
		{"long body", "text: \"¿Cómo?\"", "text: " + long(1025), `a.yaml:13:11: error: menu dos has 1025 characters and WhatsApp takes 1024 when it is shown as buttons; write 1 fewer`},
		{"long body with a sentence before it", "text: \"¿Cómo?\"", "text: " + long(1000), `a.yaml:13:11: error: menu dos with texts.invalid before it has 1061 characters and WhatsApp takes 1024; write 37 fewer in one of them`},
		{"long text menu", "text: \"¿Cómo?\"", "style: text\n    text: " + long(4090), `a.yaml:14:11: error: menu dos has 4109 characters and WhatsApp takes 4096 when it is shown as text; write 13 fewer`},
		{"placeholder in a menu", "text: \"¿Cómo?\"", "text: \"¿Cómo, {name}?\"", `a.yaml:13:11: error: {name} would be shown as it is: nothing is replaced in this text; write it out`},
		{"bold in a title", "title: Efectivo", "title: \"*Efectivo*\"", `a.yaml:15:29: warning: WhatsApp shows "*Efectivo*" as it is, without bold or italics; remove the signs`},
		{"line break in a title", "title: Efectivo", "title: \"En\\nefectivo\"", `a.yaml:15:9: error: option "En\nefectivo" has a line break in its title or description; write it in one line`},

		// options
		{"no code", "code: \"21\", ", "", `a.yaml:15:9: error: option "Efectivo" of menu dos has no code; write code: "1"`},
		{"code that nobody can type", "code: \"21\"", "code: \"2.1\"", `a.yaml:15:16: error: code "2.1" can never be typed; write digits or lower-case letters without accents, for example "1"`},
		{"code in capitals", "code: \"21\"", "code: A", `a.yaml:15:16: error: code "A" can never be typed; write digits or lower-case letters without accents, for example "1"`},
		{"code twice", "code: \"21\"", "code: \"2\"", `a.yaml:15:16: error: code "2" is used twice (first on line 11, menu uno); codes work from any menu, write another one`},
		{"code that is a command", "code: \"21\"", "code: \"0\"", `a.yaml:15:16: error: code "0" is a word of commands.menu and would never be chosen; write another code, or remove that word there`},
		{"no title", "title: Efectivo, ", "", `a.yaml:15:9: error: option "21" of menu dos has no title; write title: what people read`},
		{"title twice", option, option + "      - {code: \"22\", title: EFECTIVO, reply: r}\n", `a.yaml:16:29: error: title "EFECTIVO" is also option 1 of this menu; write titles that differ`},
		{"no target", ", handoff: {area: admin, tag: efectivo}", "", `a.yaml:15:9: error: option "Efectivo" leads nowhere; write menu: …, handoff: {area: …} or reply: …`},
		{"two targets", ", handoff: {area: admin, tag: efectivo}", ", menu: uno, reply: r", `a.yaml:15:9: error: option "Efectivo" leads to 2 places; keep one of menu, handoff and reply`},
		{"unknown menu", "menu: dos", "menu: doss", `a.yaml:10:41: error: option "Pagos" leads to the menu "doss", which does not exist; did you mean "dos"?`},
		{"unknown area", "area: admin, tag: efectivo", "area: ventas", `a.yaml:15:55: error: option "Efectivo" hands off to the area "ventas", which does not exist; write one of: admin`},
		{"hand-off to nobody", "{area: admin, tag: efectivo}", "{tag: efectivo}", `a.yaml:15:39: error: option "Efectivo" hands off to nobody; write handoff: {area: admin}`},
		{"synonym of another option", "title: Otra,", "title: Otra, synonyms: [pagos],", `a.yaml:11:34: error: synonym "pagos" also means option "Pagos" of this menu; keep it in one`},
		{"synonym that is a code", "title: Otra,", "title: Otra, synonyms: [\"21\"],", `a.yaml:11:34: error: synonym "21" is the code of another option (menu dos); write another one`},
		{"synonym that is a command", "title: Otra,", "title: Otra, synonyms: [MENÚ],", `a.yaml:11:34: error: synonym "menu" is a word of commands.menu and would never choose this; write another one`},
		{"synonym that is a greeting", "title: Otra,", "title: Otra, synonyms: [hola],", `a.yaml:11:34: error: synonym "hola" is a word of commands.greeting; take it out of one`},
		{"synonym of nothing", "title: Otra,", "title: Otra, synonyms: [\"?!\"],", `a.yaml:11:45: error: "?!" can never match: nothing is left of it without punctuation; write a word`},
		{"synonym in two menus", "title: Otra, handoff: {area: admin, tag: otra}}\n  dos:\n    text: \"¿Cómo?\"\n    options:\n      - {code: \"21\", title: Efectivo,", "title: Otra, synonyms: [plata], handoff: {area: admin, tag: otra}}\n  dos:\n    text: \"¿Cómo?\"\n    options:\n      - {code: \"21\", title: Efectivo, synonyms: [plata],", `a.yaml:15:39: warning: synonym "plata" is in another menu too, so it works only inside its own menu`},

		// texts, commands and policies
		{"unknown placeholder", "menus:", "texts: {handed_off: \"Listo {tiket}, {expected}\"}\nmenus:", `a.yaml:6:21: error: unknown placeholder {tiket}; did you mean "{ticket}"?
a.yaml:6:21: warning: people do not learn their ticket; write {ticket} somewhere in the text`},
		{"empty sentence", "menus:", "texts: {invalid: \"\"}\nmenus:", `a.yaml:6:18: error: texts.invalid is empty; write a sentence, or remove the key for the default`},
		{"long sentence", "menus:", "texts: {courtesy: " + long(4097) + "}\nmenus:", `a.yaml:6:19: error: texts.courtesy has 4097 characters and WhatsApp takes 4096; write 1 fewer (an emoji counts two)`},
		{"a promise that does nothing", "menus:", "texts: {handed_off: \"{ticket}. Escribí MENÚ para volver\"}\nmenus:", `a.yaml:6:21: warning: the text promises "MENÚ", which does nothing while a team has the conversation; remove it, or write policies: {menu_breaks_handoff: true}`},
		{"two buttons alike", "menus:", "texts: {offer_yes: Sí, offer_no: \"¡Si!\"}\nmenus:", `a.yaml:6:34: error: the two buttons of the offer say the same; write different words`},
		{"a word of two commands", "menus:", "commands: {back: [inicio]}\nmenus:", `a.yaml:6:12: error: "inicio" is a word of commands.menu and of commands.back; keep it in one`},
		{"no way to the menu", "menus:", "commands: {menu: []}\nmenus:", `a.yaml:6:12: warning: nobody can ask for the menu; write menu: [menu, "0"]`},
		{"no way back", "menus:", "commands: {back: }\nmenus:", `a.yaml:6:18: warning: nobody can go back from a submenu; write back: [volver]`},
		{"yes that is a command", "menus:", "commands: {yes: [volver]}\nmenus:", `a.yaml:6:12: error: "volver" is a word of commands.back, which comes first; take it out of one`},
		{"a stop word that is a command", "menus:", "commands: {stop: [baja, volver]}\nmenus:", `a.yaml:6:12: error: "volver" is a word of commands.back and of commands.stop; keep it in one`},
		{"a start word that is a greeting", "menus:", "commands: {start: [hola]}\nmenus:", `a.yaml:6:12: error: "hola" is a word of commands.start and of commands.greeting; keep it in one`},
		{"a word that stops and starts", "menus:", "commands: {stop: [baja], start: [Baja]}\nmenus:", `a.yaml:6:26: error: "baja" is a word of commands.stop and of commands.start; keep it in one`},
		{"a stop word that accepts", "menus:", "commands: {stop: [dale que no], yes: [dale que no]}\nmenus:", `a.yaml:6:33: error: "dale que no" is a word of commands.stop, which comes first; take it out of one`},
		{"a stop word that is a code", "menus:", "commands: {stop: [\"21\"]}\nmenus:", `a.yaml:16:16: error: code "21" is a word of commands.stop and would never be chosen; write another code, or remove that word there`},
		{"a stop word that is a title", "menus:", "commands: {stop: [efectivo]}\nmenus:", `a.yaml:16:29: warning: title "Efectivo" is a word of commands.stop, which wins when somebody types it; write another title, or remove that word there`},
		{"the usual stop word yields to a synonym", "title: Otra,", "title: Otra, synonyms: [baja],", ""},
		{"the usual start word yields to a command", "menus:", "commands: {menu: [menu, alta]}\nmenus:", ""},
		{"no sentence for opting out", "menus:", "texts: {opted_out: \"\"}\nmenus:", `a.yaml:6:20: error: texts.opted_out is empty; write a sentence, or remove the key for the default`},
		{"a number that is none", "menus:", "policies: {auto_per_hour: many}\nmenus:", `a.yaml:6:27: error: policies.auto_per_hour must be a number from 1 to 1000`},
		{"a switch that is none", "menus:", "policies: {menu_breaks_handoff: sí}\nmenus:", `a.yaml:6:33: error: policies.menu_breaks_handoff must be true or false`},
		{"offer to nobody", "menus:", "policies: {offer_area: amdin}\nmenus:", `a.yaml:6:24: error: policies.offer_area is "amdin", which is not an area; did you mean "admin"?`},
		{"nothing after an outage", "menus:", "policies: {after_outage: apologise}\nmenus:", `a.yaml:6:26: error: policies.after_outage is "apologise"; write list, menu, apologize or handoff; did you mean "apologize"?`},

		{"apology before a long menu", "menus:\n  uno:\n    text: \"¿Qué?\"", "policies: {after_outage: menu}\ntexts: {apology: \"" + long(100) + "\"}\nmenus:\n  uno:\n    text: " + long(923), `a.yaml:10:11: error: menu uno with texts.apology before it has 1025 characters and WhatsApp takes 1024; write 1 fewer in one of them`},
		{"apology before nothing", "menus:\n  uno:\n    text: \"¿Qué?\"", "texts: {apology: \"" + long(100) + "\"}\nmenus:\n  uno:\n    text: " + long(923), ""},

		// where people get lost
		{"unreachable menu", "menu: dos", "reply: r", `a.yaml:12:3: warning: nobody can reach the menu dos by choosing; write an option with menu: dos, or remove it`},
		{"itself", option, option + "      - {code: \"22\", title: Otra vez, menu: dos}\n", `a.yaml:16:45: warning: option "Otra vez" leads to the menu it is in; write another target`},
		{"only a circle of menus", option, "      - {code: \"21\", title: Efectivo, menu: tres}\n  tres:\n    text: t\n    options:\n      - {code: \"31\", title: Vuelta, menu: dos}\n", `a.yaml:12:3: error: the menu dos leads only to other menus, in a circle; write an option with handoff or reply
a.yaml:16:3: error: the menu tres leads only to other menus, in a circle; write an option with handoff or reply`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(good, tc.from) != 1 {
				t.Fatalf("%q is %d times in the good flow", tc.from, strings.Count(good, tc.from))
			}
			_, problems := Check("a.yaml", []byte(strings.Replace(good, tc.from, tc.to, 1)))
			if diff := cmp.Diff(problems.Error(), tc.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/api"
)

const story = `{
 "conversations":[
  {"id":"c1","line":"wsp4","state":"handed_off","area":"admin","ticket":"PSI-2026-000007","contact":{"name":"Ana","phone":"5491155550001"},"window_expires_at":"2026-11-24T09:00:00Z"},
  {"id":"c2","line":"ventas","state":"disconnected","contact":{"phone":"5491155550001"}},
  {"id":"c3","line":"wsp5","state":"closed","contact":{"phone":"5491155550001"},"left":{"reason":"expired","since":"2026-11-24T08:00:00Z"}}],
 "messages":[
  {"conversation_id":"c1","direction":"inbound","author":"contact","type":"text","text":"hola","status":"received","reason":"first_contact","received_at":"2026-11-23T08:59:00Z"},
  {"conversation_id":"c1","direction":"outbound","author":"router","type":"interactive","text":"¡Hola!\n¿Con quién?","status":"read","reason":"first_contact","created_at":"2026-11-23T08:59:01Z"},
  {"conversation_id":"c1","direction":"inbound","author":"contact","type":"image","text":"","status":"received","reason":"handed_off","received_at":"2026-11-23T09:00:00Z"},
  {"conversation_id":"c1","direction":"outbound","author":"router","type":"text","text":"Te paso","status":"failed","reason":"refused","error":{"code":190,"detail":"token expired"},"created_at":"2026-11-23T09:00:01Z"},
  {"conversation_id":"c1","direction":"outbound","author":"agent","type":"text","text":"Soy Eva","status":"uncertain","reason":"uncertain","created_at":"2026-11-23T09:05:00Z"},
  {"conversation_id":"c2","direction":"outbound","author":"agent","type":"template","text":"","status":"failed","reason":"window_closed","error":{"code":0,"detail":"24 h"},"created_at":"2026-11-23T09:05:00Z"},
  {"conversation_id":"c2","direction":"outbound","author":"program","type":"template","text":"promo","status":"failed","reason":"opted_out","created_at":"2026-11-23T09:06:00Z"},
  {"conversation_id":"c2","direction":"outbound","author":"program","type":"template","text":"recordatorio","status":"failed","reason":"blocked","created_at":"2026-11-23T09:07:00Z"},
  {"conversation_id":"c2","direction":"outbound","author":"router","type":"text","text":"Listo, sin promociones","status":"sent","reason":"opted_out","created_at":"2026-11-23T09:08:00Z"}],
 "handoffs":[{"conversation_id":"c1","area":"admin","at":"2026-11-24T07:00:00Z"}]}`

// TestWhy: what an operator reads at night.
func TestWhy(t *testing.T) {
	t.Parallel()
	var tr trace
	if err := json.Unmarshal([]byte(story), &tr); err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, 11, 24, 10, 5, 0, 0, time.UTC)
	queues := []queueRow{{Queue: api.Queue{Name: "send:wsp4", HeldUntil: &until, HeldFor: "190: token expired", Dead: 2}}, {Queue: api.Queue{Name: "send:ventas"}}, {Queue: api.Queue{Name: "media", Paused: true}}}
	for lang, want := range map[string]string{"es": whyES, "en": whyEN} {
		var out bytes.Buffer
		e := &env{ctx: t.Context(), out: &out, globals: &globals{Lang: lang}}
		w := explainer{e, time.UTC, time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
		for _, c := range tr.Conversations {
			w.print(w.explain(c, tr, queues, 5))
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", lang, diff)
		}
	}
}

const whyES = `Ana · 5491155550001 — línea wsp4
La tiene el equipo admin desde hace 3 h, ticket PSI-2026-000007: el bot se calla hasta que la cierren.
La ventana de WhatsApp se cerró hace 1 h: hasta que la persona escriba solo sale una plantilla.

Lo último que pasó:
  23/11 08:59  « hola »
    Conversación nueva o recién recomenzada: se le mostró el menú. (first_contact)
    → la leyó  « ¡Hola! ¿Con quién? »
  23/11 09:00  « (image) »
    Pasó a un equipo. Desde acá contesta una persona. (handed_off)
    → El proveedor lo rechazó  « Te paso » [190 token expired]
    → No se sabe si salió: no se repite a ciegas  « Soy Eva »

Qué podés hacer:
  • La cola send:wsp4 espera: 190: token expired.
  • Hay 2 trabajos abandonados en send:wsp4: ` + "`psi-router dead list --queue send:wsp4`" + `.
  • El token de la línea no sirve más: poné uno nuevo en la configuración y reiniciá.
  • Preguntale a la persona si le llegó antes de repetir el mensaje: WhatsApp no contestó y no se repite solo.
  • Para que vuelva al menú: ` + "`psi-router conv close c1`" + `.
5491155550001 — línea ventas
Está desconectada: el bot no contesta hasta que la reconecten.
No hay ventana que mirar: la línea no la tiene, o la persona nunca escribió.

Lo último que pasó:
  23/11 09:05  escribimos primero
    → No salió: la ventana de WhatsApp está cerrada y hace falta una plantilla  « (template) » [24 h]
    → NO salió: pidió no recibir promociones  « promo »
    → NO salió: la persona está bloqueada  « recordatorio »
    → salió  « Listo, sin promociones »

Qué podés hacer:
  • Fuera de la ventana solo sale una plantilla aprobada.
  • Para que el bot conteste: ` + "`psi-router conv reconnect c2`" + `.
5491155550001 — línea wsp5
Está cerrada: cuando vuelva a escribir recibe el menú.
No hay ventana que mirar: la línea no la tiene, o la persona nunca escribió.
QUEDÓ SIN RESPUESTA hace 2 h, y nadie le va a escribir: No salió a tiempo: contestar tarde no servía.

Qué podés hacer:
  • Para que le conteste alguien: ` + "`psi-router conv handoff c3 --area EQUIPO`; si no hace falta: `psi-router left dismiss c3`" + `.
`

const whyEN = `Ana · 5491155550001 — line wsp4
The team admin has it for 3 h, ticket PSI-2026-000007: the bot is silent until they close it.
WhatsApp's window closed 1 h ago: until the person writes only a template goes out.

What happened last:
  23/11 08:59  « hola »
    New or restarted conversation: the menu was shown. (first_contact)
    → was read  « ¡Hola! ¿Con quién? »
  23/11 09:00  « (image) »
    Handed to a team. From here on a person answers. (handed_off)
    → The provider refused it  « Te paso » [190 token expired]
    → It is not known whether it was sent: it is not repeated blindly  « Soy Eva »

What you can do:
  • The queue send:wsp4 waits: 190: token expired.
  • There are 2 dead letters in send:wsp4: ` + "`psi-router dead list --queue send:wsp4`" + `.
  • The line's token is no longer valid: put a new one into the configuration and restart.
  • Ask the person whether the message arrived before you repeat it: WhatsApp gave no answer, and the router does not repeat it.
  • To give it back to the menu: ` + "`psi-router conv close c1`" + `.
5491155550001 — line ventas
It is disconnected: the bot does not answer until it is reconnected.
No window applies: the line has none, or the person never wrote.

What happened last:
  23/11 09:05  we wrote first
    → Not sent: the service window is closed and a template is needed  « (template) » [24 h]
    → was NOT sent: they asked for no marketing  « promo »
    → was NOT sent: the person is blocked  « recordatorio »
    → was sent  « Listo, sin promociones »

What you can do:
  • Outside the window only an approved template goes out.
  • To let the bot answer: ` + "`psi-router conv reconnect c2`" + `.
5491155550001 — line wsp5
It is closed: when they write again they get the menu.
No window applies: the line has none, or the person never wrote.
LEFT WITHOUT AN ANSWER 2 h ago, and nobody will write: Not sent in time: a late answer would not have helped.

What you can do:
  • To have somebody answer: ` + "`psi-router conv handoff c3 --area TEAM`; if nothing is needed: `psi-router left dismiss c3`" + `.
`

package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// tree is the suite's flow.
const tree = `
version: 1
lines:
  wsp4: {start: principal}
areas:
  admin: {name: Administración, expected: "2 a 4 h hábiles", aliases: [administracion]}
  ventas: {name: Ventas}
texts:
  handed_off: "Listo, te paso con *{area}*. Tu número es {ticket}."
  transferred: "Te paso con *{area}*. Seguís con {ticket}."
  invalid: "No encontré esa opción."
  offer_person: "¿Querés hablar con una persona?"
commands:
  menu: [menu, "0"]
  back: [volver]
menus:
  principal:
    text: "¡Hola! ¿Con quién querés hablar?"
    options:
      - {code: "1", title: Administración, menu: admin}
      - {code: "2", title: Ventas, handoff: {area: ventas, tag: otra}}
  admin:
    text: "Administración. ¿Qué necesitás?"
    options:
      - {code: "11", title: Pagos, handoff: {area: admin, tag: pagos}}
      - {code: "15", title: Hablar con alguien, handoff: {area: admin, tag: otro}}
buttons:
  turnos/confirmar: {reply: "¡Gracias!", tag: confirmado}
policies: {offer_area: admin}
`

// Rules are the suite's: a small tree, 24 h of window and of hand-off.
func Rules(t testing.TB) router.Rules {
	t.Helper()
	f, err := flow.Parse("suite.yaml", []byte(tree))
	if err != nil {
		t.Fatalf("the suite's flow: %v", err)
	}
	return router.Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}
}

// Settings are the suite's settings of an engine.
func Settings(t testing.TB) unit.Settings {
	return unit.Settings{
		Rules: Rules(t), Country: "AR", Zone: time.FixedZone("ART", -3*3600), StaleAfter: 10 * time.Minute,
		ReplyTTL: time.Hour, Windowless: []string{"ventas"},
	}
}

// noon is the start of the suite's day.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

const lineRef = "200000000000002"

// person number i, as Meta names people today.
func person(i int) inbound.Person {
	return inbound.Person{
		Phone: fmt.Sprintf("54911%08d", i), UserID: fmt.Sprintf("AR.1000000000%06d", i), Name: fmt.Sprintf("Persona %d", i),
	}
}

// says is a text of a person.
func says(p inbound.Person, id, text string, at time.Time) inbound.Arrival {
	a := inbound.Arrival{
		Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: lineRef, Provider: "cloud", Shape: "envelope", Person: p,
		SentAt: at.Add(-time.Second).Truncate(time.Second), ReceivedAt: at, Content: &inbound.Content{Type: "text", Text: text},
	}
	a.Raw, _ = json.Marshal(map[string]any{"id": id, "type": "text", "text": map[string]string{"body": text}})
	return a
}

// annotation is a reaction, edit or revoke.
func annotation(p inbound.Person, id, kind, target, what string, at time.Time) inbound.Arrival {
	a := says(p, id, "", at)
	a.Content = &inbound.Content{Type: kind, TargetID: target}
	if kind == "reaction" {
		a.Content.Emoji = what
	} else {
		a.Content.Text = what
	}
	return a
}

// echoed is a message that our side wrote from the phone.
func echoed(p inbound.Person, id, text string, at time.Time) inbound.Arrival {
	a := says(p, id, text, at)
	a.Kind = inbound.Echo
	return a
}

// report is a status of a message to a person.
func report(p inbound.Person, id, ref, status string, at time.Time) inbound.Arrival {
	a := inbound.Arrival{
		Kind: inbound.Status, ID: id, Line: "wsp4", LineRef: lineRef, Provider: "cloud", Person: p, SentAt: at, ReceivedAt: at,
		Report: &inbound.Report{Status: status, Ref: ref},
	}
	if status == "failed" {
		a.Report.Code, a.Report.Detail = 131049, "not delivered to keep the ecosystem healthy"
	}
	return a
}

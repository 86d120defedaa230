package router

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// situations are the states that a conversation can be in.
func situations(r Rules) []struct {
	name string
	conv Conversation
} {
	base := Conversation{State: StateMenu, Line: "wsp4", Epoch: 3, LastInbound: monday.Add(-time.Minute)}
	with := func(change func(*Conversation)) Conversation {
		c := base
		change(&c)
		return c
	}
	full := make([]int64, budget(r))
	for i := range full {
		full[i] = monday.Unix() - 60
	}
	team := func(c *Conversation) {
		c.State, c.Area, c.Tag, c.Ticket, c.TimeoutAt = StateHandedOff, "admin", "pagos", "PSI-2026-000001", monday.Add(time.Hour)
	}
	return []struct {
		name string
		conv Conversation
	}{
		{"first contact", NewConversation("wsp4")},
		{"in the start menu", with(func(c *Conversation) { c.Menu = "principal" })},
		{"in a submenu", with(func(c *Conversation) { c.Menu = "admin" })},
		{"in a submenu, offered a person", with(func(c *Conversation) { c.Menu, c.Offered = "admin", true })},
		{"in a submenu, three invalid inputs", with(func(c *Conversation) { c.Menu, c.Invalid = "admin", 3 })},
		{"in a submenu, budget used up", with(func(c *Conversation) { c.Menu, c.Auto = "admin", full })},
		{"in a submenu, budget used up and offered", with(func(c *Conversation) {
			c.Menu, c.Auto, c.Offered = "admin", append(slices.Clone(full), monday.Unix()-1), true
		})},
		{"in a submenu, the window is over", with(func(c *Conversation) { c.Menu, c.LastInbound = "admin", monday.Add(-25*time.Hour) })},
		{"in a menu that the flow no longer has", with(func(c *Conversation) { c.Menu = "gone" })},
		{"in a submenu, a file was answered just now", with(func(c *Conversation) { c.Menu, c.Invalid, c.FileAt = "admin", 1, monday.Add(-3*time.Second) })},
		{"handed off", with(team)},
		{"handed off, overdue", with(func(c *Conversation) { team(c); c.TimeoutAt = monday.Add(-time.Hour) })},
		{"closed", with(func(c *Conversation) { c.State = StateClosed })},
		{"closed, budget used up", with(func(c *Conversation) { c.State, c.Auto = StateClosed, full })},
		{"disconnected", with(func(c *Conversation) { c.State = StateDisconnected })},
	}
}

// inputs are the classes of inbound messages. Taps are in the submenu admin.
var inputs = []struct {
	name string
	msg  Message
}{
	{"a greeting", Message{Type: "text", Text: "¡Hola!"}},
	{"a digit of the start menu", Message{Type: "text", Text: "2"}},
	{"a two-digit code", Message{Type: "text", Text: "22"}},
	{"a code that nothing has", Message{Type: "text", Text: "51"}},
	{"a title", Message{Type: "text", Text: "facturas"}},
	{"a synonym of the start menu", Message{Type: "text", Text: "soy alumna"}},
	{"MENU", Message{Type: "text", Text: "MENÚ"}},
	{"volver", Message{Type: "text", Text: "volver"}},
	{"asks for a person", Message{Type: "text", Text: "hablar con alguien"}},
	{"sí", Message{Type: "text", Text: "Sí"}},
	{"no", Message{Type: "text", Text: "no"}},
	{"thanks", Message{Type: "text", Text: "gracias 🙏"}},
	{"thumbs up", Message{Type: "text", Text: "👍🏽"}},
	{"free text", Message{Type: "text", Text: "tengo 2 hijos y quiero anotarlos"}},
	{"an empty text", Message{Type: "text"}},
	{"a tap", Message{Type: "interactive", Text: "Facturas", ReplyID: "admin/13/3"}},
	{"a tap in another menu", Message{Type: "interactive", Text: "Alumnos", ReplyID: "principal/2/3"}},
	{"a tap of an older epoch", Message{Type: "interactive", Text: "Facturas", ReplyID: "admin/13/2"}},
	{"a tap that is not ours", Message{Type: "interactive", Text: "Pagos", ReplyID: "admin_pagos"}},
	{"a tap on the offer", Message{Type: "interactive", Text: "Sí, por favor", ReplyID: "?/sí/3"}},
	{"a template's button", Message{Type: "button", Text: "Alumnos", ReplyID: "payload"}},
	{"a button that only answers", Message{Type: "button", Text: "Confirmo", ReplyID: "turnos/confirmar"}},
	{"a button that hands off", Message{Type: "button", Text: "Cambiar", ReplyID: "turnos/cambiar"}},
	{"a button for an option", Message{Type: "button", Text: "Precios", ReplyID: "promo/precios"}},
	{"a button for a menu", Message{Type: "button", Text: "Ver cursos", ReplyID: "promo/ver"}},
	{"a button named as an option", Message{Type: "button", Text: "Facturas", ReplyID: "admin/13"}},
	{"an image with a code under it", Message{Type: "image", Text: "11"}},
	{"an audio", Message{Type: "audio"}},
	{"unsupported", Message{Type: "unsupported"}},
	{"what WhatsApp keeps from us", Message{Type: "unsupported", Unseen: true}},
	{"a form", Message{Type: "interactive", Text: "Sent\nnombre: Ana", Form: true}},
	{"a type from the future", Message{Type: "hologram"}},
	{"a reaction", Message{Type: "reaction"}},
	{"an edit", Message{Type: "edit", Text: "11"}},
	{"a deletion", Message{Type: "revoke"}},
	{"a system notice", Message{Type: "system"}},
	{"a pin", Message{Type: "pin"}},
	{"stale", Message{Type: "text", Text: "11", Stale: true}},
	{"late", Message{Type: "text", Text: "11", Late: true}},
	{"from a group", Message{Type: "text", Text: "11", Group: true}},
	{"from a blocked contact", Message{Type: "text", Text: "11", Blocked: true}},
	{"from one who opted out", Message{Type: "text", Text: "11", OptedOut: true}},
	{"baja", Message{Type: "text", Text: "BAJA"}},
	{"alta", Message{Type: "text", Text: "alta"}},
	{"alta of one who opted out", Message{Type: "text", Text: "Alta", OptedOut: true}},
	{"a stale baja", Message{Type: "text", Text: "baja", Stale: true}},
	{"a late baja", Message{Type: "text", Text: "baja", Late: true}},
	{"a late alta, opted out", Message{Type: "text", Text: "alta", Late: true, OptedOut: true}},
	{"an echo of ours", Message{Type: "text", Text: "11", Echo: true}},
}

// TestEveryStateAndEveryInput records the decision for every class of input in every
// situation. The golden file is meant to be read: it shows what a change of the rules changes.
func TestEveryStateAndEveryInput(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	var b strings.Builder
	for _, s := range situations(rules) {
		fmt.Fprintf(&b, "%s\n", s.name)
		for _, in := range inputs {
			d := checkStep(t, rules, s.conv, in.msg, monday)
			fmt.Fprintf(&b, "  %-30s %-20s %s\n", in.name, d.Reason, outcome(s.conv, d))
		}
		b.WriteString("\n")
	}
	golden(t, "testdata/decisions.golden", b.String())
}

// outcome summarises a decision.
func outcome(was Conversation, d Decision) string {
	var words []string
	if h := d.Handoff; h != nil {
		words = append(words, "to "+h.Area+"/"+h.Tag)
	}
	for _, r := range d.Replies {
		switch {
		case r.Menu != "":
			words = append(words, "shows "+r.Menu)
		case len(r.Options) > 0:
			words = append(words, "offers a person")
		case d.Handoff == nil:
			words = append(words, "says a sentence")
		}
	}
	if d.Next.State != was.State {
		words = append(words, "now "+string(d.Next.State))
	}
	if d.Label != "" {
		words = append(words, "tagged "+d.Label)
	}
	if d.OptOut {
		words = append(words, "wants no marketing")
	}
	if d.OptIn {
		words = append(words, "wants marketing")
	}
	if d.Note != "" {
		words = append(words, "noted")
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}

func golden(t *testing.T, file, got string) {
	t.Helper()
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

// TestCommands checks the contract's table of commands in every situation.
func TestCommands(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	kinds := []CommandKind{
		CommandHandoff, CommandAgentSent, CommandClose, CommandReopen, CommandDisconnect, CommandReconnect, CommandReset, CommandTimeout, "unheard_of",
	}
	var b strings.Builder
	for _, s := range situations(rules) {
		fmt.Fprintf(&b, "%s\n", s.name)
		for _, kind := range kinds {
			d := rules.Apply(s.conv, Command{Kind: kind, Area: "administracion", Tag: "otro"}, monday)
			checkAny(t, rules, s.conv, d)
			fmt.Fprintf(&b, "  %-12s %-16s %s\n", kind, d.Reason, commandOutcome(s.conv, d))
			if again := rules.Apply(d.Next, Command{Kind: kind, Area: "admin", Tag: "otro"}, monday); again.Changed || again.Handoff != nil || again.Closed {
				t.Errorf("%s: %s twice has another effect: %+v", s.name, kind, again)
			}
		}
		b.WriteString("\n")
	}
	golden(t, "testdata/commands.golden", b.String())
}

func commandOutcome(was Conversation, d Decision) string {
	out := outcome(was, d)
	if d.Handoff != nil && d.Handoff.Transfer {
		out += ", keeps the ticket"
	}
	if d.Next.Epoch != was.Epoch {
		out += fmt.Sprintf(", epoch +%d", d.Next.Epoch-was.Epoch)
	}
	if was.Ticket != "" && d.Next.Ticket == "" {
		out += ", ticket resolved"
	}
	return strings.TrimPrefix(out, "-, ")
}

package router

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/flow"
)

var monday = time.Date(2026, time.January, 5, 10, 0, 0, 0, time.UTC)

func psiRules(t testing.TB) Rules {
	t.Helper()
	src, err := os.ReadFile("../../flows/psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return rulesOf(t, append(src, buttons...))
}

// buttons are the template buttons of the stories.
const buttons = `
buttons:
  turnos/confirmar: {reply: "¡Gracias! Te esperamos 💛", tag: confirmado}
  turnos/cambiar: {handoff: {area: alumnos, tag: turnos}}
  promo/precios: {option: inscripciones/33}
  promo/ver: {option: principal/3, tag: promo}
`

var payloads = []string{"turnos/confirmar", "turnos/cambiar", "promo/precios", "promo/ver", "admin/13", "principal/2", "payload", ""}

func rulesOf(t testing.TB, src []byte) Rules {
	t.Helper()
	f, err := flow.Parse("flow.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	return Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}
}

// failer is the part of T that testing and rapid share.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkAny checks what holds for every decision, about messages and commands.
func checkAny(t failer, r Rules, was Conversation, d Decision) {
	t.Helper()
	next := d.Next
	if !slices.Contains(Reasons(), d.Reason) {
		t.Errorf("reason %q is not in the list", d.Reason)
	}
	if next.Line != was.Line {
		t.Errorf("the line went from %q to %q", was.Line, next.Line)
	}
	if next.Epoch < was.Epoch {
		t.Errorf("the epoch went back from %d to %d", was.Epoch, next.Epoch)
	}
	if next.State != was.State && next.Epoch == was.Epoch {
		t.Errorf("%s became %s without a new epoch", was.State, next.State)
	}
	changed := next.State != was.State || next.Area != was.Area || next.Epoch != was.Epoch
	if d.Changed != changed {
		t.Errorf("changed is %v for %+v to %+v", d.Changed, was, next)
	}
	if d.Handoff != nil {
		if _, ok := r.Flow.Areas[d.Handoff.Area]; !ok || next.State != StateHandedOff || next.Area != d.Handoff.Area {
			t.Errorf("handed off to %q, and the conversation is %s with %q", d.Handoff.Area, next.State, next.Area)
		}
	}
	if next.State == StateHandedOff && next.TimeoutAt.IsZero() && was.State != StateHandedOff && r.HandoffTimeout > 0 {
		t.Errorf("a hand-off that nothing ends: %+v", next)
	}
	if next.State != StateHandedOff && was.State == StateHandedOff && !next.TimeoutAt.IsZero() {
		t.Errorf("%s with a hand-off's timeout", next.State)
	}
	if next.Menu != "" && next.Menu != was.Menu && r.Flow.Menus[next.Menu] == nil {
		t.Errorf("in the menu %q, which does not exist", next.Menu)
	}
	if len(d.Replies) > 1 {
		t.Errorf("%d messages for one decision", len(d.Replies))
	}
	for _, reply := range d.Replies {
		checkReply(t, next, reply)
	}
}

// checkReply checks WhatsApp's limits, and that no placeholder is left.
func checkReply(t failer, next Conversation, r Reply) {
	t.Helper()
	if r.Text == "" || strings.Contains(strings.ReplaceAll(r.Text, "{ticket}", ""), "{") {
		t.Errorf("text %q", r.Text)
	}
	if r.Menu != "" && next.State != StateMenu {
		t.Errorf("a menu for a conversation that is %s", next.State)
	}
	long := func(s string, most int) bool { return len(utf16.Encode([]rune(s))) > most }
	ids := map[string]bool{}
	for _, o := range r.Options {
		if o.Title == "" || o.ID == "" || ids[o.ID] || len(o.ID) > 200 || strings.TrimSpace(o.ID) != o.ID {
			t.Errorf("option %+v", o)
		}
		ids[o.ID] = true
		if id, ok := parseReplyID(o.ID); !ok || id.epoch != next.Epoch || id.code != o.Code {
			t.Errorf("id %q of a conversation in epoch %d", o.ID, next.Epoch)
		}
	}
	switch r.Style {
	case flow.StyleList:
		if long(r.Text, 1024) || len(r.Options) > 10 || r.Button == "" || long(r.Button, 20) || long(r.Footer, 60) {
			t.Errorf("WhatsApp refuses this list: %+v", r)
		}
	case flow.StyleButtons:
		if long(r.Text, 1024) || len(r.Options) > 3 {
			t.Errorf("WhatsApp refuses these buttons: %+v", r)
		}
	case flow.StyleText:
		if long(r.Plain(), 4096) {
			t.Errorf("WhatsApp refuses this text: %+v", r)
		}
	default:
		t.Errorf("style %q", r.Style)
	}
}

// answerable reports whether the contract allows an answer, as far as that does not depend on
// the conversation.
func answerable(m Message) bool {
	return !m.Stale && !m.Late && !m.Group && !m.Blocked && !m.Echo && classify(m) != classNotice
}

// checkStep checks what holds for every decision about a message.
func checkStep(t failer, r Rules, was Conversation, m Message, now time.Time) Decision {
	t.Helper()
	before := was
	before.Auto = slices.Clone(was.Auto)
	d := r.Step(was, m, now)
	if diff := cmp.Diff(d, r.Step(was, m, now)); diff != "" {
		t.Errorf("the same message gave two decisions (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(was, before); diff != "" {
		t.Errorf("the conversation was written to:\n%s", diff)
	}
	checkAny(t, r, was, d)
	if m.Late {
		if diff := cmp.Diff(d.Next, was); diff != "" {
			t.Errorf("late, and it changed something:\n%s", diff)
		}
	}
	if !answerable(m) && (len(d.Replies) > 0 || d.Changed) {
		t.Errorf("%+v was answered (%s)", m, d.Reason)
	}
	_, pressed := r.Flow.Button(m.ReplyID)
	pressed = pressed && m.Type == "button"
	wish := d.OptOut || d.OptIn
	overdue := !was.TimeoutAt.IsZero() && (d.Reason == HandoffTimeout || d.Closed && (wish || pressed))
	broken := r.Flow.Policies.MenuBreaksHandoff && d.Reason == CommandMenu
	switch was.State {
	case StateDisconnected:
		if len(d.Replies) > 0 || d.Changed {
			t.Errorf("disconnected, and the bot spoke (%s)", d.Reason)
		}
	case StateHandedOff:
		if !overdue && !broken && (len(d.Replies) > 0 && d.Reason != TemplateButton || d.Changed) {
			t.Errorf("handed off, and the bot spoke (%s)", d.Reason)
		}
	case StateClosed:
		if pressed || wish {
			break
		}
		if answerable(m) && classify(m) != classUnknown && (len(d.Replies) != 1 || d.Replies[0].Menu == "" || d.Next.State != StateMenu) {
			t.Errorf("closed, and there was no menu (%s, %s)", d.Reason, d.Next.State)
		}
	}
	if d.Reason == TemplateButton {
		next, before := d.Next, was
		if overdue {
			before = closed(was)
		}
		next.Auto, next.LastInbound, next.TimeoutAt = before.Auto, before.LastInbound, before.TimeoutAt
		if diff := cmp.Diff(next, before); diff != "" || len(d.Replies) != 1 {
			t.Errorf("a button that only answers did more (%d replies):\n%s", len(d.Replies), diff)
		}
	}
	if word := flow.Normalize(m.Text); wish && (d.Changed && !overdue || word != "baja" && word != "stop" && word != "alta" || !nobodys(was, m) && !overdue) {
		t.Errorf("%q in %s changed what the person wants (%s)", m.Text, was.State, d.Reason)
	}
	if limit := budget(r); len(was.Auto) <= limit+1 && len(d.Next.Auto) > limit+1 {
		t.Errorf("%d automatic messages are remembered, the budget is %d", len(d.Next.Auto), limit)
	}
	if len(d.Replies) > 0 && !slices.Contains(d.Next.Auto, now.Unix()) {
		t.Errorf("a message was not counted (%s)", d.Reason)
	}
	return d
}

// nobodys reports whether no team has the conversation, or the hand-off had timed out when
// the message was written.
func nobodys(c Conversation, m Message) bool {
	over := !c.TimeoutAt.IsZero() && (m.SentAt.IsZero() || !m.SentAt.Before(c.TimeoutAt))
	return c.State == StateMenu || c.State == StateClosed || over
}

func budget(r Rules) int {
	if n := r.Flow.Policies.AutoPerHour; n > 0 {
		return n
	}
	return flow.DefaultAutoPerHour
}

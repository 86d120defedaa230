package router

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/flow"
)

func text(s string) Message {
	return Message{Type: "text", Text: s, SentAt: monday, ReceivedAt: monday}
}

// play writes texts one after the other and returns the last decision.
func play(t *testing.T, r Rules, c Conversation, texts ...string) Decision {
	t.Helper()
	var d Decision
	for _, s := range texts {
		d = checkStep(t, r, c, text(s), monday)
		c = d.Next
	}
	return d
}

func TestHandoffCarriesEverything(t *testing.T) {
	t.Parallel()
	got := play(t, psiRules(t), NewConversation("wsp4"), "hola", "1", "11")
	want := Decision{
		Next: Conversation{
			State: StateHandedOff, Line: "wsp4", Area: "admin", Tag: "pagos", Epoch: 1,
			Auto:        []int64{monday.Unix(), monday.Unix(), monday.Unix()},
			LastInbound: monday, TimeoutAt: monday.Add(24 * time.Hour),
		},
		Reason:  HandedOff,
		Replies: got.Replies,
		Handoff: &Handoff{Area: "admin", Tag: "pagos"},
		Changed: true,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if len(got.Replies) != 1 || got.Replies[0].Menu != "" {
		t.Fatalf("replies %+v", got.Replies)
	}
	for _, part := range []string{"*Administración*", "{ticket}", "2 a 4 h hábiles"} {
		if !strings.Contains(got.Replies[0].Text, part) {
			t.Errorf("%q is not in %q", part, got.Replies[0].Text)
		}
	}
}

func TestMenuBreaksHandoffIsASwitch(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	if got := play(t, rules, NewConversation("wsp4"), "hola", "11", "menu"); got.Reason != HandedOffSilent {
		t.Errorf("switched off: %s", got.Reason)
	}
	f := *rules.Flow
	f.Policies.MenuBreaksHandoff = true
	rules.Flow = &f
	got := play(t, rules, NewConversation("wsp4"), "hola", "11", "Menú!")
	if got.Reason != CommandMenu || got.Next.State != StateMenu || got.Next.Area != "" || got.Next.Epoch != 2 || len(got.Replies) != 1 {
		t.Errorf("switched on: %+v", got)
	}
	if got := play(t, rules, NewConversation("wsp4"), "hola", "11", "hola"); got.Reason != HandedOffSilent {
		t.Errorf("switched on, another text: %s", got.Reason)
	}
}

func TestHandoffWithoutTimeoutNeverEndsByItself(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	rules.HandoffTimeout = 0
	d := play(t, rules, NewConversation("wsp4"), "hola", "11")
	if !d.Next.TimeoutAt.IsZero() {
		t.Fatalf("it ends at %v", d.Next.TimeoutAt)
	}
	year := monday.AddDate(1, 0, 0)
	if got := rules.Apply(d.Next, Command{Kind: CommandTimeout}, year); got.Reason != NoEffect {
		t.Errorf("timer: %s", got.Reason)
	}
	late := Message{Type: "text", Text: "hola", SentAt: year, ReceivedAt: year}
	if got := rules.Step(d.Next, late, year); got.Reason != HandedOffSilent {
		t.Errorf("message: %s", got.Reason)
	}
}

// TestTimesOfAMessage: windows count from when the contact wrote, never from a clock ahead of
// ours, and a backlog of ours closes nothing.
func TestTimesOfAMessage(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	conv := play(t, rules, NewConversation("wsp4"), "hola", "1").Next
	for _, tc := range []struct {
		name            string
		sent, received  time.Duration // after monday
		now             time.Duration
		want            Reason
		lastInboundThen time.Duration
	}{
		{"within the window", 23 * time.Hour, 23 * time.Hour, 23 * time.Hour, CommandBack, 23 * time.Hour},
		{"window over", 25 * time.Hour, 25 * time.Hour, 25 * time.Hour, WindowExpired, 25 * time.Hour},
		{"sent in time, handled late", 23 * time.Hour, 23 * time.Hour, 30 * time.Hour, CommandBack, 23 * time.Hour},
		{"the sender's clock is ahead", 90 * time.Hour, time.Hour, time.Hour, CommandBack, time.Hour},
		{"sent before the last one", -time.Hour, time.Minute, time.Minute, CommandBack, 0},
	} {
		m := Message{Type: "text", Text: "volver", SentAt: monday.Add(tc.sent), ReceivedAt: monday.Add(tc.received)}
		d := checkStep(t, rules, conv, m, monday.Add(tc.now))
		if d.Reason != tc.want || !d.Next.LastInbound.Equal(monday.Add(tc.lastInboundThen)) {
			t.Errorf("%s: %s, last inbound %v", tc.name, d.Reason, d.Next.LastInbound.Sub(monday))
		}
	}
	untimed := checkStep(t, rules, conv, Message{Type: "text", Text: "volver"}, monday.Add(time.Hour))
	if got := untimed.Next.LastInbound; !got.Equal(monday.Add(time.Hour)) {
		t.Errorf("without any time: last inbound %v", got)
	}
}

func TestContactKeepsTheHandoffOpen(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	conv := play(t, rules, NewConversation("wsp4"), "hola", "11").Next
	at := monday.Add(20 * time.Hour)
	for _, tc := range []struct {
		name string
		msg  Message
		want time.Time
	}{
		{"text", Message{Type: "text", Text: "hola?"}, at.Add(24 * time.Hour)},
		{"audio", Message{Type: "audio"}, at.Add(24 * time.Hour)},
		{"reaction", Message{Type: "reaction"}, conv.TimeoutAt},
		{"blocked", Message{Type: "text", Blocked: true}, conv.TimeoutAt},
		{"late", Message{Type: "text", Late: true}, conv.TimeoutAt},
	} {
		if got := checkStep(t, rules, conv, tc.msg, at).Next.TimeoutAt; !got.Equal(tc.want) {
			t.Errorf("%s: ends at %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestReplyIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []replyID{{"principal", "1", 0}, {"?", "sí", 12}, {"a-b_c", "47", 1 << 40}} {
		got, ok := parseReplyID(id.String())
		if !ok || got != id {
			t.Errorf("%v came back as %v, %v", id, got, ok)
		}
	}
	for _, s := range []string{"", "/", "//", "a/b", "a/b/c", "a/b/1/2", "a/b/01", "a/b/+1", "a/b/ 1", "area_admin", "a/b/99999999999999999999"} {
		if got, ok := parseReplyID(s); ok {
			t.Errorf("%q was taken for %v", s, got)
		}
	}
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	r := Reply{Text: "¿Qué necesitás?", Footer: "Escribí volver", Options: []Option{
		{Code: "11", Title: "Pagos", Description: "Cómo y dónde"}, {Code: "12", Title: "Facturas"},
	}}
	want := "¿Qué necesitás?\n\n*11* · Pagos — Cómo y dónde\n*12* · Facturas\n\n_Escribí volver_"
	if diff := cmp.Diff(r.Plain(), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if got := (Option{Code: "11", Description: "Cómo y dónde"}).Row() + "|" + (Option{Code: "5"}).Row(); got != "11 · Cómo y dónde|5" {
		t.Errorf("rows %q", got)
	}
}

// TestClockSetBack: automatic messages with a future time cannot silence a conversation for
// ever.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	conv := play(t, rules, NewConversation("wsp4"), "hola").Next
	for range 30 {
		conv.Auto = append(conv.Auto, monday.Add(48*time.Hour).Unix())
	}
	if got := rules.Step(conv, text("menu"), monday); got.Reason != CommandMenu || len(got.Next.Auto) != 2 {
		t.Errorf("%s with %d", got.Reason, len(got.Next.Auto))
	}
}

// TestReplyOption stays in the menu and says its text.
func TestReplyOption(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, []byte(`
version: 1
lines: {a: {start: uno}}
areas: {admin: {name: Administración, expected: hoy}}
menus:
  uno:
    text: "¿Qué?"
    options:
      - {code: "1", title: Horarios, reply: "De 9 a 18."}
      - {code: "2", title: Persona, handoff: {area: admin}}
`))
	got := play(t, rules, NewConversation("a"), "hola", "x", "1")
	if diff := cmp.Diff(got.Replies, []Reply{{Text: "De 9 a 18.", Style: flow.StyleText}}); diff != "" || got.Reason != MenuChoice {
		t.Errorf("%s (-got +want):\n%s", got.Reason, diff)
	}
	if got.Next.Menu != "uno" || got.Next.Invalid != 0 {
		t.Errorf("then %+v", got.Next)
	}
}

func TestNoFlowNoPanic(t *testing.T) {
	t.Parallel()
	for _, r := range []Rules{{}, {Flow: &flow.Flow{}}} {
		for _, in := range inputs {
			for _, s := range situations(psiRules(t)) {
				if got := r.Step(s.conv, in.msg, monday); got.Reason == "" {
					t.Errorf("%s, %s: no reason", s.name, in.name)
				}
			}
		}
	}
}

// TestAfterOutage: the flow decides what people get who were left without an answer.
func TestAfterOutage(t *testing.T) {
	t.Parallel()
	menu, closed := NewConversation("wsp4"), NewConversation("wsp4")
	closed.State, closed.Epoch = StateClosed, 3
	with, away := NewConversation("wsp4"), NewConversation("wsp4")
	with.State, with.Area, away.State = StateHandedOff, "admin", StateDisconnected
	for _, tc := range []struct {
		name   string
		policy flow.AfterOutage
		was    Conversation
		state  State
		says   []string // in this order
		shows  string   // menu
		area   string
	}{
		{"listed", flow.AfterOutageList, menu, "", nil, "", ""},
		{"apologize", flow.AfterOutageApologize, menu, StateMenu, []string{"Perdoná"}, "", ""},
		{"apologize, closed", flow.AfterOutageApologize, closed, StateClosed, []string{"Perdoná"}, "", ""},
		{"menu", flow.AfterOutageMenu, menu, StateMenu, []string{"Perdoná", "Con quién"}, "principal", ""},
		{"menu, closed", flow.AfterOutageMenu, closed, StateMenu, []string{"Perdoná", "Con quién"}, "principal", ""},
		{"handoff", flow.AfterOutageHandoff, menu, StateHandedOff, []string{"Perdoná", "{ticket}"}, "", "revisar"},
		{"handoff, closed", flow.AfterOutageHandoff, closed, StateHandedOff, []string{"Perdoná", "{ticket}"}, "", "revisar"},
		{"a team has it", flow.AfterOutageApologize, with, "", nil, "", ""},
		{"disconnected", flow.AfterOutageApologize, away, "", nil, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rules := psiRules(t)
			f := *rules.Flow
			f.Policies.AfterOutage = tc.policy
			rules.Flow = &f
			d := rules.Apply(tc.was, Command{Kind: CommandApologize}, monday)
			checkAny(t, rules, tc.was, d)
			if len(tc.says) == 0 {
				if d.Reason != NoEffect || len(d.Replies) > 0 {
					t.Errorf("got %+v", d)
				}
				return
			}
			if d.Reason != AfterOutage || d.Next.State != tc.state || len(d.Replies) != 1 || d.Replies[0].Menu != tc.shows || d.Next.Area != tc.area {
				t.Fatalf("got %+v", d)
			}
			rest := d.Replies[0].Text
			for _, part := range tc.says {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Errorf("%q is not in %q", part, rest)
				}
				rest = after
			}
			if (d.Handoff != nil) != (tc.area != "") || d.Handoff != nil && d.Handoff.Tag != "caida" {
				t.Errorf("hand-off %+v", d.Handoff)
			}
		})
	}
}

package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// left: whose last message has no answer of ours, however that came about, and what ends
// it.
func left(t *testing.T, e Engine) {
	for _, tc := range []struct {
		name string
		do   func(*leftCase)
		want router.Reason // "" for nobody
	}{
		{"an answer waits", func(a *leftCase) { a.say("hola") }, ""},
		{"an answer is under way", func(a *leftCase) { a.say("hola"); a.claimed() }, ""},
		{"answered", func(a *leftCase) { a.say("hola"); a.send(store.Sent) }, ""},

		{"stale", func(a *leftCase) { a.stale("hola") }, router.Stale},
		{"late", func(a *leftCase) { a.late("hola") }, router.Late},
		{"not readable, and closed", func(a *leftCase) { a.close(); a.unreadable() }, router.UnknownType},
		{"gone dead", func(a *leftCase) { a.reject("hola") }, router.Invalid},
		{"more than the budget", func(a *leftCase) { a.flood() }, router.Budget},
		{"more than the budget, while an answer waits", func(a *leftCase) { a.flood(); a.say("hola"); a.last(store.Sent) }, router.Budget},
		{"refused", func(a *leftCase) { a.say("hola"); a.send(store.Failed) }, router.Refused},
		{"uncertain", func(a *leftCase) { a.say("hola"); a.send(store.Uncertain) }, router.UncertainFor},
		{"its sender was lost", func(a *leftCase) { a.say("hola"); a.claimed(); a.claimed() }, router.UncertainFor},
		{"expired", func(a *leftCase) { a.say("hola"); a.tick(time.Hour); a.claimed() }, router.Expired},
		{"the window closed", func(a *leftCase) { a.set.ReplyTTL = -1; a.reopen(); a.say("hola"); a.tick(24 * time.Hour); a.claimed() }, router.WindowClosed},
		{"failed after it was accepted", func(a *leftCase) { a.say("hola"); a.send(store.Sent); a.report("failed") }, router.Refused},
		{"taken back by a reset", func(a *leftCase) { a.say("hola"); a.cmd(router.CommandReset); a.claimed() }, router.Superseded},

		{"a thank-you asks for nothing", func(a *leftCase) { a.stale("gracias") }, ""},
		{"a yes to the offer of a person is no thank-you", func(a *leftCase) { a.offered(); a.stale("si") }, router.Stale},
		{"a thank-you after the offer of a person", func(a *leftCase) { a.offered(); a.say("gracias") }, ""},
		{"a reaction asks for nothing", func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandDismiss); a.react() }, ""},
		{"a team has it", func(a *leftCase) { a.cmd(router.CommandHandoff); a.stale("hola") }, ""},
		{"disconnected", func(a *leftCase) { a.cmd(router.CommandDisconnect); a.say("hola") }, ""},
		{"older than anybody waits", func(a *leftCase) { a.old(store.LeftFor) }, ""},

		{"ends: they write again and are answered", func(a *leftCase) { a.stale("hola"); a.say("hola") }, ""},
		{"and does not end: that answer fails too", func(a *leftCase) { a.stale("hola"); a.say("hola"); a.send(store.Failed) }, router.Refused},
		{"ends: handed off", func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandHandoff) }, ""},
		{"ends: closed", func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandClose) }, ""},
		{"ends: closed again", func(a *leftCase) { a.close(); a.tick(time.Hour); a.stale("hola"); a.cmd(router.CommandClose) }, ""},
		{"ends: closed by those who had it", func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandHandoff); a.cmd(router.CommandClose) }, ""},
		{"ends: disconnected", func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandDisconnect); a.cmd(router.CommandReconnect) }, ""},
		{"ends: dismissed", func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandDismiss) }, ""},
		{"begins again after that", func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandDismiss); a.late("hola") }, router.Late},
		{"ends: an agent writes", func(a *leftCase) { a.stale("hola"); a.agent() }, ""},
		{"ends: answered from the phone", func(a *leftCase) { a.stale("hola"); a.echo(0) }, ""},
		{"ends: answered from the phone, and we hear of it late", func(a *leftCase) { a.stale("hola"); a.echo(12 * time.Minute) }, ""},
		{"a word from the phone before theirs answers nothing", func(a *leftCase) { a.stale("hola"); a.echo(2 * time.Hour) }, router.Stale},
		{"ends: uncertain, and delivered", func(a *leftCase) { a.say("hola"); a.send(store.Uncertain); a.report("delivered") }, ""},
		{"uncertain, and failed", func(a *leftCase) { a.say("hola"); a.send(store.Uncertain); a.report("failed") }, router.Refused},
		{"ends: failed, and delivered", func(a *leftCase) { a.say("hola"); a.send(store.Sent); a.report("failed"); a.report("delivered") }, ""},

		{"an earlier answer fails after a later one was read", func(a *leftCase) {
			a.say("hola")
			a.send(store.Sent)
			a.say("1")
			a.send(store.Sent)
			a.report("read")
			a.reportOf(a.sent[0], "failed")
		}, ""},
		{"a later answer fails: an earlier one did not answer it", func(a *leftCase) {
			a.say("hola")
			a.send(store.Sent)
			a.say("1")
			a.send(store.Sent)
			a.report("failed")
		}, router.Refused},
		{"a later answer fails: nothing was asked since the earlier one", func(a *leftCase) {
			a.say("hola")
			a.send(store.Sent)
			a.agent()
			a.cmd(router.CommandClose)
			a.last(store.Sent)
			a.report("failed")
		}, ""},
		{"redelivered when it was answered", func(a *leftCase) { a.say("hola"); a.send(store.Sent); a.again() }, ""},
		{"redelivered when it was left", func(a *leftCase) { a.stale("hola"); a.again() }, router.Stale},
		{"older than what was answered", func(a *leftCase) { a.say("hola"); a.send(store.Sent); a.old(time.Hour) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := &leftCase{driver: open(t, e)}
			tc.do(a)
			if got := a.conversation(a.id).Left; got.Reason != tc.want || got.Since.IsZero() != (tc.want == "") {
				t.Errorf("left because of %q since %v, want %q", got.Reason, got.Since, tc.want)
			}
			a.counted(tc.want != "")
		})
	}

	t.Run("since when", func(t *testing.T) {
		a := &leftCase{driver: open(t, e)}
		a.stale("hola")
		began := a.now
		a.tick(time.Minute)
		a.late("y?")
		if got := a.conversation(a.id).Left; !got.Since.Equal(began) || got.Reason != router.Late {
			t.Errorf("got %+v, want since %v", got, began)
		}
	})

	t.Run("dismissed once", func(t *testing.T) {
		a := &leftCase{driver: open(t, e)}
		a.stale("hola")
		for range 2 {
			a.cmd(router.CommandDismiss)
		}
		list, err := a.Audit(t.Context(), "", 10)
		if err != nil || len(list) != 1 || list[0].Action != "left_dismissed" || list[0].Actor != "crm" {
			t.Errorf("got %+v, %v", list, err)
		}
	})

	t.Run("merged", func(t *testing.T) {
		d := open(t, e)
		byPhone, byID := inbound.Person{Phone: person(1).Phone}, inbound.Person{UserID: person(1).UserID}
		old := says(byPhone, "a", "hola", d.now)
		old.SentAt = old.ReceivedAt.Add(-time.Hour)
		d.handle(old)
		r := d.handle(says(byID, "b", "hola", d.now))
		d.deliver(r.Conversation)
		if n := d.leftConversations(store.Filter{}); len(n) != 1 {
			t.Fatalf("%d were left before, want one", len(n))
		}
		both := says(person(1), "c", "hola", d.now)
		both.SentAt = old.SentAt
		d.handle(both)
		if n := d.leftConversations(store.Filter{}); len(n) != 0 {
			t.Errorf("%d were left, want nobody: the answer is newer than the message", len(n))
		}
	})

	t.Run("closed again is in the audit", func(t *testing.T) {
		a := &leftCase{driver: open(t, e)}
		a.close()
		a.tick(time.Hour)
		a.stale("hola")
		for range 2 {
			a.cmd(router.CommandClose)
		}
		list, err := a.Audit(t.Context(), "", 10)
		if err != nil || len(list) != 2 || list[0].Action != "close" || list[1].Action != "close" {
			t.Errorf("got %+v, %v", list, err)
		}
	})

	t.Run("as old as their message", func(t *testing.T) {
		a := &leftCase{driver: open(t, e)}
		a.old(6 * 24 * time.Hour)
		a.counted(true)
		if got := a.conversation(a.id).Left.At(a.now); got.Reason != router.Stale {
			t.Errorf("got %+v", got)
		}
		a.tick(24*time.Hour + time.Minute)
		a.counted(false)
		if got := a.conversation(a.id).Left.At(a.now); got != (store.Left{}) {
			t.Errorf("a week after their message: got %+v", got)
		}
		// A person who writes again counts for a week more, though they were left before.
		a.stale("hola?")
		a.tick(6 * 24 * time.Hour)
		a.counted(true)
		a.stale("y?")
		a.tick(6 * 24 * time.Hour)
		a.counted(true)
	})

	t.Run("merged, both left", func(t *testing.T) {
		d := open(t, e)
		left := func(p inbound.Person, id string, age time.Duration) store.Left {
			m := says(p, id, "hola", d.now)
			m.SentAt = m.ReceivedAt.Add(-age)
			return d.conversation(d.handle(m).Conversation).Left
		}
		first := left(inbound.Person{Phone: person(1).Phone}, "a", time.Hour)
		d.tick(time.Hour)
		left(inbound.Person{UserID: person(1).UserID}, "b", time.Hour)
		d.tick(time.Hour)
		both := says(person(1), "c", "", d.now)
		both.Content = &inbound.Content{Type: "system"}
		d.handle(both)
		if list := d.leftConversations(store.Filter{}); len(list) != 1 || !list[0].Left.Since.Equal(first.Since) {
			t.Errorf("got %+v, want since %v", list, first.Since)
		}
	})

	t.Run("the list", func(t *testing.T) {
		d := open(t, e)
		var want []string
		for i := range 5 {
			a := says(person(i), fmt.Sprint("a", i), "hola", d.now)
			a.SentAt = a.ReceivedAt.Add(-time.Hour)
			if i == 3 {
				a.Line, a.LineRef = "ventas", "ventas"
			}
			want = append(want, d.handle(a).Conversation)
		}
		d.say(person(9), "b", "hola")
		var got []string
		for f := (store.Filter{Limit: 2}); ; {
			page := d.leftConversations(f)
			for _, c := range page {
				got, f.Before = append(got, c.ID), c.Cursor
			}
			if len(page) < 2 {
				break
			}
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("longest first (-got +want):\n%s", diff)
		}
		for name, f := range map[string]store.Filter{
			"line": {Line: "ventas"}, "phone": {Phone: person(3).Phone}, "state": {State: router.StateMenu, Line: "ventas"},
		} {
			if list := d.leftConversations(f); len(list) != 1 || list[0].ID != want[3] {
				t.Errorf("by %s: got %d", name, len(list))
			}
		}
		for name, f := range map[string]store.Filter{
			"area": {Area: "admin"}, "phone": {Phone: person(9).Phone}, "state": {State: router.StateClosed}, "stranger": {Phone: "5491122223333"},
		} {
			if list := d.leftConversations(f); len(list) != 0 {
				t.Errorf("by %s: got %d", name, len(list))
			}
		}
		d.tick(store.LeftFor)
		if list := d.leftConversations(store.Filter{}); len(list) != 0 {
			t.Errorf("a week later: got %d", len(list))
		}
	})
}

// leftCase is a person, and the ways to leave them without an answer.
type leftCase struct {
	*driver
	id   string // conversation
	n    int
	sent []string // provider ids of the posted messages
	was  inbound.Arrival
}

func (a *leftCase) write(text string, age time.Duration, late bool) {
	a.Helper()
	a.n++
	a.tick(time.Minute)
	m := says(person(1), fmt.Sprint("in", a.n), text, a.now)
	m.SentAt, m.Late = m.SentAt.Add(-age), late
	a.deliverArrival(m)
}

func (a *leftCase) deliverArrival(m inbound.Arrival) {
	a.Helper()
	a.was = m
	a.id = a.handle(m).Conversation
}

func (a *leftCase) say(text string)       { a.Helper(); a.write(text, 0, false) }
func (a *leftCase) stale(text string)     { a.Helper(); a.write(text, 25*time.Minute, false) }
func (a *leftCase) old(age time.Duration) { a.Helper(); a.write("hola", age, false) }
func (a *leftCase) late(text string)      { a.Helper(); a.write(text, 0, true) }
func (a *leftCase) again()                { a.Helper(); a.tick(time.Hour); a.deliverArrival(a.was) }

func (a *leftCase) unreadable() {
	a.Helper()
	a.tick(time.Minute)
	m := says(person(1), "unreadable", "", a.now)
	m.Content = &inbound.Content{Type: "unsupported", Error: 131051}
	a.deliverArrival(m)
}

func (a *leftCase) react() {
	a.Helper()
	a.handle(annotation(person(1), "reaction", "reaction", a.was.ID, "👍", a.now))
}

func (a *leftCase) reject(text string) {
	a.Helper()
	m := says(person(1), "dead", text, a.now)
	if err := a.Reject(a.Context(), a.now, m, "it does not fit"); err != nil {
		a.Fatalf("reject: %v", err)
	}
	list, err := a.Conversations(a.Context(), store.Filter{})
	if err != nil || len(list) != 1 {
		a.Fatalf("got %d conversations, %v", len(list), err)
	}
	a.id = list[0].ID
}

// flood writes until the router stops answering.
func (a *leftCase) flood() {
	a.Helper()
	for range 25 {
		a.say("menu")
		a.deliver(a.id)
	}
}

// offered writes texts that are no option until a person is offered, half an hour ago.
func (a *leftCase) offered() {
	a.Helper()
	for range 5 {
		a.say("nada")
		a.deliver(a.id)
	}
	a.tick(30 * time.Minute)
}

func (a *leftCase) claimed() []store.SendClaim {
	a.Helper()
	a.n++
	return a.claim(fmt.Sprint("t", a.n), a.id)
}

// send posts one message with a result.
func (a *leftCase) send(result store.Status) {
	a.Helper()
	claims := a.claimed()
	if len(claims) != 1 {
		a.Fatalf("claimed %d, want one", len(claims))
	}
	provider := ""
	if result == store.Sent || result == store.Uncertain {
		provider = "out." + claims[0].Post.ID
		a.sent = append(a.sent, provider)
	}
	if result == store.Uncertain {
		provider = ""
	}
	a.record(claims[0], result, provider)
}

// last posts all messages with a result.
func (a *leftCase) last(result store.Status) {
	a.Helper()
	for _, m := range a.messages(a.id) {
		if m.Status == store.Queued {
			a.send(result)
		}
	}
}

func (a *leftCase) report(status string) { a.Helper(); a.reportOf(a.sent[len(a.sent)-1], status) }

func (a *leftCase) reportOf(id, status string) {
	a.Helper()
	a.statuses(report(person(1), id, id[len("out."):], status, a.now))
}

// cmd carries out a command; on a new person it follows a message of theirs.
func (a *leftCase) cmd(kind router.CommandKind) {
	a.Helper()
	a.known()
	a.command(a.id, kind, "admin")
}

func (a *leftCase) close() { a.Helper(); a.cmd(router.CommandClose); a.deliver(a.id) }

func (a *leftCase) known() {
	a.Helper()
	if a.id == "" {
		a.say("hola")
		a.deliver(a.id)
	}
}

func (a *leftCase) agent() {
	a.Helper()
	a.tick(time.Second)
	if _, err := a.Command(a.Context(), a.now, saying(a.id, text("acá estoy"))); err != nil {
		a.Fatalf("say: %v", err)
	}
}

// echo is a message of ours from the phone, some time ago.
func (a *leftCase) echo(ago time.Duration) {
	a.Helper()
	m := echoed(person(1), "echo", "Hola, ¿qué tal?", a.now)
	m.SentAt = m.SentAt.Add(-ago)
	a.handle(m)
}

func (d *driver) leftConversations(f store.Filter) []store.Conversation {
	d.Helper()
	f.LeftAfter = d.now.Add(-store.LeftFor)
	list, err := d.Conversations(d.Context(), f)
	if err != nil {
		d.Fatalf("list who was left: %v", err)
	}
	return list
}

// counted compares the list and the figure with the expectation.
func (d *driver) counted(is bool) {
	d.Helper()
	want := 0
	if is {
		want = 1
	}
	g, err := d.Gauges(d.Context(), d.now)
	if list := d.leftConversations(store.Filter{}); len(list) != want || g.Left != int64(want) || err != nil {
		d.Errorf("got %d in the list, %d counted, %v; want %d", len(list), g.Left, err, want)
	}
}

// hear notes a person's message, and that a team has the conversation.
func (w *world) hear(ev store.Event) {
	w.Helper()
	var told struct {
		Conversation struct {
			State   router.State
			Contact struct{ Blocked bool }
		}
		Message struct{ ID, Direction string }
	}
	if err := json.Unmarshal(ev.Data, &told); err != nil {
		w.Fatalf("event %s: %v", ev.Type, err)
	}
	state := told.Conversation.State
	switch {
	case state == router.StateHandedOff, state == router.StateDisconnected, ev.Type == store.EventClosed && state == router.StateClosed:
		w.words[ev.Conversation] = nil
	case ev.Type == store.EventReceived && !told.Conversation.Contact.Blocked:
		w.words[ev.Conversation] = append(w.words[ev.Conversation], told.Message.ID)
	}
}

// apologizeOnce sends due apologies: one for each message.
func (w *world) apologizeOnce(rt *rapid.T) {
	id := w.pickConversation(rt)
	w.apologize()
	said, words := 0, 0
	for _, m := range w.messages(id) {
		switch {
		case m.Reason == router.AfterOutage:
			said++
		case m.Direction == "inbound":
			words++
		}
	}
	if said > words {
		rt.Fatalf("%d apologies for %d messages", said, words)
	}
}

// worthSaying checks that an apology is posted only to a person without an answer since.
func (w *world) worthSaying(c store.Conversation, m store.Message) {
	w.Helper()
	if c.Left.Since.IsZero() || m.Epoch != c.Epoch || w.now.Sub(m.CreatedAt) >= time.Hour {
		w.Fatalf("may not be posted any more: %+v in epoch %d, left %+v", m, c.Epoch, c.Left)
	}
}

// compare finds out by a scan of the messages whether the person was left.
func (w *world) compare(id string) {
	w.Helper()
	var asked, said time.Time
	owed := false
	list := w.messages(id)
	for _, m := range list {
		at := m.CreatedAt
		for _, other := range [...]time.Time{m.SentAt, m.ReceivedAt} {
			if !sentByUs(m) && !other.IsZero() && other.Before(at) {
				at = other
			}
		}
		switch {
		case m.Author == store.AuthorProgram, m.Reason == router.AfterOutage: // notices
		case slices.Contains(w.words[id], m.ID):
			if at.After(asked) {
				asked = at
			}
		case m.Direction == "outbound" && ranks[m.Status] >= ranks[store.Sent] && m.Status != store.Failed:
			if at.After(said) {
				said = at
			}
		case m.Status == store.Queued, m.Status == store.Sending:
			owed = true
		}
	}
	c := w.conversation(id)
	want := asked.After(said) && !owed && !c.Contact.Blocked && (c.State == router.StateMenu || c.State == router.StateClosed)
	if got := !c.Left.Since.IsZero(); got != want || got && c.Left.Reason == "" {
		w.Fatalf("left: %+v, want %v: asked at %v, said at %v, owed %v, %s", c.Left, want, asked, said, owed, c.State)
	}
}

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// model uses the store at random and checks the promises after every step. All runs share
// one database; each has its own people.
func model(t *testing.T, e Engine) {
	d := open(t, e)
	d.setAfterOutage(flow.AfterOutageApologize)
	d.page = 500
	run, pos := 0, int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		run++
		d.checker = rt
		m := &world{
			driver: d, run: run, seq: map[string]int64{}, rank: map[string]int{}, order: map[string][]string{}, words: map[string][]string{},
		}
		d.tick(time.Hour)
		d.pump()
		for _, ev := range d.eventsAfter(pos) {
			pos = ev.Pos
		}
		m.pos = pos
		rt.Repeat(map[string]func(*rapid.T){
			"":          m.check,
			"write":     m.write,
			"redeliver": m.redeliver,
			"command":   m.command,
			"answer":    m.answer,
			"remind":    m.remind,
			"press":     m.press,
			"prefer":    m.prefer,
			"block":     m.block,
			"send":      m.send,
			"lose":      m.lose,
			"sorry":     m.apologizeOnce,
			"report":    m.report,
			"mark":      m.mark,
			"stranger":  m.stranger,
			"wait":      func(rt *rapid.T) { d.tick(time.Duration(rapid.IntRange(1, 40).Draw(rt, "minutes")) * time.Minute) },
			"reopen": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "often") == 0 {
					d.reopen()
				}
			},
		})
	})
	d.checker = t
}

const peopleCount = 3

type world struct {
	*driver
	run  int
	pos  int64               // of the last event
	seq  map[string]int64    // of the last event of each conversation
	sent []inbound.Arrival   // every arrival so far
	ids  [peopleCount]string // conversations
	// heard is when the last message came that was not late.
	heard [peopleCount]time.Time
	rank  map[string]int // of outgoing messages
	// order holds the provider ids of each conversation as they were first handled.
	order map[string][]string
	// words are our ids of each person's messages that deserve an answer, since a team had
	// the conversation or it was closed.
	words map[string][]string
	asked []asked
	posts int
	steps int
	// strange counts the strangers' arrivals.
	strange int
}

// asked is a message that one of our people wrote, with its key.
type asked struct {
	store.Command
	at time.Time
}

func (w *world) pickPerson(rt *rapid.T) int { return rapid.IntRange(0, peopleCount-1).Draw(rt, "who") }

func (w *world) person(i int) inbound.Person { return person(w.run*1000 + i) }

func (w *world) write(rt *rapid.T) {
	n := rapid.IntRange(1, 4).Draw(rt, "batch")
	batch := make([]inbound.Arrival, n)
	before := make([]store.Conversation, n)
	single := n == 1
	for i := range batch {
		writer := w.pickPerson(rt)
		text := rapid.SampledFrom([]string{"hola", "1", "2", "11", "menu", "volver", "nada", "🙈", ""}).Draw(rt, "text")
		a := says(w.person(writer), fmt.Sprintf("in-%d-%d", w.run, len(w.sent)+i), text, w.now)
		switch rapid.IntRange(0, 9).Draw(rt, "kind") {
		case 0:
			a.Late = true
		case 1:
			a.SentAt = a.ReceivedAt.Add(-time.Hour)
		case 2:
			a.Kind = inbound.Echo
		case 3: // it waited in a spool
			a.ReceivedAt = w.now.Add(-time.Duration(rapid.IntRange(0, 5000).Draw(rt, "waited")) * time.Millisecond)
			a.SentAt, a.Spooled = a.ReceivedAt.Truncate(time.Second), true
		}
		if w.ids[writer] != "" {
			before[i] = w.conversation(w.ids[writer])
		}
		batch[i] = a
	}
	got := w.turn(batch...)
	for i, r := range got {
		if r.Duplicate || r.MessageID == "" || r.Conversation == "" || r.Reason == "" {
			rt.Fatalf("got %+v", r)
		}
		a := batch[i]
		for writer := range peopleCount {
			if w.person(writer) != a.Person {
				continue
			}
			w.ids[writer] = r.Conversation
			if r.Reason == router.Blocked { // the router checks for blocked before late
				if a.ReceivedAt.After(w.heard[writer]) {
					w.heard[writer] = a.ReceivedAt
				}
				continue
			}
			if late := a.Late || a.Spooled && a.ReceivedAt.Before(w.heard[writer]); late != (r.Reason == router.Late) {
				rt.Fatalf("%s: got %s; it came at %v, the last one before at %v", a.ID, r.Reason, a.ReceivedAt, w.heard[writer])
			} else if !late && a.ReceivedAt.After(w.heard[writer]) {
				w.heard[writer] = a.ReceivedAt
			}
		}
		w.order[r.Conversation] = append(w.order[r.Conversation], batch[i].ID)
		if single {
			w.promised(before[i], batch[i], r)
		}
	}
	w.sent = append(w.sent, batch...)
}

// promised checks a decision against the state in which it was taken.
func (w *world) promised(before store.Conversation, a inbound.Arrival, r store.Result) {
	w.Helper()
	answerable := a.Kind == inbound.Message && !before.Contact.Blocked && r.Reason != router.Late && a.ReceivedAt.Sub(a.SentAt) < time.Minute
	switch {
	case !answerable && r.Replies > 0:
		w.Fatalf("replied to a message that deserves no answer: %+v", r)
	case answerable && before.State == router.StateClosed && (r.Replies == 0 || r.State != router.StateMenu):
		w.Fatalf("a closed conversation got no menu: %+v", r)
	case before.State == router.StateDisconnected && r.Replies > 0:
		w.Fatalf("replied in a disconnected conversation: %+v", r)
	case before.State == router.StateHandedOff && r.Replies > 0 && w.now.Before(before.TimeoutAt):
		w.Fatalf("replied in a handed off conversation: %+v", r)
	}
}

// redeliver hands arrivals in again, in any batch, and nothing may change.
func (w *world) redeliver(rt *rapid.T) {
	if len(w.sent) == 0 {
		rt.Skip("nothing yet")
	}
	batch := rapid.SliceOfN(rapid.SampledFrom(w.sent), 1, 5).Draw(rt, "again")
	before := w.everything()
	for i, r := range w.turn(batch...) {
		if !r.Duplicate || r.Replies != 0 {
			rt.Fatalf("%s again: got %+v", batch[i].ID, r)
		}
	}
	if diff := cmp.Diff(w.everything(), before); diff != "" {
		rt.Fatalf("a redelivery changed something (-got +want):\n%s", diff)
	}
}

func (w *world) everything() (all []any) {
	for _, id := range w.ids {
		if id != "" {
			all = append(all, w.conversation(id), w.messages(id))
		}
	}
	return all
}

func (w *world) pickConversation(rt *rapid.T) string {
	id := w.ids[w.pickPerson(rt)]
	if id == "" {
		rt.Skip("nobody yet")
	}
	return id
}

func (w *world) command(rt *rapid.T) {
	id := w.pickConversation(rt)
	kind := rapid.SampledFrom([]router.CommandKind{
		router.CommandHandoff, router.CommandAgentSent, router.CommandClose, router.CommandReopen,
		router.CommandDisconnect, router.CommandReconnect, router.CommandReset,
	}).Draw(rt, "command")
	before := w.conversation(id)
	after := w.driver.command(id, kind, rapid.SampledFrom([]string{"admin", "ventas"}).Draw(rt, "area"))
	if after.Epoch < before.Epoch || after.State != before.State && after.Epoch == before.Epoch {
		rt.Fatalf("%s: epoch %d to %d, state %s to %s", kind, before.Epoch, after.Epoch, before.State, after.State)
	}
	if kind == router.CommandHandoff && after.Area != before.Area && after.Ticket == "" {
		rt.Fatalf("handed off without a ticket: %+v", after)
	}
}

// answer lets one of our people write, perhaps a repeat: then nothing may change.
func (w *world) answer(rt *rapid.T) {
	if len(w.asked) > 0 && rapid.IntRange(0, 3).Draw(rt, "again") == 0 {
		a := rapid.SampledFrom(w.asked).Draw(rt, "which")
		if w.now.Sub(a.at) >= store.IdempotencyTTL {
			rt.Skip("forgotten")
		}
		before := w.everything()
		done, err := w.Command(w.Context(), w.now, a.Command)
		if err != nil || done.Replayed == nil {
			rt.Fatalf("a repeat: got %+v, %v", done, err)
		}
		if diff := cmp.Diff(w.everything(), before); diff != "" {
			rt.Fatalf("a repeat changed something (-got +want):\n%s", diff)
		}
		return
	}
	id := w.pickConversation(rt)
	before := w.conversation(id)
	cmd := saying(id, text("acá estoy"))
	cmd.Idempotency = once(fmt.Sprint(w.run, ".", len(w.asked)), "h")
	shut := before.LastInbound.IsZero() || w.now.Sub(before.LastInbound) >= 24*time.Hour
	done, err := w.Command(w.Context(), w.now, cmd)
	switch {
	case before.Contact.Blocked && errors.Is(err, store.ErrBlocked):
		return
	case shut && errors.Is(err, store.ErrWindowClosed):
		return
	case shut || err != nil:
		rt.Fatalf("got %v, the last one wrote at %v", err, before.LastInbound)
	case done.Message == nil || done.Message.Status != store.Queued || done.Message.Author != store.AuthorAgent:
		rt.Fatalf("got %+v", done.Message)
	}
	taken := before.State == router.StateMenu || before.State == router.StateClosed
	if taken && (done.State != router.StateHandedOff || done.Epoch == before.Epoch) || !taken && done.State != before.State {
		rt.Fatalf("from %s to %s", before.State, done.State)
	}
	w.asked = append(w.asked, asked{cmd, w.now})
}

// remind sends a notice, which only adds a message to send.
func (w *world) remind(rt *rapid.T) {
	id := w.pickConversation(rt)
	what := notice("recordatorio")
	what.Marketing = rapid.Bool().Draw(rt, "marketing")
	what.TTL = rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(rt, "ttl")
	before, told := w.conversation(id), w.eventTypes(id)
	done, err := w.Command(w.Context(), w.now, saying(id, what))
	if before.Contact.Blocked {
		if !errors.Is(err, store.ErrBlocked) {
			rt.Fatalf("a notice for a blocked contact: got %v", err)
		}
		return
	}
	if what.Marketing && before.Contact.OptedOut {
		if !errors.Is(err, store.ErrOptedOut) {
			rt.Fatalf("marketing after an opt-out: got %v", err)
		}
		return
	}
	if err != nil || done.Message.Author != store.AuthorProgram {
		rt.Fatalf("got %+v, %v", done.Message, err)
	}
	if diff := cmp.Diff(w.conversation(id), before); diff != "" {
		rt.Fatalf("a notice changed the conversation (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(w.eventTypes(id), told); diff != "" {
		rt.Fatalf("a notice had an event before it left (-got +want):\n%s", diff)
	}
}

// prefer is a person's choice about marketing.
func (w *world) prefer(rt *rapid.T) {
	writer := w.pickPerson(rt)
	if w.ids[writer] == "" {
		rt.Skip("nobody yet")
	}
	stop := rapid.Bool().Draw(rt, "stop")
	w.steps++
	a := optOut(w.person(writer), fmt.Sprintf("wish-%d-%d", w.run, w.steps), w.now)
	a.Choice.Stop = stop
	before := w.conversation(w.ids[writer])
	w.handle(a)
	after := w.conversation(w.ids[writer])
	if after.Contact.OptedOut != stop || after.State != before.State || after.Epoch != before.Epoch {
		rt.Fatalf("from %+v to %+v", before, after)
	}
}

// block blocks or unblocks a person, and nothing else changes.
func (w *world) block(rt *rapid.T) {
	id := w.pickConversation(rt)
	before := w.conversation(id)
	kind := router.CommandBlock
	if before.Contact.Blocked {
		kind = router.CommandUnblock
	}
	after := w.driver.command(id, kind, "")
	if after.Contact.Blocked == before.Contact.Blocked || after.State != before.State || after.Epoch != before.Epoch || after.Ticket != before.Ticket {
		rt.Fatalf("%s: from %+v to %+v", kind, before, after)
	}
}

// press presses a template's button that only answers.
func (w *world) press(rt *rapid.T) {
	writer := w.pickPerson(rt)
	id := w.ids[writer]
	if id == "" {
		rt.Skip("nobody yet")
	}
	before := w.conversation(id)
	a := buttonTap(w.person(writer), fmt.Sprintf("in-%d-%d", w.run, len(w.sent)), "turnos/confirmar", w.now)
	r := w.handle(a)
	if before.Contact.Blocked {
		if r.Reason != router.Blocked || r.Replies > 0 {
			rt.Fatalf("blocked: got %+v", r)
		}
	} else if said := r.Reason == router.TemplateButton || r.Reason == router.Budget; before.State != router.StateDisconnected && !said || r.Replies > 1 {
		rt.Fatalf("in %s: got %+v", before.State, r)
	}
	after := w.conversation(id)
	if after.State != before.State || after.Epoch != before.Epoch || after.Area != before.Area || !after.WaitingSince.Equal(before.WaitingSince) || after.Ticket != before.Ticket {
		rt.Fatalf("from %+v to %+v", before, after)
	}
	if a.ReceivedAt.After(w.heard[writer]) {
		w.heard[writer] = a.ReceivedAt
	}
	w.order[id] = append(w.order[id], a.ID)
	w.sent = append(w.sent, a)
}

func (w *world) send(rt *rapid.T) {
	id := w.pickConversation(rt)
	w.posts++
	for _, c := range w.claim(fmt.Sprintf("%d.%d", w.run, w.posts), id) {
		conv, m := w.conversation(id), w.message(id, c.Post.ID)
		ours := m.Author == store.AuthorRouter
		if conv.Contact.Blocked {
			rt.Fatalf("posted to a blocked contact: %+v", m)
		}
		if m.Reason == router.AfterOutage {
			w.worthSaying(conv, m)
		} else if ours && (m.Epoch != conv.Epoch || w.now.Sub(m.CreatedAt) >= time.Hour) || m.Type != "template" && w.now.Sub(conv.LastInbound) >= 24*time.Hour {
			rt.Fatalf("may not be posted any more: %+v in epoch %d", m, conv.Epoch)
		}
		status := rapid.SampledFrom([]store.Status{store.Sent, store.Sent, store.Queued, store.Failed, store.Uncertain}).Draw(rt, "status")
		provider := ""
		if status == store.Sent {
			provider = "out-" + c.Post.ID
		}
		w.record(c, status, provider)
	}
}

// lose claims and never comes back.
func (w *world) lose(rt *rapid.T) {
	w.posts++
	w.claim(fmt.Sprintf("lost %d.%d", w.run, w.posts), w.pickConversation(rt))
}

func (w *world) report(rt *rapid.T) {
	id := w.pickConversation(rt)
	p := w.person(slices.Index(w.ids[:], id))
	var batch []inbound.Arrival
	for _, m := range w.messages(id) {
		if sentByUs(m) && m.Status != store.Queued && rapid.Bool().Draw(rt, "this") {
			status := rapid.SampledFrom([]string{"sent", "delivered", "read", "failed", "nonsense"}).Draw(rt, "status")
			batch = append(batch, report(p, "out-"+m.ID, rapid.SampledFrom([]string{"", m.ID}).Draw(rt, "ref"), status, w.now))
		}
	}
	if len(batch) > 0 {
		w.statuses(batch...)
	}
}

func (w *world) mark(rt *rapid.T) {
	if len(w.sent) == 0 {
		rt.Skip("nothing yet")
	}
	of := rapid.SampledFrom(w.sent).Draw(rt, "of")
	kind := rapid.SampledFrom([]string{"reaction", "edit", "revoke"}).Draw(rt, "kind")
	a := annotation(of.Person, fmt.Sprintf("mark-%d-%d", w.run, len(w.sent)), kind, of.ID, "❤️", w.now)
	if r := w.handle(a); r.Replies != 0 || r.Wake != nil {
		rt.Fatalf("got %+v", r)
	}
	w.sent = append(w.sent, a)
}

// stranger repeats an arrival from elsewhere, or makes one about an existing message: it
// changes nothing in these conversations.
func (w *world) stranger(rt *rapid.T) {
	if len(w.sent) == 0 {
		rt.Skip("nothing yet")
	}
	w.strange++
	of := rapid.SampledFrom(w.sent).Draw(rt, "of")
	from := rapid.SampledFrom(strangers()[2:]).Draw(rt, "from") // those on no line of theirs
	batch := []inbound.Arrival{of, annotation(of.Person, fmt.Sprintf("strange-%d-%d", w.run, w.strange), "revoke", of.ID, "", w.now)}
	var news []inbound.Arrival
	for _, id := range w.ids {
		if id == "" {
			continue
		}
		for _, m := range w.messages(id) {
			status := rapid.SampledFrom([]string{"sent", "read", "failed"}).Draw(rt, "status")
			news = append(news, from.from(nil, report(of.Person, "out-"+m.ID, m.ID, status, w.now)))
		}
	}
	for i := range batch {
		batch[i] = from.from(nil, batch[i])
	}
	before := w.everything()
	w.turn(batch...)
	w.statuses(news...)
	if diff := cmp.Diff(w.everything(), before); diff != "" {
		rt.Fatalf("from %s: it changed something (-got +want):\n%s", from.name, diff)
	}
}

// ranks of statuses; a failure may come from anywhere below delivered.
var ranks = map[store.Status]int{
	store.Queued: 0, store.Sending: 0, store.Uncertain: 1, store.Sent: 2, store.Failed: 3,
	store.Delivered: 4, store.Read: 5, store.Played: 6,
}

// sentByUs reports whether a message leaves through us: the router's, or a person's through
// the API.
func sentByUs(m store.Message) bool {
	return m.Author == store.AuthorRouter || m.Author == store.AuthorAgent || m.Author == store.AuthorProgram
}

func (w *world) check(rt *rapid.T) {
	w.steps++
	w.pump()
	for _, ev := range w.eventsAfter(w.pos) {
		if w.pos++; ev.Pos != w.pos {
			rt.Fatalf("pos %d follows %d", ev.Pos, w.pos-1)
		}
		if !slices.Contains(w.ids[:], ev.Conversation) {
			continue // of an earlier run: a timer
		}
		if w.seq[ev.Conversation]++; ev.Seq != w.seq[ev.Conversation] {
			rt.Fatalf("event %s has seq %d, want %d", ev.Type, ev.Seq, w.seq[ev.Conversation])
		}
		w.hear(ev)
	}
	// One conversation at a time: an error stays.
	if id := w.ids[w.steps%peopleCount]; id != "" {
		var order []string
		for _, m := range w.messages(id) {
			if m.ProviderID != "" && !sentByUs(m) {
				order = append(order, m.ProviderID)
			}
			if !sentByUs(m) {
				continue
			}
			now := ranks[m.Status]
			if now < w.rank[m.ID] {
				rt.Fatalf("message went down to %s", m.Status)
			}
			w.rank[m.ID] = now
		}
		if diff := cmp.Diff(order, w.order[id]); diff != "" {
			rt.Fatalf("order (-got +want):\n%s", diff)
		}
		w.compare(id)
	}
}

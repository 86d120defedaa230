package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Settle says of each conversation of the book whether its person was left: their
// last word that deserves an answer is newer than our last answer that the provider
// took, nothing waits to be sent, and no team has it. Engines call it before they
// write; it may be called again at any time.
func (b *Book) Settle() {
	accounts := b.accounts()
	for _, t := range b.Talks {
		if t.Gone {
			continue
		}
		a := accounts[t]
		said := later(t.SaidAt, a.said)
		if a.lost {
			said = a.said
		}
		if !said.Equal(t.SaidAt) {
			t.SaidAt, t.Changed = said, true
		}
		b.settle(t, a)
	}
}

// account is what the book's messages say of the answers to one person.
type account struct {
	owed int           // how many more wait to be sent than when it was loaded
	said time.Time     // when the newest that was taken was made
	lost bool          // the newest answer turned out not to have arrived
	why  router.Reason // the last thing that kept an answer back
}

func (b *Book) accounts() map[*TalkRow]account {
	all := make(map[*TalkRow]account, len(b.Talks))
	for _, t := range b.Talks {
		if t.Gone {
			into := all[t.final()]
			into.owed += t.Owed
			all[t.final()] = into
		}
	}
	for _, m := range b.Messages {
		t := m.Talk.final()
		a := all[t]
		switch {
		case m.unanswered:
			a.why = m.Reason
		case m.Direction != directionOut || m.Notice:
			continue
		default:
			a.add(t, m)
		}
		all[t] = a
	}
	return all
}

// add counts a message of ours.
func (a *account) add(t *TalkRow, m *MessageRow) {
	if waits(m.Status) {
		a.owed++
	}
	if waits(m.was) {
		a.owed--
	}
	at, answers := m.answered()
	switch {
	case !answers:
	case taken(m.Status):
		a.said = later(a.said, at)
	case taken(m.was) && !at.Before(t.SaidAt):
		a.lost = true
	}
	if m.Status != m.was && (m.Status == Failed || m.Status == Uncertain) {
		a.why = m.Fate
	}
}

// settle keeps the reason also while something waits to be sent: what was asked since
// has none but that.
func (b *Book) settle(t *TalkRow, a account) {
	var now Left
	if t.AskedAt.After(t.SaidAt) && routed(t.State) && b.Now.Sub(t.AskedAt) < LeftFor {
		now = Left{Reason: cmp.Or(a.why, t.Left.Reason), Since: t.Left.Since}
		switch waiting := t.Owed+a.owed > 0; {
		case waiting || t.Who.Final().Blocked:
			now.Since = time.Time{}
		case now.Since.IsZero():
			now.Since = b.Now
		}
	}
	changed := now.Reason != t.Left.Reason || !now.Since.Equal(t.Left.Since)
	if changed {
		t.Left, t.Changed = now, true
	}
	if (changed || t.heard) && b.sorry(t) {
		t.SorryAt = b.Now.Add(b.SorryAfter)
	}
}

// routed says that no team has a conversation, nor anybody else beside the router.
func routed(s router.State) bool { return s == router.StateMenu || s == router.StateClosed }

func waits(s Status) bool { return s == Queued || s == Sending }

// taken says that the provider took a message, and that nothing bad was heard of it.
func taken(s Status) bool { return rank[s] >= rank[Sent] }

// answered is when a message of ours was made, which answers what was asked before;
// false for a gesture.
func (m *MessageRow) answered() (time.Time, bool) {
	if m.Origin == "" {
		return m.CreatedAt, true
	}
	return earlier(earlier(m.CreatedAt, m.ReceivedAt), m.SentAt), router.Says(m.Type)
}

// ask notes what a person said when it deserves an answer: the router gave one, or
// would have.
func (b *Book) ask(t *TalkRow, m *MessageRow, d router.Decision) {
	said := router.Message{Type: m.Type, Text: m.Text}
	if !routed(t.State) || t.Who.Blocked || !b.rules(t.Line).Asks(t.Conversation.Conversation, said, d) {
		return
	}
	m.unanswered = len(d.Replies) == 0
	t.AskedAt = later(t.AskedAt, saidAt(b.Now, m.ReceivedAt, m.SentAt))
	t.Changed, t.heard = true, true
}

// dismiss takes a conversation off the list of those that were left.
func (b *Book) dismiss(t *TalkRow, cmd router.Command, actor string) bool {
	if t.Left.Since.IsZero() {
		return false
	}
	t.AskedAt, t.Changed = time.Time{}, true
	b.audit(t, actor, cmd)
	return true
}

// Retracted lists the conversations whose last answer may turn out to have failed, by
// reports that are about to be applied: of those the answers before are needed.
func (b *Book) Retracted() (out []*TalkRow) {
	for _, m := range b.Messages {
		at, answers := m.answered()
		if m.Direction == directionOut && answers && m.Status == Sent && !at.Before(m.Talk.SaidAt) && !slices.Contains(out, m.Talk) {
			out = append(out, m.Talk)
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

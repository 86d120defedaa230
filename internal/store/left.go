package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// UpdateLeft says of each conversation of the unit whether its person was left: their
// last word that deserves an answer is newer than our last answer that the provider
// took, nothing waits to be sent, and no team has it. Engines call it before they
// write; it may be called again at any time.
func (u *Unit) UpdateLeft() {
	tallies := u.tallyAnswers()
	for _, conv := range u.Conversations {
		if conv.Merged {
			continue
		}
		a := tallies[conv]
		said := later(conv.AnsweredAt, a.answeredAt)
		if a.retracted {
			said = a.answeredAt
		}
		if !said.Equal(conv.AnsweredAt) {
			conv.AnsweredAt, conv.Changed = said, true
		}
		u.updateLeft(conv, a)
	}
}

// answerTally is what the unit's messages say of the answers to one person.
type answerTally struct {
	unsent     int           // how many more wait to be sent than when it was loaded
	answeredAt time.Time     // when the newest that was taken was made
	retracted  bool          // the newest answer turned out not to have arrived
	reason     router.Reason // the last thing that kept an answer back
}

func (u *Unit) tallyAnswers() map[*ConversationRow]answerTally {
	all := make(map[*ConversationRow]answerTally, len(u.Conversations))
	for _, conv := range u.Conversations {
		if conv.Merged {
			into := all[conv.Survivor()]
			into.unsent += conv.Unsent
			all[conv.Survivor()] = into
		}
	}
	for _, m := range u.Messages {
		conv := m.ConversationRow.Survivor()
		a := all[conv]
		switch {
		case m.unanswered:
			a.reason = m.Reason
		case m.Direction != directionOut || m.Notice:
			continue
		default:
			a.add(conv, m)
		}
		all[conv] = a
	}
	return all
}

// add counts a message of ours.
func (a *answerTally) add(conv *ConversationRow, m *MessageRow) {
	if isUnsent(m.Status) {
		a.unsent++
	}
	if isUnsent(m.loadedStatus) {
		a.unsent--
	}
	at, answers := m.answerTime()
	switch {
	case !answers:
	case isAccepted(m.Status):
		a.answeredAt = later(a.answeredAt, at)
	case isAccepted(m.loadedStatus) && !at.Before(conv.AnsweredAt):
		a.retracted = true
	}
	if m.Status != m.loadedStatus && (m.Status == Failed || m.Status == Uncertain) {
		a.reason = m.FailureReason
	}
}

// updateLeft keeps the reason also while something waits to be sent: what was asked since
// has none but that.
func (u *Unit) updateLeft(conv *ConversationRow, a answerTally) {
	var now Left
	if conv.AskedAt.After(conv.AnsweredAt) && isRouted(conv.State) && u.Now.Sub(conv.AskedAt) < LeftFor {
		now = Left{Reason: cmp.Or(a.reason, conv.Left.Reason), Since: conv.Left.Since}
		switch waiting := conv.Unsent+a.unsent > 0; {
		case waiting || conv.ContactRow.Survivor().Blocked:
			now.Since = time.Time{}
		case now.Since.IsZero():
			now.Since = u.Now
		}
	}
	changed := now.Reason != conv.Left.Reason || !now.Since.Equal(conv.Left.Since)
	if changed {
		conv.Left, conv.Changed = now, true
	}
	if (changed || conv.askedNow) && u.owesApology(conv) {
		conv.ApologyDue = u.Now.Add(u.ApologyDelay)
	}
}

// isRouted says that no team has a conversation, nor anybody else beside the router.
func isRouted(s router.State) bool { return s == router.StateMenu || s == router.StateClosed }

func isUnsent(s Status) bool { return s == Queued || s == Sending }

// isAccepted says that the provider took a message, and that nothing bad was heard of it.
func isAccepted(s Status) bool { return statusRank[s] >= statusRank[Sent] }

// answerTime is when a message of ours was made, which answers what was asked before;
// false for a gesture.
func (m *MessageRow) answerTime() (time.Time, bool) {
	if m.DedupKey == "" {
		return m.CreatedAt, true
	}
	return earlier(earlier(m.CreatedAt, m.ReceivedAt), m.SentAt), router.Says(m.Type)
}

// noteQuestion notes what a person said when it deserves an answer: the router gave one, or
// would have.
func (u *Unit) noteQuestion(conv *ConversationRow, m *MessageRow, d router.Decision) {
	said := router.Message{Type: m.Type, Text: m.Text}
	if !isRouted(conv.State) || conv.ContactRow.Blocked || !u.rules(conv.Line).Asks(conv.Conversation.Conversation, said, d) {
		return
	}
	m.unanswered = len(d.Replies) == 0
	conv.AskedAt = later(conv.AskedAt, saidAt(u.Now, m.ReceivedAt, m.SentAt))
	conv.Changed, conv.askedNow = true, true
}

// dismiss takes a conversation off the list of those that were left.
func (u *Unit) dismiss(conv *ConversationRow, cmd router.Command, actor string) bool {
	if conv.Left.Since.IsZero() {
		return false
	}
	conv.AskedAt, conv.Changed = time.Time{}, true
	u.addAudit(conv, actor, cmd)
	return true
}

// NeedEarlierAnswers lists the conversations whose last answer may turn out to have failed, by
// reports that are about to be applied: of those the answers before are needed.
func (u *Unit) NeedEarlierAnswers() (out []*ConversationRow) {
	for _, m := range u.Messages {
		at, answers := m.answerTime()
		if m.Direction == directionOut && answers && m.Status == Sent && !at.Before(m.ConversationRow.AnsweredAt) && !slices.Contains(out, m.ConversationRow) {
			out = append(out, m.ConversationRow)
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

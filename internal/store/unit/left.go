package unit

import (
	"cmp"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// UpdateLeft finds out for each conversation of the unit whether its person was left: their
// last message that deserves an answer is newer than our last accepted answer, nothing
// waits to be sent, and no team has the conversation. Engines call it before they write; it
// may be called again at any time.
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

// answerTally sums up the unit's answers to one person.
type answerTally struct {
	unsent     int           // change in the number of messages that wait to be sent
	answeredAt time.Time     // when the newest accepted answer was made
	retracted  bool          // the newest answer turned out to have failed
	reason     router.Reason // why the last answer was kept back
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
	if m.Status != m.loadedStatus && (m.Status == store.Failed || m.Status == store.Uncertain) {
		a.reason = m.FailureReason
	}
}

// updateLeft keeps the reason even while a message waits to be sent: later questions have
// no other.
func (u *Unit) updateLeft(conv *ConversationRow, a answerTally) {
	var now store.Left
	if conv.AskedAt.After(conv.AnsweredAt) && isRouted(conv.State) && u.Now.Sub(conv.AskedAt) < store.LeftFor {
		now = store.Left{Reason: cmp.Or(a.reason, conv.Left.Reason), Since: conv.Left.Since}
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

// isRouted reports whether only the router has a conversation: no team, and nobody else.
func isRouted(s router.State) bool { return s == router.StateMenu || s == router.StateClosed }

func isUnsent(s store.Status) bool { return s == store.Queued || s == store.Sending }

// isAccepted reports whether the provider took a message, without a failure since.
func isAccepted(s store.Status) bool { return statusRank[s] >= statusRank[store.Sent] }

// answerTime returns when a message of ours was made, which answers everything asked
// before; false for a gesture.
func (m *MessageRow) answerTime() (time.Time, bool) {
	if m.DedupKey == "" {
		return m.CreatedAt, true
	}
	return earlier(earlier(m.CreatedAt, m.ReceivedAt), m.SentAt), router.Says(m.Type)
}

// noteQuestion notes a person's message that deserves an answer: the router gave one, or
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

// owesApology reports whether the person who was left gets an apology: once for each
// message, and only for reasons that an outage causes. A message that may have been sent is
// not repeated in other words, and a person who used up the hour's messages may be a robot.
func (u *Unit) owesApology(conv *ConversationRow) bool {
	ofOutage := []router.Reason{router.Stale, router.Late, router.Invalid, router.Expired, router.Refused}
	tree := u.rules(conv.Line).Flow
	return tree != nil && tree.Policies.AfterOutage != flow.AfterOutageList && tree.Policies.AfterOutage != "" &&
		!conv.Left.Since.IsZero() && !conv.AskedAt.Equal(conv.ApologizedFor) && slices.Contains(ofOutage, conv.Left.Reason)
}

// Apologize fires the timer of an apology if one is still due. Its messages are notices:
// they queue behind answers, and do not count as an answer.
func (u *Unit) Apologize(conv *ConversationRow) bool {
	if !u.owesApology(conv) || u.isWindowClosedSince(conv.Line, later(conv.LastInbound, conv.AskedAt)) {
		return false
	}
	asked, r := conv.AskedAt, u.rules(conv.Line)
	cmd := router.Command{Kind: router.CommandApologize}
	d := r.Apply(conv.Conversation.Conversation, cmd, u.Now)
	if d.Reason == router.NoEffect {
		return false
	}
	u.applyDecision(conv, d, cause{By: "timer", Notice: true})
	conv.ApologizedFor, conv.Changed = asked, true
	u.addAudit(conv, "timer", cmd)
	return true
}

// lastInboundFor returns when the person wrote last, for a message of ours. Messages that
// came by a detour open the window too, but only for an apology: they change nothing else.
func (conv *ConversationRow) lastInboundFor(m *MessageRow) time.Time {
	if isAutomatic(m) && m.Notice {
		return later(conv.LastInbound, conv.ApologizedFor)
	}
	return conv.LastInbound
}

// isApologyMoot reports that an apology is no longer due: the person was answered, also by
// the team that the apology gives them to, or wrote again and will get another one.
func (conv *ConversationRow) isApologyMoot(m *MessageRow) bool {
	due := conv.AskedAt.Equal(conv.ApologizedFor) && conv.AskedAt.After(conv.AnsweredAt)
	return isRouted(conv.State) && !due || conv.LastHuman.After(m.CreatedAt)
}

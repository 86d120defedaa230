package unit

import (
	"cmp"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
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
	if m.Status != m.loadedStatus && (m.Status == store.Failed || m.Status == store.Uncertain) {
		a.reason = m.FailureReason
	}
}

// updateLeft keeps the reason also while something waits to be sent: what was asked since
// has none but that.
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

// isRouted says that no team has a conversation, nor anybody else beside the router.
func isRouted(s router.State) bool { return s == router.StateMenu || s == router.StateClosed }

func isUnsent(s store.Status) bool { return s == store.Queued || s == store.Sending }

// isAccepted says that the provider took a message, and that nothing bad was heard of it.
func isAccepted(s store.Status) bool { return statusRank[s] >= statusRank[store.Sent] }

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

// owesApology says that the person who was left gets an apology: once for each word, and only
// for what an outage does. What may have been sent is not repeated in other words, and
// who used up the hour's messages may be a robot.
func (u *Unit) owesApology(conv *ConversationRow) bool {
	ofOutage := []router.Reason{router.Stale, router.Late, router.Invalid, router.Expired, router.Refused}
	tree := u.rules(conv.Line).Flow
	return tree != nil && tree.Policies.AfterOutage != flow.AfterOutageList && tree.Policies.AfterOutage != "" &&
		!conv.Left.Since.IsZero() && !conv.AskedAt.Equal(conv.ApologizedFor) && slices.Contains(ofOutage, conv.Left.Reason)
}

// Apologize fires the timer of an apology, when there is still something to say. What
// is said are notices: they leave behind the answers to who writes now, and do not count
// as an answer.
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

// lastInboundFor is when the person wrote last, for a message of ours. What came by a detour
// opens the window too, but only an apology knows of it: it changes nothing else.
func (conv *ConversationRow) lastInboundFor(m *MessageRow) time.Time {
	if isAutomatic(m) && m.Notice {
		return later(conv.LastInbound, conv.ApologizedFor)
	}
	return conv.LastInbound
}

// isApologyMoot says that nobody needs an apology any more: the person was answered, by the team
// too that the apology gives them to, or said something since for which there will be
// another one.
func (conv *ConversationRow) isApologyMoot(m *MessageRow) bool {
	due := conv.AskedAt.Equal(conv.ApologizedFor) && conv.AskedAt.After(conv.AnsweredAt)
	return isRouted(conv.State) && !due || conv.LastHuman.After(m.CreatedAt)
}

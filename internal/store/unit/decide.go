package unit

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// cause is what triggered a decision: the actor, and the message if there was one.
type cause struct {
	By      string
	Message *MessageRow // nil for commands
	Notice  bool        // replies queue behind answers, and do not count as one
}

// inbound returns the inbound message that replies of the cause answer, or nil.
func (c cause) inbound() *MessageRow {
	if c.Message != nil && c.Message.Direction == directionIn {
		return c.Message
	}
	return nil
}

// applyDecision makes the decision's rows and returns the number of replies.
func (u *Unit) applyDecision(conv *ConversationRow, d router.Decision, c cause) int {
	before, next := conv.Conversation.Conversation, d.Next
	next.Line = before.Line // a line never changes
	ticket := before.Ticket
	if d.Handoff != nil {
		if !d.Handoff.Transfer || ticket == "" {
			ticket = u.openTicket(conv, d.Handoff)
		}
		next.Ticket = ticket
	}
	if before.Ticket != "" && next.Ticket != before.Ticket {
		u.ResolvedTickets = append(u.ResolvedTickets, before.Ticket)
	}
	conv.WaitingSince = u.waitingSince(conv, next, d, c)
	conv.Conversation.Conversation = next
	conv.LastArea = cmp.Or(next.Area, conv.LastArea)
	conv.Changed = true
	if d.Closed || !isRouted(next.State) {
		conv.AskedAt = time.Time{} // a team has it, or had the last word
	}
	if !next.TimeoutAt.IsZero() && (before.TimeoutAt.IsZero() || next.TimeoutAt.Before(before.TimeoutAt)) {
		conv.ArmTimer = true
	}
	u.addDecisionEvents(conv, before, d, c)
	u.addNoteAndTag(conv, d, c)
	if m := c.inbound(); m != nil && (d.OptOut || d.OptIn) {
		u.setOptOut(conv.ContactRow, d.OptOut, saidAt(u.Now, m.ReceivedAt, m.SentAt))
	}
	for i, r := range d.Replies {
		u.addReply(conv, r, d.Reason, ticket, c, i == 0)
	}
	return len(d.Replies)
}

// openTicket makes a ticket.
func (u *Unit) openTicket(conv *ConversationRow, h *router.Handoff) string {
	u.LastTicket++
	ticket := TicketNumber(u.Year(), u.LastTicket)
	u.OpenedTickets = append(u.OpenedTickets, TicketRow{Conversation: conv, Ticket: ticket, Area: h.Area, Tag: h.Tag})
	return ticket
}

// TicketNumber formats a ticket.
func TicketNumber(year int, n int64) string { return fmt.Sprintf("PSI-%d-%06d", year, n) }

// waitingSince returns since when the person waits for a team, once a decision is carried
// out; zero for not at all. Somebody waits from the hand-off on, or from their first
// message after our last one, until a human of ours writes (an agent, or the line's phone)
// or the hand-off ends. A transfer does not end the wait. A thank-you asks for nothing, nor
// does a message that gets no answer in any state (reactions, notices, stale and late
// messages). Nobody waits while disconnected.
func (u *Unit) waitingSince(conv *ConversationRow, next router.Conversation, d router.Decision, c cause) time.Time {
	before := conv.Conversation.Conversation
	if next.State != router.StateHandedOff || next.LastHuman.After(before.LastHuman) {
		return time.Time{}
	}
	if !conv.WaitingSince.IsZero() && !d.Closed {
		return conv.WaitingSince
	}
	in := c.inbound()
	asks := d.Handoff != nil || d.Reason == router.HandedOffSilent && in != nil && !u.rules(conv.Line).Thanks(in.Text)
	switch {
	case !asks:
		return time.Time{}
	case in != nil:
		return earlier(u.Now, in.ReceivedAt)
	}
	return u.Now
}

// addDecisionEvents adds the events of a decision: first the message, then its effects.
func (u *Unit) addDecisionEvents(conv *ConversationRow, was router.Conversation, d router.Decision, c cause) {
	before, left := was.State, ""
	if was.Area != conv.Area {
		left = was.Area
	}
	if !conv.Opened {
		conv.Opened = true
		u.addEvent(conv, store.EventOpened, eventDetail{})
	}
	switch {
	case c.Message == nil:
	case c.Message.Direction == directionIn:
		u.addEvent(conv, store.EventReceived, eventDetail{Message: c.Message})
	default:
		u.addEvent(conv, store.EventSent, eventDetail{Message: c.Message})
	}
	ended := d.Closed && before != router.StateClosed
	if ended {
		u.addEvent(conv, store.EventClosed, eventDetail{From: left})
	}
	switch h := d.Handoff; {
	case h != nil:
		row := store.HandoffRow{
			Conversation: conv.ID, Ticket: conv.Ticket, FromArea: h.FromArea, Area: h.Area, Tag: h.Tag, Note: h.Note,
			By: c.By, At: u.Now,
		}
		u.Handoffs = append(u.Handoffs, Owned[store.HandoffRow]{conv, row})
		u.addEvent(conv, store.EventHandedOff, eventDetail{Handoff: &row, Message: c.Message})
	case conv.State == router.StateHandedOff && before != router.StateHandedOff:
		u.addEvent(conv, store.EventHandedOff, eventDetail{}) // an agent took over
	case conv.State == router.StateMenu && (ended || before == router.StateClosed):
		u.addEvent(conv, store.EventOpened, eventDetail{From: left})
	case d.Changed && !ended:
		u.addEvent(conv, store.EventUpdated, eventDetail{From: left})
	}
}

// addNoteAndTag adds the decision's tag and its note to the team.
func (u *Unit) addNoteAndTag(conv *ConversationRow, d router.Decision, c cause) {
	for _, x := range [...]struct{ action, detail string }{{"note", d.Note}, {"tag", d.Label}} {
		if x.detail == "" {
			continue
		}
		u.Audit = append(u.Audit, Owned[store.AuditRow]{conv, store.AuditRow{Conversation: conv.ID, Actor: c.By, Action: x.action, Detail: x.detail, At: u.Now}})
	}
	if d.Label != "" {
		u.addEvent(conv, store.EventTagged, eventDetail{Label: d.Label, Message: c.Message})
	}
}

// addReply makes the row of one automatic message.
func (u *Unit) addReply(conv *ConversationRow, r router.Reply, why router.Reason, ticket string, c cause, first bool) {
	r.Text = strings.ReplaceAll(r.Text, "{ticket}", ticket)
	r.Footer = strings.ReplaceAll(r.Footer, "{ticket}", ticket)
	m := &MessageRow{ConversationRow: conv, New: true, PendingSince: u.Now, Notice: c.Notice}
	m.ID, m.Direction, m.Author, m.Status, m.Reason = u.NewID(), directionOut, store.AuthorRouter, store.Queued, why
	m.Type, m.Body, m.Epoch, m.CreatedAt = replyType(r), outbound.Body{Reply: &r}, conv.Epoch, u.Now
	if u.ReplyTTL > 0 {
		m.ExpiresAt = u.Now.Add(u.ReplyTTL)
	}
	if in := c.inbound(); in != nil {
		m.PendingSince = earlier(u.Now, in.ReceivedAt)
		if first {
			m.MarkReadID = in.ProviderID
		}
	}
	u.addNewMessage(m)
	if !m.Notice {
		conv.touch(u.Now)
		conv.Pending = true
	}
}

func replyType(r router.Reply) string {
	if len(r.Options) > 0 && r.Style != "text" && r.Style != "" {
		return "interactive"
	}
	return "text"
}

// isAutomatic reports that the router wrote a message: a change of epoch supersedes it.
func isAutomatic(m *MessageRow) bool { return m.Author == store.AuthorRouter }

// SupersededEpoch is an epoch that no conversation has: an automatic message with it will
// be superseded.
const SupersededEpoch = -1

// sameState reports whether two router conversations are equal but for budget entries that
// have expired.
func sameState(x, y router.Conversation) bool {
	return x.State == y.State && x.Area == y.Area && x.Tag == y.Tag && x.Menu == y.Menu && x.Epoch == y.Epoch &&
		x.Ticket == y.Ticket && x.Invalid == y.Invalid && x.Offered == y.Offered &&
		x.LastInbound.Equal(y.LastInbound) && x.LastHuman.Equal(y.LastHuman) && x.TimeoutAt.Equal(y.TimeoutAt) &&
		x.FileAt.Equal(y.FileAt)
}

package store

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Outdated is the epoch of an automatic message that no conversation has any
// more: it will be superseded.
const Outdated = -1

const (
	directionIn  = "inbound"
	directionOut = "outbound"
)

// cause is why a decision was taken: by whom, and upon which message.
type cause struct {
	By      string
	Message *MessageRow // nil for commands
	Notice  bool        // what is said leaves behind answers, and owes nothing
}

// answers returns the inbound message that replies of the cause answer, or nil.
func (c cause) answers() *MessageRow {
	if c.Message != nil && c.Message.Direction == directionIn {
		return c.Message
	}
	return nil
}

// apply makes the decision's rows and returns how many replies it made.
func (b *Book) apply(t *TalkRow, d router.Decision, c cause) int {
	before, next := t.Conversation.Conversation, d.Next
	next.Line = before.Line // a line never changes
	ticket := before.Ticket
	if d.Handoff != nil {
		if !d.Handoff.Transfer || ticket == "" {
			ticket = b.open(t, d.Handoff)
		}
		next.Ticket = ticket
	}
	if before.Ticket != "" && next.Ticket != before.Ticket {
		b.Resolved = append(b.Resolved, before.Ticket)
	}
	t.WaitingSince = b.waiting(t, next, d, c)
	t.Conversation.Conversation = next
	t.LastArea = cmp.Or(next.Area, t.LastArea)
	t.Changed = true
	if d.Closed || !routed(next.State) {
		t.AskedAt = time.Time{} // a team has it, or had the last word
	}
	if !next.TimeoutAt.IsZero() && (before.TimeoutAt.IsZero() || next.TimeoutAt.Before(before.TimeoutAt)) {
		t.Arm = true
	}
	b.tell(t, before, d, c)
	b.label(t, d, c)
	if m := c.answers(); m != nil && (d.OptOut || d.OptIn) {
		b.prefer(t.Who, d.OptOut, saidAt(b.Now, m.ReceivedAt, m.SentAt))
	}
	for i, r := range d.Replies {
		b.reply(t, r, d.Reason, ticket, c, i == 0)
	}
	return len(d.Replies)
}

// open makes a ticket.
func (b *Book) open(t *TalkRow, h *router.Handoff) string {
	b.Ticket++
	ticket := TicketNumber(b.Year(), b.Ticket)
	b.Opened = append(b.Opened, TicketRow{Talk: t, Ticket: ticket, Area: h.Area, Tag: h.Tag})
	return ticket
}

// TicketNumber writes a ticket.
func TicketNumber(year int, n int64) string { return fmt.Sprintf("PSI-%d-%06d", year, n) }

// Year is the one in which tickets are made now.
func (b *Book) Year() int { return b.Now.In(b.Zone).Year() }

// tell adds the events of a decision: what was said, and then what came of it.
func (b *Book) tell(t *TalkRow, was router.Conversation, d router.Decision, c cause) {
	before, left := was.State, ""
	if was.Area != t.Area {
		left = was.Area
	}
	if !t.Opened {
		t.Opened = true
		b.event(t, EventOpened, about{})
	}
	switch {
	case c.Message == nil:
	case c.Message.Direction == directionIn:
		b.event(t, EventReceived, about{Message: c.Message})
	default:
		b.event(t, EventSent, about{Message: c.Message})
	}
	ended := d.Closed && before != router.StateClosed
	if ended {
		b.event(t, EventClosed, about{From: left})
	}
	switch h := d.Handoff; {
	case h != nil:
		row := HandoffRow{
			Conversation: t.ID, Ticket: t.Ticket, FromArea: h.FromArea, Area: h.Area, Tag: h.Tag, Note: h.Note,
			By: c.By, At: b.Now,
		}
		b.Handoffs = append(b.Handoffs, Owned[HandoffRow]{t, row})
		b.event(t, EventHandedOff, about{Handoff: &row, Message: c.Message})
	case t.State == router.StateHandedOff && before != router.StateHandedOff:
		b.event(t, EventHandedOff, about{}) // somebody of ours took over
	case t.State == router.StateMenu && (ended || before == router.StateClosed):
		b.event(t, EventOpened, about{From: left})
	case d.Changed && !ended:
		b.event(t, EventUpdated, about{From: left})
	}
}

// label notes the tag that a decision puts on the conversation, and what it says to the
// team.
func (b *Book) label(t *TalkRow, d router.Decision, c cause) {
	for _, x := range [...]struct{ action, detail string }{{"note", d.Note}, {"tag", d.Label}} {
		if x.detail == "" {
			continue
		}
		b.Audit = append(b.Audit, Owned[AuditRow]{t, AuditRow{Conversation: t.ID, Actor: c.By, Action: x.action, Detail: x.detail, At: b.Now}})
	}
	if d.Label != "" {
		b.event(t, EventTagged, about{Label: d.Label, Message: c.Message})
	}
}

// reply makes the row of one automatic message.
func (b *Book) reply(t *TalkRow, r router.Reply, why router.Reason, ticket string, c cause, first bool) {
	r.Text = strings.ReplaceAll(r.Text, "{ticket}", ticket)
	r.Footer = strings.ReplaceAll(r.Footer, "{ticket}", ticket)
	m := &MessageRow{Talk: t, New: true, Since: b.Now, Notice: c.Notice}
	m.ID, m.Direction, m.Author, m.Status, m.Reason = b.NewID(), directionOut, AuthorRouter, Queued, why
	m.Type, m.Body, m.Epoch, m.CreatedAt = replyType(r), outbound.Body{Reply: &r}, t.Epoch, b.Now
	if b.ReplyTTL > 0 {
		m.Expires = b.Now.Add(b.ReplyTTL)
	}
	if in := c.answers(); in != nil {
		m.Since = earlier(b.Now, in.ReceivedAt)
		if first {
			m.ReadID = in.ProviderID
		}
	}
	b.addNew(m)
	if !m.Notice {
		t.touch(b.Now)
		t.Pending = true
	}
}

func replyType(r router.Reply) string {
	if len(r.Options) > 0 && r.Style != "text" && r.Style != "" {
		return "interactive"
	}
	return "text"
}

func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (b *Book) addNew(m *MessageRow) {
	b.Messages = append(b.Messages, m)
	b.index(m)
}

// automatic messages are those that no person meant: a change of epoch takes
// them back.
func automatic(m *MessageRow) bool { return m.Author == AuthorRouter }

// Command carries out one command and reports whether anything was done. A
// hand-off to a team that the flow does not have is ErrConflict.
func (b *Book) Command(t *TalkRow, cmd router.Command, actor string) (bool, error) {
	if done, mine := b.aboutContact(t, cmd, actor); mine {
		return done, nil
	}
	if cmd.Kind == router.CommandDismiss || cmd.Kind == router.CommandClose && t.State == router.StateClosed {
		return b.dismiss(t, cmd, actor), nil // the router has nothing to close
	}
	r := b.rules(t.Line)
	if cmd.Kind == router.CommandHandoff && r.Flow != nil {
		if _, ok := r.Flow.Area(cmd.Area); !ok {
			return false, fmt.Errorf("hand off to %q: no such area: %w", cmd.Area, ErrConflict)
		}
	}
	d := r.Apply(t.Conversation.Conversation, cmd, b.Now)
	if !d.Changed && d.Handoff == nil && len(d.Replies) == 0 && same(t.Conversation.Conversation, d.Next) {
		return false, nil
	}
	b.apply(t, d, cause{By: actor})
	if d.Changed || d.Handoff != nil {
		b.audit(t, actor, cmd)
	}
	return true, nil
}

func (b *Book) audit(t *TalkRow, actor string, cmd router.Command) {
	var detail []string
	for _, p := range [...][2]string{{"area", cmd.Area}, {"tag", cmd.Tag}, {"note", cmd.Note}} {
		if p[1] != "" {
			detail = append(detail, p[0]+"="+p[1])
		}
	}
	b.Audit = append(b.Audit, Owned[AuditRow]{t, AuditRow{
		Conversation: t.ID, Actor: actor, Action: string(cmd.Kind), Detail: strings.Join(detail, " "), At: b.Now,
	}})
}

// same compares what matters of two router conversations: a budget that only
// forgot what is over is the same.
func same(x, y router.Conversation) bool {
	return x.State == y.State && x.Area == y.Area && x.Tag == y.Tag && x.Menu == y.Menu && x.Epoch == y.Epoch &&
		x.Ticket == y.Ticket && x.Invalid == y.Invalid && x.Offered == y.Offered &&
		x.LastInbound.Equal(y.LastInbound) && x.LastHuman.Equal(y.LastHuman) && x.TimeoutAt.Equal(y.TimeoutAt) &&
		x.FileAt.Equal(y.FileAt)
}

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

// Execute carries out a command and returns its message.
func (u *Unit) Execute(conv *ConversationRow, cmd store.Command) (*MessageRow, error) {
	if cmd.CanSee != nil && !cmd.CanSee(u.judged(conv, cmd.Draft)) {
		return nil, store.ErrNotFound
	}
	if cmd.Draft != nil {
		return u.queueDraft(conv, *cmd.Draft, cmd.Actor)
	}
	_, err := u.ApplyCommand(conv, cmd.Command, cmd.Actor)
	return nil, err
}

// CommandResult returns the result of a command that was carried out.
func (u *Unit) CommandResult(conv *ConversationRow, m *MessageRow, cursor string) store.CommandResult {
	u.UpdateLeft()
	out := store.CommandResult{Conversation: conv.View()}
	out.Cursor = cursor
	if m != nil {
		shown := m.View()
		out.Message = &shown
	}
	return out
}

// ApplyCommand carries out one command and reports whether it changed anything. A hand-off
// to a team that the flow does not have is ErrConflict.
func (u *Unit) ApplyCommand(conv *ConversationRow, cmd router.Command, actor string) (bool, error) {
	if done, handled := u.applyContactCommand(conv, cmd, actor); handled {
		return done, nil
	}
	if cmd.Kind == router.CommandDismiss || cmd.Kind == router.CommandClose && conv.State == router.StateClosed {
		return u.dismiss(conv, cmd, actor), nil // the router has nothing to close
	}
	r := u.rules(conv.Line)
	if cmd.Kind == router.CommandHandoff && r.Flow != nil {
		if _, ok := r.Flow.Area(cmd.Area); !ok {
			return false, fmt.Errorf("hand off to %q: no such area: %w", cmd.Area, store.ErrConflict)
		}
	}
	d := r.Apply(conv.Conversation.Conversation, cmd, u.Now)
	if !d.Changed && d.Handoff == nil && len(d.Replies) == 0 && sameState(conv.Conversation.Conversation, d.Next) {
		return false, nil
	}
	u.applyDecision(conv, d, cause{By: actor})
	if d.Changed || d.Handoff != nil {
		u.addAudit(conv, actor, cmd)
	}
	return true, nil
}

// FireTimeout fires the timer of a conversation if it is due.
func (u *Unit) FireTimeout(conv *ConversationRow) (fired bool, err error) {
	if conv.TimeoutAt.IsZero() || conv.TimeoutAt.After(u.Now) {
		return false, nil
	}
	return u.ApplyCommand(conv, router.Command{Kind: router.CommandTimeout}, "timer")
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

// IsContactCommand reports whether a command is about the person: an engine loads all their
// conversations for it.
func IsContactCommand(kind router.CommandKind) bool {
	switch kind {
	case router.CommandBlock, router.CommandUnblock, router.CommandBlocked, router.CommandUnblocked:
		return true
	}
	return false
}

// applyContactCommand carries out a command about the person; handled is false for all
// others. A contact that is blocked here gets no answer and no message from now on. Whether
// WhatsApp blocks too is known later, if ever.
func (u *Unit) applyContactCommand(conv *ConversationRow, cmd router.Command, actor string) (done, handled bool) {
	contact := conv.ContactRow
	blocked, blockedHere := contact.Blocked, contact.BlockedHere
	switch cmd.Kind {
	case router.CommandBlock:
		if !blocked {
			blocked, blockedHere = true, true
		}
	case router.CommandUnblock:
		blocked, blockedHere = false, false
	case router.CommandBlocked, router.CommandUnblocked:
		if blocked == (cmd.Kind == router.CommandBlocked) { // nobody changed it meanwhile
			blockedHere = blockedHere && cmd.Note != "" // a contact that WhatsApp blocked stays so
		}
	default:
		return false, false
	}
	changed := blocked != contact.Blocked || blockedHere != contact.BlockedHere
	if changed {
		contact.Blocked, contact.BlockedHere, contact.Changed = blocked, blockedHere, true
		u.addUpdatedEvents(contact)
	}
	answer := cmd.Kind == router.CommandBlocked || cmd.Kind == router.CommandUnblocked
	if changed || answer {
		switch {
		case !answer:
		case cmd.Note == "":
			cmd.Note = "WhatsApp did it too"
		case blockedHere:
			cmd.Note = "blocked here only: " + cmd.Note
		}
		u.addAudit(conv, actor, cmd)
	}
	return changed, true
}

func (u *Unit) addAudit(conv *ConversationRow, actor string, cmd router.Command) {
	var detail []string
	for _, p := range [...][2]string{{"area", cmd.Area}, {"tag", cmd.Tag}, {"note", cmd.Note}} {
		if p[1] != "" {
			detail = append(detail, p[0]+"="+p[1])
		}
	}
	u.Audit = append(u.Audit, Owned[store.AuditRow]{conv, store.AuditRow{
		Conversation: conv.ID, Actor: actor, Action: string(cmd.Kind), Detail: strings.Join(detail, " "), At: u.Now,
	}})
}

// queueDraft makes the row of a message that a person or program wrote. It belongs to no
// epoch: it is sent whoever has the conversation by then. Its event follows the post.
func (u *Unit) queueDraft(conv *ConversationRow, d store.Draft, actor string) (*MessageRow, error) {
	switch {
	case d.OnlyOpen && conv.State == router.StateClosed:
		return nil, store.ErrClosed
	case conv.ContactRow.Blocked:
		return nil, store.ErrBlocked
	case d.Marketing && conv.ContactRow.OptedOut:
		return nil, store.ErrOptedOut
	case d.Type != "template" && u.isWindowClosed(conv):
		return nil, store.ErrWindowClosed
	}
	quoted := ""
	if d.Quotes != "" {
		q := u.messageByID[d.Quotes]
		if q == nil || q.ConversationRow.Survivor() != conv || q.ProviderID == "" || strings.HasPrefix(q.ProviderID, hashPrefix) {
			return nil, store.ErrNoQuote
		}
		quoted = q.ProviderID
	}
	action, author, reason := string(router.CommandAgentSent), store.AuthorAgent, router.ByAgent
	if d.Notice {
		action, author, reason = "notice", store.AuthorProgram, router.ByAPI
	} else {
		u.takeOver(conv, d.Area, actor)
	}
	m := &MessageRow{ConversationRow: conv, New: true, PendingSince: u.Now, Notice: d.Notice, Marketing: d.Marketing}
	m.Message = store.Message{
		ID: u.NewID(), Direction: directionOut, Author: author, Type: d.Type, Text: d.Text,
		Body: outbound.Body{Cloud: d.Body}, Media: d.Media, QuotedID: quoted, Status: store.Queued, Reason: reason,
		Epoch: conv.Epoch, CreatedAt: u.Now,
	}
	if d.TTL > 0 {
		m.ExpiresAt = u.Now.Add(d.TTL)
	}
	u.addNewMessage(m)
	if !d.Notice {
		conv.touch(u.Now)
		conv.Pending = true
	}
	u.Audit = append(u.Audit, Owned[store.AuditRow]{conv, store.AuditRow{
		Conversation: conv.ID, Actor: actor, Action: action, Detail: "type=" + d.Type + " message=" + m.ID, At: u.Now,
	}})
	return m, nil
}

// judged returns the conversation as access rules see it. A conversation without a team
// that a message takes over counts as the new team's.
func (u *Unit) judged(conv *ConversationRow, d *store.Draft) store.Conversation {
	v := conv.View()
	if d != nil && !d.Notice && v.Area == "" {
		v.Area = u.takenOver(conv, d.Area).Next.Area
	}
	return v
}

// takeOver gives the conversation to the named team, or to the one that had it last.
func (u *Unit) takeOver(conv *ConversationRow, area, actor string) {
	u.applyDecision(conv, u.takenOver(conv, area), cause{By: actor})
}

func (u *Unit) takenOver(conv *ConversationRow, area string) router.Decision {
	r := u.rules(conv.Line)
	cmd := router.Command{Kind: router.CommandAgentSent, Area: cmp.Or(area, conv.LastArea)}
	return r.Apply(conv.Conversation.Conversation, cmd, u.Now)
}

// isWindowClosed reports whether only templates may be sent to the person now.
func (u *Unit) isWindowClosed(conv *ConversationRow) bool {
	return u.isWindowClosedSince(conv.Line, conv.LastInbound)
}

// isWindowClosedSince reports that for a person who wrote last at the given time.
func (u *Unit) isWindowClosedSince(line string, last time.Time) bool {
	window := u.window(line)
	return window > 0 && (last.IsZero() || u.Now.Sub(last) >= window)
}

package store

import "github.com/psivisionhub/psi-router/internal/router"

// IsContactCommand reports whether a command is about the person: an engine loads all their
// conversations for it.
func IsContactCommand(kind router.CommandKind) bool {
	switch kind {
	case router.CommandBlock, router.CommandUnblock, router.CommandBlocked, router.CommandUnblocked:
		return true
	}
	return false
}

// applyContactCommand carries out a command that is about the person and not the conversation;
// handled is false for all others. What is blocked here is blocked at once: nothing is
// answered or sent any more. Whether WhatsApp blocks too is known later, if ever.
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
			blockedHere = blockedHere && cmd.Note != "" // what WhatsApp blocked once stays so
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

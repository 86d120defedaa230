package store

import "github.com/psivisionhub/psi-router/internal/router"

// AboutContact reports whether a command is about the person: an engine loads all their
// conversations for it.
func AboutContact(kind router.CommandKind) bool {
	switch kind {
	case router.CommandBlock, router.CommandUnblock, router.CommandBlocked, router.CommandUnblocked:
		return true
	}
	return false
}

// aboutContact carries out a command that is about the person and not the conversation;
// mine is false for all others. What is blocked here is blocked at once: nothing is
// answered or sent any more. Whether WhatsApp blocks too is known later, if ever.
func (b *Book) aboutContact(t *TalkRow, cmd router.Command, actor string) (done, mine bool) {
	who := t.Who
	blocked, here := who.Blocked, who.BlockedHere
	switch cmd.Kind {
	case router.CommandBlock:
		if !blocked {
			blocked, here = true, true
		}
	case router.CommandUnblock:
		blocked, here = false, false
	case router.CommandBlocked, router.CommandUnblocked:
		if blocked == (cmd.Kind == router.CommandBlocked) { // nobody changed it meanwhile
			here = here && cmd.Note != "" // what WhatsApp blocked once stays so
		}
	default:
		return false, false
	}
	told := blocked != who.Blocked || here != who.BlockedHere
	if told {
		who.Blocked, who.BlockedHere, who.Changed = blocked, here, true
		b.tellAll(who)
	}
	answer := cmd.Kind == router.CommandBlocked || cmd.Kind == router.CommandUnblocked
	if told || answer {
		switch {
		case !answer:
		case cmd.Note == "":
			cmd.Note = "WhatsApp did it too"
		case here:
			cmd.Note = "blocked here only: " + cmd.Note
		}
		b.audit(t, actor, cmd)
	}
	return told, true
}

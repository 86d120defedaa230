package router

import (
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// Step decides about one inbound message.
func (r Rules) Step(c Conversation, m Message, now time.Time) Decision {
	t := r.turn(c, m, now)
	return t.settle(t.decide())
}

// decide lists the rules in their order: the first that fits decides.
//
// A first contact sees the menu whatever they write, unless the message can only be meant for
// us: a code of two or more characters (people pass them on: "mandales 11") or the wish for a
// person.
func (t *turn) decide() Decision {
	say, cmd := t.flow.Texts, t.flow.Commands
	switch {
	// Never answered, whatever the state.
	case t.msg.Echo:
		return t.silent(EchoSent)
	case t.msg.Blocked:
		return t.silent(Blocked)
	case t.msg.Group:
		return t.silent(Group)
	case t.class == classNotice:
		return t.silent(noticeReason(t.msg.Type))
	case t.msg.Stale:
		return t.tooLate(Stale)
	case t.msg.Late:
		return t.tooLate(Late)

	// States in which a team or nobody answers.
	case t.was.State == StateDisconnected:
		return t.silent(DisconnectedSilent)
	case t.handoffIsOver() && t.prefers():
		return t.endWith(t.preference)
	case t.handoffIsOver() && t.pressed:
		return t.endWith(t.pressButton)
	case t.pressed && t.button.Reply != "":
		return t.answerButton()
	case t.handoffIsOver():
		return t.endHandoff(HandoffTimeout, say.WindowReopen)
	case t.was.State == StateHandedOff && t.flow.Policies.MenuBreaksHandoff && t.says(cmd.Menu):
		return t.endHandoff(CommandMenu, "")
	case t.was.State == StateHandedOff:
		return t.leaveToTeam()
	case t.pressed:
		return t.pressButton()
	case t.prefers():
		return t.preference()
	case t.joinsFile():
		return t.silent(Together)
	case t.was.State == StateClosed && t.class == classUnknown:
		return t.silent(UnknownType)
	case t.was.State == StateClosed:
		return t.reopen()

	// In the menu.
	case t.windowIsOver():
		return t.start(WindowExpired, say.WindowReopen)
	case t.class == classTap:
		return t.tapped()
	case t.was.Menu == "" && !t.bypassesMenu():
		return t.start(FirstContact, "")
	case t.class == classUnknown, t.class == classUnseen:
		return t.show(t.menu, UnknownType, say.Unsupported)
	case t.class == classForm:
		return t.text(FormAnswer, say.Courtesy)
	case t.class == classMedia:
		return t.invalid(say.Unsupported)
	case t.says(cmd.Menu):
		return t.start(CommandMenu, "")
	case t.says(cmd.Back):
		return t.show(t.parent(), CommandBack, "")
	case t.says(cmd.Person):
		return t.handoff(CommandPerson, t.personArea(), tagPerson)
	case t.was.Offered && t.says(cmd.Yes):
		return t.accept()
	case t.was.Offered && t.says(cmd.No):
		return t.show(t.menu, OfferDeclined, "")
	case t.hasChoice:
		return t.choose(t.choice, MenuChoice)
	case flow.Covers(cmd.Greeting, t.word):
		return t.start(Greeting, "")
	case flow.Covers(cmd.Courtesy, t.word):
		return t.text(Courtesy, say.Courtesy)
	default:
		return t.invalid(say.Invalid)
	}
}

// turn is one message on its way to a decision.
type turn struct {
	Rules
	flow    *flow.Flow
	was     Conversation // as it was loaded
	next    Conversation // was, touched by the message's arrival
	msg     Message
	now     time.Time
	wroteAt time.Time // when the person wrote it
	class   class
	word    string     // the whole message, normalised; "" if it is not a text
	menu    *flow.Menu // the current menu, the start menu if there is none yet
	// button is the template's button that was pressed, if the flow knows its payload.
	button  flow.Button
	pressed bool
	// choice is the option that word names, if any.
	choice    flow.Choice
	hasChoice bool
}

func (r Rules) turn(c Conversation, m Message, now time.Time) *turn {
	if r.Flow == nil {
		r.Flow = &flow.Flow{}
	}
	switch c.State {
	case StateMenu, StateHandedOff, StateClosed, StateDisconnected:
	default:
		c.State = StateMenu // the state of another version: nobody else would answer
	}
	t := &turn{Rules: r, flow: r.Flow, was: c, next: c, msg: m, now: now, class: classify(m)}
	t.menu = t.flow.Menus[c.Menu]
	if t.menu == nil {
		t.menu = t.flow.Start(c.Line)
	}
	if m.Type == "button" && m.ReplyID != "" {
		t.button, t.pressed = t.flow.Button(m.ReplyID)
	}
	if t.class == classText {
		t.word = flow.Normalize(m.Text)
		t.choice, t.hasChoice = t.flow.Match(t.menuOrEmpty().ID, t.word)
	}
	t.touch()
	return t
}

// touch notes when the contact wrote: the service window and the hand-off's timeout count from
// it. A late message changes nothing, and a blocked contact keeps nothing open.
func (t *turn) touch() {
	arrived := t.msg.ReceivedAt
	if arrived.IsZero() {
		arrived = t.now
	}
	t.wroteAt = t.msg.SentAt
	if t.wroteAt.IsZero() || t.wroteAt.After(arrived) {
		t.wroteAt = arrived
	}
	if t.msg.Echo || t.msg.Late || t.msg.Group || t.msg.Blocked || t.class == classNotice {
		return
	}
	t.next.LastInbound = later(t.was.LastInbound, t.wroteAt)
	if at := t.was.TimeoutAt; t.was.State == StateHandedOff && t.wroteAt.Before(at) {
		t.next.TimeoutAt = later(t.was.TimeoutAt, t.timeoutFrom(t.wroteAt))
	}
}

// says reports whether the whole message is one of the words.
func (t *turn) says(words []string) bool {
	return t.word != "" && slices.Contains(words, t.word)
}

// bypassesMenu reports whether a first message is acted on instead of showing the menu.
func (t *turn) bypassesMenu() bool {
	if t.says(t.flow.Commands.Person) {
		return true
	}
	_, code := t.flow.Codes[t.word]
	return code && len(t.word) > 1
}

// windowIsOver reports whether the contact comes back after so long that the menu they were in
// means nothing to them.
func (t *turn) windowIsOver() bool {
	last := t.was.LastInbound
	return t.Window > 0 && t.was.Menu != "" && !last.IsZero() && t.wroteAt.Sub(last) > t.Window
}

// handoffIsOver reports whether the hand-off has timed out although its timer has not fired
// yet.
func (t *turn) handoffIsOver() bool {
	at := t.was.TimeoutAt
	return t.was.State == StateHandedOff && t.class != classUnknown && !at.IsZero() && !t.wroteAt.Before(at)
}

// togetherWithin is the time within which files count as sent together: phones upload them one
// after the other.
const togetherWithin = 30 * time.Second

// joinsFile reports whether a file came together with one that was answered in the menu that
// the contact is still in.
func (t *turn) joinsFile() bool {
	at := t.was.FileAt
	return t.class == classMedia && t.was.State == StateMenu && t.was.Menu != "" && !at.IsZero() && t.wroteAt.Sub(at).Abs() <= togetherWithin
}

func (t *turn) parent() *flow.Menu {
	if p := t.flow.Menus[t.menuOrEmpty().Parent]; p != nil {
		return p
	}
	return t.flow.Start(t.was.Line)
}

func (t *turn) menuOrEmpty() *flow.Menu {
	if t.menu == nil {
		return &flow.Menu{}
	}
	return t.menu
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

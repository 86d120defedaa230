// Package router decides. Rules.Step takes a conversation, a message and the time, and
// returns the new conversation, the replies and the reason; Rules.Apply does the same for a
// command of a person or a timer. It is pure and total: it must never use I/O, a clock,
// randomness or globals, and every input has a decision with a reason.
package router

import (
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// State of a conversation.
type State string

// States. The contract's table of commands has the transitions.
const (
	StateMenu         State = "menu"
	StateHandedOff    State = "handed_off"
	StateClosed       State = "closed"
	StateDisconnected State = "disconnected"
)

// Conversation is the part of a stored conversation that decisions depend on and change.
type Conversation struct {
	State State
	Line  string
	Area  string // set while handed off
	Tag   string
	Menu  string // the current menu; "" if the next message shows the start
	Epoch int64  // grows on hand-off, close, disconnect, reconnect, reopen, reset
	// Ticket of the open hand-off, "" for none.
	Ticket string
	// Invalid counts invalid inputs in a row.
	Invalid int
	// Offered is set while the last automatic message is the offer of a person.
	Offered bool
	// Auto holds the times (Unix seconds) of the automatic messages of the last hour,
	// oldest first; at most the budget + 1.
	Auto []int64
	// LastInbound is when the contact last wrote: the provider's time, else the time of
	// receipt. The service window counts from it.
	LastInbound time.Time
	// LastHuman is when an agent last wrote, at the desk or from a phone.
	LastHuman time.Time
	// FileAt is when the last answered file was sent.
	FileAt time.Time
	// TimeoutAt is when the hand-off ends if neither an agent nor the contact writes; zero
	// if not handed off.
	TimeoutAt time.Time
}

// NewConversation returns the conversation of a contact who never wrote to the line.
func NewConversation(line string) Conversation { return Conversation{State: StateMenu, Line: line} }

// Message is the part of an inbound message that Step depends on.
type Message struct {
	// Type is the Cloud API's type: text, interactive, button, image, ...
	Type string
	Text string
	// ReplyID is the id of the tapped row or button, or the payload of a template's button.
	ReplyID string
	// Form says that Text holds the answers of a form, Unseen that WhatsApp withheld the
	// content.
	Form, Unseen bool
	// Echo says that our own side wrote it from another device.
	Echo bool

	Stale    bool // too old to be answered when it arrived
	Late     bool // a later message was handled first
	Group    bool
	Blocked  bool // the contact is blocked
	OptedOut bool // the contact wants no marketing

	SentAt     time.Time
	ReceivedAt time.Time
}

// Rules are the flow and the settings that decisions depend on. Immutable.
type Rules struct {
	Flow           *flow.Flow
	HandoffTimeout time.Duration // 0: never
	Window         time.Duration // service window, 24 h; 0: none
}

// Stops reports whether a whole text is a word that stops marketing.
func (r Rules) Stops(text string) bool {
	word := flow.Normalize(text)
	return word != "" && r.Flow != nil && slices.Contains(r.Flow.Commands.Stop, word)
}

// Asks reports whether a message deserves an answer; d is the decision about it. A message
// that got one does. A thank-you or a form that got none does not, nor does a file sent
// together with an answered one; but after the offer of a person, "ok" may be a yes.
func (r Rules) Asks(c Conversation, m Message, d Decision) bool {
	switch {
	case d.Reason == Together, !Answerable(m.Type):
		return false
	case len(d.Replies) > 0:
		return true
	case d.Reason == FormAnswer, d.Reason == Courtesy:
		return false
	}
	return c.Offered || !r.Thanks(m.Text)
}

// Thanks reports whether a text is a thank-you and nothing else.
func (r Rules) Thanks(text string) bool {
	word := flow.Normalize(text)
	return word != "" && r.Flow != nil && flow.Covers(r.Flow.Commands.Courtesy, word)
}

// Decision is the outcome of one message or command.
type Decision struct {
	Next    Conversation
	Reason  Reason
	Replies []Reply // to send, in order
	// Handoff is set if the conversation went to a team.
	Handoff *Handoff
	// Changed says that state, area or epoch changed.
	Changed bool
	// Note is what a team should know about the message beside its text.
	Note string
	// OptOut and OptIn say that the contact stopped or resumed marketing.
	OptOut, OptIn bool
	// Label is a tag for the conversation, "" for none.
	Label string
	// Closed says that the decision closed the conversation, which resolves its ticket. A
	// ticket is also resolved when Next no longer has it (reset, reconnect, a menu that
	// breaks the hand-off).
	Closed bool
}

// Handoff gives a conversation to a team. The store makes the ticket, or keeps the open one on
// a transfer, and replaces {ticket} in the texts.
type Handoff struct {
	FromArea string
	Area     string
	Tag      string
	Note     string // free text by whoever handed it off
	Transfer bool
}

// Reply is one automatic message.
type Reply struct {
	Text string `json:"text"`
	// Menu is the id of the menu that the reply shows, "" for a plain text.
	Menu    string     `json:"menu,omitempty"`
	Style   flow.Style `json:"style,omitempty"` // text, list or buttons
	Button  string     `json:"button,omitempty"`
	Footer  string     `json:"footer,omitempty"`
	Options []Option   `json:"options,omitempty"`
}

// Option is one row or button of a Reply.
type Option struct {
	// ID comes back as the message's ReplyID. It carries menu, code and epoch.
	ID          string `json:"id"`
	Code        string `json:"code"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// CommandKind is the kind of a Command.
type CommandKind string

// Commands, as in the contract's table. AgentSent is an agent's message, or one from the phone
// app. Timeout ends a hand-off in which nobody wrote.
const (
	CommandHandoff    CommandKind = "handoff"
	CommandAgentSent  CommandKind = "agent_sent"
	CommandClose      CommandKind = "close"
	CommandReopen     CommandKind = "reopen"
	CommandDisconnect CommandKind = "disconnect"
	CommandReconnect  CommandKind = "reconnect"
	CommandReset      CommandKind = "reset"
	CommandTimeout    CommandKind = "timeout"
	// Commands about the contact, which only the store carries out. Blocked and Unblocked
	// report WhatsApp's result; Note has its words if it refused.
	CommandBlock     CommandKind = "block"
	CommandUnblock   CommandKind = "unblock"
	CommandBlocked   CommandKind = "blocked"
	CommandUnblocked CommandKind = "unblocked"
	// CommandApologize is for a contact who was left during an outage; the flow's
	// AfterOutage says what they get.
	CommandApologize CommandKind = "after_outage"
	// CommandDismiss removes a conversation from the list of those that were left. Only the
	// store carries it out; the conversation does not change.
	CommandDismiss CommandKind = "left_dismissed"
)

// Command is one command. Area, Tag and Note belong to a hand-off; on CommandAgentSent, Area
// is the area that takes the conversation over.
type Command struct {
	Kind CommandKind
	Area string
	Tag  string
	Note string
}

// Package router decides. Rules.Step takes a conversation, a message and the
// time, and returns what the conversation becomes, what is said and why;
// Rules.Apply does the same for a command of a person or of a timer. It is pure
// and total: no I/O, no clock, no randomness, no globals, and every input has
// an answer with a reason.
package router

import (
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// State of a conversation.
type State string

// States. See the contract's table of commands for how one leads to another.
const (
	StateMenu         State = "menu"
	StateHandedOff    State = "handed_off"
	StateClosed       State = "closed"
	StateDisconnected State = "disconnected"
)

// Conversation is what decisions depend on and change: nothing else of a stored
// conversation matters to the router.
type Conversation struct {
	State State
	Line  string
	Area  string // set while handed off
	Tag   string
	Menu  string // the menu the person is in; "" when the next message shows the first
	Epoch int64  // grows on hand-off, close, disconnect, reconnect, reopen, reset
	// Ticket of the open hand-off, "" without.
	Ticket string
	// Invalid counts invalid inputs in a row.
	Invalid int
	// Offered is set while the last automatic message is the offer of a person.
	Offered bool
	// Auto holds the times (Unix seconds) of the automatic messages of the last
	// hour, oldest first; never longer than the budget + 1.
	Auto []int64
	// LastInbound is when the contact last wrote (provider's time, received
	// time where there was none); windows are computed from it.
	LastInbound time.Time
	// LastHuman is when an agent, or our side from a phone, last wrote.
	LastHuman time.Time
	// FileAt is when a file that the router cannot read was answered last.
	FileAt time.Time
	// TimeoutAt is when a hand-off without any human or contact message ends;
	// zero while not handed off.
	TimeoutAt time.Time
}

// NewConversation returns the conversation of somebody who never wrote on the line.
func NewConversation(line string) Conversation { return Conversation{State: StateMenu, Line: line} }

// Message is what Step may know of an inbound message.
type Message struct {
	// Type is the Cloud API's word: text, interactive, button, image, ...
	Type string
	Text string
	// ReplyID is the id of the tapped row or button, or the payload of a template's.
	ReplyID string
	// Form says that Text is what the person filled in, and Unseen that WhatsApp did not
	// let us have what they wrote.
	Form, Unseen bool
	// From says who wrote: the contact, or our own side from another device.
	Echo bool

	Stale    bool // too old when it reached the door
	Late     bool // reached us by a detour
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
	Window         time.Duration // customer service window, 24 h; 0: none
}

// Stops reports whether a text stops marketing and says nothing else.
func (r Rules) Stops(text string) bool {
	word := flow.Normalize(text)
	return word != "" && r.Flow != nil && slices.Contains(r.Flow.Commands.Stop, word)
}

// Asks reports whether a message deserves an answer, which it may have got: a thank-you
// or a form that got none asked for nothing, nor did a file that came with one that was
// answered; but where a person was offered, "ok" may be a yes.
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

// Decision is the whole answer to one message or command.
type Decision struct {
	Next    Conversation
	Reason  Reason
	Replies []Reply // to send, in order
	// Handoff is set when the conversation went to a team.
	Handoff *Handoff
	// Changed is set when state, area or epoch are not what they were.
	Changed bool
	// Note is what a team should know of the message beside its words.
	Note string
	// OptOut and OptIn are set when the person asked for no more marketing, or for it
	// again.
	OptOut, OptIn bool
	// Label is a tag for the conversation, "" for none.
	Label string
	// Closed is set when this closed the conversation: its ticket is resolved.
	// So is, without it, a ticket that Next no longer carries (reset, reconnect,
	// a menu that breaks the hand-off).
	Closed bool
}

// Handoff is a conversation given to a team. The store makes the ticket (or
// keeps the open one when Transfer) and writes it where texts say {ticket}.
type Handoff struct {
	FromArea string
	Area     string
	Tag      string
	Note     string // free text of who did it
	Transfer bool
}

// Reply is one automatic message.
type Reply struct {
	Text string `json:"text"`
	// Menu is the id of the menu that this shows, "" for a plain text.
	Menu    string     `json:"menu,omitempty"`
	Style   flow.Style `json:"style,omitempty"` // text, list or buttons
	Button  string     `json:"button,omitempty"`
	Footer  string     `json:"footer,omitempty"`
	Options []Option   `json:"options,omitempty"`
}

// Option is one row or button of a Reply.
type Option struct {
	// ID comes back as the reply id: it carries menu, code and epoch.
	ID          string `json:"id"`
	Code        string `json:"code"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// CommandKind is what somebody wants of a conversation.
type CommandKind string

// Commands, as in the contract's table. AgentSent is an agent's message, or one
// from the phone app; Timeout is the end of a hand-off nobody answered.
const (
	CommandHandoff    CommandKind = "handoff"
	CommandAgentSent  CommandKind = "agent_sent"
	CommandClose      CommandKind = "close"
	CommandReopen     CommandKind = "reopen"
	CommandDisconnect CommandKind = "disconnect"
	CommandReconnect  CommandKind = "reconnect"
	CommandReset      CommandKind = "reset"
	CommandTimeout    CommandKind = "timeout"
	// Commands about the contact, whom the store alone knows. Blocked and Unblocked
	// say whether WhatsApp did as it was asked: Note has its words when it did not.
	CommandBlock     CommandKind = "block"
	CommandUnblock   CommandKind = "unblock"
	CommandBlocked   CommandKind = "blocked"
	CommandUnblocked CommandKind = "unblocked"
	// CommandApologize is for who was left without an answer by an outage of ours: the
	// flow says what they get.
	CommandApologize CommandKind = "after_outage"
	// CommandDismiss takes a conversation off the list of those that were left. It is
	// the store's alone: nothing of the conversation changes.
	CommandDismiss CommandKind = "left_dismissed"
)

// Command is one wish. Area, Tag and Note are for a hand-off; a CommandAgentSent may
// say which area takes the conversation over.
type Command struct {
	Kind CommandKind
	Area string
	Tag  string
	Note string
}

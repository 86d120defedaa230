package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Commands is what people and programs of ours ask for.
type Commands interface {
	// Command carries out one command, with what it says, its audit row and the
	// idempotency key in one transaction. A repeat without effect is no error.
	// ErrNotFound, ErrConflict, ErrWindowClosed, ErrClosed, ErrBlocked, ErrOptedOut,
	// ErrNoQuote, ErrKeyReused.
	Command(ctx context.Context, now time.Time, cmd Command) (CommandResult, error)

	// AddAudit adds an audit row about something that is no conversation.
	AddAudit(ctx context.Context, row AuditRow) error

	// SetPaused remembers whether an operator paused a queue, so that a queue which
	// came back empty is paused again; Paused lists those that are.
	SetPaused(ctx context.Context, queue string, paused bool) error
}

// Command asks for a change of one conversation.
type Command struct {
	// Conversation is its id. To names it by its person where there may be none
	// yet: then Draft is set.
	Conversation string
	To           *Recipient
	router.Command
	// Draft is the message of a CommandAgentSent, nil when it was sent elsewhere.
	Draft *Draft
	Actor string // who, for the audit: "cli", a key's name, "timer"
	// CanSee decides in the transaction whether the actor may see the conversation;
	// nil lets everybody. What nobody may see is ErrNotFound.
	CanSee func(Conversation) bool
	// Idempotency makes a repeat harmless; nil: it is carried out each time.
	Idempotency *Idempotency
}

// CommandResult is what a Command came to.
type CommandResult struct {
	Conversation
	Message *Message // that was said
	// Replayed is the answer of the first time, when it was done before: then nothing
	// was done now, and all else is empty.
	Replayed []byte
}

// Draft is a message that a person or a program of ours wants to send.
type Draft struct {
	Type   string          // text, interactive, template, image, …
	Text   string          // what a person reads of it
	Body   json.RawMessage // the Cloud API's own shape
	Media  *Media
	Quotes string // our id of the message that it answers, "" for none
	// OnlyOpen refuses a closed conversation instead of taking it up again.
	OnlyOpen bool
	// Notice leaves the conversation to who has it: nothing of it changes, no clock
	// begins, and nobody's answer waits behind the message.
	Notice bool
	// Marketing says that WhatsApp counts the template as such.
	Marketing bool
	// Area is the team that takes the conversation over; "" for the one that had it
	// last, or else the flow's offer_area.
	Area string
	// TTL is for how long the message may wait to be sent, 0 for ever.
	TTL time.Duration
}

// Recipient is a person on a line, by the names that somebody knows them by.
type Recipient struct {
	Line   string
	Person inbound.Person
}

// Idempotency makes a command happen once for each Key of its actor, within IdempotencyTTL.
type Idempotency struct {
	Key  string
	Hash string // of all that was asked: the same key with another one is refused
	// Answer writes what a repeat is answered with. It is called in the
	// transaction, with the message that was said or nil.
	Answer func(Conversation, *Message) []byte
}

// IdempotencyTTL is how long an Idempotency is remembered.
const IdempotencyTTL = 24 * time.Hour

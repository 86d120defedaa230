package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// Commands is what people and our programs ask for.
type Commands interface {
	// Command carries out one command and writes its message, audit row and idempotency
	// key, all in one transaction. A repeat without effect is no error. ErrNotFound,
	// ErrConflict, ErrWindowClosed, ErrClosed, ErrBlocked, ErrOptedOut, ErrNoQuote,
	// ErrKeyReused.
	Command(ctx context.Context, now time.Time, cmd Command) (CommandResult, error)

	// AddAudit adds an audit row that belongs to no conversation.
	AddAudit(ctx context.Context, row AuditRow) error

	// SetPaused stores whether an operator paused a queue, so that a queue that comes back
	// empty is paused again. Store.Paused lists the paused ones.
	SetPaused(ctx context.Context, queue string, paused bool) error
}

// Command asks for a change of one conversation.
type Command struct {
	// Conversation is its id. To names it by its person instead, when there may be no
	// conversation yet; Draft is then set.
	Conversation string
	To           *Recipient
	router.Command
	// Draft is the message of a CommandAgentSent, nil if it was sent elsewhere.
	Draft *Draft
	Actor string // who, for the audit: "cli", a key's name, "timer"
	// CanSee decides in the transaction whether the actor may see the conversation; nil
	// allows all. A hidden conversation is ErrNotFound.
	CanSee func(Conversation) bool
	// Idempotency makes a repeat harmless; nil: each repeat is carried out.
	Idempotency *Idempotency
}

// CommandResult is the result of a Command.
type CommandResult struct {
	Conversation
	Message *Message // the new message, if any
	// Replayed is the first call's answer to a repeat: nothing was done now, and all other
	// fields are empty.
	Replayed []byte
}

// Draft is a message that a person or a program of ours wants to send.
type Draft struct {
	Type   string          // text, interactive, template, image, …
	Text   string          // for people
	Body   json.RawMessage // the Cloud API's own shape
	Media  *Media
	Quotes string // our id of the quoted message, "" for none
	// OnlyOpen refuses a closed conversation instead of reopening it.
	OnlyOpen bool
	// Notice leaves the conversation unchanged: it keeps its holder, no clock begins, and
	// no answer waits behind the message.
	Notice bool
	// Marketing says that WhatsApp counts the template as marketing.
	Marketing bool
	// Area is the team that takes the conversation over; "" for the last one, or else the
	// flow's offer_area.
	Area string
	// TTL is how long the message may wait to be sent, 0 for ever.
	TTL time.Duration
}

// Recipient is a person on a line, by the names that the caller knows.
type Recipient struct {
	Line   string
	Person inbound.Person
}

// Idempotency carries a command out once for each Key of its actor, within IdempotencyTTL.
type Idempotency struct {
	Key  string
	Hash string // of the whole request: the same key with another one is refused
	// Answer writes the answer to repeats. It is called in the transaction, with the new
	// message or nil.
	Answer func(Conversation, *Message) []byte
}

// IdempotencyTTL is how long an Idempotency is remembered.
const IdempotencyTTL = 24 * time.Hour

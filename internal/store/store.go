// Package store is the contract of what is kept: contacts, conversations, messages,
// tickets, events and everything that happened, with one transaction for every
// decision. Package unit turns a decision into rows; engines (sqlitestore, pgstore)
// only load, lock and write. It must never decide, send, wait or know a queue.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

var (
	// ErrNotFound means that the named row does not exist.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable means that the engine could not be reached or could not
	// write: the caller should hold and probe, not count an attempt.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrConflict means that the command does not fit the state of its row.
	ErrConflict = errors.New("conflict")
	// ErrBusy means that somebody else holds the row for longer than this caller
	// can wait: try again later, nobody is to blame.
	ErrBusy = errors.New("somebody else holds the row")
	// ErrWindowClosed means that only a template may be sent now.
	ErrWindowClosed = errors.New("the service window is closed")
	// ErrClosed means that the conversation is closed, and that the caller wanted
	// an open one.
	ErrClosed = errors.New("the conversation is closed")
	// ErrBlocked means that the contact is blocked.
	ErrBlocked = errors.New("the contact is blocked")
	// ErrOptedOut means that the person wants no marketing, and that this is some.
	ErrOptedOut = errors.New("the person wants no marketing")
	// ErrNoQuote means that the message to quote is not in the conversation, or
	// that WhatsApp has no id for it yet.
	ErrNoQuote = errors.New("the message cannot be quoted")
	// ErrKeyReused means that the key of an Idempotency was used for something else.
	ErrKeyReused = errors.New("the idempotency key was used for something else")
	// ErrBackInTime means that the database lacks what the router has written: a backup
	// was put back, or a standby was promoted that had not got everything.
	ErrBackInTime = errors.New("the database is older than what the router has seen")
	// ErrWrongStore means that it is not the database that the router has worked with.
	ErrWrongStore = errors.New("the database is another one than the router has worked with")
	// ErrNewer means that the database was written by a newer version.
	ErrNewer = errors.New("database is newer than this program")
)

// Store is everything that the program asks of an engine. Every method is safe
// for concurrent use; every writer locks the contacts that it touches, and does
// all or nothing. Any method may return ErrUnavailable.
type Store interface {
	Subscriptions

	// Turn handles arrivals in order: it loads (or makes) contact and
	// conversation, stores the message, steps the router and writes what was
	// decided, all in one transaction. An arrival whose Key was handled before
	// changes nothing and reports Duplicate. results[i] belongs to batch[i]; a
	// result with Busy was not handled because somebody holds its contact.
	// An error means that nothing of the batch was written.
	Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) (results []Result, err error)

	// Reject keeps an arrival that is about to go dead: its row is stored as
	// invalid with the error, and nothing else happens. Idempotent.
	Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error

	// Statuses applies reports to outgoing messages of their line and recipient
	// that somebody claimed. A status never goes down; one that comes before its
	// message is parked for an hour. Idempotent.
	Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error

	// Command carries out one command, with what it says, its audit row and the
	// idempotency key in one transaction. A repeat without effect is no error.
	// ErrNotFound, ErrConflict, ErrWindowClosed, ErrClosed, ErrBlocked, ErrOptedOut,
	// ErrNoQuote, ErrKeyReused.
	Command(ctx context.Context, now time.Time, cmd Command) (CommandResult, error)

	// AddAudit adds an audit row about something that is no conversation.
	AddAudit(ctx context.Context, row AuditRow) error
	// Audit lists what was done, newest first, before the given cursor ("" from
	// the end).
	Audit(ctx context.Context, before string, limit int) ([]AuditEntry, error)

	// ClaimSends moves the oldest pending row of each conversation from queued
	// to sending under the token, after checking epoch, expiry and window; rows
	// that fail the check become failed with their reason and the next one is
	// looked at. A row that is found sending under another token is marked
	// uncertain and not returned. One Claim at most for each conversation;
	// those without a row are absent. One whose contact somebody else holds is
	// there as Busy: nothing was claimed.
	ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]SendClaim, error)

	// RecordSends writes what became of claimed rows. Results whose row is no
	// longer sending under the token are ignored, but an accepted provider id
	// is always kept. recorded[i] belongs to results[i]; one that is Busy was not
	// written, because somebody else holds its contact.
	RecordSends(ctx context.Context, now time.Time, results []SendResult) (recorded []Recorded, err error)

	// UntriedNotices returns the oldest notices that were not tried yet, one of each conversation
	// and of each line at most limit, oldest first. They have no wake-up but the one that
	// the caller gives them.
	UntriedNotices(ctx context.Context, limit int) ([]Notice, error)

	// SaveMedia records the fate of a download.
	SaveMedia(ctx context.Context, messageID string, media Media) error

	// Pump does one round of the housekeeping that one process at a time does:
	// it numbers committed events, fires due timers, expires parked statuses
	// and the marks of what was done once, and returns the sends and the files
	// that have been pending for over a minute.
	Pump(ctx context.Context, now time.Time) (PumpResult, error)

	// Apologize does what policies.after_outage says about some of those who were left
	// long enough ago, and counts them; see unit.Unit.Apologize. The caller sees to it that
	// nothing that came waits to be handled: it may be the answer of the team.
	Apologize(ctx context.Context, now time.Time) (int, error)

	// Conversations lists, newest first but for Filter.Left.
	Conversations(ctx context.Context, filter Filter) ([]Conversation, error)
	// Conversation returns one. ErrNotFound.
	Conversation(ctx context.Context, id string) (Conversation, error)
	// Messages lists a conversation's messages, oldest first, after the given
	// message id ("" from the start).
	Messages(ctx context.Context, conversation, after string, limit int) ([]Message, error)
	// Events lists numbered events with Pos > after, in order. A page ends early, and
	// with one event at least, once it holds MaxEventPageBytes: see EventPage.
	Events(ctx context.Context, after int64, limit int) ([]Event, error)
	// Trace finds everything about a key: our message id, a provider id, a
	// conversation id, a ticket, a user id or a phone. ErrNotFound.
	Trace(ctx context.Context, key string) (Trace, error)
	// Gauges returns the figures that metrics and the status page show, at a
	// cost that does not grow with history.
	Gauges(ctx context.Context, now time.Time) (Gauges, error)
	// Lead is one process's round of a duty that one process at a time has.
	Lead(ctx context.Context, now time.Time, r Term) (Leadership, error)
	// SetPaused remembers whether an operator paused a queue, so that a queue which
	// came back empty is paused again; Paused lists those that are.
	SetPaused(ctx context.Context, queue string, paused bool) error
	Paused(ctx context.Context) ([]string, error)
	// Ping writes nothing and returns nil when the store can work.
	Ping(ctx context.Context) error
	Close() error
}

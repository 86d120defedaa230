// Package store is the contract of the engines: contacts, conversations, messages, tickets
// and events, with one transaction for every decision. Package unit turns a decision into
// rows; engines (sqlitestore, pgstore) only load, lock and write. It must never decide,
// send, wait or know a queue.
package store

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrNotFound means that the named row does not exist.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable means that the engine could not be reached or could not write: hold
	// and probe, count no attempt.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrConflict means that the command does not fit the state of its row.
	ErrConflict = errors.New("conflict")
	// ErrBusy means that another transaction locks the row for longer than this caller can
	// wait: try again later, count no attempt.
	ErrBusy = errors.New("another transaction has locked the row")
	// ErrWindowClosed means that only a template may be sent now.
	ErrWindowClosed = errors.New("the service window is closed")
	// ErrClosed means that the conversation is closed, and the caller wanted an open one.
	ErrClosed = errors.New("the conversation is closed")
	// ErrBlocked means that the contact is blocked.
	ErrBlocked = errors.New("the contact is blocked")
	// ErrOptedOut means that the message is marketing, and the person opted out.
	ErrOptedOut = errors.New("the person wants no marketing")
	// ErrNoQuote means that the quoted message is not in the conversation, or has no id of
	// WhatsApp yet.
	ErrNoQuote = errors.New("the message cannot be quoted")
	// ErrKeyReused means that the key belongs to another command.
	ErrKeyReused = errors.New("the idempotency key was used for something else")
	// ErrBackInTime means that the database lacks rows that the router has written: a
	// backup was restored, or a standby was promoted that lacked the last commits.
	ErrBackInTime = errors.New("the database is older than what the router has seen")
	// ErrWrongStore means that the database is another store.
	ErrWrongStore = errors.New("the database is not the one that the router has worked with")
	// ErrNewer means that a newer version wrote the database.
	ErrNewer = errors.New("database is newer than this program")
)

// Store is the whole contract; each consumer takes the part that it needs. Every method is
// safe for concurrent use. Every writer locks the contacts that it touches, and does all or
// nothing. Any method may return ErrUnavailable.
type Store interface {
	Turns
	Sends
	Downloads
	Commands
	Reader
	Subscriptions
	EventBacklog
	Maintenance
	Duties

	// Gauges returns the figures of metrics and status page, at a cost that does not grow
	// with history.
	Gauges(ctx context.Context, now time.Time) (Gauges, error)
	// Paused lists the queues that an operator paused: see Commands.
	Paused(ctx context.Context) ([]string, error)
	// Ping returns nil if the store works. It writes nothing.
	Ping(ctx context.Context) error
	Close() error
}

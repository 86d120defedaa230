// Package store is the contract of what is kept: contacts, conversations, messages,
// tickets, events and everything that happened, with one transaction for every
// decision. Package unit turns a decision into rows; engines (sqlitestore, pgstore)
// only load, lock and write. It must never decide, send, wait or know a queue.
package store

import (
	"context"
	"errors"
	"time"
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

// Store is everything that the program asks of an engine; who uses it takes the part
// that they need. Every method is safe for concurrent use; every writer locks the
// contacts that it touches, and does all or nothing. Any method may return
// ErrUnavailable.
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

	// Gauges returns the figures that metrics and the status page show, at a
	// cost that does not grow with history.
	Gauges(ctx context.Context, now time.Time) (Gauges, error)
	// Paused lists the queues that an operator paused: see Commands.
	Paused(ctx context.Context) ([]string, error)
	// Ping writes nothing and returns nil when the store can work.
	Ping(ctx context.Context) error
	Close() error
}

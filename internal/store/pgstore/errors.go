package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/psivisionhub/psi-router/internal/store"
)

// Codes of PostgreSQL that need an answer of ours.
const (
	uniqueViolation   = "23505"
	serialization     = "40001"
	deadlock          = "40P01"
	lockNotAvailable  = "55P03"
	protocolViolation = "08P01"
)

// errTimeout means that our own deadline passed, not the caller's.
var errTimeout = errors.New("the database took too long")

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// isRetryable reports whether a transaction failed because of a concurrent one, and may
// succeed when it is repeated.
func isRetryable(err error) bool {
	switch sqlState(err) {
	case serialization, deadlock, uniqueViolation:
		return true
	}
	return false
}

// isRolledBack reports whether a failed transaction has left nothing: the server said why.
// After a lost connection, or an operator's end to it, nobody knows.
func isRolledBack(err error) bool {
	switch sqlState(err)[:min(2, len(sqlState(err)))] {
	case "23", "40", "55": // a constraint, rolled back, locked by another transaction
		return true
	}
	return false
}

// wrap names the call, and marks errors that are no message's fault.
func wrap(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrBusy):
	case isUnavailable(err):
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, withCure(err))
	case sqlState(err) == lockNotAvailable, sqlState(err) == serialization, sqlState(err) == deadlock:
		// A unique violation that stays is no concurrent transaction's: it counts.
		err = fmt.Errorf("%w: %w", store.ErrBusy, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// isUnavailable reports whether the server, or the way to it, is at fault.
func isUnavailable(err error) bool {
	if c := sqlState(err); c != "" {
		switch c[:2] {
		case "08", // connection
			"28",                    // who we are
			"3D", "3F", "42501"[:2], // no database, no schema, no right
			"53", // disk, memory, connections
			"57", // shut down, cancelled
			"58", // files
			"XX": // spoiled data
			return c[:2] != "42" || c == "42501" || c == "42P01"
		case "25":
			return c == "25006" || c == "25P03" || c == "25P02" // read-only; idle for too long
		case "0A", "55":
			return strings.Contains(message(err), "recovery")
		}
		return false
	}
	var netErr net.Error
	var connErr *pgconn.ConnectError
	switch {
	case errors.As(err, &connErr), errors.As(err, &netErr), errors.Is(err, errTimeout):
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
	case errors.Is(err, puddle.ErrClosedPool), errors.Is(err, puddle.ErrNotAvailable):
	default:
		// pgconn has no name for a connection that broke earlier.
		return strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool") ||
			strings.Contains(err.Error(), "conn busy")
	}
	return !errors.Is(err, context.Canceled)
}

func message(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	return err.Error()
}

// cures are what an operator does about a pooler's refusal, by a part of its text.
var cures = []struct{ says, cure string }{
	{"not allowed in statement pooling mode", "set pool_mode of the pooler to transaction"},
	{"statement pooling", "set pool_mode of the pooler to transaction"},
	{"unsupported startup parameter", "take the parameter out of database_url, or add it to ignore_startup_parameters of PgBouncer"},
	{"no more connections allowed", "raise max_client_conn of PgBouncer"},
	{"query_wait_timeout", "every server connection of the pooler is taken: raise default_pool_size, or lower worker.concurrency"},
	{"no such database", "add the database to the pooler, or mend the name in database_url"},
	{"server_login_retry", "the pooler cannot log in to PostgreSQL"},
	{"server login has been failing", "the pooler cannot log in to PostgreSQL: see its log"},
	{"prepared statement", "the pooler mixes up statements: set its pool_mode to transaction, and server_reset_query to nothing"},
	{"remaining connection slots", "PostgreSQL has no connection left: raise max_connections, or put a pooler before it"},
	{"too many clients", "PostgreSQL has no connection left: raise max_connections, or put a pooler before it"},
	{"permission denied for schema", "grant the user of database_url USAGE and CREATE on the schema psi_router"},
	{"permission denied for database", "let the user of database_url create the schema psi_router: GRANT CREATE ON DATABASE"},
}

// withCure adds its cure to an error that has one.
func withCure(err error) error {
	text := err.Error()
	for _, c := range cures {
		if strings.Contains(text, c.says) {
			return fmt.Errorf("%w (%s)", err, c.cure)
		}
	}
	return err
}

// notOpened says why there is no store, and whether another try may help.
func notOpened(err error) error {
	if isUnavailable(err) {
		return fmt.Errorf("open store: %w: %w", store.ErrUnavailable, withCure(err))
	}
	return fmt.Errorf("open store: %w", withCure(err))
}

// backOff waits a little, longer with every try; false when ctx ends first.
func backOff(ctx context.Context, try int) bool {
	most := min(time.Millisecond<<min(try, 6), 50*time.Millisecond)
	t := time.NewTimer(most/2 + rand.N(most)) //nolint:gosec // to part those who collided
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

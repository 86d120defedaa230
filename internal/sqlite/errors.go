package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

var (
	// ErrLocked means that another process owns the database.
	ErrLocked = errors.New("database is in use")
	// ErrNewer means that a newer version of the program wrote the database.
	ErrNewer = errors.New("database is newer than this program")
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("database is closed")
	// ErrReplaced means that the path now leads to another file than the open one: writes
	// would be lost when the process ends.
	ErrReplaced = errors.New("the file was replaced while it was in use")
	// ErrBusy means that too many callers wait for the writer. The caller's function did
	// not run.
	ErrBusy = errors.New("too many writes are waiting")
)

// Code returns SQLite's primary result code, or 0.
func Code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// Unavailable reports whether the database could not serve just now: an outage, not the
// caller's fault.
func Unavailable(err error) bool {
	switch Code(err) {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_READONLY,
		lib.SQLITE_CANTOPEN, lib.SQLITE_NOMEM, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_PROTOCOL,
		lib.SQLITE_INTERRUPT:
		return true
	}
	return errors.Is(err, ErrBusy) || errors.Is(err, ErrClosed) || errors.Is(err, ErrReplaced)
}

// Full reports whether there was no room, on the disk or within max_page_count.
func Full(err error) bool { return Code(err) == lib.SQLITE_FULL }

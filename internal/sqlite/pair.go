package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// Each of two paired files remembers how many commits the other had, so that one restored from
// a backup is detected. The count is written along with other commits, and only counts commits
// that are on disk.
const (
	makePair = `CREATE TABLE IF NOT EXISTS pair (
		one           INTEGER PRIMARY KEY CHECK (one = 1),
		id            INTEGER NOT NULL,           -- of this file
		commits       INTEGER NOT NULL DEFAULT 0, -- of this file
		other         INTEGER NOT NULL DEFAULT 0, -- id of the other file, 0: it has none yet
		other_commits INTEGER NOT NULL DEFAULT 0, -- of the other file, as it was then
		note          TEXT    NOT NULL DEFAULT '' -- what the other file's owner wants to be remembered
	) STRICT`
	nameFile       = `INSERT INTO pair (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING`
	readPair       = `SELECT id, commits, other, other_commits, note FROM pair`
	countCommit    = `UPDATE pair SET commits = commits + 1 WHERE one = 1`
	markOther      = `UPDATE pair SET commits = commits + 1, other = ?, other_commits = ?, note = ? WHERE one = 1`
	advanceCommits = `UPDATE pair SET commits = max(commits, ?) WHERE one = 1`
)

// Pair is a file's record of itself and of the other file.
type Pair struct {
	ID, Commits         int64
	Other, OtherCommits int64
	Note                string
}

// Behind reports whether p is an older copy of the file that other is paired with.
func (p Pair) Behind(other Pair) bool { return other.Other == p.ID && p.Commits < other.OtherCommits }

// Mismatches reports whether other is paired with another file than p.
func (p Pair) Mismatches(other Pair) bool { return other.Other != 0 && other.Other != p.ID }

// pairing is the writer's state of the pair.
type pairing struct {
	id      int64        // of the file, 0 if it keeps no pair
	commits atomic.Int64 // commits that are on disk
	other   atomic.Pointer[other]
}

type other struct {
	*DB
	note func() string
}

// pairUp creates the pair's row if needed, and returns it.
func pairUp(ctx context.Context, db *sql.DB) (p Pair, err error) {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	if _, err := db.ExecContext(ctx, makePair); err != nil {
		return p, fmt.Errorf("make pair: %w", err)
	}
	if _, err := db.ExecContext(ctx, nameFile, int64(binary.BigEndian.Uint64(id[:])>>1|1)); err != nil { //nolint:gosec // fits
		return p, fmt.Errorf("name the file: %w", err)
	}
	err = db.QueryRowContext(ctx, readPair).Scan(&p.ID, &p.Commits, &p.Other, &p.OtherCommits, &p.Note)
	return p, err
}

// Pair reads the pair's row of a file that was opened with Options.Pair.
func (db *DB) Pair(ctx context.Context) (p Pair, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		_, err := tx.Row(readPair, nil, &p.ID, &p.Commits, &p.Other, &p.OtherCommits, &p.Note)
		return err
	})
	return p, err
}

// PairWith makes each further commit record the other file's commits and its owner's note. note
// must return at once.
func (db *DB) PairWith(file *DB, note func() string) {
	db.writer.pair.other.Store(&other{file, note})
}

// AdvanceCommits sets the commits of a file that was restored from a backup to those of the lost
// one. Call it in the transaction that repairs the loss.
func AdvanceCommits(tx *Tx, commits int64) error {
	_, err := tx.Exec(advanceCommits, commits)
	return err
}

// write updates the pair's row, at the end of a transaction.
func (p *pairing) write(tx *Tx) error {
	if p.id == 0 {
		return nil
	}
	o := p.other.Load()
	if o == nil {
		_, err := tx.Exec(countCommit)
		return err
	}
	of := &o.writer.pair
	_, err := tx.Exec(markOther, of.id, of.commits.Load(), o.note())
	return err
}

package spool

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

//go:embed schema.sql
var schema string

const schemaVersion = 1

// journal is the file. A job is in it from before its webhook is answered until after the shared
// queue has it.
type journal struct {
	db       *sqlite.DB
	maxPages int64
}

type entry struct {
	queue.Job
	n  int64
	at time.Time
}

func openJournal(ctx context.Context, o Options) (*journal, error) {
	most := 0
	if o.MaxPages > 0 { // emptying a full file needs some room
		most = o.MaxPages + o.MaxPages/8 + 16
	}
	db, err := sqlite.Open(ctx, sqlite.Options{Path: o.Path, MaxPages: most, Readers: 2, Logger: o.Log, Migrate: migrate})
	if err != nil {
		return nil, err
	}
	return &journal{db: db, maxPages: int64(o.MaxPages)}, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	var have int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	switch {
	case have > schemaVersion:
		return fmt.Errorf("%w: the spool has schema %d, this program knows %d: start the newer program again", sqlite.ErrNewer, have, schemaVersion)
	case have == schemaVersion:
		return nil
	}
	_, err := db.ExecContext(ctx, "BEGIN;"+schema+fmt.Sprintf("PRAGMA user_version = %d; COMMIT;", schemaVersion))
	return err
}

// add stores all jobs or none, and returns once they are on disk. A job whose id is already
// stored is not added again.
func (j *journal) add(ctx context.Context, jobs []queue.Job, at time.Time) ([]bool, error) {
	added := make([]bool, len(jobs))
	err := j.db.Write(ctx, func(tx *sqlite.Tx) error {
		clear(added)
		if err := j.checkRoom(tx); err != nil {
			return err
		}
		for i, job := range jobs {
			var err error
			if added[i], err = insert(tx, job, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return added, nil
}

// adopt is add for entries of another file, which keep their times.
func (j *journal) adopt(ctx context.Context, entries []entry) error {
	return j.db.Write(ctx, func(tx *sqlite.Tx) error {
		if err := j.checkRoom(tx); err != nil {
			return err
		}
		for _, e := range entries {
			if _, err := insert(tx, e.Job, e.at); err != nil {
				return err
			}
		}
		return nil
	})
}

func insert(tx *sqlite.Tx, job queue.Job, at time.Time) (added bool, err error) {
	r, err := tx.Exec(`INSERT INTO spooled (queue, lane, id, at, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (queue, id) DO NOTHING`,
		job.Queue, []byte(job.Lane), []byte(job.ID), at.UnixNano(), job.Body)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

func (j *journal) checkRoom(tx *sqlite.Tx) error {
	if j.maxPages == 0 {
		return nil
	}
	var pages int64
	_, err := tx.Row(`SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count`, nil, &pages)
	if err == nil && pages > j.maxPages {
		err = fmt.Errorf("its file has reached %d pages", j.maxPages)
	}
	return err
}

// after returns the entries after n, oldest first. It stops at the limit or once the bodies
// reach the bytes, but returns at least one entry if there is any.
func (j *journal) after(ctx context.Context, n int64, limit, bytes int) ([]entry, error) {
	var found []entry
	err := j.db.Read(ctx, func(tx *sqlite.Tx) error {
		found = nil
		rows, err := tx.Query(`SELECT n, queue, lane, id, at, body FROM spooled WHERE n > ? ORDER BY n LIMIT ?`, n, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for left := bytes; left > 0 && rows.Next(); {
			var e entry
			var lane, id []byte
			var at int64
			if err := rows.Scan(&e.n, &e.Queue, &lane, &id, &at, &e.Body); err != nil {
				return err
			}
			e.Lane, e.ID, e.at = string(lane), string(id), time.Unix(0, at)
			found = append(found, e)
			left -= len(e.Body)
		}
		return rows.Err()
	})
	return found, err
}

// remove deletes all entries up to n but those in except, a JSON array of n.
func (j *journal) remove(ctx context.Context, n int64, except string) error {
	return j.db.Write(ctx, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`DELETE FROM spooled WHERE n <= ? AND n NOT IN (SELECT value FROM json_each(?))`, n, except)
		return err
	})
}

// count returns the number of jobs of each lane, and the time of the oldest.
func (j *journal) count(ctx context.Context) (lanes map[lane]int, oldest time.Time, err error) {
	lanes = map[lane]int{}
	first := int64(0)
	err = j.db.Read(ctx, func(tx *sqlite.Tx) error {
		if found, err := tx.Row(`SELECT at FROM spooled ORDER BY n LIMIT 1`, nil, &first); err != nil || !found {
			return err
		}
		rows, err := tx.Query(`SELECT queue, lane, count(*) FROM spooled GROUP BY queue, lane`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var key []byte
			var n int
			if err := rows.Scan(&name, &key, &n); err != nil {
				return err
			}
			lanes[lane{name, string(key)}] = n
		}
		return rows.Err()
	})
	return lanes, time.Unix(0, first), err
}

package sqlitequeue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// Source is a queue that is to be moved elsewhere. It is nobody else's while it is
// open: the file is locked.
type Source struct{ *Engine }

// OpenSource opens a file that must exist.
func OpenSource(ctx context.Context, o Options) (*Source, error) {
	if _, err := os.Stat(o.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open queue: %s does not exist: %w", o.Path, queue.ErrNotFound)
	}
	e, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Source{e}, nil
}

// Installation returns the name of this file, and gives it one when it has none.
func (s *Source) Installation(ctx context.Context) (name string, err error) {
	fresh := rand.Text()
	err = s.write(ctx, "name the queue", func(tx *sqlite.Tx) error {
		name = ""
		if _, err := tx.Exec(`CREATE TABLE IF NOT EXISTS installation (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT`); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO installation (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING`, fresh); err != nil {
			return err
		}
		_, err := tx.Row(`SELECT id FROM installation`, nil, &name)
		return err
	})
	return name, err
}

// Waiting returns the jobs of a queue after a place, in order: at most limit, and
// about size bytes.
func (s *Source) Waiting(ctx context.Context, name string, after int64, limit, size int) ([]queue.Waiting, error) {
	var out []queue.Waiting
	err := s.read(ctx, "read jobs", func(tx *sqlite.Tx) error {
		rows, err := tx.Query(`SELECT j.id, l.key, j.key, j.body, j.enqueued, j.redriven
			FROM queue q JOIN job j ON j.id > max(?, q.id << 40) AND j.id < (q.id + 1) << 40 JOIN lane l ON l.id = j.lane
			WHERE q.name = ? ORDER BY j.id LIMIT ?`, after, name, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for left := size; left > 0 && rows.Next(); {
			w := queue.Waiting{Job: queue.Job{Queue: name}}
			var enqueued int64
			if err := rows.Scan(&w.Place, text{&w.Lane}, text{&w.ID}, &w.Body, &enqueued, &w.Redriven); err != nil {
				return err
			}
			w.Enqueued = moment(enqueued)
			out = append(out, w)
			left -= len(w.Lane) + len(w.ID) + len(w.Body) + 64
		}
		return rows.Err()
	})
	return out, err
}

// Letters returns dead letters of all queues after an ID, the oldest first, with
// their bodies: at most limit, and about size bytes.
func (s *Source) Letters(ctx context.Context, after int64, limit, size int) ([]queue.DeadLetter, error) {
	var out []queue.DeadLetter
	err := s.read(ctx, "read dead letters", func(tx *sqlite.Tx) error {
		rows, err := tx.Query(`SELECT `+deadColumns+`, body FROM dead JOIN queue ON queue.id = dead.queue
			WHERE dead.id > ? ORDER BY dead.id LIMIT ?`, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for left := size; left > 0 && rows.Next(); {
			var d queue.DeadLetter
			var enqueued, died int64
			if err := rows.Scan(append(deadFields(&d, &enqueued, &died), &d.Job.Body)...); err != nil {
				return err
			}
			d.Enqueued, d.Died = moment(enqueued), moment(died)
			out = append(out, d)
			left -= len(d.Job.Lane) + len(d.Job.ID) + len(d.Job.Body) + 64
		}
		return rows.Err()
	})
	return out, err
}

// Leave empties the queues: all that was in them lives elsewhere. What they
// remember of IDs stays, and so do their settings.
func (s *Source) Leave(ctx context.Context) error {
	return s.write(ctx, "empty the queue", func(tx *sqlite.Tx) error {
		for _, query := range []string{
			`DELETE FROM job`, `DELETE FROM lane`, `DELETE FROM dead`,
			`UPDATE queue SET dropped = dropped + depth + dead, depth = 0, in_flight = 0, dead = 0`,
		} {
			if _, err := tx.Exec(query); err != nil {
				return err
			}
		}
		return nil
	})
}

package sqlitestore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

// Rows of meta with the installation, and with the state of its move.
const (
	installationRow = "installation"
	moveStateRow    = "departure"
)

// refuseMoved refuses a store that was or is being moved: two routers would answer
// everybody twice.
func refuseMoved(q querier) error {
	switch d, err := moveState(q); {
	case err != nil:
		return err
	case d == transfer.Moving:
		return fmt.Errorf("%w: run psi-router store move again, or psi-router store move --undo to stay with the files", transfer.ErrMoving)
	case d == transfer.Moved:
		return fmt.Errorf("%w to PostgreSQL: set database_url. To go back to the files, without what happened since: psi-router store move --undo", transfer.ErrMoved)
	}
	return nil
}

func moveState(q querier) (transfer.MoveState, error) {
	var d transfer.MoveState
	_, err := q.Row(`SELECT value FROM meta WHERE name = ?`, []any{moveStateRow}, &d)
	return d, err
}

// Source is a store that is to be moved. While it is open its file is locked.
type Source struct{ s *Store }

// OpenSource opens a file that must exist, also one that was moved.
func OpenSource(ctx context.Context, path string, log *slog.Logger) (*Source, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open store: %s does not exist: %w", path, store.ErrNotFound)
	}
	s, err := open(ctx, Options{Path: path, Logger: log})
	if err != nil {
		return nil, err
	}
	return &Source{s}, nil
}

// Close closes the file.
func (c *Source) Close() error { return c.s.Close() }

// MoveState returns the state of the move, and the installation: "" before the first move.
func (c *Source) MoveState(ctx context.Context) (d transfer.MoveState, installation string, err error) {
	err = c.s.read(ctx, "read move state", func(q querier) error {
		var n int64
		found, err := q.Row(`SELECT value FROM meta WHERE name = ?`, []any{installationRow}, &n)
		if err != nil {
			return err
		}
		if found {
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], uint64(n)) //nolint:gosec // its bits
			installation = hex.EncodeToString(b[:])
		}
		d, err = moveState(q)
		return err
	})
	return d, installation, err
}

// SetMoveState stores the state of the move, and gives the installation its id.
func (c *Source) SetMoveState(ctx context.Context, d transfer.MoveState) error {
	var name [8]byte
	_, _ = rand.Read(name[:])                         // never fails
	number := int64(binary.BigEndian.Uint64(name[:])) //nolint:gosec // its bits
	return wrap("set move state", c.s.db.Write(ctx, func(sqlTx *sqlite.Tx) error {
		if _, err := sqlTx.Exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, installationRow, number); err != nil {
			return err
		}
		_, err := sqlTx.Exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
			moveStateRow, int64(d))
		return err
	}))
}

// Count returns the number of rows of a table.
func (c *Source) Count(ctx context.Context, t transfer.Table) (n int64, err error) {
	err = c.s.read(ctx, "count "+t.Name, func(q querier) error {
		_, err := q.Row(`SELECT count(*) FROM `+from(t), nil, &n)
		return err
	})
	return n, err
}

// Read returns the rows after a cursor, in order: at most limit, and about size bytes.
func (c *Source) Read(ctx context.Context, t transfer.Table, after string, limit, size int) ([]transfer.Row, error) {
	key, err := t.ParseCursor(after)
	if err != nil {
		return nil, err
	}
	query, args := selectAfter(t, len(key) > 0), append(key, limit)
	var out []transfer.Row
	err = c.s.read(ctx, "read "+t.Name, func(q querier) error {
		rows, err := q.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for left := size; left > 0 && rows.Next(); {
			r, err := scanRow(t, rows)
			if err != nil {
				return err
			}
			out = append(out, r)
			left -= r.Size()
		}
		return rows.Err()
	})
	return out, err
}

// from returns the source of a table's rows. Rows that belong to the file alone stay.
func from(t transfer.Table) string {
	if t.Name == "counters" {
		return `(SELECT name, value FROM meta WHERE name NOT IN ('` + installationRow + `', '` + moveStateRow + `')) counters`
	}
	return t.Name
}

func selectAfter(t transfer.Table, after bool) string {
	columns, keys := make([]string, len(t.Columns)), make([]string, t.Key)
	for i, col := range t.Columns {
		columns[i] = col.Name
		if col.Kind == transfer.ColumnOptional {
			columns[i] = "coalesce(" + col.Name + ", '')"
		}
		if i < t.Key {
			keys[i] = col.Name
		}
	}
	key := strings.Join(keys, ", ")
	query := "SELECT " + strings.Join(columns, ", ") + " FROM " + from(t)
	if after {
		query += " WHERE (" + key + ") > (?" + strings.Repeat(", ?", t.Key-1) + ")"
	}
	return query + " ORDER BY " + key + " LIMIT ?"
}

func scanRow(t transfer.Table, rows *sql.Rows) (transfer.Row, error) {
	dest := make([]any, len(t.Columns))
	for i, col := range t.Columns {
		switch col.Kind {
		case transfer.ColumnText, transfer.ColumnOptional, transfer.ColumnJSON:
			dest[i] = new(string)
		case transfer.ColumnBytes:
			dest[i] = new([]byte)
		default:
			dest[i] = new(int64)
		}
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	r := make(transfer.Row, len(dest))
	for i, d := range dest {
		switch d := d.(type) {
		case *string:
			r[i] = *d
			if t.Columns[i].Kind == transfer.ColumnJSON { // as all readers do
				r[i] = strings.ToValidUTF8(*d, "\uFFFD")
			}
		case *[]byte:
			r[i] = *d
		case *int64:
			r[i] = *d
		}
	}
	return r, nil
}

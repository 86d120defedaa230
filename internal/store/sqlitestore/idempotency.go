package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// storedAnswer returns the stored answer of a command, nil if it is new.
func (tx *txState) storedAnswer(cmd store.Command) ([]byte, error) {
	if cmd.Idempotency == nil {
		return nil, nil
	}
	var hash, answer string
	const query = `SELECT hash, answer FROM idempotency WHERE actor = ? AND key = ? AND at > ?`
	found, err := tx.q.Row(query, []any{cmd.Actor, cmd.Idempotency.Key, sqlrow.Micros(tx.unit.Now.Add(-store.IdempotencyTTL))}, &hash, &answer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read idempotency key: %w", err)
	case !found:
		return nil, nil
	case hash != cmd.Idempotency.Hash:
		return nil, store.ErrKeyReused
	}
	return []byte(answer), nil
}

// storeAnswer stores the answer of a command.
func (tx *txState) storeAnswer(cmd store.Command, done store.CommandResult) error {
	if cmd.Idempotency == nil {
		return nil
	}
	const query = `INSERT INTO idempotency (actor, key, hash, answer, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (actor, key) DO UPDATE SET hash = excluded.hash, answer = excluded.answer, at = excluded.at`
	answer := cmd.Idempotency.Answer(done.Conversation, done.Message)
	if err := tx.exec(query, cmd.Actor, cmd.Idempotency.Key, cmd.Idempotency.Hash, string(answer), sqlrow.Micros(tx.unit.Now)); err != nil {
		return fmt.Errorf("store idempotency key: %w", err)
	}
	return nil
}

// deleteOldKeys deletes expired keys.
func (tx *txState) deleteOldKeys() error {
	return tx.exec(`DELETE FROM idempotency WHERE (actor, key) IN (SELECT actor, key FROM idempotency WHERE at <= ? LIMIT ?)`,
		sqlrow.Micros(tx.unit.Now.Add(-store.IdempotencyTTL)), sqlrow.SweepSize)
}

// AddAudit implements store.Store.
func (s *Store) AddAudit(ctx context.Context, row store.AuditRow) error {
	return s.write(ctx, "add audit row", row.At, func(tx *txState) error {
		var one valuesBuilder
		one.add(0, row.Actor, row.Action, row.Detail, sqlrow.Micros(row.At))
		return tx.insert(insertAudit, &one)
	})
}

// Audit implements store.Store.
func (s *Store) Audit(ctx context.Context, before string, n int) ([]store.AuditEntry, error) {
	const query = `SELECT a.n, coalesce(t.id, ''), coalesce(t.line, ''), coalesce(t.area, ''), a.actor, a.action, a.detail, a.at
		FROM audit a LEFT JOIN conversations t ON t.n = a.conversation WHERE a.n < ? ORDER BY a.n DESC LIMIT ?`
	from, err := strconv.ParseInt(before, 10, 64)
	if err != nil {
		from = 1<<63 - 1
	}
	var out []store.AuditEntry
	err = s.read(ctx, "list audit", func(q querier) error {
		return eachRow(q, query, []any{from, sqlrow.Limit(n)}, func(rows *sql.Rows) error {
			var e store.AuditEntry
			var number, at int64
			if err := rows.Scan(&number, &e.Conversation, &e.Line, &e.Area, &e.Actor, &e.Action, &e.Detail, &at); err != nil {
				return err
			}
			e.Cursor, e.At = strconv.FormatInt(number, 10), instant(at)
			out = append(out, e)
			return nil
		})
	})
	return out, err
}

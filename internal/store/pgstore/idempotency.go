package pgstore

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

const (
	// takeKey waits for a transaction with the same key. It returns no row if the key was
	// used already.
	takeKey = `INSERT INTO psi_router.idempotency (actor, key, hash, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (actor, key) DO UPDATE SET hash = excluded.hash, answer = '', at = excluded.at
		WHERE idempotency.at <= $5 RETURNING actor`
	findKey       = `SELECT hash, answer FROM psi_router.idempotency WHERE actor = $1 AND key = $2`
	updateAnswer  = `UPDATE psi_router.idempotency SET answer = $3 WHERE actor = $1 AND key = $2`
	deleteOldKeys = `DELETE FROM psi_router.idempotency WHERE (actor, key) IN
		(SELECT actor, key FROM psi_router.idempotency WHERE at <= $1 LIMIT $2)`
)

// storedAnswer is what is stored under a key.
type storedAnswer struct{ hash, answer string }

// queueIdempotency takes the key of a command, or reads its stored answer.
func (locks *lockSet) queueIdempotency(b *pgx.Batch, l *loaded) {
	if locks.Idempotency == nil {
		return
	}
	mine := false
	queue(b, takeKey, locks.Actor, locks.Idempotency.Key, locks.Idempotency.Hash, stamp(locks.Now), stamp(locks.Now.Add(-store.IdempotencyTTL))).
		Query(eachRow(func(rows pgx.Rows) error {
			mine = true
			var actor string
			return scan(rows, &actor)
		}))
	queue(b, findKey, locks.Actor, locks.Idempotency.Key).Query(eachRow(func(rows pgx.Rows) error {
		var k storedAnswer
		err := scan(rows, &k.hash, &k.answer)
		if !mine {
			l.storedAnswer = &k
		}
		return err
	}))
}

// storeAnswer stores the answer of a command.
func (tx *txState) storeAnswer(cmd store.Command, done store.CommandResult) {
	if cmd.Idempotency == nil {
		return
	}
	answer := string(cmd.Idempotency.Answer(done.Conversation, done.Message))
	tx.afterFlush = func(b *pgx.Batch) { queue(b, updateAnswer, cmd.Actor, cmd.Idempotency.Key, answer) }
}

// AddAudit implements store.Store.
func (s *Store) AddAudit(ctx context.Context, row store.AuditRow) error {
	return wrap("add audit row", s.writeDirect(ctx, func(b *pgx.Batch) {
		queue(b, insertAudit, []int64{0}, []string{row.Actor}, []string{row.Action}, []string{row.Detail}, []pgtype.Timestamptz{stamp(row.At)})
	}))
}

// Audit implements store.Store.
func (s *Store) Audit(ctx context.Context, before string, n int) ([]store.AuditEntry, error) {
	const query = `SELECT a.n, coalesce(t.id, ''), coalesce(t.line, ''), coalesce(t.area, ''), a.actor, a.action, a.detail, a.at
		FROM (SELECT * FROM psi_router.audit WHERE n < $1 ORDER BY n DESC LIMIT $2) a
		LEFT JOIN psi_router.conversations t ON t.n = a.conversation ORDER BY a.n DESC`
	from, err := strconv.ParseInt(before, 10, 64)
	if err != nil {
		from = 1<<63 - 1
	}
	var out []store.AuditEntry
	err = s.read(ctx, "list audit", func(r *reader) error {
		return r.askLast(func(b *pgx.Batch) {
			queue(b, query, from, sqlrow.Limit(n)).Query(eachRow(func(rows pgx.Rows) error {
				var e store.AuditEntry
				var number int64
				var at pgtype.Timestamptz
				err := scan(rows, &number, &e.Conversation, &e.Line, &e.Area, &e.Actor, &e.Action, &e.Detail, &at)
				e.Cursor, e.At = strconv.FormatInt(number, 10), instant(at)
				out = append(out, e)
				return err
			}))
		})
	})
	return out, err
}

// queueDeleteOldKeys deletes expired keys.
func queueDeleteOldKeys(b *pgx.Batch, now time.Time) {
	queue(b, deleteOldKeys, stamp(now.Add(-store.IdempotencyTTL)), 10*sqlrow.SweepSize)
}

package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

const (
	// lockScan is the lock of those who scan events for endpoints; see lockMigrate.
	lockScan = 0x7073692d726f7404
	// lockCursors is shared by those who move cursors, and exclusive for those who note
	// lags. So the second one sees what the first one did: an event that is not noted,
	// because its conversation lags already, keeps it lagging.
	lockCursors = 0x7073692d726f7405

	// selectPendingEvents begins, in a conversation without a cursor, behind its last event
	// from before the endpoint. New events are the last, so that one is found at once.
	selectPendingEvents = `SELECT e.conversation, e.seq, e.id, e.type, e.created_at, e.data::text, coalesce(b.first_pos + e.i, 0)
		FROM psi_router.endpoints n CROSS JOIN unnest($2::text[]) WITH ORDINALITY u (conversation, i)
		LEFT JOIN psi_router.cursors k ON k.endpoint = n.name AND k.conversation = u.conversation
		CROSS JOIN LATERAL (SELECT coalesce(k.seq, (
			SELECT x.seq FROM psi_router.events x JOIN psi_router.batches y ON y.n = x.batch
			WHERE x.conversation = u.conversation AND y.first_pos + x.i <= n.start ORDER BY x.seq DESC LIMIT 1), 0)) f (seq)
		CROSS JOIN LATERAL (SELECT * FROM psi_router.events e WHERE e.conversation = u.conversation AND e.seq > f.seq
			ORDER BY e.seq LIMIT $3) e
		JOIN psi_router.batches b ON b.n = e.batch
		WHERE n.name = $1 ORDER BY u.i, e.seq`
	// moveCursors touches no index unless a lag was noted. A noted conversation lags for as
	// long as it has an event above the cursor.
	moveCursors = `INSERT INTO psi_router.cursors (endpoint, conversation, seq)
		SELECT $1, u.conversation, u.seq FROM unnest($2::text[], $3::bigint[]) u (conversation, seq)
		ON CONFLICT (endpoint, conversation) DO UPDATE SET seq = excluded.seq,
			since = CASE WHEN cursors.since IS NOT NULL AND EXISTS (
				SELECT FROM psi_router.events e WHERE e.conversation = cursors.conversation AND e.seq > excluded.seq) THEN cursors.since END
		WHERE cursors.seq < excluded.seq`
	// noteLags adds cursors that begin before the first wanted event. It leaves lagging
	// ones alone: an endpoint that is away for long costs no writes.
	noteLags = `INSERT INTO psi_router.cursors (endpoint, conversation, seq, since)
		SELECT $1, u.conversation, u.first - 1, u.since
		FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[]) u (conversation, first, last, since)
		LEFT JOIN LATERAL (SELECT since IS NOT NULL OR seq >= u.last FROM psi_router.cursors
			WHERE endpoint = $1 AND conversation = u.conversation LIMIT 1) k (noted) ON true
		WHERE k.noted IS NOT true
		ON CONFLICT (endpoint, conversation) DO UPDATE SET since = excluded.since`
	// pruneCursors keeps cursors that lag, and those with unscanned events. A cursor that
	// moves meanwhile is compared with its new position.
	pruneCursors = `WITH page AS (
			SELECT conversation FROM psi_router.cursors WHERE endpoint = $1 AND conversation > $2 ORDER BY conversation LIMIT $3),
		gone AS (
			DELETE FROM psi_router.cursors k USING psi_router.endpoints n, page p LEFT JOIN LATERAL (
				SELECT e.seq, y.first_pos + e.i FROM psi_router.events e JOIN psi_router.batches y ON y.n = e.batch
				WHERE e.conversation = p.conversation ORDER BY e.seq DESC LIMIT 1) l (seq, pos) ON true
			WHERE n.name = $1 AND k.endpoint = n.name AND k.conversation = p.conversation AND k.since IS NULL
				AND (l.seq IS NULL OR k.seq <= l.seq AND l.pos <= n.start)
			RETURNING k.conversation)
		SELECT (SELECT count(*) FROM gone), count(*), coalesce(max(conversation), '') FROM page`
)

// RegisterEndpoint implements store.Subscriptions.
func (s *Store) RegisterEndpoint(ctx context.Context, now time.Time, endpoint string) error {
	now = s.serverTime(now)
	return wrap("register endpoint", s.writeDirect(ctx, func(b *pgx.Batch) {
		queue(b, `INSERT INTO psi_router.endpoints (name, start, walked, created_at) SELECT $1, v, v, $2
			FROM (SELECT coalesce((SELECT value FROM psi_router.counters WHERE name = 'numbered'), 0) v) x
			ON CONFLICT (name) DO NOTHING`, endpoint, stamp(now))
	}))
}

// PendingEvents implements store.Subscriptions. It numbers events that were just committed,
// so that they need not wait for the pump.
func (s *Store) PendingEvents(ctx context.Context, endpoint string, conversations []string, n int) ([]store.Event, error) {
	if len(conversations) == 0 {
		return nil, nil
	}
	out, unnumbered, err := s.pendingEvents(ctx, endpoint, conversations, n)
	if err != nil || !unnumbered {
		return out, err
	}
	if err := s.numberCommitted(ctx); err != nil {
		return nil, wrap("number events", err)
	}
	out, _, err = s.pendingEvents(ctx, endpoint, conversations, n)
	return out, err
}

func (s *Store) pendingEvents(ctx context.Context, endpoint string, conversations []string, n int) (out []store.Event, unnumbered bool, err error) {
	err = s.read(ctx, "list pending events", func(r *reader) error {
		r.genericPlan = true
		return r.askLast(func(b *pgx.Batch) {
			queue(b, selectPendingEvents, endpoint, conversations, sqlrow.Limit(n)).Query(eachRow(func(rows pgx.Rows) error {
				var e store.Event
				var at pgtype.Timestamptz
				var data []byte
				if err := scan(rows, &e.Conversation, &e.Seq, &e.ID, &e.Type, &at, &data, &e.Pos); err != nil {
					return err
				}
				e.CreatedAt, e.Data = instant(at), data
				unnumbered = unnumbered || e.Pos == 0
				out = append(out, e)
				return nil
			}))
		})
	})
	return out, unnumbered, err
}

// numberCommitted numbers committed events, unless another process is doing it.
func (s *Store) numberCommitted(ctx context.Context) error {
	return s.transactWithTimeout(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		mine, err := s.tryExclusive(ctx, c, lockPump)
		if err != nil || !mine {
			return err
		}
		b := &pgx.Batch{}
		queue(b, numberEvents, maxBatches)
		s.checkLimit(b, sqlrow.NumberedCounter)
		return s.commit(ctx, c, b, true)
	})
}

// tryExclusive begins a transaction that one process at a time has.
func (s *Store) tryExclusive(ctx context.Context, c *pgxpool.Conn, lock int64) (mine bool, err error) {
	b := &pgx.Batch{}
	s.begin(b)
	queue(b, `SELECT pg_try_advisory_xact_lock($1)`, lock).QueryRow(func(row pgx.Row) error { return scan(row, &mine) })
	return mine, sendBatch(ctx, c, b)
}

// AdvanceCursors implements store.Subscriptions.
func (s *Store) AdvanceCursors(ctx context.Context, endpoint string, cursors []store.Cursor) error {
	if len(cursors) == 0 {
		return nil
	}
	return wrap("advance cursors", s.writeDirect(ctx, func(b *pgx.Batch) { queueAdvanceCursors(b, endpoint, cursors) }))
}

func queueAdvanceCursors(b *pgx.Batch, endpoint string, cursors []store.Cursor) {
	rows := sqlrow.LatestCursors(cursors)
	queue(b, `SELECT pg_advisory_xact_lock_shared($1)`, int64(lockCursors))
	queue(b, moveCursors, endpoint,
		col(rows, func(c store.Cursor) string { return c.Conversation }),
		col(rows, func(c store.Cursor) int64 { return c.Seq }))
}

// ScanBacklog implements store.EventBacklog.
func (s *Store) ScanBacklog(ctx context.Context, endpoint string, filter store.EventFilter) (done store.ScanResult, err error) {
	err = s.transactWithTimeout(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		done = store.ScanResult{}
		mine, err := s.tryExclusive(ctx, c, lockScan)
		if err != nil || !mine {
			done.HeldElsewhere = true
			return err
		}
		page, err := nextScanPage(ctx, c, endpoint, filter.ByTypeOnly())
		if err != nil || len(page) == 0 {
			return err
		}
		b := &pgx.Batch{}
		queue(b, asyncCommit) // a lost page is scanned again
		if lags := sqlrow.CursorLags(page, filter); len(lags) > 0 {
			queue(b, `SELECT pg_advisory_xact_lock($1)`, int64(lockCursors))
			queue(b, noteLags, endpoint,
				col(lags, func(l sqlrow.CursorLag) string { return l.Conversation }),
				col(lags, func(l sqlrow.CursorLag) int64 { return l.First }),
				col(lags, func(l sqlrow.CursorLag) int64 { return l.Last }),
				col(lags, func(l sqlrow.CursorLag) pgtype.Timestamptz { return stamp(l.Since) }))
		}
		queue(b, `UPDATE psi_router.endpoints SET walked = $2 WHERE name = $1`, endpoint, page[len(page)-1].Pos)
		done.More = len(page) == sqlrow.ScanSize
		return s.commit(ctx, c, b, false)
	})
	return done, wrap("scan backlog", err)
}

// nextScanPage reads the events that were not scanned yet; plain leaves out their content.
// An unknown endpoint gets no page.
func nextScanPage(ctx context.Context, c *pgxpool.Conn, endpoint string, plain bool) (page []store.Event, err error) {
	data := `e.data::text`
	if plain {
		data = `''`
	}
	b := &pgx.Batch{}
	queue(b, eventsAfter(`(SELECT walked FROM psi_router.endpoints WHERE name = $1)`, data), endpoint, sqlrow.ScanSize).Query(eachRow(func(rows pgx.Rows) error {
		e, err := scanEvent(rows)
		page = append(page, e)
		return err
	}))
	return page, sendBatch(ctx, c, b)
}

// LaggingConversations implements store.EventBacklog.
func (s *Store) LaggingConversations(ctx context.Context, endpoint string, after store.Lagging, until time.Time, n int) ([]store.Lagging, error) {
	until = s.serverTime(until)
	const query = `SELECT conversation, since FROM psi_router.cursors
		WHERE endpoint = $1 AND since IS NOT NULL AND (since, conversation) > ($2, $3) AND since <= $4
		ORDER BY since, conversation LIMIT $5`
	var out []store.Lagging
	err := s.read(ctx, "list lagging conversations", func(r *reader) error {
		return r.askLast(func(b *pgx.Batch) {
			queue(b, query, endpoint, orEpoch(after.Since), after.Conversation, stamp(until), n).Query(eachRow(func(rows pgx.Rows) error {
				var row store.Lagging
				var since pgtype.Timestamptz
				err := scan(rows, &row.Conversation, &since)
				row.Since = instant(since)
				out = append(out, row)
				return err
			}))
		})
	})
	return out, err
}

// PruneCursors implements store.EventBacklog.
func (s *Store) PruneCursors(ctx context.Context, endpoint, after string) (done store.PruneResult, err error) {
	err = s.writeDirect(ctx, func(b *pgx.Batch) {
		if after == "" {
			queue(b, `UPDATE psi_router.endpoints SET start = walked WHERE name = $1 AND start < walked`, endpoint)
		}
		queue(b, pruneCursors, endpoint, after, sqlrow.SweepSize).QueryRow(func(row pgx.Row) error {
			var n int
			err := scan(row, &done.Removed, &n, &done.Next)
			if n < sqlrow.SweepSize {
				done.Next = ""
			}
			return err
		})
	})
	return done, wrap("prune cursors", err)
}

// Backlogs implements store.EventBacklog.
func (s *Store) Backlogs(ctx context.Context, endpoints []string) (map[string]store.Backlog, error) {
	const query = `SELECT n.name, (SELECT since FROM psi_router.cursors WHERE endpoint = n.name AND since IS NOT NULL ORDER BY since LIMIT 1),
			(SELECT count(*) FROM (SELECT FROM psi_router.cursors WHERE endpoint = n.name AND since IS NOT NULL LIMIT $2) x)
		FROM unnest($1::text[]) n (name)`
	out := map[string]store.Backlog{}
	err := s.read(ctx, "count backlogs", func(r *reader) error {
		return r.askLast(func(b *pgx.Batch) {
			queue(b, query, endpoints, store.MaxBacklogCount).Query(eachRow(func(rows pgx.Rows) error {
				var name string
				var oldest pgtype.Timestamptz
				var l store.Backlog
				err := scan(rows, &name, &oldest, &l.Conversations)
				if l.Oldest = instant(oldest); l.Conversations > 0 {
					out[name] = l
				}
				return err
			}))
		})
	})
	return out, err
}

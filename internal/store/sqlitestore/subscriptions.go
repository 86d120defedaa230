package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// RegisterEndpoint implements store.Subscriptions.
func (s *Store) RegisterEndpoint(ctx context.Context, now time.Time, endpoint string) error {
	return s.writeDirect(ctx, "register endpoint", func(q querier) error {
		const last = `(SELECT coalesce(max(pos), 0) FROM events)`
		_, err := q.Exec(`INSERT INTO endpoints (name, start, walked, created_at) VALUES (?, `+last+`, `+last+`, ?) ON CONFLICT DO NOTHING`,
			endpoint, sqlrow.Micros(now))
		return err
	})
}

// PendingEvents implements store.Subscriptions.
func (s *Store) PendingEvents(ctx context.Context, endpoint string, conversations []string, n int) ([]store.Event, error) {
	var out []store.Event
	err := s.read(ctx, "list pending events", func(q querier) error {
		var start int64
		if known, err := q.Row(`SELECT start FROM endpoints WHERE name = ?`, []any{endpoint}, &start); err != nil || !known {
			return err
		}
		for _, id := range conversations {
			seq, err := cursorSeq(q, endpoint, id, start)
			if err != nil {
				return err
			}
			const query = `SELECT pos, id, conversation, type, seq, created_at, data FROM events
				WHERE conversation = ? AND seq > ? ORDER BY seq LIMIT ?`
			err = eachRow(q, query, []any{id, seq, sqlrow.Limit(n)}, func(rows *sql.Rows) error {
				e, err := scanEvent(rows)
				out = append(out, e)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// cursorSeq returns how far an endpoint is in a conversation. Without a cursor it is behind
// the last event from before the endpoint. New events are the last, so that one is found at
// once.
func cursorSeq(q querier, endpoint, id string, start int64) (seq int64, err error) {
	found, err := q.Row(`SELECT seq FROM cursors WHERE endpoint = ? AND conversation = ?`, []any{endpoint, id}, &seq)
	if err != nil || found {
		return seq, err
	}
	_, err = q.Row(`SELECT seq FROM events WHERE conversation = ? AND +pos <= ? ORDER BY seq DESC LIMIT 1`, []any{id, start}, &seq)
	return seq, err
}

// AdvanceCursors implements store.Subscriptions.
func (s *Store) AdvanceCursors(ctx context.Context, endpoint string, cursors []store.Cursor) error {
	if len(cursors) == 0 {
		return nil
	}
	return s.writeDirect(ctx, "advance cursors", func(q querier) error {
		var all valuesBuilder
		for _, c := range sqlrow.LatestCursors(cursors) {
			all.add(endpoint, c.Conversation, c.Seq)
		}
		return (&txState{q: q}).insert(moveCursors, &all)
	})
}

// ScanBacklog implements store.EventBacklog.
func (s *Store) ScanBacklog(ctx context.Context, endpoint string, filter store.EventFilter) (store.ScanResult, error) {
	idle := false
	// Most rounds have nothing to do, and do not use the writer.
	err := s.read(ctx, "scan backlog", func(q querier) error {
		found, err := q.Row(`SELECT 1 FROM endpoints WHERE name = ? AND walked < (SELECT coalesce(max(pos), 0) FROM events)`, []any{endpoint}, new(int))
		idle = !found
		return err
	})
	if err != nil || idle {
		return store.ScanResult{}, err
	}
	var done store.ScanResult
	err = s.writeDirect(ctx, "scan backlog", func(q querier) error {
		done = store.ScanResult{}
		var walked int64
		if known, err := q.Row(`SELECT walked FROM endpoints WHERE name = ?`, []any{endpoint}, &walked); err != nil || !known {
			return err
		}
		query := `SELECT pos, id, conversation, type, seq, created_at, data FROM events WHERE pos > ? ORDER BY pos LIMIT ?`
		if filter.ByTypeOnly() {
			query = `SELECT pos, id, conversation, type, seq, created_at, '' FROM events WHERE pos > ? ORDER BY pos LIMIT ?`
		}
		var list []store.Event
		err := eachRow(q, query, []any{walked, sqlrow.ScanSize}, func(rows *sql.Rows) error {
			e, err := scanEvent(rows)
			list = append(list, e)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		var all valuesBuilder
		for _, l := range sqlrow.CursorLags(list, filter) {
			var noted bool
			const query = `SELECT since > 0 OR seq >= ? FROM cursors WHERE endpoint = ? AND conversation = ?`
			if _, err := q.Row(query, []any{l.Last, endpoint, l.Conversation}, &noted); err != nil {
				return err
			}
			if !noted {
				all.add(endpoint, l.Conversation, l.First-1, sqlrow.Micros(l.Since))
			}
		}
		if err := (&txState{q: q}).insert(noteLags, &all); err != nil {
			return err
		}
		done.More = len(list) == sqlrow.ScanSize
		_, err = q.Exec(`UPDATE endpoints SET walked = ? WHERE name = ?`, list[len(list)-1].Pos, endpoint)
		return err
	})
	return done, err
}

// LaggingConversations implements store.EventBacklog.
func (s *Store) LaggingConversations(ctx context.Context, endpoint string, after store.Lagging, until time.Time, n int) ([]store.Lagging, error) {
	const query = `SELECT conversation, since FROM cursors
		WHERE endpoint = ? AND since > 0 AND (since, conversation) > (?, ?) AND since <= ? ORDER BY since, conversation LIMIT ?`
	var out []store.Lagging
	err := s.read(ctx, "list lagging conversations", func(q querier) error {
		return eachRow(q, query, []any{endpoint, sqlrow.Micros(after.Since), after.Conversation, sqlrow.Micros(until), n}, func(rows *sql.Rows) error {
			var row store.Lagging
			var since int64
			err := rows.Scan(&row.Conversation, &since)
			row.Since = instant(since)
			out = append(out, row)
			return err
		})
	})
	return out, err
}

// PruneCursors implements store.EventBacklog.
func (s *Store) PruneCursors(ctx context.Context, endpoint, after string) (done store.PruneResult, err error) {
	err = s.writeDirect(ctx, "prune cursors", func(q querier) error {
		if after == "" {
			if _, err := q.Exec(`UPDATE endpoints SET start = walked WHERE name = ? AND start < walked`, endpoint); err != nil {
				return err
			}
		}
		const nth = `SELECT conversation FROM cursors WHERE endpoint = ? AND conversation > ? ORDER BY conversation LIMIT 1 OFFSET ?`
		done = store.PruneResult{}
		more, err := q.Row(nth, []any{endpoint, after, sqlrow.SweepSize - 1}, &done.Next)
		if err != nil {
			return err
		}
		// It keeps cursors that lag, and those with unscanned events.
		query := `DELETE FROM cursors WHERE endpoint = ? AND conversation > ? AND since = 0
			AND coalesce((SELECT pos FROM events e WHERE e.conversation = cursors.conversation ORDER BY e.seq DESC LIMIT 1), 0)
				<= (SELECT start FROM endpoints WHERE name = cursors.endpoint)`
		args := []any{endpoint, after}
		if more {
			query, args = query+` AND conversation <= ?`, append(args, done.Next)
		}
		r, err := q.Exec(query, args...)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		done.Removed = int(n)
		return err
	})
	return done, err
}

// Backlogs implements store.EventBacklog.
func (s *Store) Backlogs(ctx context.Context, endpoints []string) (map[string]store.Backlog, error) {
	out := map[string]store.Backlog{}
	err := s.read(ctx, "count backlogs", func(q querier) error {
		for _, name := range endpoints {
			var oldest int64
			var l store.Backlog
			found, err := q.Row(`SELECT since FROM cursors WHERE endpoint = ? AND since > 0 ORDER BY since LIMIT 1`, []any{name}, &oldest)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			const count = `SELECT count(*) FROM (SELECT 1 FROM cursors WHERE endpoint = ? AND since > 0 LIMIT ?)`
			if _, err := q.Row(count, []any{name, store.MaxBacklogCount}, &l.Conversations); err != nil {
				return err
			}
			l.Oldest = instant(oldest)
			out[name] = l
		}
		return nil
	})
	return out, err
}

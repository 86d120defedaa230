package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// errEnough ends the reading of rows.
var errEnough = errors.New("enough")

// Pump implements store.Store.
func (s *Store) Pump(ctx context.Context, now time.Time) (store.PumpResult, error) {
	var out store.PumpResult
	err := s.write(ctx, "pump", now, func(tx *txState) error {
		out = store.PumpResult{}
		if err := tx.numberEvents(&out); err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		if err := tx.exec(`DELETE FROM parked WHERE (provider_id, line, person, status) IN
			(SELECT provider_id, line, person, status FROM parked WHERE expires_at <= ? LIMIT ?)`, sqlrow.Micros(now), sqlrow.SweepSize); err != nil {
			return fmt.Errorf("expire parked reports: %w", err)
		}
		if err := tx.deleteOldKeys(); err != nil {
			return fmt.Errorf("delete old keys: %w", err)
		}
		if _, err := tx.q.Row(`SELECT 1 FROM messages WHERE notice > '' AND notice <> '' AND status = 'queued' AND attempts = 0 LIMIT 1`, nil, &out.NoticesPending); err != nil {
			return fmt.Errorf("find notices: %w", err)
		}
		if _, err := tx.q.Row(`SELECT 1 FROM timers WHERE kind = ? AND due <= ? LIMIT 1`, []any{sqlrow.TimerLeft, sqlrow.Micros(now)}, &out.ApologiesDue); err != nil {
			return fmt.Errorf("find due apologies: %w", err)
		}
		return tx.fireTimers(&out)
	})
	if err != nil {
		return store.PumpResult{}, err
	}
	if err := s.findStalledSends(ctx, now, &out); err != nil {
		return store.PumpResult{}, err // the next sweep finds the replies of the timers
	}
	if err := s.findStalledFiles(ctx, now, &out); err != nil {
		return store.PumpResult{}, err
	}
	return out, nil
}

// numberEvents gives positions to earlier commits.
func (tx *txState) numberEvents(out *store.PumpResult) error {
	var last, numbered int64
	if _, err := tx.q.Row(`SELECT coalesce(max(pos), 0) FROM events`, nil, &last); err != nil {
		return err
	}
	if _, err := tx.q.Row(`SELECT value FROM meta WHERE name = ?`, []any{sqlrow.NumberedCounter}, &numbered); err != nil {
		return err
	}
	if last <= numbered {
		return nil
	}
	out.Numbered = int(last - numbered)
	tx.issued[sqlrow.NumberedCounter] = last
	return tx.exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		sqlrow.NumberedCounter, last)
}

func (tx *txState) fireTimers(out *store.PumpResult) error {
	now := tx.unit.Now
	n, err := tx.clearTimers(sqlrow.TimerHandoff)
	if err != nil {
		return err
	}
	out.More = n == sqlrow.SweepSize
	for _, conv := range tx.unit.Conversations {
		conv.ArmTimer = conv.TimeoutAt.After(now) // somebody wrote meanwhile
		fired, err := tx.unit.FireTimeout(conv)
		if err != nil {
			return fmt.Errorf("fire timer of %s: %w", conv.ID, err)
		}
		if fired {
			out.Timers++
		}
		if conv.Pending {
			out.Wakes = append(out.Wakes, store.Wake{Line: conv.Line, Conversation: conv.ID})
		}
	}
	return nil
}

// clearTimers loads the conversations with due timers of a kind, and clears the timers.
func (tx *txState) clearTimers(kind string) (int, error) {
	due := map[int64]bool{}
	err := eachRow(tx.q, `SELECT conversation FROM timers WHERE kind = ? AND due <= ? ORDER BY due LIMIT ?`, []any{kind, sqlrow.Micros(tx.unit.Now), sqlrow.SweepSize},
		func(rows *sql.Rows) error {
			var n int64
			err := rows.Scan(&n)
			due[n] = true
			return err
		})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	list := numbers(due)
	if err := tx.loadConversations(`t.n IN (SELECT value FROM json_each(?))`, list); err != nil {
		return 0, err
	}
	if err := tx.loadTicket(); err != nil {
		return 0, err
	}
	if err := tx.exec(`DELETE FROM timers WHERE kind = ? AND conversation IN (SELECT value FROM json_each(?))`, kind, list); err != nil {
		return 0, fmt.Errorf("clear timers: %w", err)
	}
	return len(due), nil
}

// Apologize implements store.Store.
func (s *Store) Apologize(ctx context.Context, now time.Time) (done int, err error) {
	err = s.write(ctx, "apologize", now, func(tx *txState) error {
		done = 0
		if _, err := tx.clearTimers(sqlrow.TimerLeft); err != nil {
			return err
		}
		for _, conv := range tx.unit.Conversations {
			if tx.unit.Apologize(conv) {
				done++
			}
		}
		return nil
	})
	return done, err
}

// findStalledSends adds the conversations whose rows have waited for long: their wake-up
// may have been lost.
func (s *Store) findStalledSends(ctx context.Context, now time.Time, out *store.PumpResult) error {
	const query = `SELECT m.since, m.n, c.line, c.id
		FROM messages m JOIN conversations c ON c.n = m.conversation
		WHERE m.status IN ('queued', 'sending') AND (m.notice = '' OR m.attempts > 0) AND (m.since, m.n) > (?, ?) AND m.since <= ?
		ORDER BY m.since, m.n LIMIT ?`
	seen := map[string]bool{}
	for _, k := range out.Wakes {
		seen[k.Conversation] = true
	}
	more, err := s.sweep(ctx, "find stalled sends", &s.sendScan, now, query, func(rows *sql.Rows, since, n *int64) error {
		var k store.Wake
		if err := rows.Scan(since, n, &k.Line, &k.Conversation); err != nil {
			return err
		}
		if !seen[k.Conversation] {
			seen[k.Conversation] = true
			out.Wakes = append(out.Wakes, k)
		}
		return nil
	})
	out.More = out.More || more
	return err
}

// sweep reads the next rows of a sweep; scan gets each row, and where to put its position.
func (s *Store) sweep(ctx context.Context, what string, walk *sqlrow.Sweep, now time.Time, query string, scan func(rows *sql.Rows, since, n *int64) error) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return walk.Step(now, func(next *sqlrow.Sweep) (found int, err error) {
		args := []any{sqlrow.Micros(next.Since), next.N, sqlrow.Micros(now.Add(-sqlrow.StalledAfter)), sqlrow.SweepSize}
		err = s.read(ctx, what, func(q querier) error {
			return eachRow(q, query, args, func(rows *sql.Rows) error {
				var since int64
				err := scan(rows, &since, &next.N)
				next.Since = instant(since)
				found++
				return err
			})
		})
		return found, err
	})
}

// UntriedNotices implements store.Store.
func (s *Store) UntriedNotices(ctx context.Context, limit int) ([]store.Notice, error) {
	var out []store.Notice
	err := s.read(ctx, "find notices", func(q querier) error {
		out = out[:0]
		for line := ""; ; {
			const next = `SELECT notice FROM messages WHERE notice > ? AND notice <> '' AND status = 'queued' AND attempts = 0 ORDER BY notice LIMIT 1`
			if found, err := q.Row(next, []any{line}, &line); err != nil || !found {
				return err
			}
			const oldest = `SELECT c.id, m.id FROM messages m JOIN conversations c ON c.n = m.conversation
				WHERE m.notice = ? AND m.notice <> '' AND m.status = 'queued' AND m.attempts = 0 ORDER BY m.since, m.n LIMIT ?`
			seen := map[string]bool{}
			err := eachRow(q, oldest, []any{line, store.NoticesAhead}, func(rows *sql.Rows) error {
				n := store.Notice{Wake: store.Wake{Line: line}}
				if err := rows.Scan(&n.Conversation, &n.MessageID); err != nil {
					return err
				}
				if !seen[n.Conversation] {
					seen[n.Conversation] = true
					out = append(out, n)
				}
				if len(seen) >= limit {
					return errEnough
				}
				return nil
			})
			if err != nil && !errors.Is(err, errEnough) {
				return err
			}
		}
	})
	return out, err
}

// findStalledFiles adds the files that have waited for long: their job may have been lost.
// The queue ignores jobs that it still has.
func (s *Store) findStalledFiles(ctx context.Context, now time.Time, out *store.PumpResult) error {
	const query = `SELECT m.created_at, m.n, m.id, c.line, m.media
		FROM messages m JOIN conversations c ON c.n = m.conversation
		WHERE instr(m.media, '"state":"pending"') > 0 AND (m.created_at, m.n) > (?, ?) AND m.created_at <= ?
		ORDER BY m.created_at, m.n LIMIT ?`
	more, err := s.sweep(ctx, "find stalled files", &s.fileScan, now, query, func(rows *sql.Rows, since, n *int64) error {
		var r store.MediaRef
		var media string
		if err := rows.Scan(since, n, &r.MessageID, &r.Line, &media); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(media), &r.Media); err != nil {
			return fmt.Errorf("media of message %s: %w", r.MessageID, err)
		}
		out.Media = append(out.Media, r)
		return nil
	})
	out.More = out.More || more
	return err
}

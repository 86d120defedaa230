package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	pumpSize        = 500
	stalledAfter    = time.Minute // after which a row is woken again
	scanPause       = time.Minute // between two walks over what is pending
	numberedCounter = "numbered"
)

// errEnough ends the reading of rows.
var errEnough = errors.New("enough")

// pendingScan is the walk over pending rows: each is found once in a round, however
// many there are, so that what is stuck cannot hide what was only forgotten.
type pendingScan struct {
	since     int64 // position: the row after (since, n)
	n         int64
	notBefore time.Time // no walk before this
}

// Pump implements store.Store.
func (s *Store) Pump(ctx context.Context, now time.Time) (store.PumpResult, error) {
	var out store.PumpResult
	err := s.write(ctx, "pump", now, func(tx *txState) error {
		out = store.PumpResult{}
		if err := tx.numberEvents(&out); err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		if err := tx.exec(`DELETE FROM parked WHERE (provider_id, line, person, status) IN
			(SELECT provider_id, line, person, status FROM parked WHERE expires_at <= ? LIMIT ?)`, micros(now), pumpSize); err != nil {
			return fmt.Errorf("expire parked reports: %w", err)
		}
		if err := tx.deleteOldKeys(); err != nil {
			return fmt.Errorf("forget keys: %w", err)
		}
		if _, err := tx.q.Row(`SELECT 1 FROM messages WHERE notice > '' AND notice <> '' AND status = 'queued' AND attempts = 0 LIMIT 1`, nil, &out.NoticesPending); err != nil {
			return fmt.Errorf("look for notices: %w", err)
		}
		if _, err := tx.q.Row(`SELECT 1 FROM timers WHERE kind = ? AND due <= ? LIMIT 1`, []any{timerLeft, micros(now)}, &out.ApologiesDue); err != nil {
			return fmt.Errorf("look for who was left: %w", err)
		}
		return tx.fireTimers(&out)
	})
	if err != nil {
		return store.PumpResult{}, err
	}
	if err := s.findStalledSends(ctx, now, &out); err != nil {
		return store.PumpResult{}, err // what the timers said will be found by the next walk
	}
	if err := s.findStalledFiles(ctx, now, &out); err != nil {
		return store.PumpResult{}, err
	}
	return out, nil
}

// numberEvents gives out the positions of what was committed before.
func (tx *txState) numberEvents(out *store.PumpResult) error {
	var last, numbered int64
	if _, err := tx.q.Row(`SELECT coalesce(max(pos), 0) FROM events`, nil, &last); err != nil {
		return err
	}
	if _, err := tx.q.Row(`SELECT value FROM meta WHERE name = ?`, []any{numberedCounter}, &numbered); err != nil {
		return err
	}
	if last <= numbered {
		return nil
	}
	out.Numbered = int(last - numbered)
	tx.issued[numberedCounter] = last
	return tx.exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		numberedCounter, last)
}

func (tx *txState) fireTimers(out *store.PumpResult) error {
	now := tx.unit.Now
	n, err := tx.clearTimers(timerHandoff)
	if err != nil {
		return err
	}
	out.More = n == pumpSize
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

// clearTimers loads the conversations whose timers of a kind are due, and clears those.
func (tx *txState) clearTimers(kind string) (int, error) {
	due := map[int64]bool{}
	err := eachRow(tx.q, `SELECT conversation FROM timers WHERE kind = ? AND due <= ? ORDER BY due LIMIT ?`, []any{kind, micros(tx.unit.Now), pumpSize},
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
		if _, err := tx.clearTimers(timerLeft); err != nil {
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

// findStalledSends adds the conversations whose rows have waited for long: their
// wake-up may have been lost.
func (s *Store) findStalledSends(ctx context.Context, now time.Time, out *store.PumpResult) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	position := &s.sendScan
	if now.Before(position.notBefore) && !position.notBefore.After(now.Add(scanPause)) {
		return nil
	}
	const query = `SELECT m.since, m.n, c.line, c.id
		FROM messages m JOIN conversations c ON c.n = m.conversation
		WHERE m.status IN ('queued', 'sending') AND (m.notice = '' OR m.attempts > 0) AND (m.since, m.n) > (?, ?) AND m.since <= ?
		ORDER BY m.since, m.n LIMIT ?`
	next, found, seen := *position, 0, map[string]bool{}
	for _, k := range out.Wakes {
		seen[k.Conversation] = true
	}
	err := s.read(ctx, "find forgotten sends", func(q querier) error {
		return eachRow(q, query, []any{next.since, next.n, micros(now.Add(-stalledAfter)), pumpSize}, func(rows *sql.Rows) error {
			var k store.Wake
			if err := rows.Scan(&next.since, &next.n, &k.Line, &k.Conversation); err != nil {
				return err
			}
			found++
			if !seen[k.Conversation] {
				seen[k.Conversation] = true
				out.Wakes = append(out.Wakes, k)
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case found == pumpSize:
		*position, out.More = next, true
	case found > 0 || position.since != 0:
		*position = pendingScan{notBefore: now.Add(scanPause)}
	}
	return nil
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

// findStalledFiles adds the files that have waited for long: their job may have been
// lost. The queue knows the jobs that it still has.
func (s *Store) findStalledFiles(ctx context.Context, now time.Time, out *store.PumpResult) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	position := &s.fileScan
	if now.Before(position.notBefore) && !position.notBefore.After(now.Add(scanPause)) {
		return nil
	}
	const query = `SELECT m.created_at, m.n, m.id, c.line, m.media
		FROM messages m JOIN conversations c ON c.n = m.conversation
		WHERE instr(m.media, '"state":"pending"') > 0 AND (m.created_at, m.n) > (?, ?) AND m.created_at <= ?
		ORDER BY m.created_at, m.n LIMIT ?`
	next, found := *position, 0
	err := s.read(ctx, "find forgotten files", func(q querier) error {
		return eachRow(q, query, []any{next.since, next.n, micros(now.Add(-stalledAfter)), pumpSize}, func(rows *sql.Rows) error {
			var r store.MediaRef
			var media string
			if err := rows.Scan(&next.since, &next.n, &r.MessageID, &r.Line, &media); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(media), &r.Media); err != nil {
				return fmt.Errorf("media of message %s: %w", r.MessageID, err)
			}
			found++
			out.Media = append(out.Media, r)
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case found == pumpSize:
		*position, out.More = next, true
	case found > 0 || position.since != 0:
		*position = pendingScan{notBefore: now.Add(scanPause)}
	}
	return nil
}

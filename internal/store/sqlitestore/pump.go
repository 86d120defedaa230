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
	pumpSize    = 500
	pendingFor  = time.Minute // after which a row is woken again
	sweepPause  = time.Minute // between two walks over what is pending
	numberedRow = "numbered"
)

// errEnough ends the reading of rows.
var errEnough = errors.New("enough")

// sweep is the walk over pending rows: each is found once in a round, however
// many there are, so that what is stuck cannot hide what was only forgotten.
type sweep struct {
	since int64 // position: the row after (since, n)
	n     int64
	rest  time.Time // no walk before this
}

// Pump implements store.Store.
func (s *Store) Pump(ctx context.Context, now time.Time) (store.PumpResult, error) {
	var out store.PumpResult
	err := s.write(ctx, "pump", now, func(p *page) error {
		out = store.PumpResult{}
		if err := p.numberEvents(&out); err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		if err := p.exec(`DELETE FROM parked WHERE (provider_id, line, person, status) IN
			(SELECT provider_id, line, person, status FROM parked WHERE expires_at <= ? LIMIT ?)`, micros(now), pumpSize); err != nil {
			return fmt.Errorf("expire parked reports: %w", err)
		}
		if err := p.forgetKeys(); err != nil {
			return fmt.Errorf("forget keys: %w", err)
		}
		if _, err := p.tx.Row(`SELECT 1 FROM messages WHERE notice > '' AND notice <> '' AND status = 'queued' AND attempts = 0 LIMIT 1`, nil, &out.NoticesPending); err != nil {
			return fmt.Errorf("look for notices: %w", err)
		}
		if _, err := p.tx.Row(`SELECT 1 FROM timers WHERE kind = ? AND due <= ? LIMIT 1`, []any{timerLeft, micros(now)}, &out.ApologiesDue); err != nil {
			return fmt.Errorf("look for who was left: %w", err)
		}
		return p.fireTimers(&out)
	})
	if err != nil {
		return store.PumpResult{}, err
	}
	if err := s.findForgotten(ctx, now, &out); err != nil {
		return store.PumpResult{}, err // what the timers said will be found by the next walk
	}
	if err := s.findFiles(ctx, now, &out); err != nil {
		return store.PumpResult{}, err
	}
	return out, nil
}

// numberEvents gives out the positions of what was committed before.
func (p *page) numberEvents(out *store.PumpResult) error {
	var last, numbered int64
	if _, err := p.tx.Row(`SELECT coalesce(max(pos), 0) FROM events`, nil, &last); err != nil {
		return err
	}
	if _, err := p.tx.Row(`SELECT value FROM meta WHERE name = ?`, []any{numberedRow}, &numbered); err != nil {
		return err
	}
	if last <= numbered {
		return nil
	}
	out.Numbered = int(last - numbered)
	p.given[numberedRow] = last
	return p.exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		numberedRow, last)
}

func (p *page) fireTimers(out *store.PumpResult) error {
	now := p.book.Now
	n, err := p.takeTimers(timerHandoff)
	if err != nil {
		return err
	}
	out.More = n == pumpSize
	for _, t := range p.book.Conversations {
		t.ArmTimer = t.TimeoutAt.After(now) // somebody wrote meanwhile
		fired, err := p.book.FireTimeout(t)
		if err != nil {
			return fmt.Errorf("fire timer of %s: %w", t.ID, err)
		}
		if fired {
			out.Timers++
		}
		if t.Pending {
			out.Wakes = append(out.Wakes, store.Wake{Line: t.Line, Conversation: t.ID})
		}
	}
	return nil
}

// takeTimers loads the conversations whose timers of a kind are due, and clears those.
func (p *page) takeTimers(kind string) (int, error) {
	due := map[int64]bool{}
	err := each(p.tx, `SELECT conversation FROM timers WHERE kind = ? AND due <= ? ORDER BY due LIMIT ?`, []any{kind, micros(p.book.Now), pumpSize},
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
	if err := p.loadTalks(`t.n IN (SELECT value FROM json_each(?))`, list); err != nil {
		return 0, err
	}
	if err := p.loadTicket(); err != nil {
		return 0, err
	}
	if err := p.exec(`DELETE FROM timers WHERE kind = ? AND conversation IN (SELECT value FROM json_each(?))`, kind, list); err != nil {
		return 0, fmt.Errorf("clear timers: %w", err)
	}
	return len(due), nil
}

// Apologize implements store.Store.
func (s *Store) Apologize(ctx context.Context, now time.Time) (done int, err error) {
	err = s.write(ctx, "apologize", now, func(p *page) error {
		done = 0
		if _, err := p.takeTimers(timerLeft); err != nil {
			return err
		}
		for _, t := range p.book.Conversations {
			if p.book.Apologize(t) {
				done++
			}
		}
		return nil
	})
	return done, err
}

// findForgotten adds the conversations whose rows have waited for long: their
// wake-up may have been lost.
func (s *Store) findForgotten(ctx context.Context, now time.Time, out *store.PumpResult) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.sweep
	if now.Before(w.rest) && !w.rest.After(now.Add(sweepPause)) {
		return nil
	}
	const query = `SELECT m.since, m.n, c.line, c.id
		FROM messages m JOIN conversations c ON c.n = m.conversation
		WHERE m.status IN ('queued', 'sending') AND (m.notice = '' OR m.attempts > 0) AND (m.since, m.n) > (?, ?) AND m.since <= ?
		ORDER BY m.since, m.n LIMIT ?`
	at, found, seen := *w, 0, map[string]bool{}
	for _, k := range out.Wakes {
		seen[k.Conversation] = true
	}
	err := s.read(ctx, "find forgotten sends", func(tx access) error {
		return each(tx, query, []any{at.since, at.n, micros(now.Add(-pendingFor)), pumpSize}, func(rows *sql.Rows) error {
			var k store.Wake
			if err := rows.Scan(&at.since, &at.n, &k.Line, &k.Conversation); err != nil {
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
		*w, out.More = at, true
	case found > 0 || w.since != 0:
		*w = sweep{rest: now.Add(sweepPause)}
	}
	return nil
}

// UntriedNotices implements store.Store.
func (s *Store) UntriedNotices(ctx context.Context, limit int) ([]store.Notice, error) {
	var out []store.Notice
	err := s.read(ctx, "find notices", func(tx access) error {
		out = out[:0]
		for line := ""; ; {
			const next = `SELECT notice FROM messages WHERE notice > ? AND notice <> '' AND status = 'queued' AND attempts = 0 ORDER BY notice LIMIT 1`
			if found, err := tx.Row(next, []any{line}, &line); err != nil || !found {
				return err
			}
			const oldest = `SELECT c.id, m.id FROM messages m JOIN conversations c ON c.n = m.conversation
				WHERE m.notice = ? AND m.notice <> '' AND m.status = 'queued' AND m.attempts = 0 ORDER BY m.since, m.n LIMIT ?`
			seen := map[string]bool{}
			err := each(tx, oldest, []any{line, store.NoticesAhead}, func(rows *sql.Rows) error {
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

// findFiles adds the files that have waited for long: their job may have been
// lost. The queue knows the jobs that it still has.
func (s *Store) findFiles(ctx context.Context, now time.Time, out *store.PumpResult) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.files
	if now.Before(w.rest) && !w.rest.After(now.Add(sweepPause)) {
		return nil
	}
	const query = `SELECT m.created_at, m.n, m.id, c.line, m.media
		FROM messages m JOIN conversations c ON c.n = m.conversation
		WHERE instr(m.media, '"state":"pending"') > 0 AND (m.created_at, m.n) > (?, ?) AND m.created_at <= ?
		ORDER BY m.created_at, m.n LIMIT ?`
	at, found := *w, 0
	err := s.read(ctx, "find forgotten files", func(tx access) error {
		return each(tx, query, []any{at.since, at.n, micros(now.Add(-pendingFor)), pumpSize}, func(rows *sql.Rows) error {
			var r store.MediaRef
			var media string
			if err := rows.Scan(&at.since, &at.n, &r.MessageID, &r.Line, &media); err != nil {
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
		*w, out.More = at, true
	case found > 0 || w.since != 0:
		*w = sweep{rest: now.Add(sweepPause)}
	}
	return nil
}

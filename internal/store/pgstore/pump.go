package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

const (
	parkedFor = time.Hour // see unit.Unit.ApplyReport

	maxBatches = 5000
	// numberEvents gives positions to what was committed before it began. Within a
	// conversation an earlier event has a lower n and was committed earlier.
	numberEvents = `WITH fresh AS (
			SELECT n, size FROM psi_router.batches WHERE first_pos IS NULL ORDER BY n LIMIT $1),
		placed AS (
			SELECT n, sum(size) OVER (ORDER BY n) - size AS before, sum(size) OVER () AS total FROM fresh),
		counted AS (
			INSERT INTO psi_router.counters (name, value) SELECT '` + sqlrow.NumberedCounter + `', total FROM placed LIMIT 1
			ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
			RETURNING value),
		done AS (
			UPDATE psi_router.batches b SET first_pos = counted.value - placed.total + placed.before + 1
			FROM placed, counted WHERE b.n = placed.n RETURNING size)
		SELECT coalesce(sum(size), 0)::bigint, count(*) FROM done`
	findOrphanedReports = `SELECT DISTINCT p.line, p.provider_id FROM (SELECT * FROM psi_router.parked WHERE expires_at > $1 OFFSET 0) p,
		LATERAL (SELECT conversation FROM psi_router.messages WHERE provider_id = p.provider_id AND direction = 'outbound' OFFSET 0) m,
		LATERAL (SELECT contact FROM psi_router.conversations WHERE n = m.conversation AND line = p.line OFFSET 0) t
		WHERE t.contact = coalesce((SELECT contact FROM psi_router.aliases WHERE alias = p.person), t.contact) LIMIT $2`
)

// Pump implements store.Store. One process at a time numbers events; the others leave the
// round to it.
func (s *Store) Pump(ctx context.Context, now time.Time) (store.PumpResult, error) {
	now = s.serverTime(now)
	var out store.PumpResult
	round, err := s.maintain(ctx, now)
	if err == nil && round != nil {
		out.Numbered, out.More, out.NoticesPending = round.numbered, round.batches == maxBatches, round.notices
		out.ApologiesDue = round.apologiesDue
		err = s.fireTimers(ctx, now, round.due, &out)
		if err == nil {
			err = s.applyOrphans(ctx, now, round.orphanedReports)
		}
		if err == nil { // the next sweep finds the replies of the timers
			err = s.findStalledSends(ctx, now, &out)
		}
		if err == nil {
			err = s.findStalledFiles(ctx, now, &out)
		}
	}
	if err != nil {
		return store.PumpResult{}, wrap("pump", err)
	}
	return out, nil
}

// pumpRound is the result of the housekeeping.
type pumpRound struct {
	numbered, batches     int
	due                   []int64 // conversations
	orphanedReports       []unit.ProviderID
	notices, apologiesDue bool
}

// maintain numbers events and deletes what has expired, under the lock of the pump; nil if
// another process has it.
func (s *Store) maintain(ctx context.Context, now time.Time) (round *pumpRound, err error) {
	err = s.transactWithTimeout(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		round = nil
		mine, err := s.tryExclusive(ctx, c, lockPump)
		if err != nil || !mine {
			return err
		}
		round = &pumpRound{}
		b := &pgx.Batch{}
		queue(b, numberEvents, maxBatches).QueryRow(func(row pgx.Row) error { return scan(row, &round.numbered, &round.batches) })
		s.checkLimit(b, sqlrow.NumberedCounter)
		queue(b, `DELETE FROM psi_router.parked WHERE (provider_id, line, person, status) IN
			(SELECT provider_id, line, person, status FROM psi_router.parked WHERE expires_at <= $1 LIMIT $2)`, stamp(now), 10*sqlrow.SweepSize)
		queueDeleteOldKeys(b, now)
		queueDue(b, sqlrow.TimerHandoff, now, &round.due)
		queue(b, `SELECT EXISTS (SELECT FROM psi_router.timers WHERE kind = $1 AND due <= $2)`, sqlrow.TimerLeft, stamp(now)).
			QueryRow(func(row pgx.Row) error { return scan(row, &round.apologiesDue) })
		queue(b, `SELECT EXISTS (SELECT FROM psi_router.pending WHERE NOT doubt AND notice <> '' AND NOT tried)`).
			QueryRow(func(row pgx.Row) error { return scan(row, &round.notices) })
		// A report and the answer to its post may have missed each other.
		queue(b, findOrphanedReports, stamp(now.Add(parkedFor-time.Minute)), sqlrow.SweepSize).
			Query(eachRow(func(rows pgx.Rows) error {
				var id unit.ProviderID
				err := scan(rows, &id.Line, &id.ID)
				round.orphanedReports = append(round.orphanedReports, id)
				return err
			}))
		return s.commit(ctx, c, b, true)
	})
	return round, err
}

// queueDue selects the conversations with due timers of a kind.
func queueDue(b *pgx.Batch, kind string, now time.Time, due *[]int64) {
	queue(b, `SELECT conversation FROM psi_router.timers WHERE kind = $1 AND due <= $2 ORDER BY due LIMIT $3`, kind, stamp(now), sqlrow.SweepSize).
		Query(eachRow(func(rows pgx.Rows) error {
			var n int64
			err := scan(rows, &n)
			*due = append(*due, n)
			return err
		}))
}

// fireTimers fires the timers of unlocked conversations; the others stay due.
func (s *Store) fireTimers(ctx context.Context, now time.Time, due []int64, out *store.PumpResult) error {
	if len(due) == 0 {
		return nil
	}
	var fired int
	var wakes []store.Wake
	cleared, err := s.clearTimers(ctx, now, sqlrow.TimerHandoff, due, func(tx *txState, due []*unit.ConversationRow) error {
		fired, wakes = 0, nil
		for _, conv := range due {
			conv.ArmTimer = conv.TimeoutAt.After(now) // somebody wrote meanwhile
			ok, err := tx.unit.FireTimeout(conv)
			if err != nil {
				return fmt.Errorf("fire timer of %s: %w", conv.ID, err)
			}
			if ok {
				fired++
			}
			if conv.Pending {
				wakes = append(wakes, store.Wake{Line: conv.Line, Conversation: conv.ID})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	out.Timers += fired
	out.Wakes = append(out.Wakes, wakes...)
	out.More = out.More || cleared > 0 && len(due) == sqlrow.SweepSize
	return nil
}

// clearTimers clears the timers of a kind of unlocked conversations, counts them, and calls
// do for what happens to each.
func (s *Store) clearTimers(ctx context.Context, now time.Time, kind string, due []int64, do func(*txState, []*unit.ConversationRow) error) (cleared int, err error) {
	err = s.write(ctx, &lockSet{ConversationKeys: due}, now, func(tx *txState) error {
		var done []int64
		var conversations []*unit.ConversationRow
		known := map[int64]bool{}
		for _, conv := range tx.conversations {
			known[conv.Row] = true
		}
		for _, n := range due {
			switch conv := tx.conversationByRow[n]; {
			case conv != nil:
				done, conversations = append(done, n), append(conversations, conv)
			case !known[n]:
				done = append(done, n) // it has no conversation
			}
		}
		cleared = len(done)
		tx.beforeFlush = func(b *pgx.Batch) {
			if len(done) > 0 {
				queue(b, `DELETE FROM psi_router.timers WHERE kind = $1 AND conversation = ANY ($2::bigint[])`, kind, done)
			}
		}
		return do(tx, conversations)
	})
	return cleared, err
}

// Apologize implements store.Store.
func (s *Store) Apologize(ctx context.Context, now time.Time) (done int, err error) {
	now = s.serverTime(now)
	var due []int64
	err = s.read(ctx, "find due apologies", func(r *reader) error {
		due = nil
		return r.askLast(func(b *pgx.Batch) { queueDue(b, sqlrow.TimerLeft, now, &due) })
	})
	if err == nil && len(due) > 0 {
		_, err = s.clearTimers(ctx, now, sqlrow.TimerLeft, due, func(tx *txState, due []*unit.ConversationRow) error {
			done = 0
			for _, conv := range due {
				if tx.unit.Apologize(conv) {
					done++
				}
			}
			return nil
		})
	}
	if err != nil {
		return 0, wrap("apologize", err)
	}
	return done, nil
}

// applyOrphans applies parked reports to messages that had no provider id yet when they
// came.
func (s *Store) applyOrphans(ctx context.Context, now time.Time, ids []unit.ProviderID) error {
	if len(ids) == 0 {
		return nil
	}
	_, parked := lineAndIDColumns(ids)
	locks := &lockSet{LoadSpec: unit.LoadSpec{ProviderIDs: ids}, ParkedProviderIDs: parked, loadMore: loadEarlierAnswers}
	return s.write(ctx, locks, now, func(tx *txState) error {
		for _, m := range tx.unit.Messages {
			if m.Direction == "outbound" && slices.Contains(ids, unit.ProviderID{Line: m.ConversationRow.Line, ID: m.ProviderID}) {
				tx.unit.ApplyResult(m, store.SendResult{Token: noToken, Status: store.Sent, ProviderID: m.ProviderID})
			}
		}
		return nil
	})
}

// noToken is no claim's token.
const noToken = "-"

// findStalledSends adds the conversations whose rows have waited for long: their wake-up
// may have been lost.
func (s *Store) findStalledSends(ctx context.Context, now time.Time, out *store.PumpResult) error {
	const query = `SELECT p.since, p.n, t.line, t.id
		FROM psi_router.pending p JOIN psi_router.conversations t ON t.n = p.conversation
		WHERE NOT p.doubt AND (p.notice = '' OR p.tried) AND (p.since, p.n) > ($1, $2) AND p.since <= $3
		ORDER BY p.since, p.n LIMIT $4`
	seen := map[string]bool{}
	for _, k := range out.Wakes {
		seen[k.Conversation] = true
	}
	more, err := s.sweep(ctx, "find stalled sends", &s.sendScan, now, query, func(rows pgx.Rows, since *pgtype.Timestamptz, n *int64) error {
		var k store.Wake
		if err := scan(rows, since, n, &k.Line, &k.Conversation); err != nil {
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

// sweep reads the next rows of a sweep; take gets each row, and where to put its position.
func (s *Store) sweep(ctx context.Context, what string, walk *sqlrow.Sweep, now time.Time, query string, take func(rows pgx.Rows, since *pgtype.Timestamptz, n *int64) error) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return walk.Step(now, func(next *sqlrow.Sweep) (found int, err error) {
		args := []any{orEpoch(next.Since), next.N, stamp(now.Add(-sqlrow.StalledAfter)), sqlrow.SweepSize}
		err = s.read(ctx, what, func(r *reader) error {
			return r.askLast(func(b *pgx.Batch) {
				queue(b, query, args...).Query(eachRow(func(rows pgx.Rows) error {
					var since pgtype.Timestamptz
					err := take(rows, &since, &next.N)
					next.Since = instant(since)
					found++
					return err
				}))
			})
		})
		return found, err
	})
}

// UntriedNotices implements store.Store.
func (s *Store) UntriedNotices(ctx context.Context, limit int) ([]store.Notice, error) {
	// From the oldest notice on, the next one of a conversation that is not among them yet.
	const query = `WITH RECURSIVE lines (line) AS (
			SELECT min(notice) FROM psi_router.pending WHERE NOT doubt AND notice <> '' AND NOT tried
			UNION ALL
			SELECT (SELECT min(notice) FROM psi_router.pending WHERE notice > line AND NOT doubt AND notice <> '' AND NOT tried)
			FROM lines WHERE line IS NOT NULL),
		found (line, conversation, since, n, seen) AS (
			SELECT l.line, p.conversation, p.since, p.n, ARRAY[p.conversation] FROM lines l,
				LATERAL (SELECT conversation, since, n FROM psi_router.pending
					WHERE notice = l.line AND NOT doubt AND notice <> '' AND NOT tried ORDER BY since, n LIMIT 1) p
			UNION ALL
			SELECT f.line, p.conversation, p.since, p.n, f.seen || p.conversation FROM found f,
				LATERAL (SELECT conversation, since, n FROM (SELECT conversation, since, n FROM psi_router.pending
						WHERE notice = f.line AND (since, n) > (f.since, f.n) AND NOT doubt AND notice <> '' AND NOT tried
						ORDER BY since, n LIMIT $2) w
					WHERE conversation <> ALL (f.seen) ORDER BY since, n LIMIT 1) p
			WHERE cardinality(f.seen) < $1)
		SELECT f.line, t.id, m.id FROM found f,
			LATERAL (SELECT id FROM psi_router.conversations WHERE n = f.conversation OFFSET 0) t,
			LATERAL (SELECT id FROM psi_router.messages WHERE conversation = f.conversation AND n = f.n OFFSET 0) m
		ORDER BY f.line, f.since, f.n`
	var out []store.Notice
	err := s.read(ctx, "find notices", func(r *reader) error {
		out = nil
		return r.askLast(func(b *pgx.Batch) {
			queue(b, query, limit, store.NoticesAhead).Query(eachRow(func(rows pgx.Rows) error {
				var n store.Notice
				err := scan(rows, &n.Line, &n.Conversation, &n.MessageID)
				out = append(out, n)
				return err
			}))
		})
	})
	return out, err
}

// findStalledFiles adds the files that have waited for long: their job may have been lost.
// The queue ignores jobs that it still has.
func (s *Store) findStalledFiles(ctx context.Context, now time.Time, out *store.PumpResult) error {
	const query = `SELECT m.created_at, m.n, m.id, t.line, m.media::text
		FROM psi_router.messages m JOIN psi_router.conversations t ON t.n = m.conversation
		WHERE m.media IS NOT NULL AND psi_router.fetching(m.media) AND (m.created_at, m.n) > ($1, $2) AND m.created_at <= $3
		ORDER BY m.created_at, m.n LIMIT $4`
	more, err := s.sweep(ctx, "find stalled files", &s.fileScan, now, query, func(rows pgx.Rows, since *pgtype.Timestamptz, n *int64) error {
		var f store.MediaRef
		var media []byte
		if err := scan(rows, since, n, &f.MessageID, &f.Line, &media); err != nil {
			return err
		}
		if err := json.Unmarshal(media, &f.Media); err != nil {
			return fmt.Errorf("media of message %s: %w", f.MessageID, err)
		}
		out.Media = append(out.Media, f)
		return nil
	})
	out.More = out.More || more
	return err
}

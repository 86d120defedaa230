package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Statuses implements store.Store.
func (s *Store) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	now = s.serverTime(now)
	rest := unit.FitArrivals(batch)
	if len(rest) == 0 {
		return nil
	}
	err := s.retryUntil(ctx, func(bool) (bool, error) {
		var left []inbound.Arrival
		locks := &lockSet{LoadSpec: s.set.ReportLoadSpec(rest)}
		if locks.Failures {
			locks.loadMore = loadEarlierAnswers
		}
		err := s.write(ctx, locks, now, func(tx *txState) error {
			left = left[:0]
			for i := range rest {
				if tx.lockedByOthers(s.set.ReportLoadSpec(rest[i : i+1])) {
					left = append(left, rest[i])
					continue
				}
				tx.unit.ApplyReport(&rest[i])
			}
			return nil
		})
		if err == nil {
			rest = left
		}
		return len(rest) > 0, err
	})
	return wrap("statuses", err)
}

// Command implements store.Store.
func (s *Store) Command(ctx context.Context, now time.Time, cmd store.Command) (store.CommandResult, error) {
	now = s.serverTime(now)
	locks := s.commandLocks(now, cmd)
	var done store.CommandResult
	err := s.retryUntil(ctx, func(bool) (left bool, err error) {
		err = s.write(ctx, locks, now, func(tx *txState) error {
			done, left = store.CommandResult{}, false
			if k := tx.storedAnswer; k != nil {
				if k.hash != cmd.Idempotency.Hash {
					return store.ErrKeyReused
				}
				done.Replayed = []byte(k.answer)
				return nil
			}
			conv, locked, err := tx.conversationFor(cmd)
			if left = locked; locked || err != nil {
				return err
			}
			m, err := tx.unit.Execute(conv, cmd)
			if err != nil {
				return err
			}
			if conv.New { // its cursor has its number
				if err := tx.assignKeys(); err != nil {
					return err
				}
			}
			done = tx.unit.CommandResult(conv, m, sqlrow.Cursor(conv.LastMessageAt, conv.Row))
			tx.storeAnswer(cmd, done)
			return nil
		})
		return left, err
	})
	if err != nil {
		return store.CommandResult{}, wrap("command "+string(cmd.Kind), err)
	}
	return done, nil
}

// commandLocks returns what a command locks and loads.
func (s *Store) commandLocks(now time.Time, cmd store.Command) *lockSet {
	locks := &lockSet{Idempotency: cmd.Idempotency, Actor: cmd.Actor, Now: now}
	if cmd.Draft != nil && cmd.Draft.Quotes != "" {
		locks.MessageIDs = []string{cmd.Draft.Quotes}
	}
	if cmd.To == nil {
		locks.ConversationIDs, locks.FollowMerged = []string{cmd.Conversation}, true
		return locks
	}
	locks.Aliases = s.set.RecipientAliases(*cmd.To)
	locks.AliasGroups, locks.NewConversations = [][]string{locks.Aliases}, 1
	return locks
}

// SaveMedia implements store.Store. No decision reads or writes a file, so it locks only
// the message's row.
func (s *Store) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	media.Inline = ""
	text, err := sqlrow.MediaJSON(&media)
	if err != nil {
		return fmt.Errorf("save media: %w", err)
	}
	changed := int64(0)
	err = s.writeDirect(ctx, func(b *pgx.Batch) {
		const query = `UPDATE psi_router.messages SET media = ($2::text[])[1]::json WHERE id = $1`
		queue(b, query, messageID, rawTexts{text}).Exec(func(tag pgconn.CommandTag) error {
			changed = tag.RowsAffected()
			return nil
		})
	})
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return wrap("save media", err)
}

package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// ClaimSends implements store.Store.
func (s *Store) ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]store.SendClaim, error) {
	if len(conversations) == 0 {
		return nil, nil
	}
	var claims []store.SendClaim
	err := s.write(ctx, "claim sends", now, func(tx *txState) error {
		claims = claims[:0]
		pending, err := tx.loadPending(conversations)
		if err != nil {
			return fmt.Errorf("load pending messages: %w", err)
		}
		done := map[string]bool{}
		for _, id := range conversations {
			rows := pending[id]
			if len(rows) == 0 || done[id] {
				continue
			}
			done[id] = true
			if c := tx.unit.Claim(rows[0].ConversationRow, rows, token); c != nil {
				claims = append(claims, *c)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claims, nil
}

// loadPending loads the pending messages of conversations, oldest first. A merged
// conversation's id has none: its rows leave by the other one's lane.
func (tx *txState) loadPending(ids []string) (map[string][]*unit.MessageRow, error) {
	if err := tx.loadConversations(`t.id IN (SELECT value FROM json_each(?))`, texts(ids)); err != nil {
		return nil, err
	}
	pending := map[string][]*unit.MessageRow{}
	const query = `SELECT ` + messageColumns + ` FROM messages m
		WHERE m.status IN ('queued', 'sending') AND m.conversation IN (SELECT value FROM json_each(?)) ORDER BY m.conversation, m.n`
	err := eachRow(tx.q, query, []any{numbers(tx.conversationByRow)}, func(rows *sql.Rows) error {
		m, err := scanMessage(rows)
		if err != nil {
			return err
		}
		m.ConversationRow = tx.conversationByRow[m.ConversationKey]
		tx.unit.AddMessage(&m.MessageRow)
		pending[m.ConversationRow.ID] = append(pending[m.ConversationRow.ID], &m.MessageRow)
		return nil
	})
	return pending, err
}

// RecordSends implements store.Store.
func (s *Store) RecordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]store.Recorded, error) {
	if len(results) == 0 {
		return nil, nil
	}
	results = unit.FitResults(results)
	var spec unit.LoadSpec
	var providerIDs []string
	for _, r := range results {
		spec.MessageIDs = append(spec.MessageIDs, r.MessageID)
		called := s.set.ResultLoadSpec(r)
		spec.Aliases, spec.KnownAliases = append(spec.Aliases, called.Aliases...), append(spec.KnownAliases, called.KnownAliases...)
		if r.ProviderID != "" {
			providerIDs = append(providerIDs, r.ProviderID)
		}
	}
	var recorded []store.Recorded
	err := s.write(ctx, "record sends", now, func(tx *txState) error {
		if err := tx.load(spec); err != nil {
			return err
		}
		if err := tx.loadParked(providerIDs); err != nil {
			return fmt.Errorf("load parked reports: %w", err)
		}
		for _, r := range results {
			if m := tx.unit.MessageByID(r.MessageID); m != nil {
				tx.unit.ApplyResult(m, r)
			}
		}
		// The rows that are written by then decide what is left.
		tx.afterFlush = func() (err error) {
			recorded, err = tx.moreToSend(results)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return recorded, nil
}

// moreToSend reports which conversations of the results have more to send.
func (tx *txState) moreToSend(results []store.SendResult) ([]store.Recorded, error) {
	ids := make([]string, len(results))
	for i, r := range results {
		ids[i] = r.Conversation
	}
	const query = `SELECT c.id FROM conversations c WHERE c.id IN (SELECT value FROM json_each(?))
		AND EXISTS (SELECT 1 FROM messages m WHERE m.conversation = c.n AND m.status IN ('queued', 'sending') AND m.notice = '')`
	waiting := map[string]bool{}
	err := eachRow(tx.q, query, []any{texts(ids)}, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		waiting[id] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find further rows: %w", err)
	}
	recorded := make([]store.Recorded, len(ids))
	for i, id := range ids {
		recorded[i].More = waiting[id]
	}
	return recorded, nil
}

package pgstore

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// ClaimSends implements store.Store.
func (s *Store) ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]store.SendClaim, error) {
	var ids []string
	asked := map[string]bool{}
	for _, id := range conversations {
		if !asked[id] {
			asked[id] = true
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var claims []store.SendClaim
	err := s.write(ctx, &lockSet{ConversationIDs: ids, WithPending: true}, s.serverTime(now), func(tx *txState) error {
		claims = claims[:0]
		pending := map[*unit.ConversationRow][]*unit.MessageRow{}
		for _, m := range tx.unit.Messages {
			pending[m.ConversationRow] = append(pending[m.ConversationRow], m)
		}
		for _, id := range ids {
			conv, locked, err := tx.findConversation(id)
			switch {
			case locked:
				claims = append(claims, store.SendClaim{Post: store.PostRow{Conversation: id}, Busy: true})
			case err != nil: // merged into another one, by whose lane its rows leave
			default:
				if c := tx.unit.Claim(conv, pending[conv], token); c != nil {
					claims = append(claims, *c)
				}
			}
		}
		return nil
	})
	if err == nil && len(claims) > 0 {
		if err = s.publishProgress(ctx); err != nil { // before any of them is posted
			s.unclaim(ctx, now, claims)
		}
	}
	if err != nil {
		return nil, wrap("claim sends", err)
	}
	return claims, nil
}

// unclaim returns claimed rows that will not be posted. A row that stays claimed becomes
// uncertain.
func (s *Store) unclaim(ctx context.Context, now time.Time, claims []store.SendClaim) {
	var results []store.SendResult
	for _, c := range claims {
		if !c.Busy {
			results = append(results, store.SendResult{Conversation: c.Post.Conversation, MessageID: c.Post.ID, Token: c.Token, Status: store.Queued, NotAttempted: true})
		}
	}
	if _, err := s.RecordSends(ctx, now, results); err != nil {
		s.log.Warn("messages that were claimed and not posted are uncertain", "messages", len(results), "error", err)
	}
}

// RecordSends implements store.Store.
func (s *Store) RecordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]store.Recorded, error) {
	now = s.serverTime(now)
	if len(results) == 0 {
		return nil, nil
	}
	results = unit.FitResults(results)
	recorded, err := s.recordSends(ctx, now, results)
	if sqlState(err) == lockNotAvailable {
		// Another transaction is creating a contact with a learned phone: the next message
		// learns it again.
		results = slices.Clone(results)
		for i := range results {
			results[i].WaID = ""
		}
		recorded, err = s.recordSends(ctx, now, results)
	}
	if err != nil {
		return nil, wrap("record sends", err)
	}
	return recorded, nil
}

func (s *Store) recordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]store.Recorded, error) {
	locks := &lockSet{}
	for _, r := range results {
		locks.MessageIDs = append(locks.MessageIDs, r.MessageID)
		called := s.set.ResultLoadSpec(r)
		locks.AliasGroups, locks.Aliases = append(locks.AliasGroups, called.AliasGroups...), append(locks.Aliases, called.Aliases...)
		locks.KnownAliases = append(locks.KnownAliases, called.KnownAliases...)
		if r.ProviderID != "" {
			locks.ParkedProviderIDs = append(locks.ParkedProviderIDs, r.ProviderID)
		}
	}
	locks.ShortLockTimeout = len(locks.AliasGroups) > 0 // nothing else here waits
	recorded := make([]store.Recorded, len(results))
	waiting := map[string]bool{}
	err := s.write(ctx, locks, now, func(tx *txState) error {
		var ids []string
		for i, r := range results {
			if recorded[i].Busy = tx.lockedByOthers(unit.LoadSpec{MessageIDs: []string{r.MessageID}}); recorded[i].Busy {
				continue
			}
			ids = append(ids, r.Conversation)
			if tx.lockedByOthers(s.set.ResultLoadSpec(r)) {
				r.WaID = "" // the next message learns it again
			}
			if m := tx.unit.MessageByID(r.MessageID); m != nil {
				tx.unit.ApplyResult(m, r)
			}
		}
		// The rows that are written by then decide what is left.
		tx.afterFlush = func(b *pgx.Batch) {
			clear(waiting)
			queue(b, `SELECT t.id FROM psi_router.conversations t WHERE t.id = ANY ($1::text[]) AND
				EXISTS (SELECT FROM psi_router.pending p WHERE p.conversation = t.n AND NOT p.doubt AND p.notice = '')`, ids).
				Query(eachRow(func(rows pgx.Rows) error {
					var id string
					err := scan(rows, &id)
					waiting[id] = true
					return err
				}))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		recorded[i].More = !recorded[i].Busy && waiting[r.Conversation]
	}
	return recorded, nil
}

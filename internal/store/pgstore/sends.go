package pgstore

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/store"
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
	err := s.write(ctx, &wants{Talks: ids, Posted: true}, s.clock(now), func(p *page) error {
		claims = claims[:0]
		pending := map[*store.ConversationRow][]*store.MessageRow{}
		for _, m := range p.book.Messages {
			pending[m.ConversationRow] = append(pending[m.ConversationRow], m)
		}
		for _, id := range ids {
			t, missing, err := p.talk(id)
			switch {
			case missing:
				claims = append(claims, store.SendClaim{Post: store.PostRow{Conversation: id}, Busy: true})
			case err != nil: // joined with another one, by whose lane its rows leave
			default:
				if c := p.book.Claim(t, pending[t], token); c != nil {
					claims = append(claims, *c)
				}
			}
		}
		return nil
	})
	if err == nil && len(claims) > 0 {
		if err = s.witness(ctx); err != nil { // before any of them is posted
			s.giveUp(ctx, now, claims)
		}
	}
	if err != nil {
		return nil, wrap("claim sends", err)
	}
	return claims, nil
}

// giveUp lets go of what was claimed and will not be posted. What stays claimed is found
// to be uncertain.
func (s *Store) giveUp(ctx context.Context, now time.Time, claims []store.SendClaim) {
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
	now = s.clock(now)
	if len(results) == 0 {
		return nil, nil
	}
	results = store.FitResults(results)
	recorded, err := s.recordSends(ctx, now, results)
	if code(err) == lockNotAvailable {
		// Somebody new is being made under a phone that was learned: it is learned again
		// with the next message.
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
	w := &wants{}
	for _, r := range results {
		w.MessageIDs = append(w.MessageIDs, r.MessageID)
		called := s.set.ResultLoadSpec(r)
		w.Names, w.Aliases = append(w.Names, called.AliasGroups...), append(w.Aliases, called.Aliases...)
		w.KnownAliases = append(w.KnownAliases, called.KnownAliases...)
		if r.ProviderID != "" {
			w.Parked = append(w.Parked, r.ProviderID)
		}
	}
	w.Hurry = len(w.Names) > 0 // nothing else here waits
	recorded := make([]store.Recorded, len(results))
	waiting := map[string]bool{}
	err := s.write(ctx, w, now, func(p *page) error {
		var ids []string
		for i, r := range results {
			if recorded[i].Busy = p.missing(store.LoadSpec{MessageIDs: []string{r.MessageID}}); recorded[i].Busy {
				continue
			}
			ids = append(ids, r.Conversation)
			if p.missing(s.set.ResultLoadSpec(r)) {
				r.WaID = "" // it is learned again with the next message
			}
			if m := p.book.MessageByID(r.MessageID); m != nil {
				p.book.ApplyResult(m, r)
			}
		}
		// What is written by then decides what is left.
		p.after = func(b *pgx.Batch) {
			clear(waiting)
			queue(b, `SELECT t.id FROM psi_router.conversations t WHERE t.id = ANY ($1::text[]) AND
				EXISTS (SELECT FROM psi_router.pending p WHERE p.conversation = t.n AND NOT p.doubt AND p.notice = '')`, ids).
				Query(each(func(rows pgx.Rows) error {
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

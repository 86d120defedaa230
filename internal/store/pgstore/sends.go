package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/store"
)

// ClaimSends implements store.Store. A conversation that somebody holds for long
// is left to the pump, which wakes it again.
func (s *Store) ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]store.SendClaim, error) {
	var rest []string
	asked := map[string]bool{}
	for _, id := range conversations {
		if !asked[id] {
			asked[id] = true
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return nil, nil
	}
	var claims []store.SendClaim
	err := s.insist(ctx, func(last bool) (bool, error) {
		var got []store.SendClaim
		var left []string
		err := s.write(ctx, &wants{Talks: rest, Posted: true}, now, func(p *page) error {
			got, left = got[:0], left[:0]
			pending := map[*store.TalkRow][]*store.MessageRow{}
			for _, m := range p.book.Messages {
				pending[m.Talk] = append(pending[m.Talk], m)
			}
			for _, id := range rest {
				t, missing, err := p.talk(id)
				switch {
				case missing:
					left = append(left, id)
				case err != nil: // joined with another one, by whose lane its rows leave
				default:
					if c := p.book.Claim(t, pending[t], token); c != nil {
						got = append(got, *c)
					}
				}
			}
			return nil
		})
		if err == nil {
			claims, rest = append(claims, got...), left
		}
		return len(rest) > 0 && !last, err
	})
	if err != nil && len(claims) == 0 {
		return nil, wrap("claim sends", err)
	}
	return claims, nil // what is claimed has to be posted, whatever became of the rest
}

// RecordSends implements store.Store.
func (s *Store) RecordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]bool, error) {
	if len(results) == 0 {
		return nil, nil
	}
	results = store.FitResults(results)
	rest := make([]int, len(results))
	for i := range results {
		rest[i] = i
	}
	more := make([]bool, len(results))
	err := s.insist(ctx, func(bool) (bool, error) {
		w := &wants{}
		for _, i := range rest {
			w.MessageIDs = append(w.MessageIDs, results[i].MessageID)
			if results[i].ProviderID != "" {
				w.Parked = append(w.Parked, results[i].ProviderID)
			}
		}
		var left []int
		waiting := map[string]bool{}
		err := s.write(ctx, w, now, func(p *page) error {
			left = left[:0]
			var ids []string
			for _, i := range rest {
				r := results[i]
				if p.missing(store.Needs{MessageIDs: []string{r.MessageID}}) {
					left = append(left, i)
					continue
				}
				ids = append(ids, r.Conversation)
				if m := p.book.MessageByID(r.MessageID); m != nil {
					p.book.Sent(m, r)
				}
			}
			// What is written by then decides what is left.
			p.after = func(b *pgx.Batch) {
				queue(b, `SELECT t.id FROM psi_router.conversations t WHERE t.id = ANY ($1::text[]) AND
					EXISTS (SELECT FROM psi_router.pending p WHERE p.conversation = t.n AND NOT p.doubt)`, ids).
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
			return false, err
		}
		for _, i := range rest {
			more[i] = waiting[results[i].Conversation]
		}
		rest = left
		return len(rest) > 0, nil
	})
	if err != nil {
		return nil, wrap("record sends", err)
	}
	return more, nil
}

package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Turn implements store.Store.
func (s *Store) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	batch = store.FitArrivals(batch)
	needs := s.set.TurnLoadSpec(batch)
	var results []store.Result
	err := s.write(ctx, "turn", now, func(p *page) error {
		if err := p.load(needs); err != nil {
			return err
		}
		if needs.Echoes {
			ids := make([]string, len(needs.ProviderIDs))
			for i, id := range needs.ProviderIDs {
				ids[i] = id.ID
			}
			if err := p.loadParked(ids); err != nil {
				return fmt.Errorf("load parked reports: %w", err)
			}
		}
		for _, t := range p.book.NeedRecentMessages(batch) {
			if err := p.loadRecent(t); err != nil {
				return fmt.Errorf("load recent messages: %w", err)
			}
		}
		results = make([]store.Result, len(batch))
		for i := range batch {
			results[i] = p.book.Turn(&batch[i])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// Reject implements store.Store.
func (s *Store) Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error {
	arrival = store.FitArrivals([]inbound.Arrival{arrival})[0]
	needs := s.set.TurnLoadSpec([]inbound.Arrival{arrival})
	return s.write(ctx, "reject", now, func(p *page) error {
		if err := p.load(needs); err != nil {
			return err
		}
		p.book.Reject(&arrival, why)
		return nil
	})
}

// Statuses implements store.Store.
func (s *Store) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	if len(batch) == 0 {
		return nil
	}
	batch = store.FitArrivals(batch)
	needs := s.set.ReportLoadSpec(batch)
	return s.write(ctx, "statuses", now, func(p *page) error {
		if err := p.load(needs); err != nil {
			return err
		}
		if needs.Failures {
			for _, t := range p.book.NeedEarlierAnswers() {
				if err := p.loadRecent(t); err != nil {
					return fmt.Errorf("load recent messages: %w", err)
				}
			}
		}
		for i := range batch {
			p.book.ApplyReport(&batch[i])
		}
		return nil
	})
}

// Command implements store.Store.
func (s *Store) Command(ctx context.Context, now time.Time, cmd store.Command) (store.CommandResult, error) {
	var done store.CommandResult
	err := s.write(ctx, "command "+string(cmd.Kind), now, func(p *page) error {
		kept, err := p.doneBefore(cmd)
		if err != nil || kept != nil {
			done = store.CommandResult{Replayed: kept}
			return err
		}
		t, err := p.loadFor(cmd)
		if err != nil {
			return err
		}
		m, err := p.book.Execute(t, cmd)
		if err != nil {
			return err
		}
		if t.New { // its cursor has its number
			if err := p.number(); err != nil {
				return err
			}
		}
		done = p.book.CommandResult(t, m, cursor(micros(t.LastMessageAt), t.Row))
		return p.remember(cmd, done)
	})
	if err != nil {
		return store.CommandResult{}, err
	}
	return done, nil
}

// loadFor loads what a command touches, and returns its conversation.
func (p *page) loadFor(cmd store.Command) (*store.ConversationRow, error) {
	var needs store.LoadSpec
	if cmd.Draft != nil && cmd.Draft.Quotes != "" {
		needs.MessageIDs = []string{cmd.Draft.Quotes}
	}
	if cmd.To != nil {
		needs.Aliases = p.book.RecipientAliases(*cmd.To)
		if err := p.load(needs); err != nil {
			return nil, err
		}
		return p.book.ResolveRecipient(*cmd.To), nil
	}
	t, err := p.loadTalk(cmd.Conversation)
	if err != nil {
		return nil, err
	}
	if store.IsContactCommand(cmd.Kind) { // which all their conversations are told of
		if err := p.selectTalks(`t.contact = ?`, []any{t.ContactRow.Row}); err != nil {
			return nil, err
		}
	}
	return t, p.load(needs)
}

// SaveMedia implements store.Store.
func (s *Store) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	media.Inline = ""
	text, err := mediaText(&media)
	if err != nil {
		return fmt.Errorf("save media: %w", err)
	}
	return s.write(ctx, "save media", time.Time{}, func(p *page) error {
		res, err := p.tx.Exec(`UPDATE messages SET media = ? WHERE id = ?`, text, messageID)
		if err != nil {
			return err
		}
		return found(res)
	})
}

// found turns a change of no row into ErrNotFound.
func found(res sql.Result) error {
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return err
	case n == 0:
		return store.ErrNotFound
	}
	return nil
}

package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Statuses implements store.Store.
func (s *Store) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	if len(batch) == 0 {
		return nil
	}
	batch = unit.FitArrivals(batch)
	spec := s.set.ReportLoadSpec(batch)
	return s.write(ctx, "statuses", now, func(tx *txState) error {
		if err := tx.load(spec); err != nil {
			return err
		}
		if spec.Failures {
			for _, conv := range tx.unit.NeedEarlierAnswers() {
				if err := tx.loadRecent(conv); err != nil {
					return fmt.Errorf("load recent messages: %w", err)
				}
			}
		}
		for i := range batch {
			tx.unit.ApplyReport(&batch[i])
		}
		return nil
	})
}

// Command implements store.Store.
func (s *Store) Command(ctx context.Context, now time.Time, cmd store.Command) (store.CommandResult, error) {
	var done store.CommandResult
	err := s.write(ctx, "command "+string(cmd.Kind), now, func(tx *txState) error {
		kept, err := tx.storedAnswer(cmd)
		if err != nil || kept != nil {
			done = store.CommandResult{Replayed: kept}
			return err
		}
		conv, err := tx.loadForCommand(cmd)
		if err != nil {
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
		return tx.storeAnswer(cmd, done)
	})
	if err != nil {
		return store.CommandResult{}, err
	}
	return done, nil
}

// loadForCommand loads what a command touches, and returns its conversation.
func (tx *txState) loadForCommand(cmd store.Command) (*unit.ConversationRow, error) {
	var spec unit.LoadSpec
	if cmd.Draft != nil && cmd.Draft.Quotes != "" {
		spec.MessageIDs = []string{cmd.Draft.Quotes}
	}
	if cmd.To != nil {
		spec.Aliases = tx.unit.RecipientAliases(*cmd.To)
		if err := tx.load(spec); err != nil {
			return nil, err
		}
		return tx.unit.ResolveRecipient(*cmd.To), nil
	}
	conv, err := tx.loadConversation(cmd.Conversation)
	if err != nil {
		return nil, err
	}
	if unit.IsContactCommand(cmd.Kind) { // all their conversations get its event
		if err := tx.selectConversations(`t.contact = ?`, []any{conv.ContactRow.Row}); err != nil {
			return nil, err
		}
	}
	return conv, tx.load(spec)
}

// SaveMedia implements store.Store.
func (s *Store) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	media.Inline = ""
	text, err := sqlrow.MediaJSON(&media)
	if err != nil {
		return fmt.Errorf("save media: %w", err)
	}
	return s.write(ctx, "save media", time.Time{}, func(tx *txState) error {
		res, err := tx.q.Exec(`UPDATE messages SET media = ? WHERE id = ?`, text, messageID)
		if err != nil {
			return err
		}
		return requireRow(res)
	})
}

// requireRow returns ErrNotFound if no row was changed.
func requireRow(res sql.Result) error {
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return err
	case n == 0:
		return store.ErrNotFound
	}
	return nil
}

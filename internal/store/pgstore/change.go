package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Statuses implements store.Store.
func (s *Store) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	now = s.clock(now)
	rest := store.FitArrivals(batch)
	if len(rest) == 0 {
		return nil
	}
	err := s.insist(ctx, func(bool) (bool, error) {
		var left []inbound.Arrival
		w := &wants{LoadSpec: s.set.ReportLoadSpec(rest)}
		if w.Failures {
			w.more = answersBefore
		}
		err := s.write(ctx, w, now, func(p *page) error {
			left = left[:0]
			for i := range rest {
				if p.missing(s.set.ReportLoadSpec(rest[i : i+1])) {
					left = append(left, rest[i])
					continue
				}
				p.book.ApplyReport(&rest[i])
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

// answersBefore loads what was said before an answer that may have failed.
func answersBefore(ctx context.Context, c *pgxpool.Conn, p *page) error {
	return p.loadRecent(ctx, c, p.book.NeedEarlierAnswers())
}

// Command implements store.Store.
func (s *Store) Command(ctx context.Context, now time.Time, cmd store.Command) (store.CommandResult, error) {
	now = s.clock(now)
	w := s.wantsFor(now, cmd)
	var done store.CommandResult
	err := s.insist(ctx, func(bool) (left bool, err error) {
		err = s.write(ctx, w, now, func(p *page) error {
			done, left = store.CommandResult{}, false
			if k := p.kept; k != nil {
				if k.hash != cmd.Idempotency.Hash {
					return store.ErrKeyReused
				}
				done.Replayed = []byte(k.answer)
				return nil
			}
			t, missing, err := p.talkOf(cmd)
			if left = missing; missing || err != nil {
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
			done = p.book.CommandResult(t, m, cursor(orEpoch(t.LastMessageAt).Time, t.Row))
			p.remember(cmd, done)
			return nil
		})
		return left, err
	})
	if err != nil {
		return store.CommandResult{}, wrap("command "+string(cmd.Kind), err)
	}
	return done, nil
}

// wantsFor lists what a command locks and loads.
func (s *Store) wantsFor(now time.Time, cmd store.Command) *wants {
	w := &wants{Once: cmd.Idempotency, Actor: cmd.Actor, Now: now}
	if cmd.Draft != nil && cmd.Draft.Quotes != "" {
		w.MessageIDs = []string{cmd.Draft.Quotes}
	}
	if cmd.To == nil {
		w.Talks, w.Joined = []string{cmd.Conversation}, true
		return w
	}
	w.Aliases = s.set.RecipientAliases(*cmd.To)
	w.Names, w.Fresh = [][]string{w.Aliases}, 1
	return w
}

// talkOf returns the conversation of a command; missing is set when somebody else
// has it.
func (p *page) talkOf(cmd store.Command) (t *store.ConversationRow, missing bool, err error) {
	if cmd.To == nil {
		return p.talk(cmd.Conversation)
	}
	if p.missing(store.LoadSpec{Aliases: p.book.RecipientAliases(*cmd.To)}) {
		return nil, true, nil
	}
	return p.book.ResolveRecipient(*cmd.To), false, nil
}

// talk returns the conversation of an id, which may be that of one that was
// joined; missing is set when somebody else has it.
func (p *page) talk(id string) (t *store.ConversationRow, missing bool, err error) {
	for _, r := range p.found.talks {
		if r.ID == id || p.joined[id] == r.Row {
			t = p.talks[r.Row]
			return t, t == nil, nil
		}
	}
	if _, there := p.joined[id]; there {
		return nil, true, nil // it was joined while we looked
	}
	return nil, false, store.ErrNotFound
}

// SaveMedia implements store.Store. No decision looks at a file or writes it, so
// this needs no lock but that of the row.
func (s *Store) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	media.Inline = ""
	text, err := mediaText(&media)
	if err != nil {
		return fmt.Errorf("save media: %w", err)
	}
	changed := int64(0)
	err = s.short(ctx, func(b *pgx.Batch) {
		const query = `UPDATE psi_router.messages SET media = ($2::text[])[1]::json WHERE id = $1`
		queue(b, query, messageID, verbatim{text}).Exec(func(tag pgconn.CommandTag) error {
			changed = tag.RowsAffected()
			return nil
		})
	})
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	return wrap("save media", err)
}

package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Statuses implements store.Store.
func (s *Store) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	var rest []inbound.Arrival
	for _, a := range batch {
		if a.Report != nil {
			rest = append(rest, a)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	err := s.insist(ctx, func(bool) (bool, error) {
		w := &wants{}
		for i := range rest {
			n := reportNeeds(&rest[i])
			w.ProviderIDs = append(w.ProviderIDs, n.ProviderIDs...)
			w.MessageIDs = append(w.MessageIDs, n.MessageIDs...)
		}
		var left []inbound.Arrival
		err := s.write(ctx, w, now, func(p *page) error {
			left = left[:0]
			for i := range rest {
				if p.missing(reportNeeds(&rest[i])) {
					left = append(left, rest[i])
					continue
				}
				p.book.Report(&rest[i])
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

func reportNeeds(a *inbound.Arrival) (n store.Needs) {
	if a.ID != "" {
		n.ProviderIDs = []string{a.ID}
	}
	if a.Report.Ref != "" {
		n.MessageIDs = []string{a.Report.Ref}
	}
	return n
}

// Command implements store.Store.
func (s *Store) Command(ctx context.Context, now time.Time, cmd store.Command) (store.Conversation, error) {
	w := &wants{Talks: []string{cmd.Conversation}, Joined: true}
	var out store.Conversation
	err := s.insist(ctx, func(bool) (left bool, err error) {
		err = s.write(ctx, w, now, func(p *page) error {
			t, missing, err := p.talk(cmd.Conversation)
			left = missing
			if missing || err != nil {
				return err
			}
			if _, err := p.book.Command(t, cmd.Command, cmd.Actor); err != nil {
				return err
			}
			out = t.View()
			out.Cursor = cursor(orEpoch(t.LastMessageAt).Time, t.Row)
			return nil
		})
		return left, err
	})
	if err != nil {
		return store.Conversation{}, wrap("command "+string(cmd.Kind), err)
	}
	return out, nil
}

// talk returns the conversation of an id, which may be that of one that was
// joined; missing is set when somebody else has it.
func (p *page) talk(id string) (t *store.TalkRow, missing bool, err error) {
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
	return wrap("save media", s.save(ctx, messageID, text))
}

func (s *Store) save(ctx context.Context, messageID, text string) (err error) {
	ctx, end := bound(ctx)
	defer end(&err)
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	defer rollback(ctx, c)
	b := &pgx.Batch{}
	queue(b, beginWrite)
	queue(b, settings)
	s.guard(b)
	var changed int64
	queue(b, `UPDATE psi_router.messages SET media = $2::text::json WHERE id = $1`, messageID, text).Exec(func(tag pgconn.CommandTag) error {
		changed = tag.RowsAffected()
		return nil
	})
	queue(b, `COMMIT`)
	if err := send(ctx, c, b); err != nil {
		return err
	}
	if changed == 0 {
		return store.ErrNotFound
	}
	return nil
}

package pgstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Turn implements store.Store.
func (s *Store) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	now = s.clock(now)
	if len(batch) == 0 {
		return nil, nil
	}
	batch = store.FitArrivals(batch)
	results, err := s.turnOrHalves(ctx, now, batch)
	if err != nil {
		return nil, wrap("turn", err)
	}
	return results, nil
}

func (s *Store) turnOrHalves(ctx context.Context, now time.Time, batch []inbound.Arrival) (results []store.Result, err error) {
	ctx, end := bound(ctx)
	defer end(&err)
	results, err = s.turn(ctx, now, batch, false)
	if code(err) == lockNotAvailable {
		// Somebody new is being made by a transaction that hangs: find out who.
		results, err = s.halves(ctx, now, batch)
	}
	return results, err
}

// halves handles what can be handled of a batch that as a whole has to wait for
// somebody. What is busy keeps back what comes after it.
func (s *Store) halves(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	out := make([]store.Result, len(batch))
	stuck := newJam()
	var do func(from, to int) error
	do = func(from, to int) error {
		free := make([]inbound.Arrival, 0, to-from)
		var which []int
		for i := from; i < to; i++ {
			if n := s.needs(&batch[i]); stuck.holds(n, nil) {
				stuck.add(n, nil)
				out[i].Busy = true
				continue
			}
			free, which = append(free, batch[i]), append(which, i)
		}
		if len(free) == 0 {
			return nil
		}
		results, err := s.turn(ctx, now, free, true)
		switch {
		case err == nil:
			for k, i := range which {
				out[i] = results[k]
				if results[k].Busy {
					stuck.add(s.needs(&batch[i]), nil)
				}
			}
			return nil
		case code(err) != lockNotAvailable:
			return err
		case len(free) == 1:
			out[which[0]].Busy = true
			stuck.add(s.needs(&batch[which[0]]), nil)
			return nil
		}
		mid := which[len(which)/2]
		if err := do(from, mid); err != nil {
			return err
		}
		return do(mid, to)
	}
	for i := range out {
		out[i].Busy = true // until it is handled
	}
	err := do(0, len(batch))
	for i := range out {
		if out[i].Busy {
			out[i] = store.Result{Busy: true}
		} else {
			err = nil // some of it is written: the rest is asked for again
		}
	}
	return out, err
}

func (s *Store) needs(a *inbound.Arrival) store.LoadSpec {
	return s.set.TurnLoadSpec([]inbound.Arrival{*a})
}

// wants lists what a batch locks and loads, and what each of its arrivals does.
func (s *Store) wants(batch []inbound.Arrival) (*wants, []store.LoadSpec) {
	w := &wants{Fresh: len(batch)}
	each := make([]store.LoadSpec, len(batch))
	for i := range batch {
		n := s.needs(&batch[i])
		each[i] = n
		w.Names = append(w.Names, n.AliasGroups...)
		w.Aliases = append(w.Aliases, n.Aliases...)
		w.KnownAliases = append(w.KnownAliases, n.KnownAliases...)
		w.ProviderIDs = append(w.ProviderIDs, n.ProviderIDs...)
		w.MessageIDs = append(w.MessageIDs, n.MessageIDs...)
		w.RecordKeys = append(w.RecordKeys, n.RecordKeys...)
		w.Echoes = w.Echoes || n.Echoes
	}
	if w.Echoes {
		_, w.Parked = columns(w.ProviderIDs)
	}
	return w, each
}

func (s *Store) turn(ctx context.Context, now time.Time, batch []inbound.Arrival, hurry bool) ([]store.Result, error) {
	w, each := s.wants(batch)
	w.Hurry = hurry
	var free []inbound.Arrival // those that are not busy
	busy := make([]bool, len(batch))
	w.more = func(ctx context.Context, c *pgxpool.Conn, p *page) error {
		free = free[:0]
		jam := newJam()
		for i := range batch {
			if busy[i] = p.missing(each[i]) || jam.holds(each[i], p.found); busy[i] {
				jam.add(each[i], p.found)
				continue
			}
			free = append(free, batch[i])
		}
		return p.loadRecent(ctx, c, p.book.NeedRecentMessages(free))
	}
	var results []store.Result
	err := s.write(ctx, w, now, func(p *page) error {
		results = make([]store.Result, len(batch))
		for i := range batch {
			if busy[i] {
				results[i] = store.Result{Busy: true}
				continue
			}
			results[i] = p.book.Turn(&batch[i])
		}
		return nil
	})
	return results, err
}

// missing says that somebody else holds something that an arrival needs.
func (p *page) missing(n store.LoadSpec) bool {
	for _, alias := range n.Aliases {
		owner, there := p.aliases[alias]
		if _, ours := p.claimed[alias]; !ours && (!there || p.contacts[owner] == nil) {
			return true
		}
	}
	for _, alias := range n.KnownAliases {
		if owner, there := p.aliases[alias]; there && p.contacts[owner] == nil {
			return true
		}
	}
	for _, m := range p.named(n.ProviderIDs, n.MessageIDs) {
		if p.contacts[m.contact] == nil {
			return true
		}
	}
	return false
}

// named returns the loaded messages with one of the ids.
func (f *found) named(providerIDs []store.ProviderID, ids []string) (out []*messageRow) {
	if len(f.messages) == 0 {
		return nil
	}
	for _, m := range f.messages {
		for _, p := range providerIDs {
			if m.ProviderID == p.ID && m.line == p.Line {
				out = append(out, m)
			}
		}
		for _, id := range ids {
			if m.ID == id {
				out = append(out, m)
			}
		}
	}
	return out
}

// loadRecent reads the last messages of conversations that have an id.
func (f *found) loadRecent(ctx context.Context, c *pgxpool.Conn, talks []*store.ConversationRow) error {
	if len(talks) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, t := range talks {
		queue(b, `SELECT `+messageColumns+` FROM psi_router.messages m
			WHERE m.conversation = $1 AND m.provider_id IS NOT NULL ORDER BY m.n DESC LIMIT 200`, t.Row).
			Query(each(func(rows pgx.Rows) error {
				m, err := scanMessage(rows)
				if err == nil {
					m.contact, m.line = t.ContactRow.Row, t.Line
					f.messages = append(f.messages, m)
				}
				return err
			}))
	}
	if err := send(ctx, c, b); err != nil {
		return fmt.Errorf("load recent messages: %w", err)
	}
	return nil
}

// jam is what busy arrivals keep back: everything of the same people.
type jam struct {
	names    map[string]bool
	contacts map[int64]bool
	ids      map[store.ProviderID]bool // ours have no line
}

func newJam() *jam {
	return &jam{names: map[string]bool{}, contacts: map[int64]bool{}, ids: map[store.ProviderID]bool{}}
}

func (j *jam) holds(n store.LoadSpec, f *found) bool {
	if len(j.names)+len(j.ids) == 0 {
		return false
	}
	for _, alias := range n.Aliases {
		if j.names[alias] || f != nil && j.contacts[f.aliases[alias]] {
			return true
		}
	}
	for _, id := range ids(n) {
		if j.ids[id] {
			return true
		}
	}
	if f != nil {
		for _, m := range f.named(n.ProviderIDs, n.MessageIDs) {
			if j.contacts[m.contact] {
				return true
			}
		}
	}
	return false
}

// ids are all that an arrival names messages by.
func ids(n store.LoadSpec) []store.ProviderID {
	all := slices.Clone(n.ProviderIDs)
	for _, id := range n.MessageIDs {
		all = append(all, store.ProviderID{ID: id})
	}
	return all
}

func (j *jam) add(n store.LoadSpec, f *found) {
	for _, alias := range n.Aliases {
		j.names[alias] = true
		if f != nil {
			if owner, there := f.aliases[alias]; there {
				j.contacts[owner] = true
			}
		}
	}
	for _, id := range ids(n) {
		j.ids[id] = true
	}
	if f != nil {
		for _, m := range f.named(n.ProviderIDs, n.MessageIDs) {
			j.contacts[m.contact] = true
		}
	}
}

// Reject implements store.Store.
func (s *Store) Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error {
	now = s.clock(now)
	batch := store.FitArrivals([]inbound.Arrival{arrival})
	w, each := s.wants(batch)
	w.Echoes, w.Parked = false, nil
	err := s.insist(ctx, func(bool) (left bool, err error) {
		err = s.write(ctx, w, now, func(p *page) error {
			if left = p.missing(each[0]); !left {
				p.book.Reject(&batch[0], why)
			}
			return nil
		})
		return left, err
	})
	return wrap("reject", err)
}

// insist repeats what somebody else keeps from being done, for a while. The last
// try is told so.
func (s *Store) insist(ctx context.Context, do func(last bool) (left bool, err error)) error {
	until := time.Now().Add(s.patience)
	for try := 1; ; try++ {
		last := time.Now().After(until)
		left, err := do(last)
		switch {
		case err != nil || !left:
			return err
		case last:
			return store.ErrBusy
		case !pause(ctx, try):
			return context.Cause(ctx)
		}
	}
}

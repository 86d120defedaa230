package pgstore

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Turn implements store.Store.
func (s *Store) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	now = s.serverTime(now)
	if len(batch) == 0 {
		return nil, nil
	}
	batch = unit.FitArrivals(batch)
	results, err := s.turnOrBisect(ctx, now, batch)
	if err != nil {
		return nil, wrap("turn", err)
	}
	return results, nil
}

func (s *Store) turnOrBisect(ctx context.Context, now time.Time, batch []inbound.Arrival) (results []store.Result, err error) {
	ctx, end := withTimeout(ctx)
	defer end(&err)
	results, err = s.turn(ctx, now, batch, false)
	if sqlState(err) == lockNotAvailable {
		// A transaction that hangs is creating one of the contacts: find out which.
		results, err = s.bisect(ctx, now, batch)
	}
	return results, err
}

// bisect handles as much as possible of a batch that as a whole has to wait for a lock. A
// busy arrival keeps back those after it.
func (s *Store) bisect(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	out := make([]store.Result, len(batch))
	blocked := newBlockedSet()
	var do func(from, to int) error
	do = func(from, to int) error {
		free := make([]inbound.Arrival, 0, to-from)
		var which []int
		for i := from; i < to; i++ {
			if n := s.loadSpec(&batch[i]); blocked.blocks(n, nil) {
				blocked.add(n, nil)
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
					blocked.add(s.loadSpec(&batch[i]), nil)
				}
			}
			return nil
		case sqlState(err) != lockNotAvailable:
			return err
		case len(free) == 1:
			out[which[0]].Busy = true
			blocked.add(s.loadSpec(&batch[which[0]]), nil)
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
			err = nil // a part of it is written: the rest is asked for again
		}
	}
	return out, err
}

func (s *Store) loadSpec(a *inbound.Arrival) unit.LoadSpec {
	return s.set.TurnLoadSpec([]inbound.Arrival{*a})
}

// turnLocks returns what a batch locks and loads, and what each of its arrivals does.
func (s *Store) turnLocks(batch []inbound.Arrival) (*lockSet, []unit.LoadSpec) {
	locks := &lockSet{NewConversations: len(batch)}
	each := make([]unit.LoadSpec, len(batch))
	for i := range batch {
		n := s.loadSpec(&batch[i])
		each[i] = n
		locks.AliasGroups = append(locks.AliasGroups, n.AliasGroups...)
		locks.Aliases = append(locks.Aliases, n.Aliases...)
		locks.KnownAliases = append(locks.KnownAliases, n.KnownAliases...)
		locks.ProviderIDs = append(locks.ProviderIDs, n.ProviderIDs...)
		locks.MessageIDs = append(locks.MessageIDs, n.MessageIDs...)
		locks.RecordKeys = append(locks.RecordKeys, n.RecordKeys...)
		locks.Echoes = locks.Echoes || n.Echoes
	}
	if locks.Echoes {
		_, locks.ParkedProviderIDs = lineAndIDColumns(locks.ProviderIDs)
	}
	return locks, each
}

func (s *Store) turn(ctx context.Context, now time.Time, batch []inbound.Arrival, shortWait bool) ([]store.Result, error) {
	locks, each := s.turnLocks(batch)
	locks.ShortLockTimeout = shortWait
	var free []inbound.Arrival // those that are not busy
	busy := make([]bool, len(batch))
	locks.loadMore = func(ctx context.Context, c *pgxpool.Conn, tx *txState) error {
		free = free[:0]
		blocked := newBlockedSet()
		for i := range batch {
			if busy[i] = tx.lockedByOthers(each[i]) || blocked.blocks(each[i], tx.loaded); busy[i] {
				blocked.add(each[i], tx.loaded)
				continue
			}
			free = append(free, batch[i])
		}
		return tx.loadRecent(ctx, c, tx.unit.NeedRecentMessages(free))
	}
	var results []store.Result
	err := s.write(ctx, locks, now, func(tx *txState) error {
		results = make([]store.Result, len(batch))
		for i := range batch {
			if busy[i] {
				results[i] = store.Result{Busy: true}
				continue
			}
			results[i] = tx.unit.Turn(&batch[i])
		}
		return nil
	})
	return results, err
}

// lockedByOthers reports whether another transaction has locked a row that an arrival
// needs.
func (tx *txState) lockedByOthers(n unit.LoadSpec) bool {
	for _, alias := range n.Aliases {
		owner, there := tx.aliases[alias]
		if _, ours := tx.claimedAliases[alias]; !ours && (!there || tx.contacts[owner] == nil) {
			return true
		}
	}
	for _, alias := range n.KnownAliases {
		if owner, there := tx.aliases[alias]; there && tx.contacts[owner] == nil {
			return true
		}
	}
	for _, m := range tx.messagesNamed(n.ProviderIDs, n.MessageIDs) {
		if tx.contacts[m.contact] == nil {
			return true
		}
	}
	return false
}

// messagesNamed returns the loaded messages with one of the ids.
func (l *loaded) messagesNamed(providerIDs []unit.ProviderID, ids []string) (out []*messageRow) {
	if len(l.messages) == 0 {
		return nil
	}
	for _, m := range l.messages {
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

// blockedSet is what busy arrivals keep back: everything of the same people.
type blockedSet struct {
	names    map[string]bool
	contacts map[int64]bool
	ids      map[unit.ProviderID]bool // our ids have no line
}

func newBlockedSet() *blockedSet {
	return &blockedSet{names: map[string]bool{}, contacts: map[int64]bool{}, ids: map[unit.ProviderID]bool{}}
}

func (s *blockedSet) blocks(n unit.LoadSpec, l *loaded) bool {
	if len(s.names)+len(s.ids) == 0 {
		return false
	}
	for _, alias := range n.Aliases {
		if s.names[alias] || l != nil && s.contacts[l.aliases[alias]] {
			return true
		}
	}
	for _, id := range namedIDs(n) {
		if s.ids[id] {
			return true
		}
	}
	if l != nil {
		for _, m := range l.messagesNamed(n.ProviderIDs, n.MessageIDs) {
			if s.contacts[m.contact] {
				return true
			}
		}
	}
	return false
}

// namedIDs returns all ids of messages in an arrival.
func namedIDs(n unit.LoadSpec) []unit.ProviderID {
	all := slices.Clone(n.ProviderIDs)
	for _, id := range n.MessageIDs {
		all = append(all, unit.ProviderID{ID: id})
	}
	return all
}

func (s *blockedSet) add(n unit.LoadSpec, l *loaded) {
	for _, alias := range n.Aliases {
		s.names[alias] = true
		if l != nil {
			if owner, there := l.aliases[alias]; there {
				s.contacts[owner] = true
			}
		}
	}
	for _, id := range namedIDs(n) {
		s.ids[id] = true
	}
	if l != nil {
		for _, m := range l.messagesNamed(n.ProviderIDs, n.MessageIDs) {
			s.contacts[m.contact] = true
		}
	}
}

// Reject implements store.Store.
func (s *Store) Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error {
	now = s.serverTime(now)
	batch := unit.FitArrivals([]inbound.Arrival{arrival})
	locks, each := s.turnLocks(batch)
	locks.Echoes, locks.ParkedProviderIDs = false, nil
	err := s.retryUntil(ctx, func(bool) (left bool, err error) {
		err = s.write(ctx, locks, now, func(tx *txState) error {
			if left = tx.lockedByOthers(each[0]); !left {
				tx.unit.Reject(&batch[0], why)
			}
			return nil
		})
		return left, err
	})
	return wrap("reject", err)
}

// retryUntil repeats a call that meets locked rows, for a while. The last try is told so.
func (s *Store) retryUntil(ctx context.Context, do func(last bool) (left bool, err error)) error {
	until := time.Now().Add(s.lockPatience)
	for try := 1; ; try++ {
		last := time.Now().After(until)
		left, err := do(last)
		switch {
		case err != nil || !left:
			return err
		case last:
			return store.ErrBusy
		case !backOff(ctx, try):
			return context.Cause(ctx)
		}
	}
}

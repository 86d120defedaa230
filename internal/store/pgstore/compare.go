package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
)

const afterRestore = "run psi-router migrate --after-restore, beside the routers that wait"

// Mark says which store this is, and how often it was restored.
type Mark struct {
	ID         string `json:"id"`
	Generation int64  `json:"generation"`
	// Pos is the position of the last event.
	Pos int64 `json:"pos"`
}

const selectMark = `SELECT coalesce((SELECT id FROM psi_router.installation), ''),
	coalesce((SELECT value FROM psi_router.counters WHERE name = 'generation'), 0),
	coalesce((SELECT value FROM psi_router.counters WHERE name = '` + numbered + `'), 0)`

// closed is why nothing may be written; nil when it may.
func (s *Store) closed() error {
	if err := s.shut.Load(); err != nil {
		return *err
	}
	return nil
}

// Stale says that the database went back in time, so that what is read may be of
// the past, and nothing is written.
func (s *Store) Stale() bool { return s.shut.Load() != nil }

// Compare finds out whether the database is the one that the routers have worked with,
// and lacks nothing that they have written. The store is closed to writes while it is
// not; store.ErrBackInTime or store.ErrAnotherStore says so.
func (s *Store) Compare(ctx context.Context) (err error) {
	ctx, end := bound(ctx)
	defer end(&err)
	return wrap("compare the database", s.compare(ctx, s.pool))
}

// compare is for one at a time. Its order matters: another process notes what it
// claimed, then looks which server was announced, then posts. So either it sees ours,
// and compares too, or we see what it noted.
func (s *Store) compare(ctx context.Context, pool *pgxpool.Pool) error {
	s.comparing.Lock()
	defer s.comparing.Unlock()
	first, err := s.readState(ctx, pool, nil)
	if err != nil {
		return err
	}
	if _, err := s.memory.notes.Note(ctx, serverNote, first.server, serverNote); err != nil {
		return fmt.Errorf("announce the server: %w: %w", store.ErrUnavailable, err)
	}
	mine := processNote{Generation: s.memory.generation(), Slots: s.witnesses.onDisk()}
	kept, known, notes, err := s.memory.readNotes(ctx)
	if err != nil {
		return err
	}
	notes[s.witnesses.name()] = mine
	// What was noted by now must be there by now.
	now, err := s.readState(ctx, pool, slices.Collect(maps.Keys(notes)))
	switch {
	case err != nil:
		return err
	case now.server != first.server:
		return fmt.Errorf("the server changes: %w", store.ErrUnavailable)
	}
	if err := s.judge(&now, kept, known, notes); err != nil {
		return s.closeFor(err)
	}
	lost := !known && (now.used || s.memory.server() != "")
	if lost {
		if err := s.notesLost(ctx, s); err != nil {
			return fmt.Errorf("the notes about the database are gone: %w: %w", store.ErrUnavailable, err)
		}
	}
	if err := s.accept(ctx, &now, known); err != nil || !lost {
		return err
	}
	_, err = s.note(ctx)
	return err
}

// judge is the verdict about a database; nil is that it lacks nothing.
func (s *Store) judge(now *state, kept Mark, known bool, notes map[string]processNote) error {
	seen := s.memory.markSeen()
	if seen.ID == "" {
		seen = kept
	}
	switch {
	case seen.ID != "" && now.mark.ID != seen.ID:
		return fmt.Errorf("%w: mend database_url, or if the change is meant %s (it is store %s, and that was store %s)", store.ErrWrongStore, afterRestore, now.mark.ID, seen.ID)
	case now.mark.Generation < max(seen.Generation, kept.Generation):
		return fmt.Errorf("%w: %s (it was restored %d times, and that had been %d)", store.ErrBackInTime, afterRestore, now.mark.Generation, max(seen.Generation, kept.Generation))
	case known && now.mark.Generation == kept.Generation && now.mark.Pos < kept.Pos:
		return fmt.Errorf("%w: %s (its last event is %d, and there was %d)", store.ErrBackInTime, afterRestore, now.mark.Pos, kept.Pos)
	}
	if process := now.lost(notes); process != "" {
		return fmt.Errorf("%w: %s (commits of process %s are missing)", store.ErrBackInTime, afterRestore, process)
	}
	return nil
}

// accept takes the database as it is now. One that was restored since is begun anew:
// everything that this process remembers of it belongs to the one that is no more.
func (s *Store) accept(ctx context.Context, now *state, known bool) error {
	seen := s.memory.markSeen()
	if seen.ID == "" || now.mark.Generation == seen.Generation {
		s.witnesses.seen(now.witnesses[s.witnesses.name()])
	} else {
		s.forget()
		s.lines.forget()
		if err := s.witnesses.renew(); err != nil {
			return err
		}
	}
	if s.memory.take(now) || !known {
		text, err := json.Marshal(Mark{ID: now.mark.ID, Generation: now.mark.Generation})
		if err != nil {
			return err
		}
		if _, err := s.memory.notes.Note(ctx, storeNote, string(text), serverNote); err != nil {
			return fmt.Errorf("note which store this is: %w: %w", store.ErrUnavailable, err)
		}
	}
	if s.shut.Swap(nil) != nil {
		s.log.Info("the database may be written to again", "generation", now.mark.Generation)
	}
	return nil
}

// closeFor closes the store to writes, and says so once.
func (s *Store) closeFor(why error) error {
	err := fmt.Errorf("%w: %w", store.ErrUnavailable, why)
	if s.shut.Swap(&err) == nil {
		s.log.Error("nothing is written to the database until this is mended", "error", why)
	}
	return err
}

// How often a store is compared.
const (
	closedPace = time.Second      // while it is closed: somebody mends it
	idlePace   = 10 * time.Second // else; who writes finds out by that
)

// Run compares the database until ctx ends, so that also who writes nothing knows
// when it went back in time, or was mended.
func (s *Store) Run(ctx context.Context) error {
	var looked, pruned time.Duration
	tick := time.NewTicker(closedPace)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		looked, pruned = looked+closedPace, pruned+closedPace
		if s.Stale() || looked >= idlePace {
			looked = 0
			if err := s.Compare(ctx); err != nil && ctx.Err() == nil {
				s.log.Debug("the database was not compared", "error", err)
			}
		}
		if pruned >= prunePace && !s.Stale() {
			pruned = 0
			if err := s.prune(ctx); err != nil && ctx.Err() == nil {
				s.log.Debug("witnesses of processes that are gone were not removed", "error", err)
			}
		}
	}
}

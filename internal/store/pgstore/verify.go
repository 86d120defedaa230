package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

const restoreCure = "run psi-router migrate --after-restore, beside the routers that wait"

// Watermark says which store this is, and how often it was restored.
type Watermark struct {
	ID         string `json:"id"`
	Generation int64  `json:"generation"`
	// Pos is the position of the last event.
	Pos int64 `json:"pos"`
}

const selectWatermark = `SELECT coalesce((SELECT id FROM psi_router.installation), ''),
	coalesce((SELECT value FROM psi_router.counters WHERE name = 'generation'), 0),
	coalesce((SELECT value FROM psi_router.counters WHERE name = '` + sqlrow.NumberedCounter + `'), 0)`

// checkWritable returns why nothing may be written; nil if it may.
func (s *Store) checkWritable() error {
	if err := s.checkReady(); err != nil {
		return err
	}
	if err := s.writeRefusal.Load(); err != nil {
		return *err
	}
	return nil
}

// Stale reports that the database went back in time: reads may be of the past, and nothing
// is written.
func (s *Store) Stale() bool { return s.checkReady() == nil && s.writeRefusal.Load() != nil }

// Verify checks that the database is the one that the routers have worked with, and lacks
// nothing that they have written. Otherwise the store is closed to writes, with
// store.ErrBackInTime or store.ErrWrongStore.
func (s *Store) Verify(ctx context.Context) (err error) {
	ctx, end := withTimeout(ctx)
	defer end(&err)
	return wrap("compare the database", s.verify(ctx, s.pool))
}

// verify is called by one caller at a time. Its order matters: another process notes its
// claims, then reads which server was announced, then posts. So either it sees our
// announcement, and compares too, or we see its note.
func (s *Store) verify(ctx context.Context, pool *pgxpool.Pool) error {
	s.verifying.Lock()
	defer s.verifying.Unlock()
	first, err := s.readState(ctx, pool, nil)
	if err != nil {
		return err
	}
	if _, err := s.guard.notes.Note(ctx, serverNote, first.server, serverNote); err != nil {
		return fmt.Errorf("announce the server: %w: %w", store.ErrUnavailable, err)
	}
	mine := processNote{Generation: s.guard.generation(), Slots: s.witnesses.syncedCommits()}
	kept, known, notes, err := s.guard.readNotes(ctx)
	if err != nil {
		return err
	}
	notes[s.witnesses.processName()] = mine
	// Whatever was noted by now must be in the database by now.
	now, err := s.readState(ctx, pool, slices.Collect(maps.Keys(notes)))
	switch {
	case err != nil:
		return err
	case now.server != first.server:
		return fmt.Errorf("the server changes: %w", store.ErrUnavailable)
	}
	if err := s.checkState(&now, kept, known, notes); err != nil {
		return s.refuseWrites(err)
	}
	lost := !known && (now.used || s.guard.verifiedServer() != "")
	if lost {
		if err := s.lostNotes(ctx); err != nil {
			return fmt.Errorf("the notes about the database are gone: %w: %w", store.ErrUnavailable, err)
		}
	}
	if err := s.acceptState(ctx, &now, known); err != nil || !lost {
		return err
	}
	_, err = s.writeNote(ctx)
	return err
}

// checkState returns what a database lacks; nil for nothing.
func (s *Store) checkState(now *serverState, kept Watermark, known bool, notes map[string]processNote) error {
	seen := s.guard.currentWatermark()
	if seen.ID == "" {
		seen = kept
	}
	switch {
	case seen.ID != "" && now.watermark.ID != seen.ID:
		return fmt.Errorf("%w: mend database_url, or if the change is meant %s (it is store %s, and that was store %s)", store.ErrWrongStore, restoreCure, now.watermark.ID, seen.ID)
	case now.watermark.Generation < max(seen.Generation, kept.Generation):
		return fmt.Errorf("%w: %s (it was restored %d times, and that had been %d)", store.ErrBackInTime, restoreCure, now.watermark.Generation, max(seen.Generation, kept.Generation))
	case known && now.watermark.Generation == kept.Generation && now.watermark.Pos < kept.Pos:
		return fmt.Errorf("%w: %s (its last event is %d, and there was %d)", store.ErrBackInTime, restoreCure, now.watermark.Pos, kept.Pos)
	}
	if process := now.findLostCommits(notes); process != "" {
		return fmt.Errorf("%w: %s (commits of process %s are missing)", store.ErrBackInTime, restoreCure, process)
	}
	return nil
}

// acceptState accepts the database as it is now. If it was restored, everything that this
// process remembers belongs to the earlier database, and is dropped.
func (s *Store) acceptState(ctx context.Context, now *serverState, known bool) error {
	seen := s.guard.currentWatermark()
	if seen.ID == "" || now.watermark.Generation == seen.Generation {
		s.witnesses.observe(now.witnesses[s.witnesses.processName()])
	} else {
		s.resetReserves()
		s.knownLines.reset()
		if err := s.witnesses.reset(); err != nil {
			return err
		}
	}
	if s.guard.accept(now) || !known {
		text, err := json.Marshal(Watermark{ID: now.watermark.ID, Generation: now.watermark.Generation})
		if err != nil {
			return err
		}
		if _, err := s.guard.notes.Note(ctx, storeNote, string(text), serverNote); err != nil {
			return fmt.Errorf("write the note about the store: %w: %w", store.ErrUnavailable, err)
		}
	}
	if s.writeRefusal.Swap(nil) != nil {
		s.log.Info("the database may be written to again", "generation", now.watermark.Generation)
	}
	return nil
}

// refuseWrites closes the store to writes, and logs that once.
func (s *Store) refuseWrites(why error) error {
	err := fmt.Errorf("%w: %w", store.ErrUnavailable, why)
	if s.writeRefusal.Swap(&err) == nil {
		s.log.Error("nothing is written to the database until this is fixed", "error", why)
	}
	return err
}

// How often a store is compared.
const (
	closedInterval = time.Second      // while it is closed: a person is fixing it
	verifyInterval = 10 * time.Second // otherwise; writers notice earlier
)

// Run keeps the right to the database, and compares it, until ctx ends. The store must be
// Ready. It returns an error when another process has taken over.
func (s *Store) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.watch(ctx) })
	if o := s.readiness.owner; o != nil {
		g.Go(func() error { return o.Run(ctx) })
	}
	return g.Wait()
}

// watch compares the database, so that processes that write nothing notice too when it went
// back in time, or was fixed.
func (s *Store) watch(ctx context.Context) error {
	var verified, pruned time.Duration
	tick := time.NewTicker(closedInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		verified, pruned = verified+closedInterval, pruned+closedInterval
		if s.Stale() || verified >= verifyInterval {
			verified = 0
			if err := s.Verify(ctx); err != nil && ctx.Err() == nil {
				s.log.Debug("the database cannot be compared", "error", err)
			}
		}
		if pruned >= pruneInterval && !s.Stale() {
			pruned = 0
			if err := s.pruneWitnesses(ctx); err != nil && ctx.Err() == nil {
				s.log.Debug("witnesses of ended processes cannot be removed", "error", err)
			}
		}
	}
}

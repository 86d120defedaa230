package app

import (
	"context"
	"log/slog"

	"github.com/psivisionhub/psi-router/internal/store"
)

// awaited is a store that was away at the start, or that may not be worked on as
// it was found: whatever would use it is told that it is unavailable, until it has
// been opened and checked like any other.
type awaited struct {
	latch
	store store.Store // set once, before the latch opens
}

var _ store.Store = (*awaited)(nil)

func newAwaited(why error, log *slog.Logger) *awaited {
	return &awaited{latch: newLatch("store", store.ErrUnavailable, why, log)}
}

// open returns the store when it may be used.
func (w *awaited) open() (store.Store, error) {
	if err := w.shut(); err != nil {
		return nil, err
	}
	return w.store, nil
}

// Ping implements store.Store.
func (w *awaited) Ping(ctx context.Context) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.Ping(ctx)
}

// Close implements store.Store. What opened the store closes it.
func (w *awaited) Close() error { return nil }

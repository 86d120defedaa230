package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/psivisionhub/psi-router/internal/store"
)

// readiness is the state of Ready.
type readiness struct {
	mu      sync.Mutex
	invalid error  // the error of the options
	called  bool   // Ready was called before
	owner   *Owner // nil if other processes may use the database too
	done    bool
}

// Ready does what precedes the first use: it opens the store as Open does, takes the
// database for this process alone if there is a Holder, and compares it with the notes.
// Call it again until it returns nil. If the store is Lazy, the first call leaves an older
// schema as it is, so that the webhook can open before the upgrade.
func (s *Store) Ready(ctx context.Context) error {
	r := &s.readiness
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done {
		return nil
	}
	err := s.prepare(ctx)
	readable := err == nil
	if err == nil {
		err = s.Verify(ctx)
		if s.opts.Lazy && errors.Is(err, store.ErrBackInTime) {
			err = nil // a person fixes it meanwhile
		}
		// A database that could not be compared may be read; each write compares it first.
		readable = err == nil || s.opts.Holder == "" && !errors.Is(err, store.ErrWrongStore)
	}
	r.called, r.done = true, err == nil
	if readable {
		s.notReady.Store(nil)
		return err
	}
	s.setNotReady(err)
	err = errors.Join(err, r.releaseOwner())
	s.fence.Store(0)
	return err
}

// prepare opens the store if needed, and takes it for this process.
func (s *Store) prepare(ctx context.Context) (err error) {
	r := &s.readiness
	if s.checkReady() != nil {
		if err = r.invalid; err == nil {
			err = s.open(ctx, r.called || !s.opts.Lazy)
		}
		if err != nil {
			return notOpened(err)
		}
	}
	if s.opts.Holder != "" {
		r.owner, err = s.Own(ctx, s.opts.Holder)
	}
	return err
}

// open connects, checks the database, and brings the schema up to date.
func (s *Store) open(ctx context.Context, upgrade bool) error {
	found, err := s.inspect(ctx)
	switch {
	case err != nil:
	case found == schemaCurrent:
	case s.opts.NoMigrate:
		err = errors.New("the database is older than this program: start the router, or run psi-router migrate, to bring it up to date")
	case found == schemaOlder && !upgrade:
		err = fmt.Errorf("the schema is older than this program and is brought up to date first: %w", store.ErrUnavailable)
	default: // without a deadline: a migration that is cut short starts again, and never ends
		err = s.migrate(ctx)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.checkMoveFinished(ctx); err != nil {
		return err
	}
	return s.ensureInstallation(ctx)
}

// inspect connects and returns the state of the schema.
func (s *Store) inspect(ctx context.Context) (schemaState, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.connectAndCheck(ctx); err != nil {
		return schemaNone, err
	}
	return s.schema(ctx)
}

func (s *Store) migrate(ctx context.Context) error {
	return migrate(ctx, cmp.Or(s.opts.DirectURL, s.opts.URL), s.log)
}

// connectAndCheck connects, and checks server and pooler.
func (s *Store) connectAndCheck(ctx context.Context) error {
	direct, err := s.isDirect(ctx)
	if err != nil {
		return err
	}
	s.direct.Store(direct)
	return s.checkServer(ctx)
}

// setNotReady makes every method fail with err.
func (s *Store) setNotReady(err error) {
	if !errors.Is(err, store.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	s.notReady.Store(&err)
}

// checkReady returns why nothing may be read or written; nil once the store may be read.
func (s *Store) checkReady() error {
	if err := s.notReady.Load(); err != nil {
		return *err
	}
	return nil
}

// releaseOwner releases the database, so that the next process need not wait.
func (r *readiness) releaseOwner() (err error) {
	if r.owner != nil {
		err = r.owner.Close()
	}
	r.owner = nil
	return err
}

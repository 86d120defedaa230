package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store"
)

// ErrOwned means that another process has the store alone; its text says which.
var ErrOwned = errors.New("the database is in use by one process alone")

// errTakenOver is the error of a former owner's writes.
var errTakenOver = fmt.Errorf("another process has taken the database over: %w", store.ErrUnavailable)

// ownerLease is how long an owner that does not renew keeps its successor out.
const ownerLease = 15 * time.Second

// Owner is the right to be the store's only process. It is a row with a lease, by the
// server's clock, since a pooler in transaction mode forgets every lock that outlasts a
// transaction. Its fence goes into every write: a write of a former owner is refused.
type Owner struct {
	s     *Store
	fence int64
	lease time.Duration
}

// Own takes the store for this process alone; holder names the process to people. ErrOwned
// if another process has it and goes on renewing; the lease of a killed one is awaited. The
// caller Runs the Owner, and Closes it before the store.
func (s *Store) Own(ctx context.Context, holder string) (*Owner, error) {
	return s.acquire(ctx, holder, ownerLease)
}

func (s *Store) acquire(ctx context.Context, holder string, lease time.Duration) (*Owner, error) {
	o := &Owner{s: s, lease: lease}
	var firstExpiry pgtype.Timestamptz // the lease's end when we came
	for logged := false; ; {
		var owner string
		var expires pgtype.Timestamptz
		var left time.Duration
		fence, err := s.takeOwnership(ctx, holder, lease)
		if err == nil && fence > 0 {
			o.fence = fence
			s.fence.Store(fence)
			return o, nil
		}
		if err == nil {
			var us int64
			const query = `SELECT holder, expires, (extract(epoch FROM expires - clock_timestamp()) * 1000000)::bigint FROM psi_router.owner`
			err = s.pool.QueryRow(ctx, query).Scan(&owner, &expires, &us)
			left = time.Duration(us) * time.Microsecond
		}
		if err != nil {
			return nil, wrap("own the database", withCure(err))
		}
		switch {
		case !firstExpiry.Valid:
			firstExpiry = expires
		case !expires.Time.Equal(firstExpiry.Time):
			return nil, fmt.Errorf("%w, %s: stop that one, or set redis_url, so that they can share the work", ErrOwned, unescapeText(owner))
		}
		if !logged {
			logged = true
			s.log.Info("waiting for the lease of another process to end, or to be renewed", "holder", unescapeText(owner), "left", left.Round(time.Millisecond))
		}
		t := time.NewTimer(max(time.Millisecond, min(left+10*time.Millisecond, lease/6)))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

// takeOwnership returns the new fence, 0 if another process' lease has not ended. It waits
// for the transactions of the former owner.
func (s *Store) takeOwnership(ctx context.Context, holder string, lease time.Duration) (fence int64, err error) {
	ctx, end := withTimeout(ctx)
	defer end(&err)
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		fence = 0
		if _, err := tx.Exec(ctx, `INSERT INTO psi_router.owner (fence, holder, expires) VALUES (0, '', 'epoch') ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
		const query = `SELECT fence + 1 FROM psi_router.owner WHERE expires <= clock_timestamp() FOR UPDATE`
		err := tx.QueryRow(ctx, query).Scan(&fence)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		const take = `UPDATE psi_router.owner SET fence = $1, holder = $2, expires = clock_timestamp() + $3::bigint * interval '1 microsecond'`
		_, err = tx.Exec(ctx, take, fence, escapeText(holder), lease.Microseconds())
		return err
	})
	return fence, err
}

// Run renews the lease until ctx ends. It returns an error when another process has taken
// over. While the database is down nobody can take over, so Run goes on.
func (o *Owner) Run(ctx context.Context) error {
	t := time.NewTicker(o.lease / 3)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		mine, err := o.renew(ctx, o.lease)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			o.s.log.Warn("the lease of the database cannot be renewed", "error", err)
		case !mine:
			return errTakenOver
		}
	}
}

// Close releases the store, so that the next process need not wait.
func (o *Owner) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_, err := o.renew(ctx, 0)
	return wrap("release the database", err)
}

func (o *Owner) renew(ctx context.Context, lease time.Duration) (mine bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(o.lease/3, time.Second))
	defer cancel()
	const query = `UPDATE psi_router.owner SET expires = clock_timestamp() + $2::bigint * interval '1 microsecond' WHERE fence = $1`
	tag, err := o.s.pool.Exec(ctx, query, o.fence, lease.Microseconds())
	return err == nil && tag.RowsAffected() == 1, err
}

// checkFence makes a transaction fail if the process was the owner and no longer is. A new
// owner waits for running transactions; renewals do not.
func (s *Store) checkFence(b *pgx.Batch) {
	fence := s.fence.Load()
	if fence == 0 {
		return
	}
	queue(b, `SELECT FROM psi_router.owner WHERE fence = $1 FOR KEY SHARE`, fence).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() == 0 {
			return errTakenOver
		}
		return nil
	})
}

package pgstore

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// sameServer aborts the transaction on a server that was not compared yet. A pooler can
	// change the server behind a connection, so each transaction asks.
	sameServer = `SELECT CASE WHEN psi_router.server() <> $1 THEN psi_router.refuse('` + anotherServer + `', '') END`
	// beginWitness and moveWitness abort the transaction if the row is not where this
	// process left it: its commits are lost. The last commit is an exception: it may have
	// succeeded without an answer, or be lost in a crash if it was not synced.
	beginWitness = `WITH moved AS (INSERT INTO psi_router.witnesses (process, slot, n) VALUES ($1, $2, 1)
			ON CONFLICT (process, slot) DO UPDATE SET n = witnesses.n + 1, at = excluded.at WHERE witnesses.n <= $3 RETURNING n)
		SELECT coalesce((SELECT n FROM moved), psi_router.refuse('` + lostCommit + `', ''))`
	moveWitness = `WITH moved AS (UPDATE psi_router.witnesses SET n = n + 1, at = clock_timestamp()
			WHERE process = $1 AND slot = $2 AND n BETWEEN $3 AND $4 RETURNING n)
		SELECT coalesce((SELECT n FROM moved), psi_router.refuse('` + lostCommit + `', ''))`

	// Codes of psi_router.refuse.
	lostCommit    = "PSI01"
	pastLimit     = "PSI02"
	anotherServer = "PSI03"
)

// witnesses are the rows of this process, one for each concurrent connection.
type witnesses struct {
	process string

	mu    sync.Mutex
	slots []*witness
}

// witness is the row of one connection. Whoever has the connection has the witness.
type witness struct {
	slot   int64
	taken  bool
	synced int64 // the last commit that is known to be on disk
	last   int64 // the last commit that may be there
}

func newWitnesses() (*witnesses, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, errors.New("no randomness")
	}
	return &witnesses{process: id.String()}, nil
}

// slotKey is the key of a connection's slot.
const slotKey = "psi-router witness"

// assignSlot gives a new connection a slot.
func (w *witnesses) assignSlot(c *pgx.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.slots {
		if !k.taken {
			k.taken = true
			c.PgConn().CustomData()[slotKey] = k
			return
		}
	}
	k := &witness{slot: int64(len(w.slots)), taken: true}
	w.slots = append(w.slots, k)
	c.PgConn().CustomData()[slotKey] = k
}

// releaseSlot takes the slot back.
func (w *witnesses) releaseSlot(c *pgx.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k, ok := c.PgConn().CustomData()[slotKey].(*witness); ok {
		k.taken = false
	}
}

func (w *witnesses) processName() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

// syncedCommits returns by slot the last commit that is certainly on disk.
func (w *witnesses) syncedCommits() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]int64, len(w.slots))
	for i, k := range w.slots {
		out[i] = k.synced
	}
	return out
}

// reset gives the process another name: its commits belong to an earlier database.
func (w *witnesses) reset() error {
	fresh, err := newWitnesses()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process = fresh.process
	for _, k := range w.slots {
		k.synced, k.last = 0, 0
	}
	return nil
}

// observe takes the positions of the rows: commits without an answer may have succeeded.
func (w *witnesses) observe(rows map[int64]int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.slots {
		k.last = max(k.last, rows[k.slot])
	}
}

// queueAdvance moves the witness of a connection; moved is its position if that worked.
func (w *witnesses) queueAdvance(b *pgx.Batch, c *pgx.Conn) (moved *int64, k *witness) {
	k, _ = c.PgConn().CustomData()[slotKey].(*witness)
	moved = new(int64)
	to := func(row pgx.Row) error { return row.Scan(moved) }
	w.mu.Lock()
	defer w.mu.Unlock()
	if k.synced == 0 {
		queue(b, beginWitness, w.process, k.slot, k.last).QueryRow(to)
	} else {
		queue(b, moveWitness, w.process, k.slot, k.synced, k.last).QueryRow(to)
	}
	return moved, k
}

// recordCommit notes how the commit of a witness ended.
func (w *witnesses) recordCommit(k *witness, moved int64, synced bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		k.last = max(k.last+1, moved) // it may have succeeded
	case synced:
		k.synced, k.last = moved, moved
	default:
		k.last = moved
	}
}

// transact gives fn a connection without a transaction, and rolls back what fn leaves open.
// It runs fn again after another server was compared, or a number was noted outside: then
// nothing was written. A closed store is not written to.
func (s *Store) transact(ctx context.Context, pool *pgxpool.Pool, fn func(c *pgxpool.Conn) error) error {
	for try := 1; ; try++ {
		if err := s.checkWritable(); err != nil {
			return err
		}
		err := withConn(ctx, pool, fn)
		switch {
		case try == maxTries:
		case sqlState(err) == lostCommit, sqlState(err) == anotherServer:
			if err = s.verify(ctx, pool); err == nil {
				continue
			}
		case sqlState(err) == pastLimit:
			if err = s.raiseLimit(ctx, pool, message(err)); err == nil {
				continue
			}
		}
		return err
	}
}

// transactWithTimeout is transact on the pool within the deadline of a call.
func (s *Store) transactWithTimeout(ctx context.Context, fn func(ctx context.Context, c *pgxpool.Conn) error) (err error) {
	ctx, end := withTimeout(ctx)
	defer end(&err)
	return s.transact(ctx, s.pool, func(c *pgxpool.Conn) error { return fn(ctx, c) })
}

// withConn runs fn on a connection.
func withConn(ctx context.Context, pool *pgxpool.Pool, fn func(c *pgxpool.Conn) error) error {
	c, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	defer rollback(ctx, c)
	return fn(c)
}

// begin begins a transaction that writes, in a batch; more are further settings.
func (s *Store) begin(b *pgx.Batch, more ...string) {
	queue(b, beginWrite)
	for _, query := range append([]string{txSettings}, more...) {
		queue(b, query)
	}
	s.checkFence(b)
	queue(b, sameServer, s.guard.verifiedServer())
}

// commit commits with the statements in b. A crash of the server may lose a commit that is
// not synced.
func (s *Store) commit(ctx context.Context, c *pgxpool.Conn, b *pgx.Batch, synced bool) error {
	moved, k := s.witnesses.queueAdvance(b, c.Conn())
	queue(b, `COMMIT`)
	err := sendBatch(ctx, c, b)
	s.witnesses.recordCommit(k, *moved, synced, err)
	return err
}

// writeDirect runs a transaction of one batch.
func (s *Store) writeDirect(ctx context.Context, fill func(b *pgx.Batch)) error {
	return s.transactWithTimeout(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		b := &pgx.Batch{}
		s.begin(b)
		fill(b)
		return s.commit(ctx, c, b, true)
	})
}

// checkLimit aborts the transaction if a counter is past the noted limit: nobody may see a
// number that could be given out again. See raiseLimit.
func (s *Store) checkLimit(b *pgx.Batch, counter string) {
	const query = `SELECT CASE WHEN value > $2 THEN psi_router.refuse('` + pastLimit + `', name) END FROM psi_router.counters WHERE name = $1`
	queue(b, query, counter, s.guard.limit(counter))
}

package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	beginWrite = `BEGIN ISOLATION LEVEL READ COMMITTED`
	beginRead  = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
	// settings hold for one transaction, as a pooler gives the next one to somebody
	// else. No wait outlasts the deadline, and a commit is on disk when it returns.
	// All that we ask has an index, and it is used whatever the statistics say: a
	// table that was empty when they were taken would be read from end to end.
	settings = `SELECT set_config('lock_timeout', '2s', true), set_config('statement_timeout', '10s', true),
		set_config('idle_in_transaction_session_timeout', '10s', true), set_config('jit', 'off', true),
		set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
		set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
			ELSE current_setting('synchronous_commit') END, true)`
	// anew has statements planned for what they ask: pages and filters are asked for in
	// many ways, and no one plan is good for all.
	anew = `SELECT set_config('plan_cache_mode', 'force_custom_plan', true)`
	// laterSync is for what may be gone after a crash of the server: the next commit that
	// is synced takes it along.
	laterSync = `SELECT set_config('synchronous_commit', 'off', true)`
	// hurry is for those who have waited already.
	hurry = `SELECT set_config('lock_timeout', '100ms', true)`

	// tries is how often a transaction is done that neighbours brought down.
	tries = 6
)

// send runs a batch in one round trip.
func send(ctx context.Context, c *pgxpool.Conn, b *pgx.Batch) error {
	return c.SendBatch(ctx, b).Close()
}

// bound gives a call its deadline, and makes the end of that an error of ours.
func bound(ctx context.Context) (context.Context, func(*error)) {
	call, cancel := context.WithTimeoutCause(ctx, deadline, errTimeUp)
	return call, func(err *error) {
		if *err != nil && ctx.Err() == nil && call.Err() != nil && !errors.Is(*err, errTimeUp) {
			*err = fmt.Errorf("%w: %w", errTimeUp, *err)
		}
		cancel()
	}
}

// rollback ends what did not come to its end. A connection that cannot even do
// that is closed when it is released.
func rollback(ctx context.Context, c *pgxpool.Conn) {
	if c.Conn().IsClosed() || c.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = c.Exec(ctx, "ROLLBACK") // see above
}

// write runs one transaction: it locks and loads what w says, and writes the unit
// once fn is done with it. fn may run again, over a new unit.
func (s *Store) write(ctx context.Context, w *wants, now time.Time, fn func(p *page) error) (err error) {
	ctx, end := bound(ctx)
	defer end(&err)
	for try := 1; ; try++ {
		err := s.attempt(ctx, w, now, fn)
		if code(err) == uniqueViolation {
			s.forget()
		}
		if err == nil || !again(err) && !fresh(err) || try == tries || !pause(ctx, try) {
			return err
		}
	}
}

// fresh says that a connection broke before anything could be committed.
func fresh(err error) bool {
	var e *earlyError
	return errors.As(err, &e)
}

// earlyError is one of a connection that had been left in the pool.
type earlyError struct{ error }

func (e *earlyError) Unwrap() error { return e.error }

func (s *Store) attempt(ctx context.Context, w *wants, now time.Time, fn func(p *page) error) error {
	return s.transact(ctx, s.pool, func(c *pgxpool.Conn) error { return s.writeOnce(ctx, c, w, now, fn) })
}

// writeOnce is one try of write on a connection.
func (s *Store) writeOnce(ctx context.Context, c *pgxpool.Conn, w *wants, now time.Time, fn func(p *page) error) error {
	spare, err := s.reserve(ctx, len(w.Names)+w.Fresh)
	if err != nil {
		return err
	}
	p, err := s.decide(ctx, c, w, now, spare, fn)
	if err != nil {
		s.giveBack(spare)
		return err
	}
	written, err := s.finish(ctx, c, p)
	if p.numbers.n > 0 && undone(err) {
		s.tickets.giveBack(p.counter, p.numbers)
	}
	if err != nil {
		return err
	}
	if !written { // and what was claimed is let go
		s.giveBack(spare)
		return nil
	}
	s.giveBack(p.unused())
	s.lines.add(p.book.LastInboundByLine)
	p.book.Notify()
	return nil
}

// finish writes the unit, if there is something to write.
func (s *Store) finish(ctx context.Context, c *pgxpool.Conn, p *page) (written bool, err error) {
	b := &pgx.Batch{}
	if p.before != nil {
		p.before(b)
	}
	if err := p.flush(b); err != nil {
		return false, err
	}
	if p.after != nil {
		p.after(b)
	}
	if b.Len() == 0 {
		return false, nil
	}
	p.release(b)
	return true, s.commit(ctx, c, b, true)
}

// decide locks, loads and lets fn decide, again once the tickets that it opens have
// their numbers.
func (s *Store) decide(ctx context.Context, c *pgxpool.Conn, w *wants, now time.Time, spare []int64, fn func(p *page) error) (*page, error) {
	b := &pgx.Batch{}
	s.begin(b)
	if w.Hurry {
		queue(b, hurry)
	}
	f := w.queue(b, people(w.Names, spare))
	if err := send(ctx, c, b); err != nil {
		if code(err) == "" && unavailable(err) && ctx.Err() == nil {
			err = &earlyError{err}
		}
		return nil, err
	}
	if w.more != nil {
		if err := w.more(ctx, c, f.open(s.set, now)); err != nil {
			return nil, err
		}
	}
	var counter string
	var numbers span
	for {
		p := f.open(s.set, now)
		p.keys, p.known, p.counter, p.numbers = spare, s.lines.has, counter, numbers
		err := fn(p)
		n := int64(len(p.book.OpenedTickets))
		switch {
		case err == nil && n == numbers.n:
			return p, nil
		case err == nil && numbers.n > 0:
			err = fmt.Errorf("%d tickets became %d", numbers.n, n) // fn is no function of the unit
		case err == nil:
			counter = "ticket:" + strconv.Itoa(p.book.Year())
			if numbers, err = s.takeTickets(ctx, counter, n); err == nil {
				f.ticket = numbers.before
				continue
			}
		}
		if numbers.n > 0 {
			s.tickets.giveBack(counter, numbers)
		}
		return nil, err
	}
}

// people returns the names of everybody in the batch, in order, and to each the
// key of the contact that it may lead to.
func people(names [][]string, keys []int64) []claim {
	var out []claim
	seen := map[string]bool{}
	for i, list := range names {
		for _, alias := range list {
			if !seen[alias] {
				seen[alias] = true
				out = append(out, claim{alias, keys[i]})
			}
		}
	}
	slices.SortFunc(out, func(x, y claim) int { return cmp.Compare(x.alias, y.alias) })
	return out
}

// read runs queries over one snapshot. fn may ask several times.
func (s *Store) read(ctx context.Context, what string, fn func(r *reader) error) (err error) {
	err = func() (err error) {
		ctx, end := bound(ctx)
		defer end(&err)
		c, err := s.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer c.Release()
		defer rollback(ctx, c)
		return fn(&reader{ctx: ctx, c: c})
	}()
	return wrap(what, err)
}

// reader is a transaction that only reads.
type reader struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one call
	c     *pgxpool.Conn
	began bool
	kept  bool // the server's plans will do
}

// ask runs queries in one round trip.
func (r *reader) ask(fill func(b *pgx.Batch)) error {
	b := &pgx.Batch{}
	if !r.began {
		r.began = true
		queue(b, beginRead)
		queue(b, settings)
		if !r.kept {
			queue(b, anew)
		}
	}
	fill(b)
	return send(r.ctx, r.c, b)
}

// last runs the last queries.
func (r *reader) last(fill func(b *pgx.Batch)) error {
	return r.ask(func(b *pgx.Batch) {
		fill(b)
		queue(b, `COMMIT`)
	})
}

package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// txState is a unit over the loaded rows, and what only the engine knows of it.
type txState struct {
	*loaded
	unit              *unit.Unit
	conversationByRow map[int64]*unit.ConversationRow
	conversationByID  map[string]*unit.ConversationRow // conversations by their id
	listed            []*unit.ConversationRow          // conversations that were only read
	rowKeys           []int64                          // for new rows
	usedKeys          map[int64]bool
	isKnownLine       func(line string) bool // whether a line has its row
	// ticketIDs are the numbers of ticketCounter for the tickets in the unit.
	ticketCounter string
	ticketIDs     idRange
	// beforeFlush and afterFlush are queued before and after all writes.
	beforeFlush, afterFlush func(b *pgx.Batch)
}

// newTxState puts copies of the locked rows into a new unit.
func (l *loaded) newTxState(set unit.Settings, now time.Time) *txState {
	tx := &txState{
		loaded: l, unit: unit.New(set, now),
		conversationByRow: map[int64]*unit.ConversationRow{}, conversationByID: map[string]*unit.ConversationRow{}, usedKeys: map[int64]bool{},
	}
	tx.unit.LastTicket = l.lastTicket
	contacts := make(map[int64]*unit.ContactRow, len(l.contacts))
	for n, c := range l.contacts {
		mine := *c
		contacts[n] = &mine
		tx.unit.AddContact(&mine)
	}
	for alias, n := range l.aliases {
		if c := contacts[n]; c != nil {
			tx.unit.AddAlias(alias, c)
		}
	}
	for _, conv := range l.conversations {
		c := contacts[conv.ContactKey]
		if c == nil || tx.conversationByRow[conv.Row] != nil {
			continue
		}
		mine := conv.ConversationRow
		mine.Auto = slices.Clip(mine.Auto)
		mine.ContactRow = c
		tx.conversationByRow[conv.Row], tx.conversationByID[conv.ID] = &mine, &mine
		tx.unit.AddConversation(&mine)
	}
	for _, m := range l.messages {
		tx.adoptMessage(m)
	}
	for _, r := range l.recorded {
		tx.unit.AddRecorded(r.line, r.key)
	}
	for _, r := range l.parked {
		tx.unit.AddParked(r)
	}
	return tx
}

// adoptMessage adds a message to the unit that has its conversation.
func (tx *txState) adoptMessage(m *messageRow) {
	conv := tx.conversationByRow[m.ConversationKey]
	if conv == nil {
		return
	}
	mine := m.MessageRow
	mine.Reactions = slices.Clip(mine.Reactions)
	mine.ConversationRow = conv
	conv.Pending = conv.Pending || m.pending
	tx.unit.AddMessage(&mine)
}

const (
	beginWrite = `BEGIN ISOLATION LEVEL READ COMMITTED`
	beginRead  = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
	// txSettings hold for one transaction, as a pooler gives the next one to another
	// process. No wait outlasts the deadline, and a commit is on disk when it returns.
	// Sequential scans are off, as every query has an index: a table that was empty at its
	// last ANALYZE would be read from end to end.
	txSettings = `SELECT set_config('lock_timeout', '2s', true), set_config('statement_timeout', '10s', true),
		set_config('idle_in_transaction_session_timeout', '10s', true), set_config('jit', 'off', true),
		set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
		set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
			ELSE current_setting('synchronous_commit') END, true)`
	// customPlan forces custom plans: list filters vary too much for one generic plan.
	customPlan = `SELECT set_config('plan_cache_mode', 'force_custom_plan', true)`
	// asyncCommit is for rows that a crash of the server may lose: the next synced commit
	// syncs them too.
	asyncCommit = `SELECT set_config('synchronous_commit', 'off', true)`
	// shortLockTimeout is for callers that have waited already.
	shortLockTimeout = `SELECT set_config('lock_timeout', '100ms', true)`

	// maxTries is how often a transaction is tried that concurrent ones make fail.
	maxTries = 6
)

// sendBatch runs a batch in one round trip.
func sendBatch(ctx context.Context, c *pgxpool.Conn, b *pgx.Batch) error {
	return c.SendBatch(ctx, b).Close()
}

// withTimeout gives a call its deadline, and marks an error that follows from it.
func withTimeout(ctx context.Context) (context.Context, func(*error)) {
	call, cancel := context.WithTimeoutCause(ctx, callTimeout, errTimeout)
	return call, func(err *error) {
		if *err != nil && ctx.Err() == nil && call.Err() != nil && !errors.Is(*err, errTimeout) {
			*err = fmt.Errorf("%w: %w", errTimeout, *err)
		}
		cancel()
	}
}

// rollback ends an unfinished transaction. A connection that cannot even do that is closed
// when it is released.
func rollback(ctx context.Context, c *pgxpool.Conn) {
	if c.Conn().IsClosed() || c.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = c.Exec(ctx, "ROLLBACK")
}

// write runs one transaction: it locks and loads the lockSet, calls fn, and writes the
// unit. fn may run again, over a new unit.
func (s *Store) write(ctx context.Context, locks *lockSet, now time.Time, fn func(tx *txState) error) (err error) {
	ctx, end := withTimeout(ctx)
	defer end(&err)
	for try := 1; ; try++ {
		err := s.transact(ctx, s.pool, func(c *pgxpool.Conn) error { return s.writeOnce(ctx, c, locks, now, fn) })
		if sqlState(err) == uniqueViolation {
			s.resetReserves()
		}
		if err == nil || !isRetryable(err) && !failedBeforeCommit(err) || try == maxTries || !backOff(ctx, try) {
			return err
		}
	}
}

// failedBeforeCommit reports whether a connection broke before anything could be committed.
func failedBeforeCommit(err error) bool {
	var e *earlyError
	return errors.As(err, &e)
}

// earlyError is the error of a connection that broke in the pool.
type earlyError struct{ error }

func (e *earlyError) Unwrap() error { return e.error }

// writeOnce is one try of write on a connection.
func (s *Store) writeOnce(ctx context.Context, c *pgxpool.Conn, locks *lockSet, now time.Time, fn func(tx *txState) error) error {
	spare, err := s.reserveKeys(ctx, len(locks.AliasGroups)+locks.NewConversations)
	if err != nil {
		return err
	}
	tx, err := s.decide(ctx, c, locks, now, spare, fn)
	if err != nil {
		s.releaseKeys(spare)
		return err
	}
	written, err := s.finish(ctx, c, tx)
	if tx.ticketIDs.n > 0 && isRolledBack(err) {
		s.tickets.release(tx.ticketCounter, tx.ticketIDs)
	}
	if err != nil {
		return err
	}
	if !written { // this also releases the claimed aliases
		s.releaseKeys(spare)
		return nil
	}
	s.releaseKeys(tx.unusedKeys())
	s.knownLines.add(tx.unit.LastInboundByLine)
	tx.unit.Notify()
	return nil
}

// finish writes the unit if it has changes.
func (s *Store) finish(ctx context.Context, c *pgxpool.Conn, tx *txState) (written bool, err error) {
	b := &pgx.Batch{}
	if tx.beforeFlush != nil {
		tx.beforeFlush(b)
	}
	if err := tx.flush(b); err != nil {
		return false, err
	}
	if tx.afterFlush != nil {
		tx.afterFlush(b)
	}
	if b.Len() == 0 {
		return false, nil
	}
	tx.releaseAliases(b)
	return true, s.commit(ctx, c, b, true)
}

// decide locks, loads and calls fn, and calls it again once the tickets that it opens have
// their numbers.
func (s *Store) decide(ctx context.Context, c *pgxpool.Conn, locks *lockSet, now time.Time, spare []int64, fn func(tx *txState) error) (*txState, error) {
	b := &pgx.Batch{}
	s.begin(b)
	if locks.ShortLockTimeout {
		queue(b, shortLockTimeout)
	}
	l := locks.queueLoad(b, aliasClaims(locks.AliasGroups, spare))
	if err := sendBatch(ctx, c, b); err != nil {
		if sqlState(err) == "" && isUnavailable(err) && ctx.Err() == nil {
			err = &earlyError{err}
		}
		return nil, err
	}
	if locks.loadMore != nil {
		if err := locks.loadMore(ctx, c, l.newTxState(s.set, now)); err != nil {
			return nil, err
		}
	}
	var counter string
	var numbers idRange
	for {
		tx := l.newTxState(s.set, now)
		tx.rowKeys, tx.isKnownLine, tx.ticketCounter, tx.ticketIDs = spare, s.knownLines.has, counter, numbers
		err := fn(tx)
		n := int64(len(tx.unit.OpenedTickets))
		switch {
		case err == nil && n == numbers.n:
			return tx, nil
		case err == nil && numbers.n > 0:
			err = fmt.Errorf("%d tickets became %d", numbers.n, n) // fn is not deterministic
		case err == nil:
			counter = sqlrow.TicketCounter(tx.unit.Year())
			if numbers, err = s.reserveTickets(ctx, counter, n); err == nil {
				l.lastTicket = numbers.before
				continue
			}
		}
		if numbers.n > 0 {
			s.tickets.release(counter, numbers)
		}
		return nil, err
	}
}

// aliasClaims returns the aliases of everybody in the batch, sorted, each with the key of
// the contact that it may lead to.
func aliasClaims(names [][]string, keys []int64) []aliasClaim {
	var out []aliasClaim
	seen := map[string]bool{}
	for i, list := range names {
		for _, alias := range list {
			if !seen[alias] {
				seen[alias] = true
				out = append(out, aliasClaim{alias, keys[i]})
			}
		}
	}
	slices.SortFunc(out, func(x, y aliasClaim) int { return cmp.Compare(x.alias, y.alias) })
	return out
}

// read runs queries over one snapshot. fn may ask several times.
func (s *Store) read(ctx context.Context, what string, fn func(r *reader) error) (err error) {
	err = func() (err error) {
		if err := s.checkReady(); err != nil {
			return err
		}
		ctx, end := withTimeout(ctx)
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

// reader is a read-only transaction.
type reader struct {
	ctx         context.Context //nolint:containedctx // it lives as long as one call
	c           *pgxpool.Conn
	began       bool
	genericPlan bool // the server's generic plans will do
}

func (r *reader) ask(fill func(b *pgx.Batch)) error {
	b := &pgx.Batch{}
	if !r.began {
		r.began = true
		queue(b, beginRead)
		queue(b, txSettings)
		if !r.genericPlan {
			queue(b, customPlan)
		}
	}
	fill(b)
	return sendBatch(r.ctx, r.c, b)
}

// askLast runs the last queries.
func (r *reader) askLast(fill func(b *pgx.Batch)) error {
	return r.ask(func(b *pgx.Batch) {
		fill(b)
		queue(b, `COMMIT`)
	})
}

// eachRow calls scan for every row of a result.
func eachRow(scan func(pgx.Rows) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

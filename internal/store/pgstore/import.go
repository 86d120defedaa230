package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

// Target is a database that another store is moved into. Nobody can open it as a store
// before the move is finished.
type Target struct {
	s *Store
}

// OpenTarget connects and changes nothing.
func OpenTarget(ctx context.Context, o Options) (*Target, error) {
	s, err := connect(ctx, o)
	if err != nil {
		return nil, notOpened(err)
	}
	return &Target{s}, nil
}

// Close closes the connections.
func (t *Target) Close() error { return t.s.Close() }

// checkMoveFinished refuses a database with an unfinished move.
func (s *Store) checkMoveFinished(ctx context.Context) error {
	var half bool
	const query = `SELECT EXISTS (SELECT FROM psi_router.move WHERE finished_at IS NULL)`
	if err := s.pool.QueryRow(ctx, query).Scan(&half); err != nil || !half {
		return err
	}
	return fmt.Errorf("%w: run psi-router store move again, on the machine and with the data_dir of the files", transfer.ErrMoving)
}

// State returns what the database has already.
func (t *Target) State(ctx context.Context) (transfer.TargetState, error) {
	var st transfer.TargetState
	err := t.unlimited(ctx, func(tx pgx.Tx) error {
		var there, movable bool
		const tables = `SELECT to_regclass('psi_router.installation') IS NOT NULL, to_regclass('psi_router.move') IS NOT NULL`
		if err := tx.QueryRow(ctx, tables).Scan(&there, &movable); err != nil || !there {
			return err
		}
		if movable {
			var finished pgtype.Timestamptz
			err := tx.QueryRow(ctx, `SELECT source, finished_at FROM psi_router.move`).Scan(&st.Source, &finished)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			st.Finished = instant(finished)
			err = tx.QueryRow(ctx, `SELECT holder FROM psi_router.owner WHERE expires > clock_timestamp()`).Scan(&st.InUseBy)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
		for _, table := range transfer.Tables() {
			var has bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM psi_router.`+table.Name+`)`).Scan(&has); err != nil {
				return err
			}
			if has {
				st.NonEmptyTable = table.Name
				return nil
			}
		}
		return nil
	})
	return st, wrap("read the state of the target", err)
}

// Begin brings the schema up to date and notes the installation that is moved in. reset
// deletes the rows of an earlier move. The caller has checked the State.
func (t *Target) Begin(ctx context.Context, source string, reset bool) error {
	if err := t.s.migrate(ctx); err != nil {
		return fmt.Errorf("migrate: %w", withCure(err))
	}
	if err := t.s.ensureInstallation(ctx); err != nil {
		return wrap("begin move", err)
	}
	return wrap("begin move", t.exclusive(ctx, func(tx pgx.Tx) error {
		var other string
		err := tx.QueryRow(ctx, `SELECT source FROM psi_router.move WHERE source <> $1 OR finished_at IS NOT NULL`, source).Scan(&other)
		if err == nil {
			return fmt.Errorf("another move came first, of installation %s", other)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if reset {
			for _, table := range t.tableNames() {
				if _, err := tx.Exec(ctx, `DELETE FROM psi_router.`+table); err != nil {
					return err
				}
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO psi_router.move (source) VALUES ($1) ON CONFLICT DO NOTHING`, source)
		return err
	}))
}

func (t *Target) tableNames() []string {
	names := []string{"move_marks", "pending", "batches"}
	for _, table := range transfer.Tables() {
		names = append(names, table.Name)
	}
	return names
}

// Cursor returns how far the move of a table is.
func (t *Target) Cursor(ctx context.Context, table transfer.Table) (cursor string, rows int64, err error) {
	err = t.s.pool.QueryRow(ctx, `SELECT mark, rows FROM psi_router.move_marks WHERE name = $1`, table.Name).Scan(&cursor, &rows)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return cursor, rows, wrap("read cursor", err)
}

// Import writes rows that follow the cursor, and moves the cursor behind them: all or
// nothing, and never twice.
func (t *Target) Import(ctx context.Context, table transfer.Table, after string, rows []transfer.Row) error {
	if len(rows) == 0 {
		return nil
	}
	return wrap("load "+table.Name, t.exclusive(ctx, func(tx pgx.Tx) error {
		const move = `INSERT INTO psi_router.move_marks (name, mark, rows) SELECT $1, $2, $3::bigint
			WHERE EXISTS (SELECT FROM psi_router.move WHERE finished_at IS NULL) AND ($4 = '') = NOT EXISTS
				(SELECT FROM psi_router.move_marks WHERE name = $1)
			ON CONFLICT (name) DO UPDATE SET mark = excluded.mark, rows = move_marks.rows + excluded.rows
			WHERE move_marks.mark = $4`
		tag, err := tx.Exec(ctx, move, table.Name, table.Cursor(rows[len(rows)-1]), len(rows), after)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errors.New("another move into this database is running")
		}
		if table.Name == "events" {
			return importEvents(ctx, tx, rows)
		}
		if err := insertRows(ctx, tx, "psi_router."+table.Name, table.Columns, rows); err != nil {
			return err
		}
		if table.Name == "messages" {
			return importPending(ctx, tx, rows)
		}
		return nil
	}))
}

// Read calls fn for every imported row of a table, in any order.
func (t *Target) Read(ctx context.Context, table transfer.Table, fn func(transfer.Row) error) error {
	from, columns := "psi_router."+table.Name, make([]string, len(table.Columns))
	for i, c := range table.Columns {
		columns[i] = c.Name
		switch c.Kind {
		case transfer.ColumnOptional:
			columns[i] = "coalesce(" + c.Name + ", '')"
		case transfer.ColumnJSON:
			columns[i] = "coalesce(" + c.Name + "::text, '')"
		}
	}
	if table.Name == "events" {
		columns[0] = "batch + i"
	}
	return wrap("read "+table.Name, t.unlimited(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+from)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := readRow(table.Columns, rows)
			if err != nil {
				return err
			}
			if err := fn(r); err != nil {
				return err
			}
		}
		return rows.Err()
	}))
}

// Finish opens the store to everybody. Its sequences and counters continue behind the
// imported rows.
func (t *Target) Finish(ctx context.Context) error {
	err := wrap("finish move", t.exclusive(ctx, func(tx pgx.Tx) error {
		queries := []string{`SELECT setval('psi_router.keys', greatest(m, (SELECT last_value FROM psi_router.keys))) FROM
			(SELECT greatest((SELECT max(n) FROM psi_router.contacts), (SELECT max(n) FROM psi_router.conversations)) m) x WHERE m > 0`}
		for _, table := range []string{"messages", "records", "handoffs", "audit", "batches"} {
			name := "psi_router." + table
			queries = append(queries, `SELECT setval(pg_get_serial_sequence('`+name+`', 'n'), m) FROM (SELECT max(n) m FROM `+name+`) x WHERE m > 0`)
		}
		queries = append(queries, `UPDATE psi_router.move SET finished_at = now() WHERE finished_at IS NULL`)
		for _, q := range queries {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}))
	if err != nil {
		return err
	}
	// Statistics make plans better; results are right without.
	for _, table := range append(t.tableNames(), "move") {
		if _, err := t.s.pool.Exec(ctx, "ANALYZE psi_router."+table); err != nil {
			t.s.log.Warn("table not analyzed", "table", table, "error", err)
			break
		}
	}
	return nil
}

// exclusive runs a transaction that one mover at a time has.
func (t *Target) exclusive(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return t.unlimited(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(lockMove)); err != nil {
			return err
		}
		return fn(tx)
	})
}

// unlimited runs a transaction without timeouts. Its commit is synced.
func (t *Target) unlimited(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, t.s.pool, func(tx pgx.Tx) error {
		const limits = `SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '30s', true),
			set_config('idle_in_transaction_session_timeout', '0', true),
			set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
				ELSE current_setting('synchronous_commit') END, true)`
		if _, err := tx.Exec(ctx, limits); err != nil {
			return err
		}
		return fn(tx)
	})
}

// lockMove is the lock of a move's transactions; see lockMigrate.
const lockMove = 0x7073692d726f7403

// insertRows writes rows with one statement.
func insertRows(ctx context.Context, tx pgx.Tx, into string, columns []transfer.Column, rows []transfer.Row) error {
	names, values, arrays, args := []string{}, []string{}, []string{}, []any{}
	for i, c := range columns {
		value, kind := "u."+c.Name, "text"
		switch c.Kind {
		case transfer.ColumnText, transfer.ColumnOptional:
			args = append(args, escapeTexts(col(rows, func(r transfer.Row) string { return asText(r[i]) })))
			if c.Kind == transfer.ColumnOptional {
				value = "nullif(" + value + ", '')"
			}
		case transfer.ColumnJSON:
			args = append(args, col(rows, func(r transfer.Row) string { return asText(r[i]) }))
			value = "nullif(" + value + ", '')::json"
		case transfer.ColumnNumber:
			kind = "bigint"
			args = append(args, col(rows, func(r transfer.Row) int64 { return asNumber(r[i]) }))
		case transfer.ColumnFlag:
			kind = "boolean"
			args = append(args, col(rows, func(r transfer.Row) bool { return asNumber(r[i]) != 0 }))
		case transfer.ColumnTime, transfer.ColumnMoment:
			kind = "timestamptz"
			args = append(args, col(rows, func(r transfer.Row) pgtype.Timestamptz {
				us := asNumber(r[i])
				return pgtype.Timestamptz{Time: time.UnixMicro(us), Valid: us != 0 || c.Kind == transfer.ColumnMoment}
			}))
		case transfer.ColumnBytes:
			kind = "bytea"
			args = append(args, col(rows, func(r transfer.Row) []byte { return asBytes(r[i]) }))
		}
		names, values = append(names, c.Name), append(values, value)
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", len(args), kind))
	}
	list := strings.Join(names, ", ")
	_, err := tx.Exec(ctx, "INSERT INTO "+into+" ("+list+") SELECT "+strings.Join(values, ", ")+
		" FROM unnest("+strings.Join(arrays, ", ")+") u ("+list+")", args...)
	return err
}

// Values of rows; see transfer.ColumnKind.
func asText(v any) string  { s, _ := v.(string); return s }
func asNumber(v any) int64 { n, _ := v.(int64); return n }
func asBytes(v any) []byte { b, _ := v.([]byte); return b }

// importPending finds the messages that are to be sent or uncertain.
func importPending(ctx context.Context, tx pgx.Tx, rows []transfer.Row) error {
	ids := col(rows, func(r transfer.Row) int64 { return asNumber(r[0]) })
	conversations := col(rows, func(r transfer.Row) int64 { return asNumber(r[2]) })
	const query = `INSERT INTO psi_router.pending (conversation, n, since, doubt, notice, tried)
		SELECT m.conversation, m.n, coalesce(m.since, m.created_at), m.status = 'uncertain', m.notice, m.attempts > 0
		FROM unnest($1::bigint[], $2::bigint[]) u (conversation, n)
		JOIN psi_router.messages m ON m.conversation = u.conversation AND m.n = u.n
		WHERE m.direction = 'outbound' AND m.status IN ('queued', 'sending', 'uncertain')`
	_, err := tx.Exec(ctx, query, conversations, ids)
	return err
}

// importEvents gives every run of positions a batch, whose key is the first of them. Events
// without a position therefore come last, in their order.
func importEvents(ctx context.Context, tx pgx.Tx, rows []transfer.Row) error {
	var numbered int64
	err := tx.QueryRow(ctx, `SELECT value FROM psi_router.counters WHERE name = 'numbered'`).Scan(&numbered)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var batches, events []transfer.Row
	for i, r := range rows {
		pos := asNumber(r[0])
		if i == 0 || pos != asNumber(rows[i-1][0])+1 || pos == numbered+1 {
			first := pos
			if pos > numbered {
				first = 0
			}
			batches = append(batches, transfer.Row{pos, int64(0), first})
		}
		b := batches[len(batches)-1]
		b[1] = asNumber(b[1]) + 1
		events = append(events, append(transfer.Row{b[0], pos - asNumber(b[0])}, r[1:]...))
	}
	_, err = tx.Exec(ctx, `INSERT INTO psi_router.batches (n, size, first_pos)
		SELECT n, size, nullif(first, 0) FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) u (n, size, first)`,
		numbers(batches, 0), numbers(batches, 1), numbers(batches, 2))
	if err != nil {
		return err
	}
	for _, t := range transfer.Tables() {
		if t.Name == "events" {
			columns := append([]transfer.Column{{Name: "batch", Kind: transfer.ColumnNumber}, {Name: "i", Kind: transfer.ColumnNumber}}, t.Columns[1:]...)
			return insertRows(ctx, tx, "psi_router.events", columns, events)
		}
	}
	return nil
}

func numbers(rows []transfer.Row, i int) []int64 {
	return col(rows, func(r transfer.Row) int64 { return asNumber(r[i]) })
}

func readRow(columns []transfer.Column, rows pgx.Rows) (transfer.Row, error) {
	dest := make([]any, len(columns))
	for i, c := range columns {
		switch c.Kind {
		case transfer.ColumnText, transfer.ColumnOptional, transfer.ColumnJSON:
			dest[i] = new(string)
		case transfer.ColumnNumber:
			dest[i] = new(int64)
		case transfer.ColumnFlag:
			dest[i] = new(bool)
		case transfer.ColumnTime, transfer.ColumnMoment:
			dest[i] = new(pgtype.Timestamptz)
		case transfer.ColumnBytes:
			dest[i] = new([]byte)
		}
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	r := make(transfer.Row, len(dest))
	for i, d := range dest {
		switch d := d.(type) {
		case *string:
			r[i] = *d
			if columns[i].Kind != transfer.ColumnJSON {
				r[i] = unescapeText(*d)
			}
		case *int64:
			r[i] = *d
		case *bool:
			r[i] = int64(0)
			if *d {
				r[i] = int64(1)
			}
		case *pgtype.Timestamptz:
			r[i] = int64(0)
			if d.Valid {
				r[i] = d.Time.UnixMicro()
			}
		case *[]byte:
			r[i] = slices.Clip(*d)
		}
	}
	return r, nil
}

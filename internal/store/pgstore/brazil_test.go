package pgstore

import (
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// beforeBrazil is the last schema without a 9 for Brazil.
const beforeBrazil = 10

// schema opens a database with the schema of a version, and nothing else.
func schema(t testing.TB, url string, version int64) *sql.DB {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	tune(cfg)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	db := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { db.Close() })
	// A borrowed database has a schema already.
	if _, err := db.ExecContext(t.Context(), `DROP SCHEMA IF EXISTS psi_router CASCADE; CREATE SCHEMA psi_router`); err != nil {
		t.Fatal(err)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithTableName(versionTable))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return db
}

func former(t testing.TB, url string, people []storetest.FormerPerson) {
	t.Helper()
	db := schema(t, url, beforeBrazil)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range people {
		n := 1_000_000 + i // far from the keys in use
		var wrote *time.Time
		if !p.Wrote.IsZero() {
			wrote = &p.Wrote
		}
		exec(`INSERT INTO psi_router.contacts (n, id, phone, user_id, created_at) VALUES ($1, $2, $3, $4, 'epoch')`, n, p.ID, p.Phone, p.UserID)
		exec(`INSERT INTO psi_router.conversations (n, id, contact, line, state, to_phone, last_inbound, last_message_at, created_at)
			VALUES ($1, $2, $1, 'wsp4', 'menu', $3, $4, 'epoch', 'epoch')`, n, p.ID, p.Phone, wrote)
		for _, alias := range p.Aliases {
			exec(`INSERT INTO psi_router.aliases (alias, contact) VALUES ($1, $2)`, alias, n)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkBrazil: two hundred thousand contacts get their keys, half of them in two forms,
// while nobody can write.
func BenchmarkBrazil(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		server := pgtest.Shared(b)
		url := server.URL(server.Borrow(b))
		db := schema(b, url, beforeBrazil)
		for _, query := range []string{
			`INSERT INTO psi_router.contacts (n, id, phone, created_at)
				SELECT n, n, '', 'epoch' FROM generate_series(1, %[1]d) n`,
			`INSERT INTO psi_router.conversations (n, id, contact, line, state, last_inbound, last_message_at, created_at)
				SELECT n, n, n, 'wsp4', 'menu', to_timestamp(n * 7919 %% 100000), 'epoch', 'epoch' FROM generate_series(1, %[1]d) n`,
			`INSERT INTO psi_router.aliases (alias, contact)
				SELECT 'phone:5521' || CASE WHEN n %% 2 = 0 THEN '' ELSE '9' END || 80000000 + n / 2, n FROM generate_series(1, %[1]d) n`,
		} {
			if _, err := db.ExecContext(b.Context(), fmt.Sprintf(query, 200_000)); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if err := migrate(b.Context(), url, slog.New(slog.DiscardHandler)); err != nil {
			b.Fatal(err)
		}
	}
}

package sqlitestore

import (
	"database/sql"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// beforeBrazil is the last schema without a 9 for Brazil.
const beforeBrazil = 8

// schema opens a file with the schema of a version, and nothing else.
func schema(t testing.TB, path string, version int64) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return db
}

func former(t testing.TB, path string, people []storetest.FormerPerson) {
	t.Helper()
	db := schema(t, path, beforeBrazil)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range people {
		var wrote int64
		if !p.Wrote.IsZero() {
			wrote = p.Wrote.UnixMicro()
		}
		exec(`INSERT INTO contacts (n, id, phone, user_id, created_at) VALUES (?, ?, ?, ?, 0)`, i+1, p.ID, p.Phone, p.UserID)
		exec(`INSERT INTO conversations (n, id, contact, line, state, to_phone, last_inbound, created_at)
			VALUES (?, ?, ?, 'wsp4', 'menu', ?, ?, 0)`, i+1, p.ID, i+1, p.Phone, wrote)
		for _, alias := range p.Aliases {
			exec(`INSERT INTO aliases (alias, contact) VALUES (?, ?)`, alias, i+1)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkBrazil: two hundred thousand contacts get their keys, half of them in two forms,
// before the program begins.
func BenchmarkBrazil(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		db := schema(b, filepath.Join(b.TempDir(), "store.db"), beforeBrazil)
		for _, query := range []string{
			`CREATE TEMP TABLE k AS WITH RECURSIVE k (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < 200000) SELECT n FROM k`,
			`INSERT INTO contacts (n, id, created_at) SELECT n, n, 0 FROM k`,
			`INSERT INTO conversations (n, id, contact, line, state, last_inbound, created_at)
				SELECT n, n, n, 'wsp4', 'menu', n * 7919 % 100000, 0 FROM k`,
			`INSERT INTO aliases (alias, contact)
				SELECT 'phone:5521' || CASE WHEN n % 2 = 0 THEN '' ELSE '9' END || (80000000 + n / 2), n FROM k`,
		} {
			if _, err := db.ExecContext(b.Context(), query); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if err := migrate(b.Context(), db, slog.New(slog.DiscardHandler)); err != nil {
			b.Fatal(err)
		}
	}
}

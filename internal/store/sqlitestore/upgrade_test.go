package sqlitestore

import (
	"context"
	"database/sql"
	_ "embed"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/psivisionhub/psi-router/internal/racetest"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

//go:embed testdata/former.sql
var formerSQL string

// formerSchema is the schema of the former version.
const formerSchema = 8

// TestUpgrade: a store of the former version, with 200,000 messages. It syncs its commits,
// as the program's does.
func TestUpgrade(t *testing.T) {
	racetest.Skip(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	storetest.Upgrade(t, storetest.Former{
		DB: formerStore(t, path),
		Open: func(ctx context.Context, set unit.Settings) (store.Store, error) {
			o := options(path, set)
			o.Relaxed = false
			return Open(ctx, o)
		},
		Read: func() (*sql.DB, error) { return sql.Open("sqlite", path) },
	})
}

func formerStore(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), formerSchema); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "PRAGMA journal_mode = WAL; BEGIN;"+formerSQL+"COMMIT"); err != nil {
		t.Fatal(err)
	}
	return db
}

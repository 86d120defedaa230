package pgstore

import (
	"context"
	"database/sql"
	_ "embed"
	"io/fs"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/racetest"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

//go:embed testdata/former.sql
var formerSQL string

// formerSchema is the schema of the former version.
const formerSchema = 10

// TestUpgrade: a store of the former version, with 200,000 messages.
func TestUpgrade(t *testing.T) {
	racetest.Skip(t)
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.URL(server.Database(t))
	storetest.Upgrade(t, storetest.Former{
		DB: formerStore(t, url),
		Open: func(ctx context.Context, set unit.Settings) (store.Store, error) {
			return Open(ctx, options(url, set))
		},
		Read: func() (*sql.DB, error) { return inSchema(url) },
	})
}

func formerStore(t *testing.T, url string) *sql.DB {
	t.Helper()
	db := formerTables(t, url)
	if _, err := db.ExecContext(t.Context(), formerSQL); err != nil {
		t.Fatal(err)
	}
	return db
}

// formerTables makes the tables of the former version.
func formerTables(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := inSchema(url)
	if err != nil {
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
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA psi_router"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), formerSchema); err != nil {
		t.Fatal(err)
	}
	return db
}

// inSchema opens a database so that its tables need not be qualified.
func inSchema(url string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // many statements at once
	cfg.RuntimeParams["search_path"] = "psi_router"
	return stdlib.OpenDB(*cfg), nil
}

package pgstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/upgrade"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	versionTable = "psi_router.goose_db_version"
	// Advisory locks of the whole schema: "psi-router" in ASCII, and a number.
	lockMigrate = 0x7073692d726f7401
	lockPump    = 0x7073692d726f7402
)

// schemaState is the state of our schema in a database.
type schemaState int

const (
	schemaNone schemaState = iota
	schemaOlder
	schemaCurrent
)

// schema returns whether the schema is the one of this program, as it mostly is.
func (s *Store) schema(ctx context.Context) (schemaState, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return schemaNone, err
	}
	known, err := goose.NumericComponent(files[len(files)-1])
	if err != nil {
		return schemaNone, err
	}
	var there bool
	if err := s.pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&there); err != nil || !there {
		return schemaNone, err
	}
	var now int64
	const query = `SELECT coalesce(max(version_id), 0) FROM psi_router.goose_db_version WHERE is_applied`
	if err := s.pool.QueryRow(ctx, query).Scan(&now); err != nil {
		return schemaNone, err
	}
	if now == known {
		return schemaCurrent, nil
	}
	return schemaOlder, newer(now, known)
}

func newer(now, known int64) error {
	if now > known {
		return fmt.Errorf("schema %d, this program knows %d: %w", now, known, store.ErrNewer)
	}
	return nil
}

// migrate runs under a lock that one process at a time has: for as long as a transaction of
// its own lasts, since a pooler allows no longer locks.
func migrate(ctx context.Context, url string, logger *slog.Logger) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database_direct_url: %w", err)
	}
	tune(cfg)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	db.SetMaxOpenConns(2) // the lock, and the work
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithTableName(versionTable))
	if err != nil {
		return err
	}
	lock, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer lock.Rollback() //nolint:errcheck // it only held the lock
	for _, query := range []string{
		"SET LOCAL idle_in_transaction_session_timeout = 0",
		fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", lockMigrate),
	} {
		if _, err := lock.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("lock migrations: %w", err)
		}
	}
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS psi_router"); err != nil {
		return err
	}
	now, known, err := p.GetVersions(ctx)
	if err == nil {
		err = newer(now, known)
	}
	if err != nil {
		return err
	}
	return upgrade.Up(ctx, p, logger)
}

// ensureInstallation gives the store its id, once.
func (s *Store) ensureInstallation(ctx context.Context) error {
	var there bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM psi_router.installation)`).Scan(&there); err != nil || there {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return errors.New("no randomness")
	}
	_, err = s.pool.Exec(ctx, `INSERT INTO psi_router.installation (id) VALUES ($1) ON CONFLICT DO NOTHING`, id.String())
	return err
}

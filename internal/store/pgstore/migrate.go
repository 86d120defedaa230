package pgstore

import (
	"context"
	"database/sql"
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
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	versions = "psi_router.goose_db_version"
	// Locks of the whole schema. Nobody else's: "psi-router" in ASCII, and a number.
	lockMigrate = 0x7073692d726f7401
	lockPump    = 0x7073692d726f7402
)

// Migrate brings the schema up to date and nothing else; it says what it did.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := migrate(ctx, url, log); err != nil {
		return fmt.Errorf("migrate: %w", plain(err))
	}
	return nil
}

// migrate runs under a lock that one process at a time holds: for as long as a
// transaction of its own lasts, since a pooler knows no longer locks.
func migrate(ctx context.Context, url string, log *slog.Logger) error {
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
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithTableName(versions))
	if err != nil {
		return err
	}
	// Most of the time there is nothing to do, perhaps without the right to.
	if done, err := current(ctx, db, p); done || err != nil {
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
	if done, err := current(ctx, db, p); done || err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS psi_router"); err != nil {
		return err
	}
	results, err := p.Up(ctx)
	for _, r := range results {
		log.Info("migrated", "version", r.Source.Version, "took", r.Duration)
	}
	return err
}

// current says whether the schema is the one that this program knows.
func current(ctx context.Context, db *sql.DB, p *goose.Provider) (bool, error) {
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", versions).Scan(&there); err != nil || !there {
		return false, err
	}
	now, known, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return false, err
	case now > known:
		return false, fmt.Errorf("schema %d, this program knows %d: %w", now, known, store.ErrNewer)
	}
	return now == known, nil
}

// enroll gives the store its name, once.
func (s *Store) enroll(ctx context.Context) error {
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

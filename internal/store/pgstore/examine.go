package pgstore

import (
	"context"
	"io/fs"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
)

// ServerInfo describes a database.
type ServerInfo struct {
	Version                     int // 15
	Fsync                       bool
	SchemaVersion, KnownVersion int64 // applied migrations, and those of this program; Schema is 0 for none
	MaxConnections              int
	// Pooled says that a pooler is between: the server listens on another port than the one
	// that we called.
	Pooled     bool
	ClockAhead time.Duration // of our clock
}

// Examine connects and asks; it changes nothing. Whatever Open would refuse, other than the
// schema, is an error.
func Examine(ctx context.Context, url string) (a ServerInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*connectTimeout)
	defer cancel()
	s, err := connect(ctx, Options{URL: url, MaxConns: 2})
	if err != nil {
		return a, notOpened(err)
	}
	defer s.close()
	began := time.Now()
	var now time.Time
	var version int
	var fsync, most string
	var port *int
	const query = `SELECT clock_timestamp(), current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('max_connections'), inet_server_port()`
	if err := s.pool.QueryRow(ctx, query).Scan(&now, &version, &fsync, &most, &port); err != nil {
		return a, notOpened(err)
	}
	a.ClockAhead = now.Sub(began.Add(time.Since(began) / 2))
	a.Version, a.Fsync = version/10000, fsync == "on"
	a.MaxConnections, _ = strconv.Atoi(most) // the server wrote it
	a.Pooled = port != nil && *port != int(s.pool.Config().ConnConfig.Port)
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return a, err
	}
	if a.KnownVersion, err = goose.NumericComponent(files[len(files)-1]); err != nil {
		return a, err
	}
	var there bool
	if err := s.pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&there); err != nil || !there {
		return a, err
	}
	err = s.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM psi_router.goose_db_version WHERE is_applied`).Scan(&a.SchemaVersion)
	return a, err
}

package pgtest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { Main(m) }

func ask(t *testing.T, url, query string) (got string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	err = c.QueryRow(ctx, query).Scan(&got)
	return got, err
}

func TestServers(t *testing.T) {
	t.Parallel()
	s := Shared(t)
	name := s.Database(t)
	b := s.Bouncer(t)
	for _, url := range []string{s.URL(name), s.TCPURL(name), b.URL(name)} {
		if got, err := ask(t, url, "SELECT current_database()::text"); err != nil || got != name {
			t.Errorf("%s: got %q, %v", url, got, err)
		}
	}
}

func TestBorrowedDatabasesAreEmpty(t *testing.T) {
	t.Parallel()
	s := Shared(t)
	for range 2 {
		t.Run("", func(t *testing.T) {
			name := s.Borrow(t)
			s.Exec(t, name, "CREATE TABLE IF NOT EXISTS t (n serial)", "INSERT INTO t DEFAULT VALUES")
			if got, err := ask(t, s.URL(name), "SELECT count(*)::text FROM t"); err != nil || got != "1" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Settings: []string{"max_connections=20", "shared_buffers=16MB"}})
	s.Exec(t, "postgres", "CREATE TABLE t (n serial)", "CHECKPOINT")
	for _, end := range []func(){s.Stop, s.Kill} {
		end()
		if _, err := ask(t, s.URL("postgres"), "SELECT 1::text"); err == nil {
			t.Error("it still answers")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if got, err := ask(t, s.URL("postgres"), "SELECT count(*)::text FROM t"); err != nil || got != "0" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

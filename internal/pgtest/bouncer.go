package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bouncer is a PgBouncer before a Server.
type Bouncer struct {
	dir  string
	port int
	proc *process
}

// Bouncer starts a PgBouncer in transaction mode, ended with the test. Settings,
// like "pool_mode=session", override.
func (s *Server) Bouncer(tb testing.TB, settings ...string) *Bouncer {
	tb.Helper()
	b, err := s.bouncer(settings)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		b.Stop()
		os.RemoveAll(b.dir)
	})
	return b
}

func (s *Server) bouncer(settings []string) (*Bouncer, error) {
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			return nil, missing("pgbouncer")
		}
	}
	dir, err := makeDir("psi-pgb-")
	if err != nil {
		return nil, err
	}
	b := &Bouncer{dir: dir}
	if b.port, err = freePort(); err != nil {
		return nil, err
	}
	set := [][2]string{
		{"listen_addr", "127.0.0.1"},
		{"listen_port", strconv.Itoa(b.port)},
		{"unix_socket_dir", dir},
		{"auth_type", "trust"},
		{"auth_file", filepath.Join(dir, "users")},
		{"admin_users", user},
		{"pool_mode", "transaction"},
		{"max_client_conn", "500"},
		{"default_pool_size", "40"},
	}
	for _, kv := range settings {
		k, v, _ := strings.Cut(kv, "=")
		set = append(set, [2]string{k, v})
	}
	ini := fmt.Sprintf("[databases]\n* = host=%s port=%d\n[pgbouncer]\n", s.dir, s.port)
	for _, kv := range set {
		ini += kv[0] + " = " + kv[1] + "\n"
	}
	for name, text := range map[string]string{"users": `"` + user + `" ""` + "\n", "pgbouncer.ini": ini} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // the server is somebody else
			return nil, err
		}
	}
	if b.proc, err = run(filepath.Join(dir, "log"), command(bin, "-q", filepath.Join(dir, "pgbouncer.ini"))); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = until(ctx, b.proc, func() error {
		cfg, err := pgx.ParseConfig(b.URL("pgbouncer"))
		if err != nil {
			return err
		}
		cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
	if err != nil {
		b.Stop()
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	return b, nil
}

// URL returns the address of a database through the pooler.
func (b *Bouncer) URL(database string) string {
	q := url.Values{"host": {b.dir}, "port": {strconv.Itoa(b.port)}, "user": {user}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Stop ends the pooler at once.
func (b *Bouncer) Stop() {
	if b.proc != nil {
		b.proc.kill()
	}
}

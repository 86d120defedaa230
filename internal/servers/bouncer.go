package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoBouncer means that PgBouncer is not installed.
var ErrNoBouncer = errors.New("PgBouncer is not installed: apt-get install -y pgbouncer")

// Bouncer is a PgBouncer in front of a Postgres.
type Bouncer struct {
	dir      string
	settings []string
	port     *Port
	proc     *Process
}

// NewBouncer starts a PgBouncer in transaction mode. Settings such as "pool_mode=session"
// override the defaults. The caller must Close it.
func (s *Postgres) NewBouncer(ctx context.Context, settings ...string) (*Bouncer, error) {
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNoBouncer, err)
		}
	}
	dir, err := Dir(s.opts.Parent, "psi-pgb-", s.owner)
	if err != nil {
		return nil, err
	}
	b := &Bouncer{dir: dir, settings: settings}
	if err := b.start(ctx, s, bin); err != nil {
		b.Close()
		return nil, fmt.Errorf("start pgbouncer: %w", err)
	}
	return b, nil
}

func (b *Bouncer) start(ctx context.Context, s *Postgres, bin string) (err error) {
	if b.port, err = ReservePort(); err != nil {
		return err
	}
	if err := b.configure(s); err != nil {
		return err
	}
	if b.proc, err = Start(s.command(ctx, bin, "-q", filepath.Join(b.dir, "pgbouncer.ini")), filepath.Join(b.dir, "log"), syscall.SIGQUIT); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return b.proc.WaitUntil(ctx, b.ping)
}

func (b *Bouncer) configure(s *Postgres) error {
	lines := []string{
		"[databases]", fmt.Sprintf("* = host=%s port=%d", s.Dir, s.port.Number),
		"[pgbouncer]", "listen_addr=127.0.0.1", "listen_port=" + strconv.Itoa(b.port.Number), "unix_socket_dir=" + b.dir,
		"auth_type=trust", "auth_file=" + filepath.Join(b.dir, "users"), "admin_users=" + PostgresUser,
		"pool_mode=transaction", "max_client_conn=500", "default_pool_size=40",
	}
	ini := strings.Join(append(lines, b.settings...), "\n") + "\n"
	for name, text := range map[string]string{"users": `"` + PostgresUser + `" ""` + "\n", "pgbouncer.ini": ini} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // the server runs as another user
			return err
		}
	}
	return nil
}

func (b *Bouncer) ping(ctx context.Context) error { return b.admin(ctx, "SHOW VERSION") }

// admin runs a command on the pooler's admin console.
func (b *Bouncer) admin(ctx context.Context, command string) error {
	cfg, err := pgx.ParseConfig(b.URL("pgbouncer"))
	if err != nil {
		return err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the answer is in
	_, err = c.Exec(ctx, command)
	return err
}

// URL returns the address of a database through the pooler.
func (b *Bouncer) URL(database string) string { return postgresURL(b.dir, b.port.Number, database) }

// Stop ends the pooler at once.
func (b *Bouncer) Stop() {
	if b.proc != nil {
		b.proc.Terminate(syscall.SIGKILL)
	}
}

// Close ends the pooler, removes its files and releases its port.
func (b *Bouncer) Close() {
	b.Stop()
	if b.port != nil {
		b.port.Close()
	}
	_ = os.RemoveAll(b.dir) // in the system's directory for temporary files
}

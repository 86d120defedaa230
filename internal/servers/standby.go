package servers

import (
	"context"
	"fmt"
	"strings"
)

// Standby starts a standby that follows the server until it is promoted. The caller must
// Close it.
func (s *Postgres) Standby(ctx context.Context) (*Postgres, error) {
	b := &Postgres{opts: s.opts, owner: s.owner}
	if err := b.create(ctx, "pg_basebackup", "-d", s.URL("postgres"), "-R", "-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		return nil, fmt.Errorf("start standby: %w", err)
	}
	return b, nil
}

// EitherURL returns the address of a database on whichever of the two servers takes writes.
func (s *Postgres) EitherURL(other *Postgres, database string) string {
	return fmt.Sprintf("postgres:///%s?user=%s&host=%s,%s&port=%d,%d&target_session_attrs=read-write",
		database, PostgresUser, s.Dir, other.Dir, s.port.Number, other.port.Number)
}

// Dump writes a database to a file in the server's directory, for Restore.
func (s *Postgres) Dump(ctx context.Context, database string) (string, error) {
	file := s.Dir + "/" + database + ".dump"
	return file, s.run(ctx, "pg_dump", "-Fc", "-f", file, "-d", s.URL(database))
}

// Restore restores a dump over a database that may be in use.
func (s *Postgres) Restore(ctx context.Context, database, file string) error {
	return s.run(ctx, "pg_restore", "--clean", "--if-exists", "--single-transaction", "-d", s.URL(database), file)
}

func (s *Postgres) run(ctx context.Context, name string, args ...string) error {
	bin, err := postgresProgram(name)
	if err != nil {
		return err
	}
	if out, err := s.command(ctx, bin, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, out)
	}
	return nil
}

// Retarget switches the pooler to another server; its clients stay connected.
func (b *Bouncer) Retarget(ctx context.Context, s *Postgres) error {
	if err := b.configure(s); err != nil {
		return err
	}
	return b.admin(ctx, "RELOAD")
}

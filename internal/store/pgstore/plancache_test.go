package pgstore

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/pgtest"
)

// TestPlansAreKeptWithoutAPooler: with one they are not, as the next transaction has
// another connection.
func TestPlansAreKeptWithoutAPooler(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Borrow(t)
	for _, tt := range []struct {
		what, url string
		want      pgx.QueryExecMode
	}{
		{"socket", server.URL(name), pgx.QueryExecModeCacheStatement},
		{"TCP", server.TCPURL(name), pgx.QueryExecModeCacheStatement},
		{"PgBouncer", server.Bouncer(t).URL(name), pgx.QueryExecModeCacheDescribe},
	} {
		s := process(t, tt.url)
		err := s.pool.AcquireFunc(t.Context(), func(c *pgxpool.Conn) error {
			if got := c.Conn().Config().DefaultQueryExecMode; got != tt.want {
				t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var mode, want string
		if err := s.pool.QueryRow(t.Context(), `SHOW plan_cache_mode`).Scan(&mode); err != nil {
			t.Fatal(err)
		}
		if want = "auto"; tt.want == pgx.QueryExecModeCacheStatement {
			want = "force_generic_plan"
		}
		if mode != want {
			t.Errorf("%s: plan_cache_mode %s, want %s", tt.what, mode, want)
		}
	}
}

// TestSchemaGrowsBesideUs: a newer program adds columns while this one has plans of the
// earlier tables.
func TestSchemaGrowsBesideUs(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Database(t)
	s := process(t, server.URL(name))
	for n := range 8 { // more often than the server waits before it keeps a plan
		turn(t, s, says(somebody(1), fmt.Sprint("a", n), "hola"))
	}
	for _, table := range []string{"contacts", "conversations", "messages", "pending", "events"} {
		server.Exec(t, name, `ALTER TABLE psi_router.`+table+` ADD COLUMN grown text`)
	}
	for n := range 8 {
		got := turn(t, s, says(somebody(1), fmt.Sprint("b", n), "hola"))
		claims, err := s.ClaimSends(t.Context(), noon(), fmt.Sprint("t", n), []string{got[0].Conversation})
		if err != nil {
			t.Fatalf("claim: %v, %v", claims, err)
		}
	}
}

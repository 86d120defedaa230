package pgstore

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

func TestMain(m *testing.M) {
	// A step costs a few round trips here, and the suite runs twice.
	if os.Getenv("PSI_PROOF") == "" {
		_ = flag.Set("rapid.checks", "10")
	}
	pgtest.Main(m)
}

func options(url string, set unit.Settings) Options {
	return Options{URL: url, Settings: set, MaxConns: 4}
}

// process opens the store of a database as one more process would.
func process(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), options(url, storetest.Settings(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func conformance(t *testing.T, url func(database string) string) {
	server := pgtest.Shared(t)
	storetest.Run(t, storetest.Engine{
		New: func(t testing.TB) string { return url(server.Borrow(t)) },
		Open: func(ctx context.Context, name string, set unit.Settings) (store.Store, error) {
			return Open(ctx, options(name, set))
		},
		Age: age, Former: former,
	})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance(t, pgtest.Shared(t).URL)
}

// TestConformancePooled: behind a pooler that gives every transaction any free connection.
func TestConformancePooled(t *testing.T) {
	t.Parallel()
	conformance(t, pgtest.Shared(t).Bouncer(t, "default_pool_size=3").URL)
}

func age(t testing.TB, url string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for _, query := range []string{
		`UPDATE psi_router.messages SET origin = split_part(origin, '@', 1) || ':200000000000002' WHERE origin IS NOT NULL`,
		`UPDATE psi_router.records SET key = kind || ':' || line_ref || ':' || provider_id`,
	} {
		if _, err := c.Exec(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
}

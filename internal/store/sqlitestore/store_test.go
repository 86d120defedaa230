package sqlitestore

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

func options(name string, set unit.Settings) Options {
	return Options{Path: name, Settings: set, Relaxed: true}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		New: func(t testing.TB) string { return filepath.Join(t.TempDir(), "store.db") },
		Open: func(ctx context.Context, name string, set unit.Settings) (store.Store, error) {
			return Open(ctx, options(name, set))
		},
		Age: age, Former: former,
	})
}

func age(t testing.TB, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{
		`UPDATE messages SET origin = substr(origin, 1, instr(origin, '@') - 1) || ':200000000000002' WHERE origin IS NOT NULL`,
		`UPDATE records SET key = kind || ':' || line_ref || ':' || provider_id`,
	} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
}

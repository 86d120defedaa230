package sqlitestore

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

func options(name string, set store.Settings) Options {
	return Options{
		Path: name, Rules: set.Rules, Country: set.Country, Zone: set.Zone, StaleAfter: set.StaleAfter,
		ReplyTTL: set.ReplyTTL, Windowless: set.Windowless, NewID: set.NewID, Told: set.Told, Relaxed: true,
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		New: func(t testing.TB) string { return filepath.Join(t.TempDir(), "store.db") },
		Open: func(ctx context.Context, name string, set store.Settings) (store.Store, error) {
			return Open(ctx, options(name, set))
		},
	})
}

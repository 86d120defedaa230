package app

import (
	"errors"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
)

// TestOneProcessWithoutRedis: with a database and no Redis a second process is
// refused with the cure, and one that comes after the first is not.
func TestOneProcessWithoutRedis(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	env := []string{"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATABASE_URL=" + db.URL(db.Database(t))}
	in := func(dir string) []string { return append(env[:len(env):len(env)], "PSI_DATA_DIR="+dir) }
	home := t.TempDir()
	first := startAs(t, roleAll, in(home)...)
	first.write("5491155550301", "wamid.1", "hola")
	first.messages("5491155550301", answered(1, "Con quién querés hablar"))

	cfg, err := config.Load(config.Options{Env: in(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), Options{Config: cfg})
	if !errors.Is(err, pgstore.ErrOwned) || !strings.Contains(err.Error(), home) || !strings.Contains(err.Error(), "set redis_url") {
		t.Errorf("a second process: got %v, want ErrOwned with the owner and the cure", err)
	}
	first.stop()

	next := startAs(t, roleAll, in(t.TempDir())...)
	next.write("5491155550301", "wamid.2", "1")
	next.messages("5491155550301", answered(2, "Administración"))
}

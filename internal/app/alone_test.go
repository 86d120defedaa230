package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
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

// TestBackInTime puts an older database back, with Redis and without.
func TestBackInTime(t *testing.T) {
	for name, extra := range map[string][]string{
		"alone": nil, "redis": {"PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL()},
	} {
		t.Run(name, func(t *testing.T) {
			db := pgtest.New(t, pgtest.Options{})
			home := db.Database(t)
			env := append(extra, "PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATABASE_URL="+db.URL(home), "PSI_DATA_DIR="+t.TempDir())
			last := int64(0)
			say := func(n int, text, answer string) {
				t.Helper()
				r := startAs(t, roleAll, env...)
				r.write("5491155550401", fmt.Sprint("wamid.", n), text)
				r.messages("5491155550401", answered(min(n, 2), answer))
				for before := last; last <= before; last = r.pos() {
					time.Sleep(10 * time.Millisecond)
				}
				r.stop()
			}
			say(1, "hola", "Con quién querés hablar")
			db.Exec(t, "postgres", "CREATE DATABASE backup TEMPLATE "+home)
			say(2, "1", "Administración")
			db.Exec(t, "postgres", "DROP DATABASE "+home+" WITH (FORCE)", "ALTER DATABASE backup RENAME TO "+home)

			cfg, err := config.Load(config.Options{Env: env})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := New(t.Context(), Options{Config: cfg}); !errors.Is(err, ErrBackInTime) || !strings.Contains(err.Error(), "--after-restore") {
				t.Fatalf("got %v, want ErrBackInTime with the cure", err)
			}
			if _, err := AfterRestore(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			say(3, "1", "Administración") // what came in the lost time does not come again
			if last < 1_000_000 {
				t.Errorf("the last event is %d: a program that reads them has seen later ones", last)
			}
		})
	}
}

// pos is that of the newest event.
func (r *running) pos() int64 {
	r.t.Helper()
	var page struct{ Items []struct{ Pos int64 } }
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/events?after=0&limit=200", &page)
	if n := len(page.Items); n > 0 {
		return page.Items[n-1].Pos
	}
	return 0
}

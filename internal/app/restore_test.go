package app

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
)

// TestOneProcessWithoutRedis: with a database and without Redis a second process is refused
// with the fix, until the first has ended.
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

// TestBackInTime restores an older database, with Redis and without.
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

			// Webhooks are accepted, and nobody is answered.
			cfg, err := config.Load(config.Options{Env: env})
			if err != nil {
				t.Fatal(err)
			}
			waiting := startAs(t, roleAll, env...)
			waiting.write("5491155550401", "wamid.3", "1")
			if status, body := waiting.ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, "--after-restore") {
				t.Errorf("readyz: got %d %s, want the cure", status, body)
			}
			if !waiting.stale() {
				t.Error("what is read from an old database is not marked")
			}
			if _, err := AfterRestore(t.Context(), cfg); err != nil { // while the router runs
				t.Fatal(err)
			}
			// The messages of the lost time do not come again.
			waiting.messages("5491155550401", answered(2, "Administración"))
			for before := last; last <= before; last = waiting.pos() {
				time.Sleep(10 * time.Millisecond)
			}
			if waiting.stale() {
				t.Error("what is read is still marked as of an old database")
			}
			waiting.stop()
		})
	}
}

// stale reports whether the API marks its answers as stale.
func (r *testRouter) stale() bool {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL()+"/api/v1/conversations", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+config.DevAPIKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		r.t.Errorf("got %d: an old database can be read", res.StatusCode)
	}
	return res.Header.Get("X-Stale-Store") == "true"
}

// pos returns the position of the newest event.
func (r *testRouter) pos() int64 {
	r.t.Helper()
	var page struct{ Items []struct{ Pos int64 } }
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/events?after=0&limit=200", &page)
	if n := len(page.Items); n > 0 {
		return page.Items[n-1].Pos
	}
	return 0
}

// TestAnOldStoreFile: an old store.db beside a newer queue.db is not written to, and
// webhooks are accepted; the router repairs it when told to.
func TestAnOldStoreFile(t *testing.T) {
	const ana = "5491155550501"
	dir := t.TempDir()
	r := start(t, dir)
	r.write(ana, "wamid.1", "hola")
	r.messages(ana, answered(1, "Con quién querés hablar"))
	r.stop()
	old, err := os.ReadFile(filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	r = start(t, dir)
	r.write(ana, "wamid.2", "1")
	r.messages(ana, answered(2, "Administración"))
	r.stop()
	if err := os.WriteFile(filepath.Join(dir, "store.db"), old, 0o600); err != nil {
		t.Fatal(err)
	}

	r = start(t, dir)
	r.write(ana, "wamid.3", "1")
	if status, body := r.ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, "--after-restore") || !r.stale() {
		t.Errorf("readyz: got %d %s, want the cure", status, body)
	}
	r.order(dir, AfterRestorePath)
	r.messages(ana, answered(2, "Administración"))
	if r.stale() {
		t.Error("what is read is still marked as of an old store")
	}
}

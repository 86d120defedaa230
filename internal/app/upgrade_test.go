package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// TestWebhooksAreAcceptedDuringAnUpgrade: webhooks are accepted during a migration of any length, and
// the messages are answered afterwards.
func TestWebhooksAreAcceptedDuringAnUpgrade(t *testing.T) {
	for name, extra := range map[string][]string{"alone": nil, "redis": {"PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL()}} {
		t.Run(name, func(t *testing.T) {
			db := pgtest.New(t, pgtest.Options{})
			home := db.Database(t)
			env := append(extra, "PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATABASE_URL="+db.URL(home), "PSI_DATA_DIR="+t.TempDir())
			r := startAs(t, roleAll, env...)
			r.write("5491155550501", "wamid.1", "hola")
			r.messages("5491155550501", answered(1, "Con quién querés hablar"))
			r.stop()

			// The schema before Brazil's 9, with a migration that hangs.
			db.Exec(t, home, "ALTER TABLE psi_router.contacts DROP COLUMN IF EXISTS chose_at")
			db.Exec(t, home, "DELETE FROM psi_router.goose_db_version WHERE version_id >= 12")
			holder, err := pgx.Connect(t.Context(), db.URL(home))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE psi_router.aliases IN ACCESS EXCLUSIVE MODE"); err != nil {
				t.Fatal(err)
			}
			r = startAs(t, roleAll, env...)
			r.write("5491155550501", "wamid.2", "1")
			if status, body := r.ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, "up to date") {
				t.Errorf("readyz: got %d %s, want what it waits for", status, body)
			}
			if err := holder.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.awaitStore()
			r.messages("5491155550501", answered(2, "Administración"))
		})
	}
}

// awaitStore waits until the API can read.
func (r *testRouter) awaitStore() {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL()+"/api/v1/conversations", nil)
		if err != nil {
			r.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+config.DevAPIKey)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the store never opened: %s\n%s", res.Status, r.logs)
		}
	}
}

package app

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/redistest"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/supervisor"
)

// code calls the API and returns the status and the problem's code.
func (r *testRouter) code(path string) (status int, code string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+config.DevAPIKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var problem struct{ Code string }
	if raw, err := io.ReadAll(res.Body); err != nil || json.Unmarshal(raw, &problem) != nil {
		r.t.Fatalf("%s: %s, %v", path, raw, err)
	}
	return res.StatusCode, problem.Code
}

// TestDatabaseDownAtStart: processes start and accept while PostgreSQL is down and say so,
// and every accepted message is answered once it is up.
func TestDatabaseDownAtStart(t *testing.T) {
	const ana, conversations = "5491155550601", "/api/v1/conversations"
	for name, roles := range map[string][]string{"alone": {roleAll}, "roles": {roleWebhook, roleWorker}} {
		t.Run(name, func(t *testing.T) {
			db := pgtest.New(t, pgtest.Options{})
			env := []string{
				"PSI_SANDBOX=true", "PSI_LISTEN=" + porttest.Addr(t), "PSI_DATA_DIR=" + t.TempDir(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)),
				"PSI_ENDPOINTS_0_NAME=crm", "PSI_ENDPOINTS_0_URL=http://127.0.0.1:1/", "PSI_ENDPOINTS_0_SECRET=whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "PSI_ENDPOINTS_0_ALLOW=127.0.0.1:1",
			}
			ready := http.StatusServiceUnavailable
			if len(roles) > 1 {
				env = append(env, "PSI_REDIS_URL="+redistest.Start(t, redistest.AOF...).URL())
				ready = http.StatusOK // a webhook can accept
			}
			db.Stop()
			systemd, supervisor := newNotified(t)
			r := startWith(t, Options{Role: roles[0], Supervisor: supervisor}, env...)
			systemd.expect("READY=1\n", "STATUS=waiting: open store: store is unavailable")
			others := make([]*testRouter, 0, 1)
			for _, role := range roles[1:] {
				others = append(others, startAs(t, role, env...))
			}
			r.write(ana, "wamid.d1", "hola")
			r.write(ana, "wamid.d2", "1")
			if status, body := r.ready(); status != ready || !strings.Contains(body, `"store"`) || !strings.Contains(body, "unavailable") {
				t.Errorf("readyz: got %d %s", status, body)
			}
			if status, code := r.code(conversations); status != http.StatusServiceUnavailable || code != "unavailable" {
				t.Errorf("API: got %d %s", status, code)
			}
			if err := db.Start(); err != nil {
				t.Fatal(err)
			}
			systemd.expect("STATUS=\n")
			eventually(t, "the store is there", func() bool { status, _ := r.code(conversations); return status == http.StatusOK })
			r.messages(ana, answered(2, "Administración"))
			r.write(ana, "wamid.d3", "11")
			r.messages(ana, answered(3, "PSI-"))
			eventually(t, "readyz is well", func() bool {
				status, body := r.ready()
				return status == http.StatusOK && !strings.Contains(body, "unavailable")
			})
			var queues struct {
				Items []struct {
					Name string
					Dead int
				}
			}
			r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/queues", &queues)
			for _, q := range queues.Items {
				if q.Dead > 0 {
					t.Errorf("dead letters: %+v", q)
				}
			}
			for _, o := range others {
				o.stop()
			}
		})
	}
}

// TestWebhookOnAWrongDatabase: a webhook accepts with a database that must not be used,
// reports it and leaves it unchanged; no other role starts with it. Once fixed, it is used.
func TestWebhookOnAWrongDatabase(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	home := db.Database(t)
	env := []string{
		"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + t.TempDir(), "PSI_DATABASE_URL=" + db.URL(home),
		"PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL(),
	}
	startAs(t, roleAll, env...).stop() // creates the schema
	for name, tc := range map[string]struct {
		spoil, mend, words string
		err                error
	}{
		"newer": {
			spoil: "INSERT INTO psi_router.goose_db_version (version_id, is_applied) VALUES (9999, true)",
			mend:  "DELETE FROM psi_router.goose_db_version WHERE version_id = 9999",
			words: "newer than this program", err: store.ErrNewer,
		},
		"another store": {
			spoil: "UPDATE psi_router.installation SET id = 'x' || id",
			mend:  "UPDATE psi_router.installation SET id = substr(id, 2)",
			words: "not the one that the router has worked with", err: store.ErrWrongStore,
		},
	} {
		t.Run(name, func(t *testing.T) {
			db.Exec(t, home, tc.spoil)
			cfg, err := config.Load(config.Options{Env: env})
			if err != nil {
				t.Fatal(err)
			}
			for _, role := range []string{roleAll, roleWorker} {
				if _, err := New(t.Context(), Options{Config: cfg, Role: role}); !errors.Is(err, tc.err) {
					t.Errorf("%s: got %v, want %v", role, err, tc.err)
				}
			}
			r := startAs(t, roleWebhook, env...)
			r.write("5491155550602", "wamid.w."+name, "hola")
			if status, body := r.ready(); status != http.StatusOK || !strings.Contains(body, tc.words) {
				t.Errorf("readyz: got %d %s", status, body)
			}
			if status, code := r.code("/api/v1/conversations"); status != http.StatusServiceUnavailable || code != "unavailable" {
				t.Errorf("API: got %d %s", status, code)
			}
			db.Exec(t, home, tc.mend)
			eventually(t, "the store is used", func() bool { status, _ := r.code("/api/v1/conversations"); return status == http.StatusOK })
			r.stop()
			if !strings.Contains(r.logs.String(), tc.words) {
				t.Errorf("not in the log: %s", r.logs)
			}
		})
	}
	r := startAs(t, roleAll, env...)
	r.messages("5491155550602", answered(2, ""))
}

// notified is the receiving end of systemd's notifications.
type notified struct {
	t    *testing.T
	conn *net.UnixConn
}

// newNotified makes systemd the process manager of this process.
func newNotified(t *testing.T) (*notified, *supervisor.Supervisor) {
	t.Helper()
	addr := &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	s, err := supervisor.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return &notified{t, conn}, s
}

// expect waits until each of the messages was received, in any order.
func (n *notified) expect(words ...string) {
	n.t.Helper()
	if err := n.conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		n.t.Fatal(err)
	}
	for heard := ""; ; {
		words = slices.DeleteFunc(words, func(w string) bool { return strings.Contains(heard, w) })
		if len(words) == 0 {
			return
		}
		buf := make([]byte, 4096)
		size, err := n.conn.Read(buf)
		if err != nil {
			n.t.Fatalf("systemd was not told %q: %v; %q", words, err, heard)
		}
		heard += string(buf[:size]) + "\n"
	}
}

package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// TestRolesShareTheWork runs a webhook and two workers over Redis and PostgreSQL, and stops
// one worker.
func TestRolesShareTheWork(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	env := []string{
		"PSI_SANDBOX=true",
		"PSI_LISTEN=" + porttest.Addr(t),
		"PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL(),
		"PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}
	on := func(role string) *testRouter { return startAs(t, role, append(env, "PSI_DATA_DIR="+t.TempDir())...) }
	web, one, two := on(roleWebhook), on(roleWorker), on(roleWorker)

	const people = 12
	say := func(n int, text string) {
		for i := range people {
			web.write(fmt.Sprintf("54911555502%02d", i), fmt.Sprintf("wamid.%d.%d", i, n), text)
		}
	}
	heard := func(n int, text string) {
		for i := range people {
			web.messages(fmt.Sprintf("54911555502%02d", i), answered(n, text))
		}
	}
	say(1, "hola")
	heard(1, "Con quién querés hablar")
	say(2, "1")
	one.stop()
	heard(2, "Administración")
	say(3, "11")
	heard(3, "PSI-")
	two.stop()
	web.stop()
	if worked := strings.Contains(two.logs.String(), `"msg":"message"`); !worked {
		t.Error("the second worker handled nothing")
	}
	if strings.Contains(web.logs.String(), `"part":"worker"`) {
		t.Error("the webhook process handled messages itself")
	}
}

// TestSpoolCarriesOverAnOutageOfRedis kills Redis under an open webhook: messages that get
// a 200 meanwhile are answered once Redis is back.
func TestSpoolCarriesOverAnOutageOfRedis(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	redis := redistest.Start(t, redistest.AOF...)
	r := startAs(t, roleAll,
		"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir(),
		"PSI_REDIS_URL="+redis.URL(), "PSI_DATABASE_URL="+db.URL(db.Database(t)),
	)
	const ana = "5491155550301"
	r.write(ana, "wamid.s1", "hola")
	r.messages(ana, answered(1, "Con quién querés hablar"))
	redis.Kill()
	r.write(ana, "wamid.s2", "1")
	r.write(ana, "wamid.s3", "11")
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.messages(ana, answered(3, "PSI-"))
}

// TestRedisDownAtStart: a webhook starts without Redis and says so; messages that get a 200
// are answered once Redis is up.
func TestRedisDownAtStart(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	redis := redistest.Start(t, redistest.AOF...)
	redis.Kill()
	env := []string{
		"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + t.TempDir(),
		"PSI_REDIS_URL=" + redis.URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)), "PSI_WORKER_RATE=50/s",
	}
	r := startAs(t, roleAll, env...)
	const ana = "5491155550401"
	r.write(ana, "wamid.r1", "hola")
	// Its report about the spool may be a moment old.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status, body := r.ready()
		if status == http.StatusOK && strings.Contains(body, "1 messages wait") && strings.Contains(body, "unavailable") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("readyz: %d %s", status, body)
		}
	}
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.messages(ana, answered(1, "Con quién querés hablar"))
	var queues struct {
		Items []struct {
			Name string
			Rate float64
		}
	}
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/queues", &queues)
	found := false
	for _, q := range queues.Items {
		found = found || q.Name == "inbound" && q.Rate == 50
	}
	if !found {
		t.Errorf("inbound has not its rate: %+v", queues)
	}
}

// TestRedisDownWithoutSpool: without a spool a webhook must not start.
func TestRedisDownWithoutSpool(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	redis := redistest.Start(t, redistest.AOF...)
	redis.Kill()
	cfg, err := config.Load(config.Options{Env: []string{
		"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + t.TempDir(), "PSI_SPOOL=false",
		"PSI_REDIS_URL=" + redis.URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Options{Config: cfg}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestSpoolRemovedFromConfiguration: spooled jobs are handed on even if spool was since removed
// from the configuration.
func TestSpoolRemovedFromConfiguration(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	redis := redistest.Start(t, redistest.AOF...)
	env := []string{
		"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + t.TempDir(),
		"PSI_REDIS_URL=" + redis.URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}
	const ana = "5491155550501"
	web := startAs(t, roleWebhook, env...)
	redis.Kill()
	web.write(ana, "wamid.o1", "hola")
	web.stop()
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := startAs(t, roleAll, append(env, "PSI_SPOOL=false")...)
	r.messages(ana, answered(1, "Con quién querés hablar"))
}

// TestSpoolUnderAnotherPort: spooled jobs are handed on, in order and before new ones, even
// if the webhook now listens on another port.
func TestSpoolUnderAnotherPort(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	redis := redistest.Start(t, redistest.AOF...)
	env := []string{
		"PSI_SANDBOX=true", "PSI_DATA_DIR=" + t.TempDir(), "PSI_REDIS_URL=" + redis.URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}
	const ana = "5491155550701"
	on := func(role string) *testRouter {
		return startAs(t, role, append(env[:len(env):len(env)], "PSI_LISTEN="+porttest.Addr(t))...)
	}
	redis.Kill()
	first := on(roleWebhook)
	first.write(ana, "wamid.p1", "hola")
	first.stop()
	second := on(roleWebhook)
	second.write(ana, "wamid.p2", "1")
	second.stop()
	third := on(roleAll)
	third.write(ana, "wamid.p3", "11")
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	third.messages(ana, answered(3, "PSI-"))
}

// ready returns the answer of /readyz.
func (r *testRouter) ready() (status int, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL()+"/readyz", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

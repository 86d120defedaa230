package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// TestRolesShareTheWork runs a webhook and two workers over Redis and
// PostgreSQL, and takes one worker away.
func TestRolesShareTheWork(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	port, err := redistest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{
		"PSI_SANDBOX=true",
		fmt.Sprintf("PSI_LISTEN=127.0.0.1:%d", port),
		"PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL(),
		"PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}
	on := func(role string) *running { return startAs(t, role, append(env, "PSI_DATA_DIR="+t.TempDir())...) }
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

// TestSpoolCarriesOverAnOutageOfRedis kills Redis under an open door: what gets a
// 200 meanwhile is answered once Redis is back.
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

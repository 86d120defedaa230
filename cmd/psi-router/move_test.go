package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

func appOf(t *testing.T, environ []string) (*app.App, error) {
	t.Helper()
	cfg, err := config.Load(config.Options{Env: environ})
	if err != nil {
		t.Fatal(err)
	}
	return app.New(t.Context(), app.Options{Config: cfg, Version: "test"})
}

// routerIn runs a router until stop is called.
func routerIn(t *testing.T, environ []string) (a *app.App, stop func()) {
	t.Helper()
	a, err := appOf(t, environ)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	return a, stop
}

// TestMove takes an installation from its files to the servers, as an operator
// does, and goes on there.
func TestMove(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, pgtest.Options{})
	postgres := db.URL(db.Database(t))
	redis := redistest.Start(t, redistest.AOF...).URL()
	home := []string{"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + filepath.Join(t.TempDir(), "d"), "PSI_LOG_LEVEL=error"}
	sh := shell{t, home}
	send := func(sh shell, a *app.App, id, text string) {
		t.Helper()
		body := strings.ReplaceAll(strings.ReplaceAll(hello, "hola", text), "wamid.first", id)
		if got := sh.run(body, "sandbox", "send", "-", "--url", a.URL()); got.code != 0 {
			t.Fatalf("send: %+v", got)
		}
	}
	a, stop := routerIn(t, home)
	for i, text := range []string{"hola", "1", "11"} {
		send(sh, a, "wamid."+string(rune('a'+i)), text)
	}
	sh.eventually("ticket PSI-", "why", "5491155550001")
	sh.settled("5491155550001")
	sh.fine(nil, "queue", "pause", "inbound")
	send(sh, a, "wamid.d", "gracias") // waits
	sh.want(exitProblem, []string{"is in use by process", "stop that process"}, "store", "move", "--to", postgres)
	sh.want(exitProblem, []string{"inbound", "paused", "left after 1ms"}, "queue", "drain", "--timeout", "1ms")
	stop()
	sh.want(exitProblem, []string{"left, and no router runs"}, "queue", "drain")

	sh.want(exitUnreachable, []string{"store move"}, "store", "move", "--to", "postgres://nobody@127.0.0.1:1/nothing?sslmode=disable")
	sh.fine([]string{"contacts", "would be moved", "Nothing was changed"}, "store", "move", "--to", postgres, "--dry-run")
	before := sh.fine([]string{"PSI-"}, "trace", "5491155550001", "--json")

	sh.fine([]string{"moving messages: ", "comparing messages: ", "The store was moved", "database_url: postgres://", "--undo"}, "store", "move", "--to", postgres)
	sh.want(exitUnreachable, []string{"was moved to PostgreSQL", "database_url"}, "trace", "5491155550001")
	sh.fine([]string{"can be used again"}, "store", "move", "--undo")
	if after := sh.fine(nil, "trace", "5491155550001", "--json"); after != before {
		t.Errorf("undone: got\n%s\nwant\n%s", after, before)
	}
	sh.want(exitProblem, []string{"holds a copy of this installation", "DROP SCHEMA psi_router CASCADE"}, "store", "move", "--to", postgres)
	postgres = db.URL(db.Database(t))
	sh.fine([]string{`"moved": 1`}, "store", "move", "--to", postgres, "--json")
	sh.fine([]string{"moved before"}, "store", "move", "--to", postgres)

	there := shell{t, append(home[:len(home):len(home)], "PSI_DATABASE_URL="+postgres, "PSI_REDIS_URL="+redis)}
	if _, err := appOf(t, there.environ); err == nil || !strings.Contains(err.Error(), "has 1 unhandled messages") {
		t.Errorf("with a queue that is left behind: got %v", err)
	}
	half := shell{t, append(home[:len(home):len(home)], "PSI_DATABASE_URL="+postgres)}
	_, stop = routerIn(t, half.environ)
	half.fine(nil, "queue", "resume", "inbound")
	half.fine([]string{"Drained"}, "queue", "drain")
	half.eventually("handed_off_silent", "why", "5491155550001")
	before = half.fine([]string{"PSI-"}, "trace", "5491155550001", "--json")
	stop()
	half.fine([]string{`"drained": true`}, "queue", "drain", "--json")

	_, stop = routerIn(t, there.environ)
	defer stop()
	if after := there.fine(nil, "trace", "5491155550001", "--json"); after != before {
		t.Errorf("moved: got\n%s\nwant\n%s", after, before)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := &progress{e: &env{globals: &globals{}, err: &out, now: func() time.Time { return now }}, bar: true}
	p.tell(move.Part{Name: "messages", Total: 12345}, false)
	now = now.Add(50 * time.Millisecond) // too soon for another look
	p.tell(move.Part{Name: "messages", Total: 12345, Moved: 1000}, false)
	now = now.Add(950 * time.Millisecond)
	p.tell(move.Part{Name: "messages", Total: 12345, Moved: 4115}, false)
	p.tell(move.Part{Name: "messages", Total: 12345, Moved: 12345}, false)
	p.tell(move.Part{Name: "empty"}, true)
	p.end()
	const full, third = "██████████████████████████████", "██████████░░░░░░░░░░░░░░░░░░░░"
	const none = "░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░"
	want := "\rmoving     messages         " + none + "          0 of 12,345  \x1b[K" +
		"\rmoving     messages         " + third + "      4,115 of 12,345  4,115/s\x1b[K" +
		"\rmoving     messages         " + full + "     12,345 of 12,345  12,345/s\x1b[K\n" +
		"\rcomparing  empty            " + full + "          0 of 0  \x1b[K\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

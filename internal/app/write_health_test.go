package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// TestWriteHealth: which results count, and when it probes.
func TestWriteHealth(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	full := fmt.Errorf("turn: %w: disk is full", store.ErrUnavailable)
	type step struct {
		after time.Duration
		kind  string // "" for none
		did   bool
		err   error
		probe error
		want  string // part of the error; "" for none
		tried int    // probes in total
	}
	for name, steps := range map[string][]step{
		"nothing was written": {{want: "", tried: 1}, {probe: full, want: "disk is full", tried: 2}, {tried: 3}},
		"a success stands for a probe": {
			{kind: "turn", did: true, probe: full, tried: 0}, {after: successTTL - 1, probe: full, tried: 0}, {after: 1, probe: full, want: "full", tried: 1},
		},
		"one that wrote nothing does not":        {{kind: "turn", probe: full, want: "full", tried: 1}},
		"a failure, until the same succeeds":     {{kind: "turn", err: full, want: "full"}, {kind: "turn", want: "full"}, {kind: "duty", did: true, want: "full"}, {kind: "turn", did: true}},
		"a failure, until nobody tries any more": {{kind: "turn", err: full, want: "full"}, {after: failureTTL - 1, want: "full"}, {after: 1, tried: 1}},
		"the disk is full still":                 {{kind: "turn", err: full, want: "full"}, {after: failureTTL, probe: full, want: "full", tried: 1}},
		"the queue is full":                      {{kind: "enqueue", err: queue.ErrFull, want: "full"}},
		"the queue is away":                      {{kind: "enqueue", err: queue.ErrUnavailable, want: "unavailable"}},
		"too slow":                               {{kind: "enqueue", err: context.DeadlineExceeded, want: "deadline"}},
		"the caller's own fault":                 {{kind: "command", did: true, err: store.ErrConflict, tried: 1}, {kind: "command", did: true, err: context.Canceled, tried: 2}},
		"the newest of two is told":              {{kind: "a", err: queue.ErrFull, want: "full"}, {after: 1, kind: "b", err: full, want: "disk is full"}},
	} {
		w, at, tried := newWriteHealth(), now, 0
		w.now = func() time.Time { return at }
		for i, s := range steps {
			at = at.Add(s.after)
			if s.kind != "" {
				w.record(s.kind, s.did, s.err)
			}
			err := w.check(func() error { tried++; return s.probe })
			if (s.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), s.want) || tried != s.tried {
				t.Errorf("%s, step %d: got %v after %d probes, want %q after %d", name, i, err, tried, s.want, s.tried)
			}
		}
	}
}

// readiness waits until /readyz answers with the code and the check is ok or not.
func (r *testRouter) readiness(code int, check string, ok bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL()+"/readyz", nil)
		if err != nil {
			r.t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		var said struct{ Checks []observe.Result }
		err = json.NewDecoder(res.Body).Decode(&said)
		res.Body.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		i := slices.IndexFunc(said.Checks, func(c observe.Result) bool { return c.Name == check })
		if res.StatusCode == code && i >= 0 && said.Checks[i].OK == ok {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("/readyz never answered %d with %s %v: %s %+v", code, check, ok, res.Status, said.Checks)
		}
	}
}

// noSpace keeps files of this process from growing, as on a full disk; they can still be
// read. The returned function ends it.
func noSpace(t *testing.T) (space func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	done := false
	space = func() {
		if done {
			return
		}
		done = true
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(space)
	return space
}

// TestNotReadyWhileFilesCannotGrow: without any writes, a probe finds it.
func TestNotReadyWhileFilesCannotGrow(t *testing.T) {
	r := startHurried(t, 20, "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir())
	r.write("5491155550901", "wamid.1", "hola")
	r.messages("5491155550901", answered(1, ""))
	r.readiness(http.StatusOK, "store", true)
	space := noSpace(t)
	r.readiness(http.StatusServiceUnavailable, "store", false)
	r.readiness(http.StatusServiceUnavailable, "queue", false)
	space()
	r.readiness(http.StatusOK, "store", true)
	r.readiness(http.StatusOK, "queue", true)
	r.write("5491155550901", "wamid.2", "1")
	r.messages("5491155550901", answered(2, ""))
}

// TestNotReadyWhileServersRefuseToWrite: the servers answer every read meanwhile.
func TestNotReadyWhileServersRefuseToWrite(t *testing.T) {
	db, redis := pgtest.New(t, pgtest.Options{}), redistest.Start(t, redistest.AOF...)
	name := db.Database(t)
	dir := t.TempDir()
	r := startHurried(t, 20, "PSI_SANDBOX=true", "PSI_SPOOL=false", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+dir, "PSI_REDIS_URL="+redis.URL(), "PSI_DATABASE_URL="+db.URL(name))
	r.readiness(http.StatusOK, "store", true)
	r.readiness(http.StatusOK, "queue", true)

	config := func(name, value string) {
		t.Helper()
		if _, err := redis.Do(t.Context(), "CONFIG", "SET", name, value); err != nil {
			t.Fatal(err)
		}
	}
	config("min-replicas-to-write", "1") // as with a full disk, or on a replica
	r.readiness(http.StatusServiceUnavailable, "queue", false)
	config("min-replicas-to-write", "0")
	r.readiness(http.StatusOK, "queue", true)
	config("maxmemory", "1") // jobs can be settled, but not added
	if err := r.post("5491155550902", "wamid.0", "hola", http.StatusServiceUnavailable); err != nil {
		t.Error(err)
	}
	r.readiness(http.StatusServiceUnavailable, "queue", false)
	config("maxmemory", "0")
	r.readiness(http.StatusOK, "queue", true)

	db.Exec(t, name, `CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$`)
	for _, table := range []string{"messages", "duty_reports"} {
		db.Exec(t, name, `CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON psi_router.`+table+` EXECUTE FUNCTION no_space()`)
	}
	r.readiness(http.StatusServiceUnavailable, "store", false)
	db.Exec(t, name, `DROP TRIGGER no_space ON psi_router.duty_reports`)
	r.write("5491155550902", "wamid.1", "hola") // small writes succeed, a turn does not
	r.readiness(http.StatusServiceUnavailable, "store", false)
	db.Exec(t, name, `DROP TRIGGER no_space ON psi_router.messages`)
	r.readiness(http.StatusOK, "store", true)
	r.messages("5491155550902", answered(1, ""))
}

// TestNotReadyWhileNothingTakesArrivals: Redis is down, and the spool's disk is full.
func TestNotReadyWhileNothingTakesArrivals(t *testing.T) {
	db, redis := pgtest.New(t, pgtest.Options{}), redistest.Start(t, redistest.AOF...)
	r := startWith(t, Options{Role: roleWebhook, BackoffSpeedup: 20}, "PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir(), "PSI_REDIS_URL="+redis.URL(), "PSI_DATABASE_URL="+db.URL(db.Database(t)))
	redis.Kill()
	r.write("5491155550903", "wamid.1", "hola") // is spooled
	r.readiness(http.StatusOK, "queue", false)
	space := noSpace(t)
	eventuallyRefused(t, r)
	r.readiness(http.StatusServiceUnavailable, "door", false)
	space()
	r.write("5491155550903", "wamid.3", "hola")
	r.readiness(http.StatusOK, "door", true)
}

// eventuallyRefused writes until a webhook is refused.
func eventuallyRefused(t *testing.T, r *testRouter) {
	t.Helper()
	refused := errors.New("never")
	for n := 0; refused != nil && n < 200; n++ {
		refused = r.post(fmt.Sprintf("549115555%04d", n), fmt.Sprintf("wamid.f%d", n), strings.Repeat("hola ", 200), http.StatusServiceUnavailable)
	}
	if refused != nil {
		t.Fatal(refused)
	}
}

package sqlitestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// installation is a store and its queue in a directory.
type installation struct {
	t     *testing.T
	dir   string
	store *sqlitestore.Store
	queue *sqlitequeue.Engine
	logs  *bytes.Buffer
}

func start(t *testing.T, dir string) *installation {
	t.Helper()
	set := storetest.Settings(t)
	q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	logs := &bytes.Buffer{}
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: filepath.Join(dir, "store.db"), Queue: q.File(), Settings: unit.Settings{Rules: set.Rules, Country: set.Country, Zone: set.Zone},
		Logger: slog.New(slog.NewTextHandler(logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{t: t, dir: dir, store: s, queue: q, logs: logs}
	t.Cleanup(i.stop)
	return i
}

func (i *installation) stop() {
	if err := errors.Join(i.store.Close(), i.queue.Close()); err != nil {
		i.t.Error(err)
	}
}

// behind reports whether the store logged that the queue is older.
func (i *installation) behind() bool { return strings.Contains(i.logs.String(), "queue is older") }

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// say lets a person write, and enqueues the answer's wake-up.
func (i *installation) say(id, text string) store.Result {
	i.t.Helper()
	got, err := i.store.Turn(i.t.Context(), noon(), []inbound.Arrival{arrival(id, text)})
	if err != nil {
		i.t.Fatal(err)
	}
	if _, err := i.store.Pump(i.t.Context(), noon()); err != nil {
		i.t.Fatal(err)
	}
	if _, err := i.queue.Enqueue(i.t.Context(), []queue.Job{{Queue: "send:wsp4", Lane: got[0].Conversation, ID: id}}); err != nil {
		i.t.Fatal(err)
	}
	return got[0]
}

func arrival(id, text string) inbound.Arrival {
	return inbound.Arrival{
		Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: "200000000000002", Provider: "cloud",
		Person: inbound.Person{Phone: "5491155550001", UserID: "AR.1"}, SentAt: noon(), ReceivedAt: noon(), Raw: []byte(`{}`),
		Content: &inbound.Content{Type: "text", Text: text},
	}
}

func (i *installation) claim(conversation string) int {
	i.t.Helper()
	got, err := i.store.ClaimSends(i.t.Context(), noon(), "t", []string{conversation})
	if err != nil {
		i.t.Fatal(err)
	}
	return len(got)
}

// keep copies one of the files, and returns how it is restored.
func keep(t *testing.T, dir, name string) (back func()) {
	t.Helper()
	from, kept := filepath.Join(dir, name), filepath.Join(t.TempDir(), name)
	duplicate(t, from, kept)
	return func() {
		for _, beside := range []string{"-wal", "-shm"} {
			os.Remove(from + beside)
		}
		duplicate(t, kept, from)
	}
}

func duplicate(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAnOldStoreIsClosed: a restored store.db beside a newer queue writes nothing, and
// after AfterRestore it gives out nothing twice.
func TestAnOldStoreIsClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := start(t, dir)
	ana := i.say("a", "1").Conversation
	i.stop()
	back := keep(t, dir, "store.db")
	i = start(t, dir)
	if n := i.claim(ana); n != 1 { // it leaves
		t.Fatalf("claimed %d", n)
	}
	i.say("b", "11")
	seen, err := i.store.Events(t.Context(), 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	c, err := i.store.Conversation(t.Context(), ana)
	if err != nil {
		t.Fatal(err)
	}
	i.stop()
	back()

	i = start(t, dir)
	ctx := t.Context()
	for name, write := range map[string]func() error{
		"turn":    func() error { _, err := i.store.Turn(ctx, noon(), []inbound.Arrival{arrival("c", "11")}); return err },
		"claim":   func() error { _, err := i.store.ClaimSends(ctx, noon(), "t", []string{ana}); return err },
		"pump":    func() error { _, err := i.store.Pump(ctx, noon()); return err },
		"follow":  func() error { return i.store.RegisterEndpoint(ctx, noon(), "crm") },
		"note":    func() error { return i.store.AddAudit(ctx, store.AuditRow{Actor: "x", Action: "y", At: noon()}) },
		"ping":    func() error { return i.store.Ping(ctx) },
		"started": func() error { i.stop(); i = start(t, dir); return i.store.Ping(ctx) }, // it stays closed
	} {
		if err := write(); !errors.Is(err, store.ErrBackInTime) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrBackInTime, as unavailable", name, err)
		}
	}
	if _, err := i.store.Conversations(ctx, store.Filter{Limit: 10}); err != nil || !i.store.Stale() {
		t.Errorf("an old store can be read, and says so: %v", err)
	}
	if n, err := i.store.AfterRestore(ctx, noon()); err != nil || n == 0 {
		t.Fatalf("%d are uncertain, %v", n, err)
	}
	if n := i.claim(ana); n != 0 {
		t.Error("what has left is claimed again")
	}
	i.say("d", "menu")
	i.say("e", "11")
	again, err := i.store.Conversation(ctx, ana)
	if err != nil || again.Ticket <= c.Ticket {
		t.Errorf("got ticket %s after %s, %v", again.Ticket, c.Ticket, err)
	}
	last := seen[len(seen)-1]
	fresh, err := i.store.Events(ctx, last.Pos, 200)
	if err != nil || len(fresh) == 0 {
		t.Fatalf("no event after %d: %v", last.Pos, err)
	}
	for _, e := range fresh {
		if e.Seq <= last.Seq {
			t.Errorf("%s: sequence number %d was seen before", e.Type, e.Seq)
		}
	}
	i.stop()
	if i = start(t, dir); i.store.Stale() || i.behind() {
		t.Errorf("the next start finds %s, stale %v", i.logs, i.store.Stale())
	}
}

// TestAnOldQueueIsNamed: its accepted jobs are gone, which the log has to say.
func TestAnOldQueueIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := start(t, dir)
	i.say("a", "1")
	i.stop()
	back := keep(t, dir, "queue.db")
	i = start(t, dir)
	i.say("b", "11")
	i.say("c", "menu")
	i.stop()
	back()
	i = start(t, dir)
	if !i.behind() || i.store.Stale() {
		t.Errorf("got %s, stale %v; want the queue named, and the store open", i.logs, i.store.Stale())
	}
	i.say("d", "hola")
	i.say("e", "hola")
	i.stop()
	if i = start(t, dir); i.behind() {
		t.Errorf("it is named for ever: %s", i.logs)
	}
}

// TestKilledFilesRaiseNoAlarm: whatever was under way when the process died, the files
// agree.
func TestKilledFilesRaiseNoAlarm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := start(t, dir)
	for n := range 20 {
		i.say(string(rune('a'+n)), "hola")
		// A process that dies here leaves the files as they are now.
		dead := t.TempDir()
		for _, name := range []string{"store.db", "store.db-wal", "queue.db", "queue.db-wal"} {
			duplicate(t, filepath.Join(dir, name), filepath.Join(dead, name))
		}
		next := start(t, dead)
		if next.store.Stale() || next.behind() {
			t.Fatalf("after %d messages: stale %v, %s", n, next.store.Stale(), next.logs)
		}
	}
}

// TestAReplacedFileIsNotWrittenTo: another file has the path, so writes to the open one
// would be lost with the process.
func TestAReplacedFileIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := start(t, dir)
	i.say("a", "hola")
	copied := filepath.Join(t.TempDir(), "copy")
	duplicate(t, filepath.Join(dir, "store.db"), copied)
	if err := os.Rename(copied, filepath.Join(dir, "store.db")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for err := error(nil); !errors.Is(err, sqlite.ErrReplaced); {
		if ctx.Err() != nil {
			t.Fatal("it is written to all the same")
		}
		_, err = i.store.Turn(ctx, noon(), []inbound.Arrival{arrival("b", "hola")})
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if err := i.store.Ping(ctx); !errors.Is(err, sqlite.ErrReplaced) {
		t.Errorf("ping: got %v", err)
	}
}

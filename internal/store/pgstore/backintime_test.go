package pgstore

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/servers"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// shared opens the store as one of several processes that share their notes.
func shared(t *testing.T, url string, notes Notes) *Store {
	t.Helper()
	o := options(url, storetest.Settings(t))
	o.Notes = notes
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// wayBack is a way in which a database loses its last commits.
type wayBack struct {
	url string
	// keep is called after the commits that stay, back after the lost ones.
	keep, back func()
}

// waysBack are the ways in which a database goes back in time under running processes.
func waysBack() map[string]func(t *testing.T) wayBack {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lagging := func(t *testing.T, url func(primary, standby *servers.Postgres) (string, func())) wayBack {
		server := pgtest.New(t, pgtest.Options{})
		name := server.Database(t)
		standby := server.Standby(t)
		at, changed := url(server.Postgres, standby.Postgres)
		return wayBack{
			url: strings.ReplaceAll(at, "DB", name),
			keep: func() {
				caughtUp(t, server, standby)
				standby.Exec(t, name, `ALTER SYSTEM SET primary_conninfo = ''`, `SELECT pg_reload_conf()`)
				none(t, standby, "pg_stat_wal_receiver")
			},
			back: func() {
				server.Kill()
				standby.Exec(t, "postgres", `SELECT pg_promote()`)
				changed()
			},
		}
	}
	return map[string]func(t *testing.T) wayBack{
		"a dump is restored over it": func(t *testing.T) wayBack {
			server := pgtest.New(t, pgtest.Options{})
			name := server.Database(t)
			file := ""
			return wayBack{
				url:  server.URL(name),
				keep: func() { var err error; file, err = server.Dump(t.Context(), name); must(t, err) },
				back: func() { must(t, server.Restore(t.Context(), name, file)) },
			}
		},
		"a copy takes its name": func(t *testing.T) wayBack {
			server := pgtest.New(t, pgtest.Options{})
			name := server.Database(t)
			return wayBack{
				url: server.URL(name),
				keep: func() {
					server.Exec(t, "postgres", "CREATE DATABASE backup TEMPLATE postgres", "DROP DATABASE backup",
						"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'", "CREATE DATABASE backup TEMPLATE "+name)
				},
				back: func() {
					server.Exec(t, "postgres", "DROP DATABASE "+name+" WITH (FORCE)", "ALTER DATABASE backup RENAME TO "+name)
				},
			}
		},
		"a standby is promoted that lags": func(t *testing.T) wayBack {
			return lagging(t, func(p, s *servers.Postgres) (string, func()) { return p.EitherURL(s, "DB"), func() {} })
		},
		"the same behind a pooler": func(t *testing.T) wayBack {
			return lagging(t, func(p, s *servers.Postgres) (string, func()) {
				b, err := p.NewBouncer(t.Context())
				must(t, err)
				t.Cleanup(b.Close)
				return b.URL("DB"), func() { must(t, b.Retarget(t.Context(), s)) }
			})
		},
	}
}

// none waits until a view is empty.
func none(t *testing.T, server *pgtest.Server, view string) {
	t.Helper()
	server.Exec(t, "postgres", `DO $$ BEGIN
		FOR i IN 1..1000 LOOP
			PERFORM FROM `+view+`;
			IF NOT FOUND THEN RETURN; END IF;
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
		RAISE 'there still is something in `+view+`';
	END $$`)
}

// caughtUp waits until a standby has replayed the whole log.
func caughtUp(t *testing.T, server, standby *pgtest.Server) {
	t.Helper()
	server.Exec(t, "postgres", `DO $$ BEGIN
		FOR i IN 1..1000 LOOP
			PERFORM FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn();
			IF FOUND THEN RETURN; END IF;
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
		RAISE 'the standby does not catch up';
	END $$`)
}

// TestBackInTime: the first process on a database that lost another process' last commits
// writes nothing. After AfterRestore no number that somebody has seen is given out again,
// and nothing leaves twice.
func TestBackInTime(t *testing.T) {
	t.Parallel()
	for name, way := range waysBack() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := way(t)
			notes := NewNotes()
			idle, busy := shared(t, w.url, notes), shared(t, w.url, notes)
			ana := turn(t, busy, says(somebody(1), "a", "11"))[0].Conversation
			turn(t, idle, says(somebody(3), "idle", "hola"))
			w.keep()
			// Lost: a claimed message, which would leave; tickets, positions.
			claimed, err := retry(t, func() ([]store.SendClaim, error) {
				return busy.ClaimSends(t.Context(), noon(), "t", []string{ana})
			})
			if err != nil || len(claimed) != 1 || claimed[0].Busy {
				t.Fatalf("claimed %+v, %v", claimed, err)
			}
			if _, err := retry(t, func() ([]store.Result, error) {
				return busy.Turn(t.Context(), noon(), []inbound.Arrival{says(somebody(2), "b", "11")})
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := busy.Pump(t.Context(), noon()); err != nil {
				t.Fatal(err)
			}
			seen, err := busy.Events(t.Context(), 0, 200)
			if err != nil || len(seen) == 0 {
				t.Fatal(seen, err)
			}
			last := seen[len(seen)-1]
			ticket := conversationOf(t, busy, somebody(2)).Ticket
			w.back()

			for who, s := range map[string]*Store{"idle": idle, "busy": busy} {
				refusesAll(t, who, s, ana)
			}
			fresh := options(w.url, storetest.Settings(t))
			fresh.Notes = notes
			operator, err := Open(t.Context(), fresh)
			if err != nil {
				t.Fatal(err)
			}
			defer operator.Close()
			if err := operator.Verify(t.Context()); !errors.Is(err, store.ErrBackInTime) || !strings.Contains(err.Error(), "--after-restore") {
				t.Errorf("who starts now: got %v, want store.ErrBackInTime with the cure", err)
			}
			if _, err := operator.AfterRestore(t.Context(), noon()); err != nil {
				t.Fatal(err)
			}
			for _, s := range []*Store{idle, busy} {
				if err := s.Verify(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := idle.ClaimSends(t.Context(), noon(), "u", []string{ana}); err != nil || len(got) != 0 {
				t.Errorf("claimed again: %+v, %v", got, err)
			}
			turn(t, idle, says(somebody(2), "c", "11"))
			turn(t, busy, says(somebody(1), "d", "menu"))
			if got := conversationOf(t, idle, somebody(2)).Ticket; got <= ticket {
				t.Errorf("got ticket %s after %s", got, ticket)
			}
			if _, err := idle.Pump(t.Context(), noon()); err != nil {
				t.Fatal(err)
			}
			again, err := busy.Events(t.Context(), last.Pos, 200)
			if err != nil || len(again) == 0 {
				t.Fatalf("no event after %d: %v", last.Pos, err)
			}
			// Events that had lost their position have another one now.
			ids, highest := map[string]bool{}, map[string]int64{}
			for _, e := range seen {
				ids[e.ID] = true
				highest[e.Conversation] = max(highest[e.Conversation], e.Seq)
			}
			for _, e := range again {
				if !ids[e.ID] && e.Seq <= highest[e.Conversation] {
					t.Errorf("%s: sequence number %d was seen before", e.Type, e.Seq)
				}
			}
		})
	}
}

// conversationOf returns a person's conversation on the tests' line.
func conversationOf(t *testing.T, s *Store, p inbound.Person) store.Conversation {
	t.Helper()
	list, err := s.Conversations(t.Context(), store.Filter{Phone: p.Phone, Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatalf("got %d conversations, %v", len(list), err)
	}
	return list[0]
}

// refusesAll tries every write.
func refusesAll(t *testing.T, who string, s *Store, conversation string) {
	t.Helper()
	writes := map[string]func() error{
		"claim": func() error {
			got, err := s.ClaimSends(t.Context(), noon(), "x", []string{conversation})
			if len(got) > 0 {
				t.Errorf("%s claims %+v", who, got)
			}
			return err
		},
		"turn": func() error {
			_, err := s.Turn(t.Context(), noon(), []inbound.Arrival{says(somebody(9), "new", "11")})
			return err
		},
		"pump": func() error { _, err := s.Pump(t.Context(), noon()); return err },
		"note": func() error { return s.AddAudit(t.Context(), store.AuditRow{Actor: "x", Action: "y", At: noon()}) },
		"duty": func() error {
			_, err := s.Lead(t.Context(), noon(), store.Term{Duty: "d", Process: "p", Lease: time.Minute})
			return err
		},
		"follow": func() error { return s.RegisterEndpoint(t.Context(), noon(), "crm") },
		"command": func() error {
			_, err := s.Command(t.Context(), noon(), store.Command{Command: router.Command{Kind: router.CommandClose}, Conversation: conversation, Actor: "x"})
			return err
		},
	}
	for name, write := range writes {
		_, err := retry(t, func() (struct{}, error) { return struct{}{}, write() })
		if !errors.Is(err, store.ErrBackInTime) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s, %s: got %v, want store.ErrBackInTime, as unavailable", who, name, err)
		}
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrBackInTime) {
		t.Errorf("%s, ping: got %v", who, err)
	}
	if _, err := s.Conversations(t.Context(), store.Filter{Limit: 10}); err != nil {
		t.Errorf("%s cannot read: %v", who, err)
	}
}

// retry repeats a call while the server is being replaced.
func retry[T any](t *testing.T, do func() (T, error)) (out T, err error) {
	t.Helper()
	for range 100 {
		if out, err = do(); err == nil || errors.Is(err, store.ErrBackInTime) || !errors.Is(err, store.ErrUnavailable) {
			return out, err
		}
		time.Sleep(50 * time.Millisecond) // the server's start
	}
	return out, err
}

// TestNothingIsLost: a failover that lost nothing, a restart and a crash of the server
// raise no alarm.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]func(server, standby *pgtest.Server){
		"failover": func(server, standby *pgtest.Server) {
			caughtUp(t, server, standby)
			server.Stop()
			standby.Exec(t, "postgres", `SELECT pg_promote()`)
		},
		"restart": func(server, _ *pgtest.Server) {
			server.Stop()
			if err := server.Start(); err != nil {
				t.Error(err)
			}
		},
		"crash": func(server, _ *pgtest.Server) {
			server.Kill()
			if err := server.Start(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.New(t, pgtest.Options{Durable: name == "crash"})
			db := server.Database(t)
			standby := server.Standby(t)
			notes := NewNotes()
			url := server.EitherURL(standby.Postgres, db)
			one, two := shared(t, url, notes), shared(t, url, notes)
			for i, s := range []*Store{one, two, one, two} {
				turn(t, s, says(somebody(i), "a", "11")) // tickets are reserved without a sync
			}
			tc(server, standby)
			for i, s := range []*Store{one, two, one, two} {
				_, err := retry(t, func() ([]store.Result, error) {
					return s.Turn(t.Context(), noon(), []inbound.Arrival{says(somebody(i), "b", "menu")})
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestWitnessesOfProcessesThatAreGone are removed, and their noted limits stay noted.
func TestWitnessesOfProcessesThatAreGone(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Borrow(t)
	notes := NewNotes()
	gone := shared(t, server.URL(name), notes)
	turn(t, gone, says(somebody(1), "a", "11"))
	gone.Close()
	here := shared(t, server.URL(name), notes)
	turn(t, here, says(somebody(2), "b", "hola"))
	server.Exec(t, name, `UPDATE psi_router.witnesses SET at = at - interval '2 hours' WHERE process = '`+gone.witnesses.processName()+`'`)
	if err := here.pruneWitnesses(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, left, err := here.guard.readNotes(t.Context())
	if err != nil || len(left) != 1 || highestLimits(left)["ticket:2026"] != gone.guard.limit("ticket:2026") {
		t.Errorf("got %+v, %v; want the note of who is here, with %d tickets", left, err, gone.guard.limit("ticket:2026"))
	}
}

// forgetful are notes that sometimes cannot be written.
type forgetful struct {
	*memoryNotes
	fail atomic.Bool
}

func (f *forgetful) Note(ctx context.Context, name, text, other string) (string, error) {
	if f.fail.Load() {
		return "", errors.New("no place to write")
	}
	return f.memoryNotes.Note(ctx, name, text, other)
}

// TestAClaimWithoutANote is released: nobody posts it, and it was no attempt.
func TestAClaimWithoutANote(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	notes := &forgetful{memoryNotes: &memoryNotes{texts: map[string]string{}}}
	s := shared(t, server.URL(server.Borrow(t)), notes)
	id := turn(t, s, says(somebody(1), "a", "hola"))[0].Conversation
	notes.fail.Store(true)
	if got, err := s.ClaimSends(t.Context(), noon(), "t", []string{id}); !errors.Is(err, store.ErrUnavailable) || len(got) > 0 {
		t.Errorf("got %+v, %v; want ErrUnavailable", got, err)
	}
	notes.fail.Store(false)
	if got, err := s.ClaimSends(t.Context(), noon(), "u", []string{id}); err != nil || len(got) != 1 || got[0].Attempt != 1 {
		t.Errorf("got %+v, %v; want its first attempt", got, err)
	}
}

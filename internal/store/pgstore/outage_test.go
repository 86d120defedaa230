package pgstore

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// TestServerStops: every call is unavailable while the server is down, and works without
// help once it is back.
func TestServerStops(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t, pgtest.Options{Settings: []string{"shared_buffers=16MB"}})
	s := process(t, server.URL(server.Database(t)))
	first := turn(t, s, says(somebody(1), "a", "hola"))
	for i, end := range []func(){server.Stop, server.Kill} {
		end()
		for name, call := range map[string]func() error{
			"turn": func() error {
				_, err := s.Turn(t.Context(), noon(), []inbound.Arrival{says(somebody(1), "b", "1")})
				return err
			},
			"reject": func() error { return s.Reject(t.Context(), noon(), says(somebody(1), "c", "1"), "why") },
			"statuses": func() error {
				return s.Statuses(t.Context(), noon(), []inbound.Arrival{{Kind: inbound.Status, ID: "x", Line: "wsp4", Report: &inbound.Report{Status: "sent"}}})
			},
			"command": func() error {
				_, err := s.Command(t.Context(), noon(), store.Command{Conversation: first[0].Conversation})
				return err
			},
			"claim": func() error { _, err := s.ClaimSends(t.Context(), noon(), "t", []string{"x"}); return err },
			"record": func() error {
				_, err := s.RecordSends(t.Context(), noon(), []store.SendResult{{MessageID: "x"}})
				return err
			},
			"media":  func() error { return s.SaveMedia(t.Context(), "x", store.Media{}) },
			"pump":   func() error { _, err := s.Pump(t.Context(), noon()); return err },
			"sorry":  func() error { _, err := s.Apologize(t.Context(), noon()); return err },
			"events": func() error { _, err := s.Events(t.Context(), 0, 1); return err },
			"trace":  func() error { _, err := s.Trace(t.Context(), "x"); return err },
			"ping":   func() error { return s.Ping(t.Context()) },
		} {
			if err := call(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if got := turn(t, s, says(somebody(1), "a", "hola"), says(somebody(1), fmt.Sprint("d", i), "1")); !got[0].Duplicate || got[1].Duplicate {
			t.Errorf("got %+v", got)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestServerDiesUnderLoad: an answered turn is stored once, an unanswered one completely or
// not at all.
func TestServerDiesUnderLoad(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t, pgtest.Options{Durable: true, Settings: []string{"shared_buffers=16MB"}})
	url := server.URL(server.Database(t))
	s := process(t, url)
	const writers, turns, people = 3, 16, 10
	var wg sync.WaitGroup
	half := make(chan struct{}, writers)
	for w := range writers {
		wg.Go(func() {
			for k := range turns {
				if k == turns/2 {
					half <- struct{}{}
				}
				var batch []inbound.Arrival
				for i := range people {
					batch = append(batch, says(somebody(w*100+i), fmt.Sprintf("%d.%d.%d", w, k, i), []string{"hola", "11"}[k%2]))
				}
				for tries := 0; ; tries++ {
					results, err := s.Turn(t.Context(), noon(), batch)
					if err == nil {
						for _, r := range results {
							if r.Busy {
								t.Errorf("busy without anybody else")
							}
							if r.Duplicate != results[0].Duplicate {
								t.Errorf("half of a batch was there")
							}
						}
						break
					}
					if !errors.Is(err, store.ErrUnavailable) || tries > 1000 {
						t.Errorf("got %v", err)
						return
					}
					if !backOff(t.Context(), 10) {
						return
					}
				}
			}
		})
	}
	<-half
	server.Kill()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	audit(t, s, url, writers*turns*people, writers*people)
}

// TestWordsForOperators: a wrong setup is named, with its cure.
func TestWordsForOperators(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Borrow(t)
	statement := server.Bouncer(t, "pool_mode=statement")
	strict := server.Bouncer(t, "max_client_conn=1")
	latin := "latin"
	server.Exec(t, "postgres", "CREATE DATABASE "+latin+" ENCODING 'SQL_ASCII' TEMPLATE template0")
	readOnly := server.Database(t)
	server.Exec(t, "postgres", "ALTER DATABASE "+readOnly+" SET default_transaction_read_only = on")
	weak := server.Database(t)
	server.Exec(t, "postgres", "CREATE ROLE weak LOGIN")
	for what, tc := range map[string]struct {
		url   string
		words string
	}{
		"statement pooling": {statement.URL(name), "pool_mode"},
		"parameters":        {strict.URL(name) + "&search_path=x", "ignore_startup_parameters"},
		"no database":       {server.URL("nowhere"), "nowhere"},
		"encoding":          {server.URL(latin), "UTF8"},
		"read only":         {server.URL(readOnly), "read-only"},
		"no right":          {strings.Replace(server.URL(weak), "user=postgres", "user=weak", 1), "GRANT CREATE"},
		"no URL":            {"postgres://%zz", "database_url"},
		"nobody there":      {"postgres://postgres@127.0.0.1:1/x?connect_timeout=1", "connect"},
	} {
		s, err := Open(t.Context(), options(tc.url, storetest.Settings(t)))
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.words) {
			t.Errorf("%s: got %v, want a word about %s", what, err, tc.words)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Database(t)
	process(t, server.URL(name))
	process(t, server.URL(name)) // as many as there may be
	server.Exec(t, name, `INSERT INTO psi_router.goose_db_version (version_id, is_applied) VALUES (999, true)`)
	if _, err := Open(t.Context(), options(server.URL(name), storetest.Settings(t))); !errors.Is(err, store.ErrNewer) {
		t.Errorf("got %v, want %v", err, store.ErrNewer)
	}
	if err := migrate(t.Context(), server.URL(name), slog.New(slog.DiscardHandler)); !errors.Is(err, store.ErrNewer) {
		t.Errorf("got %v, want %v", err, store.ErrNewer)
	}
}

// TestManyOpenANewDatabase: one process migrates, also through a pooler, and the others
// find the schema complete.
func TestManyOpenANewDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Database(t)
	b := server.Bouncer(t, "default_pool_size=12")
	var wg sync.WaitGroup
	marks := make([]Watermark, 4)
	for i := range marks {
		wg.Go(func() {
			s, err := Open(t.Context(), options(b.URL(name), storetest.Settings(t)))
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
			marks[i] = s.guard.currentWatermark()
		})
	}
	wg.Wait()
	for _, m := range marks {
		if m.ID == "" || m != marks[0] {
			t.Errorf("got %+v, want all the same", marks)
		}
	}
}

// TestEventsOfATransactionThatIsLate get the positions after those of earlier commits, and
// none is passed over.
func TestEventsOfATransactionThatIsLate(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.URL(server.Borrow(t))
	s := process(t, url)
	release := stranger(t, url,
		`WITH b AS (INSERT INTO psi_router.batches (size) VALUES (2) RETURNING n)
		INSERT INTO psi_router.events SELECT n, i, 'late' || i, 'c', 'message.received', i + 1, now(), '{}' FROM b, generate_series(0, 1) i`)
	turn(t, s, says(somebody(1), "a", "hola"))
	ids := func() (all []string) {
		if _, err := s.Pump(t.Context(), noon()); err != nil {
			t.Fatal(err)
		}
		list, err := s.Events(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range list {
			if e.Pos != int64(i+1) {
				t.Errorf("event %d has position %d", i, e.Pos)
			}
			all = append(all, e.ID)
		}
		return all
	}
	before := ids()
	release()
	if diff := cmp.Diff(ids(), append(before, "late0", "late1")); diff != "" || len(before) != 2 {
		t.Errorf("events (-got +want):\n%s", diff)
	}
	list, err := s.Events(t.Context(), 3, 100)
	if err != nil || len(list) != 1 || list[0].ID != "late1" {
		t.Errorf("within a batch: got %+v, %v", list, err)
	}
}

// TestOnePumps: only one process pumps at a time.
func TestOnePumps(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.URL(server.Borrow(t))
	s := process(t, url)
	turn(t, s, says(somebody(1), "a", "11"))
	release := stranger(t, url, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, lockPump))
	late := noon().Add(48 * time.Hour)
	if got, err := s.Pump(t.Context(), late); err != nil || got.Numbered+got.Timers+len(got.Wakes) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	release()
	if got, err := s.Pump(t.Context(), late); err != nil || got.Numbered != 3 || got.Timers != 1 || len(got.Wakes) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestReportAndAnswerMissEachOther: each was written before the other was visible.
func TestReportAndAnswerMissEachOther(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Borrow(t)
	s := process(t, server.URL(name))
	r := turn(t, s, says(somebody(1), "a", "hola"))
	claims, err := s.ClaimSends(t.Context(), noon(), "t", []string{r[0].Conversation})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.RecordSends(t.Context(), noon(), []store.SendResult{{
		MessageID: claims[0].Post.ID, Conversation: r[0].Conversation, Token: "t", Status: store.Sent, ProviderID: "out",
	}})
	if err != nil {
		t.Fatal(err)
	}
	turn(t, s, says(somebody(2), "b", "hola"))
	server.Exec(t, name, `INSERT INTO psi_router.parked (provider_id, line, person, status, at, expires_at)
		SELECT 'out', line, person, status, '2026-11-24 12:00Z', '2026-11-24 13:00Z' FROM (VALUES
			('wsp4', '', 'read'), ('ventas', '', 'played'), ('', '', 'played'), ('wsp4', 'user:`+somebody(2).UserID+`', 'failed')) v (line, person, status)`)
	if _, err := s.Pump(t.Context(), noon()); err != nil {
		t.Fatal(err)
	}
	tr, err := s.Trace(t.Context(), "out")
	if err != nil || tr.Messages[0].Status != store.Read || tr.Messages[0].ErrorDetail != "" {
		t.Errorf("got %+v, %v", tr.Messages, err)
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM psi_router.parked`).Scan(&left); err != nil || left != 3 {
		t.Errorf("%d reports of others are left, want 3 (%v)", left, err)
	}
}

// TestCommandsRaceATurn: whichever comes first, each sees the other's changes.
func TestCommandsRaceATurn(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := server.URL(server.Borrow(t))
	a, b, c := process(t, url), process(t, url), process(t, url)
	for round := range 15 {
		p := somebody(round)
		id := turn(t, a, says(p, fmt.Sprint("a", round), "1"))[0].Conversation
		var wg sync.WaitGroup
		var busy bool
		command := func(s *Store, kind router.CommandKind) {
			if _, err := s.Command(t.Context(), noon(), store.Command{
				Conversation: id, Command: router.Command{Kind: kind, Area: "ventas"}, Actor: "crm",
			}); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		wg.Go(func() { command(a, router.CommandHandoff) })
		wg.Go(func() { command(b, router.CommandDisconnect) })
		wg.Go(func() {
			r, err := c.Turn(t.Context(), noon(), []inbound.Arrival{says(p, fmt.Sprint("b", round), "11")})
			if err != nil {
				t.Errorf("turn: %v", err)
				return
			}
			busy = r[0].Busy
		})
		wg.Wait()
		tr, err := a.Trace(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got := tr.Conversations[0]
		// One hand-off by the command, perhaps one by the turn before it; the epoch grew
		// with each, and with the disconnection.
		if busy && len(tr.Handoffs) != 1 || len(tr.Handoffs) > 2 || len(tr.Audit) != 2 {
			t.Errorf("busy %v: got %+v, %+v", busy, tr.Handoffs, tr.Audit)
		}
		if got.State == router.StateMenu || got.Epoch < 2 {
			t.Errorf("got %+v", got.Conversation)
		}
	}
	audit(t, a, url, countArrivals(t, url), 0)
}

// TestServerDiesAfterScan: commits of ScanBacklog are not synced, and a server that dies
// loses those that its log had not flushed. Their events are scanned again: lagging
// conversations are found all the same.
func TestServerDiesAfterScan(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t, pgtest.Options{Durable: true, Settings: []string{"shared_buffers=16MB", "wal_writer_delay=10s"}})
	url := server.URL(server.Database(t))
	survey := func(s *Store) {
		t.Helper()
		for more := true; more; {
			done, err := s.ScanBacklog(t.Context(), "crm", store.EventFilter{})
			if err != nil {
				t.Fatal(err)
			}
			more = done.More
		}
	}
	behind := func(s *Store) []store.Lagging {
		t.Helper()
		list, err := s.LaggingConversations(t.Context(), "crm", store.Lagging{}, noon().Add(time.Hour), 100)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	s := process(t, url)
	if err := s.RegisterEndpoint(t.Context(), noon(), "crm"); err != nil {
		t.Fatal(err)
	}
	turn(t, s, says(somebody(1), "a", "hola"), says(somebody(2), "b", "hola"), says(somebody(3), "c", "hola"))
	if _, err := s.Pump(t.Context(), noon()); err != nil {
		t.Fatal(err)
	}
	survey(s)
	want := behind(s)
	if len(want) != 3 {
		t.Fatalf("%d are behind, want 3", len(want))
	}
	server.Kill()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	s = process(t, url)
	t.Logf("%d of %d were still noted", len(behind(s)), len(want))
	survey(s)
	if d := cmp.Diff(behind(s), want); d != "" {
		t.Errorf("after the server died (-got +want):\n%s", d)
	}
}

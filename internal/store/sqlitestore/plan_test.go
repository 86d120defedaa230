package sqlitestore

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// spy records every statement.
type spy struct {
	querier
	seen func(string)
}

func (s spy) Exec(query string, args ...any) (sql.Result, error) {
	s.seen(query)
	return s.querier.Exec(query, args...)
}

func (s spy) Query(query string, args ...any) (*sql.Rows, error) {
	s.seen(query)
	return s.querier.Query(query, args...)
}

func (s spy) Row(query string, args []any, dest ...any) (bool, error) {
	s.seen(query)
	return s.querier.Row(query, args, dest...)
}

// TestPlans: however large the file is, no statement scans a whole table, and no hot one
// sorts.
func TestPlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(t.Context(), options(path, storetest.Settings(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var mu sync.Mutex
	queries := map[string]bool{}
	s.spy = func(a querier) querier {
		return spy{a, func(q string) {
			mu.Lock()
			defer mu.Unlock()
			queries[q] = true
		}}
	}
	exercise(t, s)

	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range slices.Sorted(func(yield func(string) bool) {
		for q := range queries {
			if !yield(q) {
				return
			}
		}
	}) {
		for _, step := range plan(t, db, q) {
			if strings.HasPrefix(step, "SCAN") && !small(step) {
				t.Errorf("%s\nin %s", step, q)
			}
			if strings.Contains(step, "TEMP B-TREE") && long(q) {
				t.Errorf("sorts a long list: %s", q)
			}
		}
	}
	if len(queries) < 50 {
		t.Errorf("only %d statements were seen", len(queries))
	}
}

// small reports whether a scan is over something that cannot grow: an argument's list, the
// lines, one row, or an index of pending or uncertain rows.
func small(step string) bool {
	for _, ok := range []string{
		"json_each", "SCAN lines", "CONSTANT ROW", "messages_pending", "messages_uncertain", "messages_waiting", "conversations_waiting", "(subquery",
	} {
		if strings.Contains(step, ok) {
			return true
		}
	}
	// INSERT … VALUES (…), (…)
	return strings.Contains(step, "VALUES CLAUSE")
}

// long reports whether a query's list grows with history, so that its index has to give the
// order.
func long(q string) bool {
	return strings.Contains(q, "(t.last_message_at, t.n) < ") && !strings.Contains(q, "t.contact IN") ||
		strings.Contains(q, "m.conversation = ? ") || strings.Contains(q, "FROM events") || strings.Contains(q, "FROM timers") || strings.Contains(q, "FROM audit a")
}

func plan(t *testing.T, db *sql.DB, query string) (steps []string) {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	return steps
}

// exercise calls every method in every way.
func exercise(t *testing.T, s *Store) {
	t.Helper()
	ctx, now := t.Context(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var batch []inbound.Arrival
	for i := range 60 {
		batch = append(batch, message(i, "11", now))
	}
	results, err := s.Turn(ctx, now, batch)
	check(err)
	id := results[0].Conversation
	echo := message(1, "hola", now)
	echo.Kind, echo.ID = inbound.Echo, "e"
	mark := message(1, "", now)
	mark.ID, mark.Content = "m", &inbound.Content{Type: "reaction", TargetID: "wamid.HBgMNTQxMTAwMDAwMDAyFQIAERgUM0VCMEFCQ0RFRjAxMjM0NTY3ODkA"}
	change := message(1, "", now)
	change.Kind, change.ID, change.Content = inbound.Identity, "c", nil
	change.Change = &inbound.Change{From: batch[1].Person, To: batch[2].Person}
	moved := change
	moved.ID, moved.Change = "c2", &inbound.Change{From: batch[2].Person, To: inbound.Person{Phone: "5491199999999"}}
	_, err = s.Turn(ctx, now, append(batch[:3:3], echo, mark, change, moved))
	check(err)
	check(s.Reject(ctx, now, message(70, "hola", now), "why"))
	claims, err := s.ClaimSends(ctx, now, "t", []string{id, results[5].Conversation})
	check(err)
	check(s.Statuses(ctx, now, []inbound.Arrival{
		{Kind: inbound.Status, ID: "x", Line: "wsp4", Person: batch[0].Person, Report: &inbound.Report{Status: "sent", Ref: claims[0].Post.ID}},
		{Kind: inbound.Status, ID: "p", Line: "wsp4", Report: &inbound.Report{Status: "sent"}},
	}))
	_, err = s.RecordSends(ctx, now, []store.SendResult{{
		MessageID: claims[1].Post.ID, Conversation: claims[1].Post.Conversation, Token: "t", Status: store.Sent, ProviderID: "p",
	}})
	check(err)
	check(s.SaveMedia(ctx, results[0].MessageID, store.Media{State: store.MediaReady}))
	_, err = s.Command(ctx, now, store.Command{Conversation: id, Command: router.Command{Kind: router.CommandClose}, Actor: "crm"})
	check(err)
	for range 2 {
		_, err = s.Command(ctx, now, store.Command{
			Conversation: id, Command: router.Command{Kind: router.CommandAgentSent}, Actor: "crm",
			Draft:       &store.Draft{Type: "template", Body: []byte(`{}`), Quotes: results[0].MessageID},
			Idempotency: &store.Idempotency{Answer: func(store.Conversation, *store.Message) []byte { return nil }},
		})
		check(err)
	}
	check(s.AddAudit(ctx, store.AuditRow{Actor: "boss", At: now}))
	_, err = s.Audit(ctx, "", 10)
	check(err)
	_, err = s.Pump(ctx, now.Add(25*time.Hour))
	check(err)
	for _, phone := range []string{"", "5491100000001"} {
		for _, line := range []string{"", "wsp4"} {
			for _, area := range []string{"", "admin"} {
				for _, state := range []router.State{"", router.StateMenu, router.StateHandedOff} {
					f := store.Filter{Phone: phone, UserID: phone, Line: line, Area: area, State: state}
					_, err = s.Conversations(ctx, f)
					check(err)
					f.LeftAfter = now.Add(-store.LeftFor)
					_, err = s.Conversations(ctx, f)
					check(err)
					_, err = s.Conversations(ctx, store.Filter{Contact: "c2300", Line: line, Area: area, State: state})
					check(err)
				}
			}
		}
	}
	_, err = s.UntriedNotices(ctx, 20)
	check(err)
	list, err := s.Messages(ctx, id, "", 10)
	check(err)
	_, err = s.Messages(ctx, id, list[0].ID, 10)
	check(err)
	_, err = s.Events(ctx, 1, 10)
	check(err)
	for _, filter := range []store.EventFilter{{}, {Areas: []string{"admin"}}} {
		name := fmt.Sprint("crm", len(filter.Areas))
		check(s.RegisterEndpoint(ctx, now, name))
		_, err = s.Turn(ctx, now, []inbound.Arrival{message(80+len(filter.Areas), "11", now)})
		check(err)
		_, err = s.PendingEvents(ctx, name, []string{id, "nobody"}, 10)
		check(err)
		_, err = s.ScanBacklog(ctx, name, filter)
		check(err)
		_, err = s.LaggingConversations(ctx, name, store.Lagging{}, now, 10)
		check(err)
		_, err = s.Backlogs(ctx, []string{name})
		check(err)
		check(s.AdvanceCursors(ctx, name, []store.Cursor{{Conversation: id, Seq: 1}}))
		_, err = s.PruneCursors(ctx, name, "")
		check(err)
		_, err = s.PruneCursors(ctx, name, "m")
		check(err)
	}
	for _, key := range []string{id, list[0].ID, list[0].ProviderID, "PSI-2026-000001", "5491100000003", "AR.4", "m"} {
		if _, err = s.Trace(ctx, key); err != nil {
			t.Fatal(fmt.Errorf("trace %s: %w", key, err))
		}
	}
	for _, process := range []string{"a", "a", "b"} {
		_, err = s.Lead(ctx, now, store.Term{Duty: "alerts", Process: process, Lease: time.Minute, Report: []byte("{}"), State: []byte("{}")})
		check(err)
	}
	_, err = s.Gauges(ctx, now)
	check(err)
	check(s.Ping(ctx))
}

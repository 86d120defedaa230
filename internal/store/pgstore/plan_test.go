package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

// asked is a statement that was sent.
type asked struct {
	args []any
	kept bool // the server may keep its plan
}

// spy records every statement with its arguments.
type spy struct {
	mu    sync.Mutex
	found map[string]asked
	anew  map[*pgx.Conn]bool // the transaction plans everything anew
}

func (s *spy) note(c *pgx.Conn, sql string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch sql {
	case beginRead, beginWrite:
		s.anew[c] = false
	case customPlan:
		s.anew[c] = true
	}
	a, known := s.found[sql]
	if !known {
		a.args = args
	}
	a.kept = a.kept || !s.anew[c]
	s.found[sql] = a
}

func (s *spy) TraceQueryStart(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.note(c, d.SQL, d.Args)
	return ctx
}
func (*spy) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (*spy) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *spy) TraceBatchQuery(_ context.Context, c *pgx.Conn, d pgx.TraceBatchQueryData) {
	s.note(c, d.SQL, d.Args)
}
func (*spy) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// history fills a database with people who wrote five times each.
const history = `
INSERT INTO psi_router.contacts SELECT i, 'c' || i, '54911' || lpad(i::text, 8, '0'), 'AR.' || i, '', '', false, false, now()
	FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.aliases SELECT 'user:AR.' || i, i FROM generate_series(1000, 1000 + @people) i
	UNION ALL SELECT 'phone:54911' || lpad(i::text, 8, '0'), i FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.conversations (n, id, contact, line, state, area, seq, last_message_at, created_at)
	SELECT i, 't' || i, i, CASE WHEN i % 5 = 0 THEN 'ventas' ELSE 'wsp4' END, CASE WHEN i % 3 = 0 THEN 'handed_off' ELSE 'menu' END,
		CASE WHEN i % 3 = 0 THEN 'admin' ELSE '' END, 3, now() - i * interval '1 second', now() FROM generate_series(1000, 1000 + @people) i;
UPDATE psi_router.conversations SET waiting_since = last_message_at WHERE state = 'handed_off' AND n % 2 = 0;
INSERT INTO psi_router.lines VALUES ('wsp4', now()), ('ventas', now());
INSERT INTO psi_router.messages (conversation, id, direction, author, type, text, provider_id, origin, status, created_at)
	SELECT i, 'm' || i || '.' || k, CASE WHEN k % 2 = 0 THEN 'inbound' ELSE 'outbound' END, 'contact', 'text', 'hola', 'w' || i || '.' || k,
		CASE WHEN k % 2 = 0 THEN 'message:1' END, 'read', now() FROM generate_series(1000, 1000 + @people) i, generate_series(0, 4) k;
INSERT INTO psi_router.records (id, key, kind, provider_id, person, reason) SELECT i, 'k' || i, 'account', 'p' || i,
		CASE WHEN i % 2 = 0 THEN 'user:AR.' || i ELSE '' END, 'account_notice' FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.tickets SELECT 'PSI-2025-' || lpad(i::text, 6, '0'), i, 'admin', '', now(), now() FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.handoffs (conversation, ticket, area, by, at) SELECT i, 'x', 'admin', 'router', now() FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.audit (conversation, actor, action, at) SELECT i, 'crm', 'close', now() FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.idempotency SELECT 'crm', i::text, '', '', now() FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.moved SELECT 'old' || i, i FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.timers SELECT i, 'handoff', now() + interval '1000 days' FROM generate_series(1000, 1000 + @people) i WHERE i % 3 = 0;
INSERT INTO psi_router.parked (provider_id, line, person, status, at, expires_at)
	SELECT 'x' || i, 'wsp4', 'user:AR.' || i, 'sent', now(), now() + interval '30 minutes' FROM generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.batches (n, size, first_pos) OVERRIDING SYSTEM VALUE SELECT i, 3, i * 3 - 2 FROM generate_series(1, @people) i;
SELECT setval('psi_router.batches_n_seq', @people + 1), setval('psi_router.keys', 2000 + @people);
INSERT INTO psi_router.events SELECT b.n, k, 'e' || b.n || '.' || k, 't' || 1000 + b.n, 'message.received', k + 1, now(), '{}' FROM psi_router.batches b, generate_series(0, 2) k;
INSERT INTO psi_router.counters VALUES ('numbered', @people * 3);
INSERT INTO psi_router.endpoints VALUES ('crm0', 10, @people * 3 - 30, now());
INSERT INTO psi_router.cursors SELECT e.name, 't' || i, 3, CASE WHEN i % 2 = 0 THEN now() - interval '1 minute' END
	FROM psi_router.endpoints e, generate_series(1000, 1000 + @people) i;
INSERT INTO psi_router.pending SELECT conversation, n, now() - interval '5 minutes', n % 2 = 0 FROM psi_router.messages ORDER BY n DESC LIMIT 200;
UPDATE psi_router.messages m SET status = CASE WHEN p.doubt THEN 'uncertain' ELSE 'queued' END, direction = 'outbound', author = 'router', body = '{}'
	FROM psi_router.pending p WHERE p.conversation = m.conversation AND p.n = m.n
`

// TestPlans: however many rows there are, and whatever the statistics say, no statement
// reads more than it needs, and every index is of use.
func TestPlans(t *testing.T) {
	t.Parallel()
	people := "20000" // five messages each
	if os.Getenv("PSI_PROOF") != "" {
		people = "200000"
	}
	server := pgtest.Shared(t)
	name := server.Database(t)
	seen := &spy{found: map[string]asked{}, anew: map[*pgx.Conn]bool{}}
	o := options(server.URL(name), storetest.Settings(t))
	o.tracer = seen
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for sql := range strings.SplitSeq(strings.ReplaceAll(history, "@people", people), ";\n") {
		server.Exec(t, name, sql)
	}
	clear(seen.found)
	exercise(t, s)

	c, err := pgx.Connect(t.Context(), server.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	used := map[string]bool{}
	small := []string{"lines", "installation", "counters", "pending", "duties", "duty_reports", "witnesses"} // they do not grow with history
	for _, statistics := range []string{"SELECT 'none'", "ANALYZE"} {
		if _, err := c.Exec(t.Context(), statistics); err != nil {
			t.Fatal(err)
		}
		for sql, a := range seen.found {
			if !strings.Contains(sql, "psi_router") || strings.Contains(sql, "nextval") {
				continue
			}
			steps := explain(t, c, sql, a.args)
			if a.kept {
				steps = append(steps, explainKept(t, c, sql, a.args)...)
			}
			for _, p := range steps {
				used[p.Index] = true
				if p.Node == "Seq Scan" && !slices.Contains(small, p.Relation) {
					t.Errorf("%s: reads all of %s:\n%s", statistics, p.Relation, squeeze(sql))
				}
				if p.rows() > 3000 {
					t.Errorf("%s: looks at %.0f rows of %s by %s:\n%s", statistics, p.rows(), p.Relation, p.Index, squeeze(sql))
				}
			}
		}
	}
	if len(seen.found) < 60 {
		t.Errorf("only %d statements were seen", len(seen.found))
	}
	rows, err := c.Query(t.Context(), `SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		WHERE c.relnamespace = 'psi_router'::regnamespace AND NOT i.indisunique`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range all {
		if !used[strings.TrimPrefix(index, "psi_router.")] {
			t.Errorf("nobody uses %s", index)
		}
	}
}

func squeeze(sql string) string { return regexp.MustCompile(`\s+`).ReplaceAllString(sql, " ") }

// step is a node of a plan.
type step struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []step  `json:"Plans"`
}

// rows is how many rows of a table a step read.
func (s *step) rows() float64 {
	if s.Relation == "" || !strings.Contains(s.Node, "Scan") {
		return 0
	}
	return (s.Rows + s.Removed) * s.Loops
}

// explain runs a statement as the store does through a pooler, and rolls it back.
func explain(t *testing.T, c *pgx.Conn, sql string, args []any) []step {
	t.Helper()
	return takenBack(t, c, sql, func(tx pgx.Tx, how string) pgx.Row {
		return tx.QueryRow(t.Context(), "EXPLAIN ("+how+", FORMAT JSON) "+sql, append([]any{pgx.QueryExecModeExec}, args...)...)
	})
}

// explainKept does the same with a generic plan.
func explainKept(t *testing.T, c *pgx.Conn, sql string, args []any) []step {
	t.Helper()
	marks := make([]string, len(args))
	for i := range args {
		marks[i] = fmt.Sprint("$", i+1)
	}
	what := "kept"
	if len(marks) > 0 {
		what += "(" + strings.Join(marks, ",") + ")"
	}
	return takenBack(t, c, sql, func(tx pgx.Tx, how string) pgx.Row {
		for _, s := range []string{"SET LOCAL plan_cache_mode = force_generic_plan", "DEALLOCATE ALL", "PREPARE kept AS " + sql} {
			if _, err := tx.Exec(t.Context(), s, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatalf("%v:\n%s", err, s)
			}
		}
		return tx.QueryRow(t.Context(), "EXPLAIN ("+how+", FORMAT JSON) EXECUTE "+what, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	})
}

// takenBack runs an EXPLAIN of a statement, and rolls it back.
func takenBack(t *testing.T, c *pgx.Conn, sql string, run func(tx pgx.Tx, how string) pgx.Row) (steps []step) {
	t.Helper()
	var out []byte
	try := func(how string) error {
		tx, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		if _, err := tx.Exec(t.Context(), txSettings); err != nil {
			t.Fatal(err)
		}
		return run(tx, how).Scan(&out)
	}
	// A row that exists cannot be inserted again: the plan alone must do.
	if err := try("ANALYZE"); err != nil {
		if err := try("COSTS"); err != nil {
			t.Fatalf("%v:\n%s", err, squeeze(sql))
		}
	}
	var plans []struct{ Plan step }
	if err := json.Unmarshal(out, &plans); err != nil {
		t.Fatal(err)
	}
	var walk func(step)
	walk = func(s step) {
		steps = append(steps, s)
		for _, p := range s.Plans {
			walk(p)
		}
	}
	walk(plans[0].Plan)
	return steps
}

// exercise calls every method in every way.
func exercise(t *testing.T, s *Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now().Truncate(time.Second)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(a inbound.Arrival) inbound.Arrival { a.SentAt, a.ReceivedAt = now, now; return a }
	var batch []inbound.Arrival
	for i := range 100 {
		batch = append(batch, at(says(somebody(2000+i*7), fmt.Sprint("new", i), "11")), at(says(somebody(i), fmt.Sprint("first", i), "11")))
	}
	results, err := s.Turn(ctx, now, batch)
	check(err)
	echo := at(says(somebody(2001), "e", "hola"))
	echo.Kind = inbound.Echo
	mark := at(says(somebody(2000), "m", ""))
	mark.Content = &inbound.Content{Type: "reaction", TargetID: "wamid.HBgMNTQxMTAwMDAwMDAyFQIAERgUM0VCMEFCQ0RFRjAxMjM0NTY3ODkA"}
	change := func(id string, from, to inbound.Person) inbound.Arrival {
		a := at(says(from, id, ""))
		a.Kind, a.Content, a.Change = inbound.Identity, nil, &inbound.Change{From: from, To: to}
		return a
	}
	_, err = s.Turn(ctx, now, []inbound.Arrival{
		batch[0], echo, mark, change("c1", somebody(2101), somebody(2102)), change("c2", somebody(2103), inbound.Person{Phone: "5491199999999"}),
	})
	check(err)
	check(s.Reject(ctx, now, at(says(somebody(2200), "r", "hola")), "why"))
	var ids []string
	for _, r := range results[:40] {
		ids = append(ids, r.Conversation)
	}
	claims, err := s.ClaimSends(ctx, now, "t", ids)
	check(err)
	check(s.Statuses(ctx, now, []inbound.Arrival{
		{Kind: inbound.Status, ID: "x", Line: "wsp4", Person: recipient(claims[0]), Report: &inbound.Report{Status: "sent", Ref: claims[0].Post.ID}},
		{Kind: inbound.Status, ID: "p", Line: "wsp4", Report: &inbound.Report{Status: "sent"}},
		{Kind: inbound.Status, ID: "q", Line: "wsp4", SentAt: now, Report: &inbound.Report{Status: "sent"}},
	}))
	var done []store.SendResult
	for i, c := range claims[1:] {
		r := store.SendResult{MessageID: c.Post.ID, Conversation: c.Post.Conversation, Token: "t", Status: store.Sent, ProviderID: fmt.Sprint("out", i)}
		if i == 0 {
			r.Status, r.ProviderID = store.Uncertain, ""
		}
		if i == 1 {
			r.ProviderID = "p"
		}
		done = append(done, r)
	}
	_, err = s.RecordSends(ctx, now, done)
	check(err)
	check(s.Statuses(ctx, now, []inbound.Arrival{{Kind: inbound.Status, ID: "out3", Line: "wsp4", SentAt: now, Report: &inbound.Report{Status: "read"}}}))
	check(s.SaveMedia(ctx, results[0].MessageID, store.Media{State: store.MediaReady}))
	for _, kind := range []router.CommandKind{router.CommandClose, router.CommandHandoff} {
		_, err = s.Command(ctx, now, store.Command{Conversation: ids[0], Command: router.Command{Kind: kind, Area: "admin"}, Actor: "crm"})
		check(err)
	}
	for range 2 {
		for _, to := range []*store.Recipient{nil, {Line: "wsp4", Person: inbound.Person{Phone: "5491177777777"}}} {
			_, err = s.Command(ctx, now, store.Command{
				Conversation: ids[0], To: to, Command: router.Command{Kind: router.CommandAgentSent}, Actor: "crm",
				Draft:       &store.Draft{Type: "template", Body: []byte(`{}`), Quotes: results[0].MessageID},
				Idempotency: &store.Idempotency{Key: fmt.Sprint(to == nil), Answer: func(store.Conversation, *store.Message) []byte { return nil }},
			})
			if to != nil && !errors.Is(err, store.ErrNoQuote) || to == nil && err != nil {
				t.Fatal(err)
			}
		}
	}
	check(s.AddAudit(ctx, store.AuditRow{Actor: "boss", At: now}))
	for _, before := range []string{"", "100"} {
		_, err = s.Audit(ctx, before, 10)
		check(err)
	}
	_, err = s.Pump(ctx, now)
	check(err)
	s.sendScan, s.fileScan = sqlrow.Sweep{}, sqlrow.Sweep{}
	_, err = s.Pump(ctx, now.Add(25*time.Hour))
	check(err)
	for _, phone := range []string{"", somebody(2300).Phone} {
		for _, line := range []string{"", "wsp4"} {
			for _, area := range []string{"", "admin"} {
				for _, state := range []router.State{"", router.StateMenu, router.StateHandedOff} {
					f := store.Filter{Phone: phone, UserID: strings.ReplaceAll(phone, "54911", "AR."), Line: line, Area: area, State: state}
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
	list, err := s.Messages(ctx, ids[0], "", 10)
	check(err)
	_, err = s.Messages(ctx, "old2400", "", 10)
	check(err)
	_, err = s.Messages(ctx, ids[0], list[0].ID, 10)
	check(err)
	_, err = s.Events(ctx, 30_000, 10)
	check(err)
	for _, filter := range []store.EventFilter{{}, {Areas: []string{"admin"}}} {
		name := fmt.Sprint("crm", len(filter.Areas))
		check(s.RegisterEndpoint(ctx, now, name))
		_, err = s.PendingEvents(ctx, name, []string{ids[0], "t2000", "nobody"}, 10)
		check(err)
		_, err = s.ScanBacklog(ctx, name, filter)
		check(err)
		_, err = s.LaggingConversations(ctx, name, store.Lagging{}, now, 10)
		check(err)
		_, err = s.Backlogs(ctx, []string{name})
		check(err)
		check(s.AdvanceCursors(ctx, name, []store.Cursor{{Conversation: ids[0], Seq: 1}}))
		_, err = s.PruneCursors(ctx, name, "")
		check(err)
		_, err = s.PruneCursors(ctx, name, "m")
		check(err)
	}
	for _, key := range []string{ids[0], "old2500", list[0].ID, "w2600.2", "PSI-2026-000001", somebody(2700).Phone, "AR.2800", "p3000"} {
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
	check(s.Verify(ctx))
	check(s.pruneWitnesses(ctx))
	check(s.Ping(ctx))
}

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func somebody(i int) inbound.Person {
	return inbound.Person{Phone: fmt.Sprintf("54911%08d", i), UserID: fmt.Sprintf("AR.%d", i)}
}

func says(p inbound.Person, id, text string) inbound.Arrival {
	return inbound.Arrival{
		Kind: inbound.Message, ID: id, Line: "wsp4", LineRef: "200000000000002", Provider: "cloud", Person: p,
		SentAt: noon(), ReceivedAt: noon(), Raw: []byte(`{"text":"` + strings.Repeat("x", 200) + `"}`),
		Content: &inbound.Content{Type: "text", Text: text},
	}
}

func turn(t *testing.T, s *Store, batch ...inbound.Arrival) []store.Result {
	t.Helper()
	results, err := s.Turn(t.Context(), noon(), batch)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// stranger is another process' transaction, which ends with the test.
func stranger(t *testing.T, url string, statements ...string) (release func()) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range append([]string{"BEGIN"}, statements...) {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	done := false
	release = func() {
		if !done {
			done = true
			_, _ = c.Exec(context.Background(), "COMMIT")
			c.Close(context.Background())
		}
	}
	t.Cleanup(release)
	return release
}

// TestStrangerHoldsAContact: arrivals of a locked contact wait, and all others go on.
func TestStrangerHoldsAContact(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).URL(pgtest.Shared(t).Borrow(t))
	s := process(t, url)
	s.lockPatience = 100 * time.Millisecond
	first := turn(t, s, says(somebody(1), "a1", "hola"), says(somebody(2), "b1", "hola"), says(somebody(1), "p", "1"))
	held, free := first[0].Conversation, first[1].Conversation
	claims, err := s.ClaimSends(t.Context(), noon(), "t1", []string{held, free})
	if err != nil || len(claims) != 2 {
		t.Fatalf("got %+v, %v", claims, err)
	}
	release := stranger(t, url, `SELECT FROM psi_router.contacts WHERE user_id = 'AR.1' FOR UPDATE`)

	// Everything of the locked person waits, also under an unknown name, and on another
	// line.
	other := says(inbound.Person{UserID: "AR.1"}, "a3", "hola")
	other.Line, other.LineRef = "ventas", "ventas"
	mark := says(somebody(9), "m", "")
	mark.Content = &inbound.Content{Type: "reaction", TargetID: "a1", Emoji: "👍"}
	change := says(somebody(8), "c", "")
	change.Kind, change.Content, change.Change = inbound.Identity, nil, &inbound.Change{From: somebody(8), To: somebody(1)}
	got := turn(t, s,
		says(somebody(2), "b2", "1"), says(somebody(1), "a2", "1"), other, says(somebody(3), "c1", "hola"),
		says(inbound.Person{Phone: somebody(1).Phone}, "a4", "hola"), mark, change, says(somebody(8), "d1", "hola"))
	var busy []bool
	for _, r := range got {
		busy = append(busy, r.Busy)
	}
	if diff := cmp.Diff(busy, []bool{false, true, true, false, true, true, true, true}); diff != "" {
		t.Errorf("busy (-got +want):\n%s", diff)
	}

	if more, err := s.ClaimSends(t.Context(), noon(), "t2", []string{held, free}); err != nil || len(more) != 2 ||
		!more[0].Busy || more[0].Post.Conversation != held || more[1].Busy || more[1].Post.Conversation != free {
		t.Errorf("claims: got %+v, %v", more, err)
	}
	_, err = s.Command(t.Context(), noon(), store.Command{Conversation: held, Command: router.Command{Kind: router.CommandClose}})
	if !errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("command: got %v", err)
	}
	var sent []store.SendResult
	var reports []inbound.Arrival
	for i, c := range claims {
		id := fmt.Sprint("out", i)
		sent = append(sent, store.SendResult{
			MessageID: c.Post.ID, Conversation: c.Post.Conversation, Token: "t1", Status: store.Sent, ProviderID: id,
		})
		reports = append(reports, inbound.Arrival{
			Kind: inbound.Status, ID: id, Line: "wsp4", Person: recipient(c), SentAt: noon(), Report: &inbound.Report{Status: "delivered", Ref: c.Post.ID},
		})
	}
	if got, err := s.RecordSends(t.Context(), noon(), sent); err != nil || !cmp.Equal(got, []store.Recorded{{Busy: true}, {More: true}}) {
		t.Errorf("record: got %v, %v", got, err)
	}
	if err := s.Statuses(t.Context(), noon(), reports); !errors.Is(err, store.ErrBusy) {
		t.Errorf("statuses: got %v", err)
	}
	if err := s.Reject(t.Context(), noon(), says(somebody(1), "x", "hola"), "why"); !errors.Is(err, store.ErrBusy) {
		t.Errorf("reject: got %v", err)
	}
	statuses := func() (all []store.Status) {
		for _, c := range claims {
			tr, err := s.Trace(t.Context(), c.Post.ID)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, tr.Messages[0].Status)
		}
		return all
	}
	if diff := cmp.Diff(statuses(), []store.Status{store.Sending, store.Delivered}); diff != "" {
		t.Errorf("statuses (-got +want):\n%s", diff)
	}

	release()
	if more, err := s.RecordSends(t.Context(), noon(), sent); err != nil || !cmp.Equal(more, []store.Recorded{{More: true}, {More: true}}) {
		t.Errorf("record: got %v, %v", more, err)
	}
	if err := s.Statuses(t.Context(), noon(), reports); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(statuses(), []store.Status{store.Delivered, store.Delivered}); diff != "" {
		t.Errorf("statuses (-got +want):\n%s", diff)
	}
	for _, r := range turn(t, s, says(somebody(1), "a2", "1"), other, mark, change) {
		if r.Busy || r.Duplicate {
			t.Errorf("got %+v", r)
		}
	}
}

// TestStrangerMakesANewContact: nobody knows yet whether that person is theirs.
func TestStrangerMakesANewContact(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).URL(pgtest.Shared(t).Borrow(t))
	s := process(t, url)
	release := stranger(t, url, `INSERT INTO psi_router.aliases VALUES ('user:AR.5', 1)`)
	var batch []inbound.Arrival
	for i := range 10 {
		batch = append(batch, says(somebody(i), fmt.Sprint("a", i), "hola"), says(somebody(i), fmt.Sprint("b", i), "1"))
	}
	for i, r := range turn(t, s, batch...) {
		if want := i/2 == 5; r.Busy != want {
			t.Errorf("arrival %d: got %+v", i, r)
		}
	}
	release()
	if got := turn(t, s, batch...); !got[0].Duplicate || !got[10].Busy {
		t.Errorf("a name whose contact is not there: got %+v, %+v", got[0], got[10])
	}
}

// TestEverybodyAtOnce: several processes do everything to the same few people. No call
// fails, nothing is lost or done twice, and every order holds.
func TestEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	name := server.Borrow(t)
	bouncer := server.Bouncer(t, "default_pool_size=6")
	const processes, writers, turns, people = 3, 2, 20, 9
	var wg, chores sync.WaitGroup
	stop := make(chan struct{})
	var mu sync.Mutex
	known := map[string]bool{} // conversations
	handled := map[string]int{}
	pick := func(r *rand.Rand) string {
		mu.Lock()
		defer mu.Unlock()
		n := r.IntN(len(known) + 1)
		for id := range known {
			if n--; n < 0 {
				return id
			}
		}
		return "nobody"
	}
	for p := range processes {
		s := process(t, []string{server.URL(name), bouncer.URL(name), server.URL(name)}[p])
		for w := range writers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(p), uint64(w)))
				for k := range turns {
					batch := make([]inbound.Arrival, 1+r.IntN(12))
					for i := range batch {
						batch[i] = random(r, fmt.Sprintf("%d.%d.%d.%d", p, w, k, i), people)
					}
					for len(batch) > 0 {
						results, err := s.Turn(t.Context(), noon(), batch)
						if err != nil {
							t.Errorf("turn: %v", err)
							return
						}
						var again []inbound.Arrival
						mu.Lock()
						for i, res := range results {
							if res.Busy {
								again = append(again, batch[i])
								continue
							}
							if res.Duplicate {
								t.Errorf("%s was handled before", batch[i].ID)
							}
							handled[batch[i].ID]++
							if res.Conversation != "" {
								known[res.Conversation] = true
							}
						}
						mu.Unlock()
						batch = again
					}
				}
			})
		}
		chores.Go(func() {
			r := rand.New(rand.NewPCG(uint64(p), 99))
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := chore(t.Context(), s, r, fmt.Sprintf("%d.%d", p, k), pick(r), pick(r)); err != nil {
					t.Errorf("chore: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	chores.Wait()
	s := process(t, server.URL(name))
	for id, n := range handled {
		if n != 1 {
			t.Errorf("%s was handled %d times", id, n)
		}
	}
	audit(t, s, server.URL(name), len(handled), 0)
}

// random returns any arrival of a few people who go by several names.
func random(r *rand.Rand, id string, people int) inbound.Arrival {
	p := somebody(r.IntN(people))
	switch r.IntN(6) {
	case 0:
		p.UserID = ""
	case 1:
		p.Phone = ""
	case 2:
		p.ExternalID = fmt.Sprint(r.IntN(people), "@lid")
	}
	a := says(p, id, []string{"hola", "1", "11", "2", "menu", "gracias"}[r.IntN(6)])
	if r.IntN(4) == 0 {
		a.Line, a.LineRef = "ventas", "ventas"
	}
	switch r.IntN(12) {
	case 0:
		a.Kind = inbound.Echo
	case 1:
		a.Kind, a.Content = inbound.Identity, nil
		a.Change = &inbound.Change{From: p, To: somebody(r.IntN(people))}
	case 2:
		a.Content = &inbound.Content{Type: "reaction", TargetID: fmt.Sprintf("%d.%d.%d.%d", r.IntN(3), r.IntN(2), r.IntN(9), r.IntN(5)), Emoji: "👍"}
	case 3:
		a.Kind, a.Content, a.Choice = inbound.Preference, nil, &inbound.Choice{Stop: r.IntN(3) == 0}
	}
	return a
}

// chore is any change of a conversation but a turn.
func chore(ctx context.Context, s *Store, r *rand.Rand, id, x, y string) error {
	ignore := func(err error) error {
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrBusy) {
			return nil
		}
		return err
	}
	switch r.IntN(3) {
	case 0:
		kinds := []router.CommandKind{router.CommandHandoff, router.CommandClose, router.CommandDisconnect, router.CommandReconnect, router.CommandReset}
		_, err := s.Command(ctx, noon(), store.Command{
			Conversation: x, Command: router.Command{Kind: kinds[r.IntN(len(kinds))], Area: "admin"}, Actor: "crm",
		})
		return ignore(err)
	case 1:
		_, err := s.Pump(ctx, noon().Add(time.Duration(r.IntN(48))*time.Hour))
		return err
	}
	claims, err := s.ClaimSends(ctx, noon(), "t"+id, []string{x, y})
	if err != nil {
		return err
	}
	var results []store.SendResult
	var reports []inbound.Arrival
	for _, c := range claims {
		if c.Busy {
			continue
		}
		provider := "out." + c.Post.ID
		results = append(results, store.SendResult{
			MessageID: c.Post.ID, Conversation: c.Post.Conversation, Token: c.Token, Status: store.Sent, ProviderID: provider,
		})
		reports = append(reports, inbound.Arrival{
			Kind: inbound.Status, ID: provider, Line: c.Post.Line, Person: recipient(c), SentAt: noon(), Report: &inbound.Report{Status: "delivered"},
		})
	}
	var wg sync.WaitGroup
	var reported error
	if len(reports) > 0 { // WhatsApp is quick
		wg.Go(func() { reported = ignore(s.Statuses(ctx, noon(), reports)) })
	}
	_, err = s.RecordSends(ctx, noon(), results)
	wg.Wait()
	return errors.Join(ignore(err), reported)
}

// audit checks what must hold of any store. Ticket numbers may be missing if the server
// died in their turn: at most gaps.
func audit(t *testing.T, s *Store, url string, arrivals, gaps int) {
	t.Helper()
	for {
		p, err := s.Pump(t.Context(), noon())
		if err != nil {
			t.Fatal(err)
		}
		if p.Numbered == 0 && !p.More {
			break
		}
	}
	pos, seq := int64(0), map[string]int64{}
	for {
		list, err := s.Events(t.Context(), pos, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			if pos++; e.Pos != pos {
				t.Fatalf("event %d has position %d", pos, e.Pos)
			}
			if seq[e.Conversation]++; e.Seq != seq[e.Conversation] {
				t.Fatalf("event %d of %s has seq %d at %d", seq[e.Conversation], e.Conversation, e.Seq, pos)
			}
		}
	}
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for what, query := range map[string]string{
		"names without a contact":                       `SELECT count(*) FROM psi_router.aliases WHERE contact NOT IN (SELECT n FROM psi_router.contacts)`,
		"conversations without a contact":               `SELECT count(*) FROM psi_router.conversations WHERE contact NOT IN (SELECT n FROM psi_router.contacts)`,
		"messages without a conversation":               `SELECT count(*) FROM psi_router.messages WHERE conversation NOT IN (SELECT n FROM psi_router.conversations)`,
		"pending rows of what is not":                   `SELECT count(*) FROM psi_router.pending p LEFT JOIN psi_router.messages m USING (conversation, n) WHERE m.id IS NULL OR m.status NOT IN ('queued', 'sending', 'uncertain') OR p.doubt <> (m.status = 'uncertain')`,
		"messages that wait and nobody see":             `SELECT count(*) FROM psi_router.messages m LEFT JOIN psi_router.pending p USING (conversation, n) WHERE m.status IN ('queued', 'sending', 'uncertain') AND p.n IS NULL`,
		"replies that were delivered and do not say so": `SELECT count(*) FROM psi_router.messages m JOIN psi_router.parked p USING (provider_id)`,
		"open tickets of nobody":                        `SELECT count(*) FROM psi_router.tickets k WHERE resolved_at IS NULL AND NOT EXISTS (SELECT FROM psi_router.conversations t WHERE t.ticket = k.ticket)`,
	} {
		var n int
		if err := c.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	var locked int
	if err := c.QueryRow(t.Context(), `SELECT coalesce(max(right(ticket, 6)::int), 0) - count(*) FROM psi_router.tickets`).Scan(&locked); err != nil {
		t.Fatal(err)
	}
	if locked < 0 || locked > gaps {
		t.Errorf("%d tickets are missing, want at most %d", locked, gaps)
	}
	if kept := countArrivals(t, url); kept != arrivals {
		t.Errorf("%d arrivals are kept, want %d", kept, arrivals)
	}
}

func countArrivals(t *testing.T, url string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	const all = `SELECT (SELECT count(*) FROM psi_router.messages WHERE origin IS NOT NULL) + (SELECT count(*) FROM psi_router.records)`
	if err := c.QueryRow(t.Context(), all).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// recipient is the recipient of a claimed row.
func recipient(c store.SendClaim) inbound.Person {
	return inbound.Person{Phone: c.Post.To.Phone, UserID: c.Post.To.UserID}
}

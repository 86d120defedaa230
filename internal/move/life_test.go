package move_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/store/sqlitestore"
	"github.com/psivisionhub/psi-router/internal/store/storetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// ids returns the same ids in every run.
func ids(prefix string) func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("%s-%06d", prefix, n) }
}

func files(t *testing.T, path, prefix string) *sqlitestore.Store {
	t.Helper()
	set := storetest.Settings(t)
	set.NewID = ids(prefix)
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{
		Path: path, Settings: set, Relaxed: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func database(t *testing.T, url, prefix string) *pgstore.Store {
	t.Helper()
	set := storetest.Settings(t)
	set.NewID = ids(prefix)
	s, err := pgstore.Open(t.Context(), pgstore.Options{
		URL: url, Settings: set, MaxConns: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// life uses a store as people, agents and providers do.
type life struct {
	t             *testing.T
	s             store.Store
	rnd           *rand.Rand
	now           time.Time
	n             int
	sent          []inbound.Arrival
	conversations []string
	wrote         []string // provider ids of our messages
}

func born(t *testing.T, s store.Store, seed uint64, now time.Time) *life {
	return &life{t: t, s: s, rnd: rand.New(rand.NewPCG(seed, seed)), now: now} //nolint:gosec // reproducible
}

func (l *life) fail(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) id(kind string) string { l.n++; return fmt.Sprintf("%s.%d", kind, l.n) }

// person returns one of a few people, so that much happens to each. Some have only a phone
// or only a user id until both are seen together.
func (l *life) person() inbound.Person {
	i := l.rnd.IntN(40)
	p := inbound.Person{Phone: fmt.Sprintf("54911%08d", i), UserID: fmt.Sprintf("AR.%d", i), Name: fmt.Sprintf("Persona %d", i)}
	switch l.rnd.IntN(6) {
	case 0:
		p.UserID = ""
	case 1:
		p.Phone = ""
	case 2:
		p.ExternalID, p.Username = fmt.Sprintf("%d@lid\x00", i), "ana\xff"
	}
	return p
}

func (l *life) arrival() inbound.Arrival {
	a := inbound.Arrival{
		Kind: inbound.Message, ID: l.id("wamid"), Line: "wsp4", LineRef: "200000000000002", Provider: "cloud", Person: l.person(),
		SentAt: l.now.Add(-time.Second), ReceivedAt: l.now.Add(time.Duration(l.rnd.IntN(1000)) * time.Microsecond),
	}
	texts := []string{"hola", "1", "2", "11", "15", "menu", "volver", "nada", "🙈", "\x00\xfe mal", ""}
	a.Content = &inbound.Content{Type: "text", Text: texts[l.rnd.IntN(len(texts))]}
	a.Raw, _ = json.Marshal(map[string]string{"id": a.ID, "text": a.Content.Text})
	switch l.rnd.IntN(16) {
	case 0:
		a.Line, a.LineRef = "ventas", "ventas"
	case 1:
		a.Kind = inbound.Echo
	case 2:
		a.Content = &inbound.Content{Type: "image", Media: &inbound.Media{ID: a.ID, MIME: "image/jpeg", Name: "foto.jpg", SHA256: "00"}}
	case 3:
		if len(l.sent) > 0 {
			to := l.sent[l.rnd.IntN(len(l.sent))]
			a.Person = to.Person
			a.Content = &inbound.Content{Type: []string{"reaction", "edit", "revoke"}[l.rnd.IntN(3)], TargetID: to.ID, Emoji: "❤️", Text: "corregido"}
		}
	case 4:
		a.Quarantine = "unknown_shape"
	case 5:
		a.Kind, a.Content, a.Person = inbound.Account, nil, inbound.Person{}
	case 6:
		a.Kind, a.Content, a.Change = inbound.Identity, nil, &inbound.Change{From: a.Person, To: l.person()}
	case 7:
		a.Kind, a.Content, a.Choice = inbound.Preference, nil, &inbound.Choice{Category: "marketing_messages", Stop: true}
	case 8:
		a.SentAt = a.ReceivedAt.Add(-time.Hour)
	case 9:
		a.Raw = nil
	}
	return a
}

// day handles arrivals one by one.
func (l *life) day(arrivals int) {
	l.t.Helper()
	ctx := l.t.Context()
	for range arrivals {
		l.now = l.now.Add(time.Duration(l.rnd.IntN(60_000_000)) * time.Microsecond)
		a := l.arrival()
		if len(l.sent) > 0 && l.rnd.IntN(10) == 0 {
			a = l.sent[l.rnd.IntN(len(l.sent))] // redelivered
		}
		got, err := l.s.Turn(ctx, l.now, []inbound.Arrival{a})
		l.fail(err)
		l.sent = append(l.sent, a)
		if id := got[0].Conversation; id != "" {
			l.conversations = append(l.conversations, id)
		}
		if r := got[0].Media; r != nil && l.rnd.IntN(2) == 0 {
			l.fail(l.s.SaveMedia(ctx, r.MessageID, store.Media{Media: r.Media, State: "ready", Path: "ab/cd"}))
		}
		if len(l.conversations) == 0 {
			continue
		}
		id := l.conversations[l.rnd.IntN(len(l.conversations))]
		switch l.rnd.IntN(8) {
		case 0:
			l.command(ctx, id)
		case 1, 2, 3:
			l.deliver(ctx, id)
		case 4:
			l.report(ctx)
		case 5:
			if l.rnd.IntN(3) == 0 {
				_, err := l.s.Pump(ctx, l.now)
				l.fail(err)
			}
		}
	}
}

func (l *life) command(ctx context.Context, id string) {
	kinds := []router.CommandKind{
		router.CommandHandoff, router.CommandAgentSent, router.CommandClose, router.CommandReopen, router.CommandDisconnect,
		router.CommandReconnect, router.CommandReset,
	}
	cmd := store.Command{Conversation: id, Actor: "crm"}
	cmd.Command = router.Command{Kind: kinds[l.rnd.IntN(len(kinds))], Area: "admin", Tag: "a mano"}
	if cmd.Kind == router.CommandAgentSent && l.n%2 == 0 {
		cmd.Draft = &store.Draft{Type: "template", Text: "hola\x00", Body: []byte(`{"type":"template","template":{"name":"hola"}}`)}
	}
	if l.n%3 > 0 {
		cmd.Idempotency = &store.Idempotency{Key: fmt.Sprint("key.", l.n), Hash: "h", Answer: func(c store.Conversation, _ *store.Message) []byte { return []byte(`"` + c.ID + `"`) }}
	}
	_, err := l.s.Command(ctx, l.now, cmd)
	l.fail(err)
}

func (l *life) deliver(ctx context.Context, id string) {
	claims, err := l.s.ClaimSends(ctx, l.now, l.id("token"), []string{id})
	l.fail(err)
	for _, c := range claims {
		r := store.SendResult{MessageID: c.Post.ID, Conversation: c.Post.Conversation, Token: c.Token}
		switch l.rnd.IntN(7) {
		case 0:
			continue // its process was killed
		case 1:
			r.Status, r.Detail = store.Uncertain, "timeout"
		case 2:
			r.Status = store.Queued
		case 3:
			r.Status, r.Code, r.Detail = store.Failed, 131026, "undeliverable"
		default:
			r.Status, r.ProviderID = store.Sent, l.id("out")
			l.wrote = append(l.wrote, r.ProviderID)
		}
		_, err := l.s.RecordSends(ctx, l.now, []store.SendResult{r})
		l.fail(err)
	}
}

func (l *life) report(ctx context.Context) {
	id := l.id("unknown") // parked
	if len(l.wrote) > 0 && l.rnd.IntN(3) > 0 {
		id = l.wrote[l.rnd.IntN(len(l.wrote))]
	}
	status := []string{"sent", "delivered", "read", "failed"}[l.rnd.IntN(4)]
	l.fail(l.s.Statuses(ctx, l.now, []inbound.Arrival{{
		Kind: inbound.Status, ID: id, Line: "wsp4", LineRef: "200000000000002", Provider: "cloud", SentAt: l.now, ReceivedAt: l.now,
		Report: &inbound.Report{Status: status, Code: 131049, Detail: "why"},
	}}))
}

// pump numbers every event and returns how many timers fired.
func (l *life) pump() (timers int) {
	l.t.Helper()
	for {
		p, err := l.s.Pump(l.t.Context(), l.now)
		l.fail(err)
		timers += p.Timers
		if p.Numbered == 0 && !p.More {
			return timers
		}
	}
}

// all is everything that a store can answer.
type all struct {
	Conversations []store.Conversation
	Messages      [][]store.Message
	Events        []store.Event
	Traces        []store.Trace
	Gauges        store.Gauges
}

func (l *life) everything() all {
	l.t.Helper()
	ctx := l.t.Context()
	var a all
	for f := (store.Filter{Limit: 17}); ; {
		page, err := l.s.Conversations(ctx, f)
		l.fail(err)
		a.Conversations = append(a.Conversations, page...)
		if len(page) < 17 {
			break
		}
		f.Before = page[16].Cursor
	}
	for _, c := range a.Conversations {
		list, err := l.s.Messages(ctx, c.ID, "", 1000)
		l.fail(err)
		a.Messages = append(a.Messages, list)
	}
	for after := int64(0); ; {
		page, err := l.s.Events(ctx, after, 100)
		l.fail(err)
		a.Events = append(a.Events, page...)
		if len(page) < 100 {
			break
		}
		after = page[99].Pos
	}
	keys := []string{"PSI-2026-000001", "AR.7", "5491100000003"}
	keys = append(keys, l.conversations...) // merged ones included
	for _, s := range l.sent {
		keys = append(keys, s.ID)
	}
	done := map[string]bool{}
	for i, k := range keys {
		if done[k] || i%30 > 0 && i > 20 {
			continue
		}
		done[k] = true
		tr, err := l.s.Trace(ctx, k)
		l.fail(err)
		a.Traces = append(a.Traces, tr)
	}
	var err error
	a.Gauges, err = l.s.Gauges(ctx, l.now)
	l.fail(err)
	return a
}

// anonymous returns everything without the random ids of rows.
func (a all) anonymous(t *testing.T) string {
	t.Helper()
	text, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	return regexp.MustCompile(`b-[0-9]{6}|"Cursor": "[^"]*"`).ReplaceAllStringFunc(string(text), func(id string) string {
		if id[0] == '"' {
			return ""
		}
		if names[id] == "" {
			names[id] = fmt.Sprint("new ", len(names))
		}
		return names[id]
	})
}

func copyFile(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store.db")
	for _, tail := range []string{"", "-wal"} {
		b, err := os.ReadFile(from + tail)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+tail, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

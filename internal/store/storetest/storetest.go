// Package storetest is the conformance suite of package store: every engine must
// pass it. It knows engines only through store.Store and must never look into
// their tables.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Engine makes and opens databases for the suite.
type Engine struct {
	// New returns the name of a new, empty database.
	New func(t testing.TB) string
	// Open opens it; it is closed before it is opened again.
	Open func(ctx context.Context, name string, set unit.Settings) (store.Store, error)
	// Age makes a closed database look as if an earlier version had written its arrivals:
	// an origin of kind and line, as the provider names it, and a record's key of these and
	// its id.
	Age func(t testing.TB, name string)
	// Former makes an empty database as the version before Brazil's 9 left it, and adds
	// these people.
	Former func(t testing.TB, name string, people []FormerPerson)
}

// FormerPerson has a contact and one conversation with the same id, on line wsp4.
type FormerPerson struct {
	ID, Phone, UserID string
	Aliases           []string
	Wrote             time.Time // last, zero for never
}

// Run runs the suite.
func Run(t *testing.T, e Engine) {
	for _, group := range []struct {
		name string
		run  func(*testing.T, Engine)
	}{
		{"Turn", turns},
		{"Spooled", spooled},
		{"Records", records},
		{"Annotations", annotations},
		{"Echo", echoes},
		{"Ids", ids},
		{"Identity", identities},
		{"Brazil", brazil},
		{"WaID", waIDs},
		{"Sends", sends},
		{"Reports", reports},
		{"Commands", commands},
		{"Drafts", drafts},
		{"Notices", notices},
		{"Files", files},
		{"Blocks", blocks},
		{"Pump", pumps},
		{"Subscriptions", subscriptions},
		{"Reads", reads},
		{"Names", names},
		{"Waiting", waitingSince},
		{"Left", left},
		{"Apologies", apologies},
		{"Leadership", leadership},
		{"Pauses", pauses},
		{"Model", model},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			group.run(t, e)
		})
	}
}

// checker is the common part of testing.T and rapid.T.
type checker interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// driver is an open store with a clock that the test sets.
type driver struct {
	checker
	store.Store
	engine Engine
	name   string
	set    unit.Settings
	now    time.Time
	page   int // page size of its reads
}

func open(t testing.TB, e Engine) *driver {
	t.Helper()
	d := &driver{checker: t, engine: e, name: e.New(t), set: Settings(t), now: noon(), page: 7}
	d.reopen()
	t.Cleanup(func() { d.Close() })
	return d
}

// reopen closes the store, if it is open, and opens it again.
func (d *driver) reopen() {
	d.Helper()
	if d.Store != nil {
		if err := d.Close(); err != nil {
			d.Fatalf("close: %v", err)
		}
	}
	s, err := d.engine.Open(d.Context(), d.name, d.set)
	if err != nil {
		d.Fatalf("open: %v", err)
	}
	d.Store = s
}

// tick lets time pass.
func (d *driver) tick(by time.Duration) { d.now = d.now.Add(by) }

// turn handles arrivals in one batch.
func (d *driver) turn(batch ...inbound.Arrival) []store.Result {
	d.Helper()
	d.tick(time.Second)
	results, err := d.Turn(d.Context(), d.now, batch)
	if err != nil {
		d.Fatalf("turn: %v", err)
	}
	if len(results) != len(batch) {
		d.Fatalf("turn: %d results for %d arrivals", len(results), len(batch))
	}
	for i, r := range results {
		if r.Busy {
			d.Fatalf("turn: arrival %d is busy without anybody else", i)
		}
	}
	return results
}

// say lets a person write, and returns the result.
func (d *driver) say(p inbound.Person, id, text string) store.Result {
	d.Helper()
	return d.turn(says(p, id, text, d.now))[0]
}

// handle handles the arrival at its own time.
func (d *driver) handle(a inbound.Arrival) store.Result {
	d.Helper()
	return d.turn(a)[0]
}

func (d *driver) statuses(batch ...inbound.Arrival) {
	d.Helper()
	d.tick(time.Second)
	if err := d.Statuses(d.Context(), d.now, batch); err != nil {
		d.Fatalf("statuses: %v", err)
	}
}

func (d *driver) command(id string, kind router.CommandKind, area string) store.Conversation {
	d.Helper()
	d.tick(time.Second)
	done, err := d.Command(d.Context(), d.now, store.Command{
		Conversation: id, Command: router.Command{Kind: kind, Area: area, Tag: "a mano"}, Actor: "crm",
	})
	if err != nil {
		d.Fatalf("command %s: %v", kind, err)
	}
	return done.Conversation
}

func (d *driver) claim(token string, ids ...string) []store.SendClaim {
	d.Helper()
	claims, err := d.ClaimSends(d.Context(), d.now, token, ids)
	if err != nil {
		d.Fatalf("claim sends: %v", err)
	}
	return claims
}

// claimOne claims for one conversation, and wants a row.
func (d *driver) claimOne(token, id string) store.SendClaim {
	d.Helper()
	claims := d.claim(token, id)
	if len(claims) != 1 {
		d.Fatalf("claimed %d rows, want one", len(claims))
	}
	return claims[0]
}

func (d *driver) record(c store.SendClaim, status store.Status, providerID string) bool {
	d.Helper()
	more, err := d.RecordSends(d.Context(), d.now, []store.SendResult{{
		MessageID: c.Post.ID, Conversation: c.Post.Conversation, Token: c.Token, Status: status, ProviderID: providerID,
	}})
	if err != nil {
		d.Fatalf("record sends: %v", err)
	}
	if len(more) != 1 {
		d.Fatalf("record sends: %d answers for one result", len(more))
	}
	return more[0].More
}

// deliver sends a conversation's pending messages and returns their texts.
func (d *driver) deliver(id string) (said []string) {
	d.Helper()
	for n := 0; ; n++ {
		claims := d.claim(fmt.Sprintf("t%d-%d", d.now.UnixNano(), n), id)
		if len(claims) == 0 {
			return said
		}
		c := claims[0]
		if c.Post.Body.Reply != nil {
			said = append(said, c.Post.Body.Reply.Text)
		}
		d.record(c, store.Sent, "wamid.out."+c.Post.ID)
	}
}

func (d *driver) conversation(id string) store.Conversation {
	d.Helper()
	c, err := d.Conversation(d.Context(), id)
	if err != nil {
		d.Fatalf("conversation: %v", err)
	}
	return c
}

// messages returns all messages of a conversation, page by page.
func (d *driver) messages(id string) (all []store.Message) {
	d.Helper()
	after := ""
	for {
		list, err := d.Messages(d.Context(), id, after, d.page)
		if err != nil {
			d.Fatalf("messages: %v", err)
		}
		all = append(all, list...)
		if len(list) == 0 {
			return all
		}
		after = list[len(list)-1].ID
	}
}

// message returns the message of a conversation with an id, ours or theirs.
func (d *driver) message(conversation, id string) store.Message {
	d.Helper()
	for _, m := range d.messages(conversation) {
		if m.ID == id || m.ProviderID == id {
			return m
		}
	}
	d.Fatalf("message %s is not in %s", id, conversation)
	return store.Message{}
}

// events numbers and returns all events.
func (d *driver) events() (all []store.Event) {
	d.Helper()
	d.pump()
	return d.eventsAfter(0)
}

func (d *driver) eventsAfter(after int64) (all []store.Event) {
	d.Helper()
	for {
		list, err := d.Events(d.Context(), after, d.page)
		if err != nil {
			d.Fatalf("events: %v", err)
		}
		all = append(all, list...)
		if len(list) == 0 {
			return all
		}
		after = list[len(list)-1].Pos
	}
}

// eventTypes returns the types of a conversation's events.
func (d *driver) eventTypes(id string) (types []string) {
	d.Helper()
	for _, e := range d.events() {
		if e.Conversation == id {
			types = append(types, e.Type)
		}
	}
	return types
}

// pump runs rounds until one is not full.
func (d *driver) pump() (sum store.PumpResult) {
	d.Helper()
	for {
		p, err := d.Pump(d.Context(), d.now)
		if err != nil {
			d.Fatalf("pump: %v", err)
		}
		sum.Numbered += p.Numbered
		sum.Timers += p.Timers
		sum.ApologiesDue = sum.ApologiesDue || p.ApologiesDue
		sum.Wakes = append(sum.Wakes, p.Wakes...)
		sum.Media = append(sum.Media, p.Media...)
		if !p.More {
			return sum
		}
	}
}

func (d *driver) trace(key string) store.Trace {
	d.Helper()
	tr, err := d.Trace(d.Context(), key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		d.Fatalf("trace: %v", err)
	}
	return tr
}

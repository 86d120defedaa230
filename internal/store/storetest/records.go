package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }

// reject rejects an arrival.
func (d *driver) reject(a inbound.Arrival) {
	d.Helper()
	if err := d.Reject(d.Context(), d.now, a, "it does not fit"); err != nil {
		d.Fatalf("reject: %v", err)
	}
}

// records: arrivals that never reach the menu, and are kept with a reason.
func records(t *testing.T, e Engine) {
	bare := func(kind inbound.Kind, id string) inbound.Arrival {
		return inbound.Arrival{Kind: kind, ID: id, Line: "wsp4", LineRef: lineRef, ReceivedAt: noon(), Raw: []byte(`{"id":"` + id + `"}`)}
	}
	group := says(person(1), "group", "hola a todos", noon())
	group.Content.Group = "g1"
	stranger := says(person(1), "stranger", "hola", noon())
	stranger.Line, stranger.LineRef = "", "999"
	nobody := says(inbound.Person{Name: "Nadie"}, "nobody", "hola", noon())
	quarantined := says(person(1), "quarantined", "hola", noon())
	quarantined.Quarantine = "unknown_shape"
	lateChange := bare(inbound.Identity, "late")
	lateChange.Late, lateChange.Change = true, &inbound.Change{From: person(1), To: person(2)}
	unread := inbound.Unreadable([]byte("[[["), errors.New("nested too deep"))
	unread.Line, unread.LineRef, unread.ReceivedAt = "wsp4", lineRef, noon()
	copied := bare(inbound.Standby, "standby")
	copied.Person = person(1)
	for _, tc := range []struct {
		arrival inbound.Arrival
		want    router.Reason
	}{
		{group, router.Group},
		{stranger, router.UnknownLine},
		{nobody, router.Invalid},
		{quarantined, router.UnknownShape},
		{bare(inbound.Message, "empty"), router.UnknownShape},
		{bare(inbound.History, "history"), router.HistoryChunk},
		{bare(inbound.Account, "account"), router.AccountNotice},
		{bare(inbound.Failure, "failure"), router.ProviderError},
		{bare(inbound.Unknown, "unknown"), router.UnknownShape},
		{unread, router.UnknownShape},
		{bare(inbound.Identity, "identity"), router.System},
		{copied, router.StandbyCopy},
		{lateChange, router.Late},
	} {
		t.Run(tc.arrival.ID, func(t *testing.T) {
			t.Parallel()
			d := open(t, e)
			r := d.handle(tc.arrival)
			if r.Reason != tc.want || r.MessageID != "" || r.Replies != 0 || r.Wake != nil || r.Duplicate {
				t.Fatalf("got %+v, want reason %s and nothing else", r, tc.want)
			}
			if again := d.handle(tc.arrival); !again.Duplicate {
				t.Errorf("again: got %+v", again)
			}
			tr := d.trace(tc.arrival.ID)
			if len(tr.Records) != 1 {
				t.Fatalf("got %d records", len(tr.Records))
			}
			got := tr.Records[0]
			want := store.Record{
				ID: got.ID, Kind: tc.arrival.Kind, Line: tc.arrival.Line, LineRef: tc.arrival.LineRef, ProviderID: tc.arrival.ID,
				Reason: tc.want, Detail: tc.arrival.Detail, Raw: tc.arrival.Raw, ReceivedAt: tc.arrival.ReceivedAt,
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("record (-got +want):\n%s", diff)
			}
			list, err := d.Conversations(t.Context(), store.Filter{})
			if err != nil || len(list) != 0 {
				t.Errorf("got conversations %v, %v", list, err)
			}
			if ref := tc.arrival.Person.Phone; ref != "" && len(d.trace(ref).Records) != 1 {
				t.Errorf("not found by the person's phone")
			}
		})
	}

	t.Run("preferences", func(t *testing.T) {
		d := open(t, e)
		stop := bare(inbound.Preference, "stop")
		stop.Person, stop.Choice = person(1), &inbound.Choice{Category: "marketing_messages", Stop: true}
		resume := bare(inbound.Preference, "resume")
		resume.Person, resume.Choice = person(1), &inbound.Choice{Category: "marketing_messages"}
		if r := d.handle(stop); r.Reason != router.OptedOut {
			t.Errorf("got %+v", r)
		}
		r := d.say(person(1), "a", "hola")
		if r.Reason != router.FirstContact || r.Replies != 1 {
			t.Errorf("a stop of marketing silenced the bot: got %+v", r)
		}
		if !d.conversation(r.Conversation).Contact.OptedOut {
			t.Error("the contact is not opted out")
		}
		d.turn(resume, stop) // stop is a repeat of an old one
		if r := d.say(person(1), "b", "hola"); r.Replies != 1 {
			t.Errorf("got %+v", r)
		}
	})

	t.Run("a stop that comes late", func(t *testing.T) {
		ago := func(a inbound.Arrival, age time.Duration) inbound.Arrival {
			a.SentAt = a.SentAt.Add(-age)
			return a
		}
		late := func(a inbound.Arrival) inbound.Arrival { a.Late = true; return a }
		resumes := func(id string, at time.Time) inbound.Arrival {
			a := optOut(person(1), id, at)
			a.Choice = &inbound.Choice{}
			return a
		}
		word := func(d *driver, id, text string) inbound.Arrival { return says(person(1), id, text, d.now) }
		for _, tc := range []struct {
			name string
			do   func(d *driver)
			want bool
		}{
			{"a stale word", func(d *driver) { d.handle(ago(word(d, "b", "baja"), time.Hour)) }, true},
			{"a word by a detour", func(d *driver) { d.handle(late(word(d, "b", "baja"))) }, true},
			{"a word, closed", func(d *driver) {
				d.command(d.say(person(1), "x", "hola").Conversation, router.CommandClose, "")
				d.handle(late(word(d, "b", "baja")))
			}, true},
			{"a word that a team gets", func(d *driver) {
				d.command(d.say(person(1), "x", "hola").Conversation, router.CommandHandoff, "admin")
				d.handle(late(word(d, "b", "baja")))
			}, false},
			{"a word that went dead", func(d *driver) { d.reject(word(d, "b", "baja")) }, true},
			{"a preference by a detour", func(d *driver) { d.handle(late(optOut(person(1), "b", d.now))) }, true},
			{"a preference that went dead", func(d *driver) { d.reject(optOut(person(1), "b", d.now)) }, true},
			{"a preference that went dead, redriven", func(d *driver) {
				d.reject(optOut(person(1), "b", d.now))
				d.handle(late(optOut(person(1), "b", d.now)))
			}, true},
			{"of somebody new", func(d *driver) { d.handle(late(optOut(person(1), "b", d.now))) }, true},
			{"a resume by a detour", func(d *driver) { d.handle(optOut(person(1), "b", d.now)); d.handle(late(resumes("c", d.now))) }, true},
			{"a resume that went dead", func(d *driver) { d.handle(optOut(person(1), "b", d.now)); d.reject(resumes("c", d.now)) }, true},
			{"older than a resume", func(d *driver) {
				d.handle(resumes("c", d.now))
				d.handle(late(ago(optOut(person(1), "b", d.now), time.Hour)))
			}, false},
			{"a dead one, older than a resume", func(d *driver) {
				d.handle(optOut(person(1), "a", d.now))
				d.tick(time.Minute)
				d.handle(word(d, "c", "alta"))
				d.reject(ago(optOut(person(1), "b", d.now), time.Hour))
			}, false},
			{"a word, older than the resume", func(d *driver) {
				d.handle(optOut(person(1), "a", d.now))
				d.tick(time.Minute)
				d.handle(word(d, "c", "alta"))
				d.reopen()
				d.handle(ago(word(d, "b", "baja"), time.Hour))
			}, false},
			{"newer than a resume", func(d *driver) {
				d.handle(resumes("c", d.now))
				d.tick(time.Hour)
				d.handle(late(optOut(person(1), "b", d.now)))
			}, true},
		} {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				d := open(t, e)
				tc.do(d)
				d.reopen()
				if got := d.conversation(d.say(person(1), "z", "hola").Conversation).Contact.OptedOut; got != tc.want {
					t.Errorf("wants no marketing: %v", got)
				}
			})
		}
	})

	t.Run("notices of a person", func(t *testing.T) {
		d := open(t, e)
		a := says(person(1), "sys", "", d.now)
		a.Content.Type = "system"
		r := d.handle(a)
		if r.Reason != router.System || r.Replies != 0 {
			t.Fatalf("got %+v", r)
		}
		if m := d.message(r.Conversation, "sys"); m.Author != store.AuthorSystem {
			t.Errorf("got author %s", m.Author)
		}
	})
}

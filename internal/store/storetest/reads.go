package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func reads(t *testing.T, e Engine) {
	t.Run("conversations", func(t *testing.T) {
		d := open(t, e)
		var ids []string
		for i := range 12 {
			a := says(person(i), fmt.Sprint("m", i), "hola", d.now)
			if i%3 == 0 {
				a.Line, a.LineRef = "ventas", "ventas"
			}
			ids = append(ids, d.handle(a).Conversation)
		}
		d.command(ids[1], router.CommandHandoff, "admin")
		d.command(ids[2], router.CommandHandoff, "ventas")
		d.command(ids[4], router.CommandHandoff, "admin")
		d.command(ids[4], router.CommandDisconnect, "")
		d.command(ids[5], router.CommandClose, "")
		d.say(person(1), "again", "hola") // rises to the top

		all := func(f store.Filter) (got []string) {
			t.Helper()
			f.Limit = 3
			for {
				list, err := d.Conversations(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for i, c := range list {
					got = append(got, c.ID)
					if i > 0 && c.LastMessageAt.After(list[i-1].LastMessageAt) {
						t.Errorf("%+v: not newest first", f)
					}
				}
				if len(list) < f.Limit {
					return got
				}
				f.Before = list[len(list)-1].Cursor
			}
		}
		pick := func(of ...int) (want []string) {
			for _, i := range of {
				want = append(want, ids[i])
			}
			return want
		}
		for _, tc := range []struct {
			filter store.Filter
			want   []string
		}{
			{store.Filter{}, pick(1, 4, 2, 11, 10, 9, 8, 7, 6, 5, 3, 0)},
			{store.Filter{Line: "ventas"}, pick(9, 6, 3, 0)},
			{store.Filter{State: router.StateHandedOff}, pick(1, 2)},
			{store.Filter{State: router.StateHandedOff, Line: "ventas"}, nil},
			{store.Filter{State: router.StateClosed}, pick(5)},
			{store.Filter{State: router.StateMenu}, pick(11, 10, 9, 8, 7, 6, 3, 0)},
			{store.Filter{State: router.StateMenu, Line: "wsp4"}, pick(11, 10, 8, 7)},
			{store.Filter{Area: "admin"}, pick(1, 4)},
			{store.Filter{Area: "admin", State: router.StateDisconnected}, pick(4)},
			{store.Filter{Area: "admin", State: router.StateMenu}, nil},
			{store.Filter{Phone: "+54 11 0000-0003"}, pick(3)},
			{store.Filter{Phone: "+54 11 0000-0003", State: router.StateMenu}, pick(3)},
			{store.Filter{Phone: "+54 11 0000-0003", State: router.StateClosed}, nil},
			{store.Filter{UserID: person(7).UserID}, pick(7)},
			{store.Filter{UserID: person(7).UserID, Phone: person(7).Phone}, pick(7)},
			{store.Filter{UserID: person(7).UserID, Phone: person(8).Phone}, nil},
			{store.Filter{UserID: "nobody"}, nil},
		} {
			if diff := cmp.Diff(all(tc.filter), tc.want); diff != "" {
				t.Errorf("%+v (-got +want):\n%s", tc.filter, diff)
			}
		}
		if _, err := d.Conversation(t.Context(), "nobody"); !isNotFound(err) {
			t.Errorf("got %v", err)
		}
		if _, err := d.Messages(t.Context(), "nobody", "", 1); !isNotFound(err) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("trace", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		p.ParentUserID = "AR.ENT.1"
		r := d.say(p, "wamid.a", "hola")
		d.say(p, "wamid.b", "1")
		d.say(p, "wamid.c", "11")
		d.deliver(r.Conversation)
		d.say(person(2), "wamid.z", "hola")
		list := d.messages(r.Conversation)
		for key, want := range map[string]int{
			r.MessageID: 2, "wamid.a": 2, list[1].ID: 1, list[5].ProviderID: 1, // a message and what it led to
			r.Conversation: 6, "PSI-2026-000001": 6, p.UserID: 6, p.ParentUserID: 6,
			p.Phone: 6, "+54 9 11 0000-0001": 6, "541100000001": 6,
		} {
			tr := d.trace(key)
			if len(tr.Messages) != want || len(tr.Conversations) != 1 || tr.Conversations[0].ID != r.Conversation || len(tr.Handoffs) != 1 {
				t.Errorf("%s: got %d messages, %d conversations, %d hand-offs; want %d messages", key,
					len(tr.Messages), len(tr.Conversations), len(tr.Handoffs), want)
			}
		}
		for _, key := range []string{"", "nobody", "99999999999"} {
			if _, err := d.Trace(t.Context(), key); !isNotFound(err) {
				t.Errorf("%q: got %v", key, err)
			}
		}
	})

	t.Run("snapshots", func(t *testing.T) {
		d := open(t, e)
		p := person(1)
		r := d.say(p, "wamid.a", "11")
		var last store.Event
		for _, ev := range d.events() {
			if ev.Type == store.EventHandedOff {
				last = ev
			}
		}
		var got struct {
			Conversation struct {
				ID, Line, State, Area, Ticket string
				Contact                       struct{ Phone string }
				WindowExpiresAt               time.Time `json:"window_expires_at"`
			}
			Message struct {
				ID             string
				ConversationID string `json:"conversation_id"`
				Text, Status   string
			}
			Handoff struct{ Ticket, Area, Tag, By string }
		}
		if err := json.Unmarshal(last.Data, &got); err != nil {
			t.Fatal(err)
		}
		c := d.conversation(r.Conversation)
		if got.Conversation.ID != c.ID || got.Conversation.State != "handed_off" || got.Conversation.Ticket != c.Ticket ||
			got.Conversation.Contact.Phone != p.Phone || !got.Conversation.WindowExpiresAt.Equal(c.LastInbound.Add(24*time.Hour)) {
			t.Errorf("got conversation %+v", got.Conversation)
		}
		if got.Message.ID != r.MessageID || got.Message.ConversationID != c.ID || got.Message.Text != "11" || got.Message.Status != "received" {
			t.Errorf("got message %+v", got.Message)
		}
		if got.Handoff.Ticket != c.Ticket || got.Handoff.Area != "admin" || got.Handoff.By != "router" {
			t.Errorf("got handoff %+v", got.Handoff)
		}
	})

	t.Run("gauges", func(t *testing.T) {
		d := open(t, e)
		r := d.say(person(1), "a", "hola")
		a := says(person(2), "b", "hola", d.now)
		a.Line, a.LineRef = "ventas", "ventas"
		d.handle(a)
		d.claim("t1", r.Conversation)
		d.claim("t2", r.Conversation)
		d.tick(time.Minute)
		g, err := d.Gauges(t.Context(), d.now)
		if err != nil {
			t.Fatal(err)
		}
		want := store.Gauges{
			OldestUnanswered: d.now.Sub(a.ReceivedAt), PendingSends: 1, UncertainSends: 1, EventsUnnumbered: 5, Left: 1,
			Lines: map[string]time.Time{"wsp4": noon(), "ventas": a.ReceivedAt},
		}
		if diff := cmp.Diff(g, want); diff != "" {
			t.Errorf("gauges (-got +want):\n%s", diff)
		}
		if err := d.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})

	t.Run("reopened", func(t *testing.T) {
		d := open(t, e)
		r := d.turn(says(person(1), "a", "hola", d.now), says(person(1), "b", "11", d.now))
		before, conv, events := d.messages(r[0].Conversation), d.conversation(r[0].Conversation), d.events()
		d.reopen()
		if diff := cmp.Diff(d.messages(r[0].Conversation), before); diff != "" {
			t.Errorf("messages (-got +want):\n%s", diff)
		}
		if diff := cmp.Diff(d.conversation(r[0].Conversation), conv); diff != "" {
			t.Errorf("conversation (-got +want):\n%s", diff)
		}
		if diff := cmp.Diff(d.events(), events); diff != "" {
			t.Errorf("events (-got +want):\n%s", diff)
		}
		if got := d.handle(says(person(1), "a", "hola", d.now)); !got.Duplicate || got.Wake == nil {
			t.Errorf("got %+v", got)
		}
	})
}

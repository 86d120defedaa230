package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func (d *driver) register(endpoint string) {
	d.Helper()
	if err := d.RegisterEndpoint(d.Context(), d.now, endpoint); err != nil {
		d.Fatalf("register endpoint: %v", err)
	}
}

// pendingEvents returns an endpoint's pending events, as "conversation seq".
func (d *driver) pendingEvents(endpoint string, limit int, ids ...string) (all []store.Event) {
	d.Helper()
	all, err := d.PendingEvents(d.Context(), endpoint, ids, limit)
	if err != nil {
		d.Fatalf("pending events: %v", err)
	}
	for _, e := range all {
		if e.Pos == 0 {
			d.Errorf("event %d of %s has no number, and nobody else numbers", e.Seq, e.Conversation)
		}
	}
	return all
}

func seqs(events []store.Event) (out []int64) {
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}

func (d *driver) advance(endpoint string, cursors ...store.Cursor) {
	d.Helper()
	if err := d.AdvanceCursors(d.Context(), endpoint, cursors); err != nil {
		d.Fatalf("advance cursors: %v", err)
	}
}

// scan scans everything.
func (d *driver) scan(endpoint string, wants store.EventFilter) {
	d.Helper()
	d.pump()
	for {
		done, err := d.ScanBacklog(d.Context(), endpoint, wants)
		if err != nil {
			d.Fatalf("scan: %v", err)
		}
		if done.HeldElsewhere {
			d.Fatalf("scan: held elsewhere, and there is nobody else")
		}
		if !done.More {
			return
		}
	}
}

// lagging returns the lagging conversations, page by page.
func (d *driver) lagging(endpoint string) (ids []string) {
	d.Helper()
	var at store.Lagging
	for {
		page, err := d.LaggingConversations(d.Context(), endpoint, at, d.now.Add(time.Hour), 2)
		if err != nil {
			d.Fatalf("lagging: %v", err)
		}
		for _, b := range page {
			if b.Since.Before(at.Since) {
				d.Errorf("lagging: %v after %v", b, at)
			}
			at = b
			ids = append(ids, b.Conversation)
		}
		if len(page) < 2 {
			return ids
		}
	}
}

// subscriptions: the events of endpoints, and their cursors.
func subscriptions(t *testing.T, e Engine) {
	t.Run("from now on", func(t *testing.T) {
		d := open(t, e)
		old := d.say(person(1), "a", "hola").Conversation
		d.deliver(old)
		d.pump()
		d.register("crm")
		if got := d.pendingEvents("crm", 50, old); len(got) != 0 {
			t.Errorf("got %v: a new endpoint gets new events only", seqs(got))
		}
		before := d.conversation(old).Seq
		fresh := d.say(person(2), "b", "hola").Conversation
		d.say(person(1), "c", "1")
		got := d.pendingEvents("crm", 50, old, fresh, "nobody")
		var want []store.Event
		for _, ev := range d.events() {
			if ev.Conversation == old && ev.Seq > before {
				want = append(want, ev)
			}
		}
		if len(want) == 0 {
			t.Fatal("there are no events")
		}
		for _, ev := range d.events() {
			if ev.Conversation == fresh {
				want = append(want, ev)
			}
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("pushed events differ from read ones (-got +want):\n%s", diff)
		}
		d.tick(time.Hour)
		d.register("crm") // a known endpoint resumes
		if diff := cmp.Diff(d.pendingEvents("crm", 50, old, fresh), want); diff != "" {
			t.Errorf("after a second registration (-got +want):\n%s", diff)
		}
		if got := d.pendingEvents("unknown", 50, old); len(got) != 0 {
			t.Errorf("got %v for an unknown endpoint", seqs(got))
		}
	})

	t.Run("cursors", func(t *testing.T) {
		d := open(t, e)
		d.register("crm")
		d.register("other")
		id := d.say(person(1), "a", "hola").Conversation
		d.deliver(id)
		d.say(person(1), "b", "1")
		all := seqs(d.pendingEvents("crm", 50, id))
		if len(all) < 4 || all[0] != 1 || !slices.IsSorted(all) {
			t.Fatalf("got %v", all)
		}
		if got := seqs(d.pendingEvents("crm", 2, id)); len(got) != 2 || got[0] != 1 {
			t.Errorf("got %v, want the first two", got)
		}
		d.advance("crm", store.Cursor{Conversation: id, Seq: 1}, store.Cursor{Conversation: id, Seq: 3}, store.Cursor{Conversation: id, Seq: 2})
		d.advance("crm", store.Cursor{Conversation: id, Seq: 1}) // a slow one
		d.advance("crm")
		if got := seqs(d.pendingEvents("crm", 50, id)); !slices.Equal(got, all[3:]) {
			t.Errorf("got %v, want %v", got, all[3:])
		}
		if got := seqs(d.pendingEvents("other", 50, id)); !slices.Equal(got, all) {
			t.Errorf("the other endpoint: got %v, want %v", got, all)
		}
		d.reopen()
		if got := seqs(d.pendingEvents("crm", 50, id)); !slices.Equal(got, all[3:]) {
			t.Errorf("after a restart: got %v, want %v", got, all[3:])
		}
	})

	t.Run("lagging", func(t *testing.T) {
		d := open(t, e)
		d.say(person(9), "old", "hola")
		d.pump()
		d.register("crm")
		d.register("ventas")
		var ids []string
		for i := range 5 {
			ids = append(ids, d.say(person(i), fmt.Sprint("m", i), "hola").Conversation)
		}
		d.scan("crm", store.EventFilter{})
		if got := d.lagging("crm"); !slices.Equal(got, ids) {
			t.Errorf("got %v, want %v", got, ids)
		}
		lags, err := d.Backlogs(t.Context(), []string{"crm", "ventas"})
		if err != nil || len(lags) != 1 || lags["crm"].Conversations != 5 || lags["crm"].Oldest.IsZero() || lags["crm"].Oldest.After(d.now) {
			t.Errorf("got %+v, %v", lags, err)
		}
		// A part is not everything.
		d.advance("crm", store.Cursor{Conversation: ids[0], Seq: d.conversation(ids[0]).Seq}, store.Cursor{Conversation: ids[1], Seq: 1})
		if got := d.lagging("crm"); !slices.Equal(got, ids[1:]) {
			t.Errorf("got %v, want %v", got, ids[1:])
		}
		for _, id := range ids {
			d.advance("crm", store.Cursor{Conversation: id, Seq: d.conversation(id).Seq})
		}
		d.scan("crm", store.EventFilter{})
		if got := d.lagging("crm"); len(got) != 0 {
			t.Errorf("got %v, though all were taken", got)
		}
		// An event that was pushed before its scan is not noted.
		d.say(person(0), "m5", "1")
		d.advance("crm", store.Cursor{Conversation: ids[0], Seq: d.conversation(ids[0]).Seq})
		d.say(person(3), "m6", "1")
		d.scan("crm", store.EventFilter{})
		if got := d.lagging("crm"); !slices.Equal(got, ids[3:4]) {
			t.Errorf("got %v, want %v", got, ids[3:4])
		}
		if _, err := d.LaggingConversations(t.Context(), "crm", store.Lagging{}, d.now.Add(-time.Hour), 10); err != nil {
			t.Error(err)
		}
	})

	t.Run("filter", func(t *testing.T) {
		d := open(t, e)
		d.register("crm")
		wants := store.EventFilter{Types: []string{"message.received", "conversation.*"}, Lines: []string{"wsp4"}, Areas: []string{"admin"}}
		a := d.say(person(1), "a", "hola").Conversation // no area yet
		b := d.say(person(2), "b", "hola").Conversation
		d.scan("crm", wants)
		if got := d.lagging("crm"); len(got) != 0 {
			t.Errorf("got %v, want nothing", got)
		}
		before := d.conversation(b).Seq
		d.say(person(2), "c", "11")
		d.scan("crm", wants)
		if got := d.lagging("crm"); !slices.Equal(got, []string{b}) {
			t.Errorf("got %v, want %v", got, b)
		}
		d.command(b, router.CommandClose, "")
		var matched []string
		for _, ev := range d.pendingEvents("crm", 50, a, b) {
			if wants.Match(ev) {
				matched = append(matched, ev.Type)
			} else if ev.Seq > before && !strings.HasPrefix(ev.Type, "message.s") {
				t.Errorf("%s of %s is not wanted", ev.Type, ev.Conversation)
			}
		}
		if want := []string{store.EventReceived, store.EventHandedOff, store.EventClosed}; !slices.Equal(matched, want) {
			t.Errorf("got %v, want %v: the area gets the event of its end", matched, want)
		}
	})

	t.Run("prune", func(t *testing.T) {
		d := open(t, e)
		d.register("crm")
		d.register("other")
		trim := func(endpoint string) (removed int) {
			t.Helper()
			for after, pages := "", 0; ; pages++ {
				done, err := d.PruneCursors(t.Context(), endpoint, after)
				if err != nil || pages > 10 {
					t.Fatalf("prune, page %d: %v", pages, err)
				}
				removed += done.Removed
				if after = done.Next; after == "" {
					return removed
				}
			}
		}
		const all = 550 // more than a page
		var batch []inbound.Arrival
		for i := range all {
			batch = append(batch, says(person(i), fmt.Sprint("m", i), "hola", d.now))
		}
		var ids []string
		var taken []store.Cursor
		for _, r := range d.turn(batch...) {
			ids = append(ids, r.Conversation)
		}
		last := d.conversation(ids[0]).Seq // of each of them
		for _, id := range ids {
			taken = append(taken, store.Cursor{Conversation: id, Seq: last})
		}
		// Nothing was scanned yet, so nothing may go.
		d.advance("crm", taken...)
		if n := trim("crm"); n != 0 {
			t.Errorf("%d cursors went before a scan", n)
		}
		d.scan("crm", store.EventFilter{})
		d.scan("other", store.EventFilter{})
		behind, ahead, idle := ids[0], ids[1], ids[2:]
		d.say(person(0), "late", "1")
		d.scan("crm", store.EventFilter{})
		d.say(person(1), "fresh", "1") // pushed before its scan
		d.advance("crm", store.Cursor{Conversation: ahead, Seq: d.conversation(ahead).Seq})
		if n := trim("crm"); n != len(idle) {
			t.Errorf("%d cursors went, want those of %d idle conversations", n, len(idle))
		}
		if n := trim("crm") + trim("other"); n != 0 {
			t.Errorf("%d cursors went, want none: all lag or are ahead", n)
		}
		if got := d.pendingEvents("crm", 50, idle...); len(got) != 0 {
			t.Errorf("%d events come again", len(got))
		}
		if got := d.pendingEvents("crm", 50, ahead); len(got) != 0 {
			t.Errorf("%v come again of those ahead of the scan", seqs(got))
		}
		if got := d.pendingEvents("crm", 50, behind); len(got) == 0 || got[0].Seq != last+1 {
			t.Errorf("got %v, want those after %d", seqs(got), last)
		}
		if got := d.lagging("crm"); !slices.Equal(got, []string{behind}) {
			t.Errorf("lagging: got %v, want %v", got, behind)
		}
		if got := d.pendingEvents("other", 50, idle[0]); len(got) == 0 || got[0].Seq != 1 {
			t.Errorf("the other endpoint: got %v, want all from 1", seqs(got))
		}
		// An endpoint without a cursor gets new events, from the first one on.
		before := d.conversation(idle[0]).Seq
		d.say(person(2), "again", "1")
		if got := d.pendingEvents("crm", 50, idle[0]); len(got) == 0 || got[0].Seq != before+1 {
			t.Errorf("got %v, want those after %d", seqs(got), before)
		}
		d.scan("crm", store.EventFilter{})
		if got := d.lagging("crm"); !slices.Contains(got, idle[0]) {
			t.Errorf("lagging: got %v, want %v among them", got, idle[0])
		}
		d.reopen()
		if got := d.pendingEvents("crm", 50, idle[1:]...); len(got) != 0 {
			t.Errorf("%d events come again after a restart", len(got))
		}
	})

	t.Run("OnEvents", func(t *testing.T) {
		var mu sync.Mutex
		var heard []string
		d := open(t, e)
		d.set.OnEvents = func(list []store.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, ev := range list {
				heard = append(heard, fmt.Sprint(ev.Conversation, ev.Seq))
			}
		}
		d.reopen()
		id := d.say(person(1), "a", "11").Conversation
		d.say(person(1), "a", "11") // again
		d.deliver(id)
		d.command(id, router.CommandClose, "")
		d.statuses(report(person(1), "s", d.messages(id)[1].ID, "delivered", d.now))
		var want []string
		for _, ev := range d.events() {
			want = append(want, fmt.Sprint(ev.Conversation, ev.Seq))
		}
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff(heard, want); diff != "" {
			t.Errorf("OnEvents (-got +want):\n%s", diff)
		}
	})
}

package unit

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

func settings() Settings {
	n := 0
	return Settings{
		Rules: router.Rules{Window: 24 * time.Hour}, Windowless: []string{"ventas"},
		NewID: func() string { n++; return "id" + string(rune('0'+n)) },
	}.WithDefaults()
}

// TestRefusalReason: which rows may still be posted. Rows of agents obey the window, not
// the epoch; a template may go at any time.
func TestRefusalReason(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name        string
		line        string
		author      store.Author
		kind        string
		epoch       int64
		expires     time.Time
		lastInbound time.Time
		want        router.Reason
	}{
		{"fresh", "wsp4", store.AuthorRouter, "text", 3, now.Add(time.Minute), now, ""},
		{"old epoch", "wsp4", store.AuthorRouter, "text", 2, time.Time{}, now, router.Superseded},
		{"an agent's in an old epoch", "wsp4", store.AuthorAgent, "text", 2, time.Time{}, now, ""},
		{"expired", "wsp4", store.AuthorRouter, "text", 3, now, now, router.Expired},
		{"an agent's expired", "wsp4", store.AuthorAgent, "text", 3, now, now, router.Expired},
		{"window closed", "wsp4", store.AuthorAgent, "text", 3, time.Time{}, now.Add(-24 * time.Hour), router.WindowClosed},
		{"window about to close", "wsp4", store.AuthorAgent, "text", 3, time.Time{}, now.Add(time.Second - 24*time.Hour), ""},
		{"never wrote", "wsp4", store.AuthorAgent, "text", 3, time.Time{}, time.Time{}, router.WindowClosed},
		{"template", "wsp4", store.AuthorAgent, "template", 3, time.Time{}, time.Time{}, ""},
		{"line without a window", "ventas", store.AuthorAgent, "text", 3, time.Time{}, time.Time{}, ""},
	} {
		u := New(settings(), now)
		conversation := &ConversationRow{ContactRow: &ContactRow{}}
		conversation.Line, conversation.Epoch, conversation.LastInbound = tc.line, 3, tc.lastInbound
		m := &MessageRow{ConversationRow: conversation, ExpiresAt: tc.expires}
		m.Author, m.Type, m.Epoch, m.Status = tc.author, tc.kind, tc.epoch, store.Queued
		if got := u.refusalReason(conversation, m); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestPhonesWithAndWithoutCountryCode: a number of ten digits may be national or foreign:
// its writer decides, and a search finds it in any writing.
func TestPhonesWithAndWithoutCountryCode(t *testing.T) {
	t.Parallel()
	set := Settings{}.WithDefaults()
	for _, c := range []struct {
		name   string
		person inbound.Person
		typed  []string
	}{
		{"WhatsApp's own id, Iceland", inbound.Person{Phone: "3545551234"}, []string{"+354 555 1234", "3545551234"}},
		{"WhatsApp's own id, Argentina", inbound.Person{Phone: "5491155550001"}, []string{"+54 9 11 5555-0001", "541155550001", "1155550001"}},
		{"by hand, Argentina", inbound.Person{Phone: "1155550001", National: true}, []string{"+5491155550001", "11 5555 0001"}},
	} {
		alias := set.Aliases(c.person)
		for _, typed := range c.typed {
			if found := set.PhoneAliases(typed); len(alias) != 1 || !slices.Contains(found, alias[0]) {
				t.Errorf("%s: %q leads to %v, want %v among them", c.name, typed, found, alias)
			}
		}
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	set := settings()
	got := set.Aliases(inbound.Person{Phone: "541100000001", UserID: "AR.x", ParentUserID: "AR.ENT.y", ExternalID: "1@lid", Name: "n"})
	want := []string{"user:AR.x", "parent:AR.ENT.y", "phone:5491100000001", "external:1@lid"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("aliases (-got +want):\n%s", diff)
	}
	if got := set.Aliases(inbound.Person{Name: "n", Username: "u"}); len(got) != 0 {
		t.Errorf("got %v: names identify nobody", got)
	}
}

// TestSnapshotTimes: events and API return the same time of the same thing; engines keep
// microseconds.
func TestSnapshotTimes(t *testing.T) {
	t.Parallel()
	var o jsonBuilder
	o.open("")
	o.timestamp("at", time.Date(2026, 11, 24, 12, 0, 0, 172_106_817, time.UTC))
	o.close()
	if got, want := string(o.buf), `{"at":"2026-11-24T12:00:00.172106Z"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSnapshotShape: events carry the field names of the API.
func TestSnapshotShape(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	u := New(settings(), now)
	contact := &ContactRow{}
	u.AddContact(contact)
	conversation, _ := u.conversation(contact, "wsp4")
	conversation.LastInbound = now
	m := &MessageRow{ConversationRow: conversation}
	m.Message = store.Message{
		ID: "m", Direction: directionOut, Author: store.AuthorRouter, Type: "text", Body: outbound.Body{Reply: &router.Reply{Text: "hola"}},
		Status: store.Failed, Reason: router.FirstContact, ErrorCode: 131026, CreatedAt: now,
	}
	m.FailureReason = router.Refused
	u.addEvent(conversation, store.EventFailed, eventDetail{Message: m})
	var got map[string]map[string]any
	if err := json.Unmarshal(u.Events[0].Data, &got); err != nil {
		t.Fatal(err)
	}
	for part, fields := range map[string]string{
		"conversation": "id line area tag state menu epoch contact ticket window_expires_at last_message_at created_at",
		"message":      "id conversation_id line direction author type text reply_id quoted_id reactions provider_id status reason error sent_at received_at created_at",
	} {
		for f := range strings.FieldsSeq(fields) {
			if _, ok := got[part][f]; !ok {
				t.Errorf("%s has no %s", part, f)
			}
		}
		if n := len(strings.Fields(fields)); len(got[part]) != n {
			t.Errorf("%s has %d fields, want %d: %v", part, len(got[part]), n, got[part])
		}
	}
	if got["message"]["text"] != "hola" || got["message"]["reason"] != "refused" || got["conversation"]["window_expires_at"] != "2026-11-25T12:00:00Z" {
		t.Errorf("got %v", got)
	}
}

// TestTicketIsWrittenIntoReplies: texts hold {ticket} until the turn has one.
func TestTicketIsWrittenIntoReplies(t *testing.T) {
	t.Parallel()
	u := New(settings(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	u.LastTicket = 122
	contact := &ContactRow{}
	u.AddContact(contact)
	conversation, _ := u.conversation(contact, "wsp4")
	next := conversation.Conversation.Conversation
	next.State, next.Area, next.Line = router.StateHandedOff, "admin", "mutated"
	d := router.Decision{
		Next: next, Changed: true, Handoff: &router.Handoff{Area: "admin"},
		Replies: []router.Reply{{Text: "Tu número es {ticket}", Footer: "{ticket}"}},
	}
	u.applyDecision(conversation, d, cause{By: "router"})
	if conversation.Ticket != "PSI-2026-000123" || conversation.Line != "wsp4" {
		t.Errorf("got ticket %s on line %s", conversation.Ticket, conversation.Line)
	}
	r := u.Messages[0].Body.Reply
	if r.Text != "Tu número es PSI-2026-000123" || r.Footer != "PSI-2026-000123" {
		t.Errorf("got %q, %q", r.Text, r.Footer)
	}
	// The decision is unchanged: its reply may be a flow's, shared with others.
	if d.Replies[0].Text != "Tu número es {ticket}" {
		t.Errorf("the decision was changed: %q", d.Replies[0].Text)
	}
}

func FuzzJSONText(f *testing.F) {
	for _, s := range []string{"", "hola", `comillas " y \`, "ñandú 🙈\u2028\x00\n", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var o jsonBuilder
		o.open("")
		o.text("a", s)
		o.openList("b")
		o.text("", s)
		o.text("", s)
		o.closeList()
		o.number("c", -1)
		o.close()
		var got struct {
			A string
			B []string
			C int
		}
		if err := json.Unmarshal(o.buf, &got); err != nil {
			t.Fatalf("%v: %s", err, o.buf)
		}
		want := strings.ToValidUTF8(s, "\uFFFD")
		if utf8.ValidString(s) && (got.A != want || len(got.B) != 2 || got.B[1] != want || got.C != -1) {
			t.Errorf("got %+v, want %q", got, want)
		}
	})
}

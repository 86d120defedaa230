package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEscapingMakesMetasBytes(t *testing.T) {
	t.Parallel()
	if got, want := asMeta(fixture(t, "sig_vector_utf8_body")), fixture(t, "sig_vector_escaped_body"); !bytes.Equal(got, want) {
		t.Errorf("escaped:\n%s\nwant:\n%s", got, want)
	}
}

func TestAsMeta(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"ñ"`:           `"\u00f1"`,
		`"👋 a/b"`:       `"\ud83d\udc4b a\/b"`,
		`"a\/b \\/ \""`: `"a\/b \\\/ \""`,
		`"\u00e1"`:      `"\u00e1"`,
	} {
		if got := string(asMeta([]byte(in))); got != want {
			t.Errorf("asMeta(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestPersonWrites(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	s.send(fixture(t, "snd_text_request")) // makes a guest
	_, answer := s.send([]byte(strings.ReplaceAll(string(fixture(t, "snd_list_request")), "5491100000001", "5491155550001")))
	list := wamidOf(answer)
	_, answer = s.send([]byte(strings.ReplaceAll(string(fixture(t, "snd_buttons_request")), "5491100000001", "5491155550001")))
	buttons := wamidOf(answer)
	_, answer = s.send([]byte(strings.ReplaceAll(string(fixture(t, "snd_template_request")), "5491100000001", "5491155550001")))
	template := wamidOf(answer)

	context := func(id string) map[string]any { return map[string]any{"from": testNumber, "id": id} }
	tests := []struct {
		name string
		who  string
		in   Input
		want map[string]any
	}{
		{"text", "ana", Input{Type: "text", Text: "Hola ñandú 👋"}, map[string]any{
			"from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "text", "text": map[string]any{"body": "Hola ñandú 👋"},
		}},
		{"without a phone", "cami", Input{Type: "text", Text: "hola"}, map[string]any{
			"from_user_id": "AR.10000000000000000003", "type": "text", "text": map[string]any{"body": "hola"},
		}},
		{"row", "ana", Input{Type: "reply", Quoted: list, Reply: "area:admin"}, map[string]any{
			"context": context(list), "from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "interactive",
			"interactive": map[string]any{"type": "list_reply", "list_reply": map[string]any{"id": "area:admin", "title": "Administracion", "description": "Pagos y facturas"}},
		}},
		{"button", "ana", Input{Type: "reply", Quoted: buttons, Reply: "menu:ventas"}, map[string]any{
			"context": context(buttons), "from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "interactive",
			"interactive": map[string]any{"type": "button_reply", "button_reply": map[string]any{"id": "menu:ventas", "title": "Ventas"}},
		}},
		{"template button", "5491155550001", Input{Type: "reply", Quoted: template, Reply: "baja"}, map[string]any{
			"context": context(template), "from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "button",
			"button": map[string]any{"payload": "baja", "text": "baja"},
		}},
		{"reaction", "ana", Input{Type: "reaction", Quoted: list, Emoji: "👍"}, map[string]any{
			"from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "reaction",
			"reaction": map[string]any{"message_id": list, "emoji": "👍"},
		}},
		{"reaction removed", "ana", Input{Type: "reaction", Quoted: list}, map[string]any{
			"from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "reaction", "reaction": map[string]any{"message_id": list},
		}},
		{"poll", "ana", Input{Type: "poll"}, map[string]any{
			"from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "unsupported", "unsupported": map[string]any{"type": "poll_creation"},
			"errors": []any{map[string]any{
				"code": 131051.0, "title": "Message type unknown", "message": "Message type unknown",
				"error_data": map[string]any{"details": "Message type is currently not supported."},
			}},
		}},
		{"shared number", "ana", Input{Type: "contact", Quoted: buttons}, map[string]any{
			"context": context(buttons), "from": "5491155550001", "from_user_id": "AR.10000000000000000001", "type": "contacts",
			"contacts": []any{map[string]any{"origin": "contact_request", "phones": []any{map[string]any{"phone": "+5491155550001", "wa_id": "5491155550001", "type": "CELL"}}}},
		}},
		{"new number", "bruno", Input{Type: "number"}, map[string]any{
			"from": "5493515550002", "type": "system", "system": map[string]any{
				"body": "User Bruno Díaz changed from 5493515550002 to 5493515551002", "type": "user_changed_number",
				"wa_id": "5493515551002", "user_id": "AR.100000000000000000027", "previous_user_id": "AR.10000000000000000002",
			},
		}},
	}
	for _, tt := range tests {
		m, err := s.Write(tt.who, tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := s.next()
		if !bytes.Equal(got.raw, asMeta(got.raw)) || slices.ContainsFunc(got.raw, func(b byte) bool { return b > 127 }) {
			t.Errorf("%s: body is not escaped as Meta's: %s", tt.name, got.raw)
		}
		if got.message["id"] != m.ID {
			t.Errorf("%s: id %v, want %s", tt.name, got.message["id"], m.ID)
		}
		delete(got.message, "id")
		delete(got.message, "timestamp")
		if diff := cmp.Diff(tt.want, got.message); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for name, in := range map[string]Input{
		"row that is not there":     {Type: "reply", Quoted: list, Reply: "area:nadie"},
		"tap on nothing":            {Type: "reply", Quoted: "wamid.x", Reply: "a"},
		"reaction to nothing":       {Type: "reaction", Quoted: "wamid.x", Emoji: "👍"},
		"empty":                     {Type: "text", Text: " \n"},
		"unknown type":              {Type: "fax"},
		"unknown sample":            {Type: "media", Sample: "fax"},
		"number of who has no such": {Type: "number"},
	} {
		ref := "ana"
		if strings.HasPrefix(name, "number") {
			ref = "cami"
		}
		if _, err := s.Write(ref, in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestContactsNameWhatWhatsAppNames(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	for ref, want := range map[string]map[string]any{
		"ana":  {"profile": map[string]any{"name": "Ana Gómez"}, "wa_id": "5491155550001", "user_id": "AR.10000000000000000001"},
		"cami": {"profile": map[string]any{"name": "Cami Ruiz", "username": "cami.ruiz"}, "user_id": "AR.10000000000000000003"},
	} {
		if _, err := s.Write(ref, Input{Type: "text", Text: "hola"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]map[string]any{want}, s.next().contacts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", ref, diff)
		}
	}
}

func TestOnePersonInOrderWhileTheWebhookFails(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	s.mu.Lock()
	s.answer = func(try int) int {
		if try%3 != 0 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}
	s.mu.Unlock()
	var want, got []string
	for i := range 8 {
		m, err := s.Write("ana", Input{Type: "text", Text: fmt.Sprint("mensaje ", i)})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, m.ID)
	}
	for range want {
		got = append(got, s.next().message["id"].(string))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{})
	const n = 35
	refs := map[string]string{}
	for i := range n {
		body := text(fmt.Sprintf("54911555600%02d", i), "hola")
		body["biz_opaque_callback_data"] = fmt.Sprint("out:", i)
		_, answer := s.send(body)
		refs[wamidOf(answer)] = fmt.Sprint("out:", i)
	}
	seen := map[string][]string{}
	// A repeat for each 5th, nothing between sent and read for each 11th.
	want := n*3 + n/repeatEvery - n/skipEvery
	for range want {
		a := s.next()
		id := a.status["id"].(string)
		seen[id] = append(seen[id], a.status["status"].(string))
		if a.status["biz_opaque_callback_data"] != refs[id] {
			t.Errorf("status of %s carries %v, want %s", id, a.status["biz_opaque_callback_data"], refs[id])
		}
		if a.status["recipient_id"] == nil || len(a.contacts) == 0 {
			t.Errorf("status without recipient or contact: %v", a.status)
		}
	}
	for id, statuses := range seen {
		if !slices.Contains(statuses, statusSent) || !slices.Contains(statuses, statusRead) {
			t.Errorf("%s: %v, want sent and read at least", id, statuses)
		}
	}
}

// WhatsApp promises neither order nor "exactly once": the plan breaks both at times.
func TestPlanOfStatuses(t *testing.T) {
	t.Parallel()
	s, err := New(Options{WebhookURL: func() string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	ana := DefaultPeople()[0]
	for _, tt := range []struct {
		name   string
		kind   string
		number int64
		reads  bool
		broken *fault
		want   string
	}{
		{"ordinary", "text", 1, true, nil, "sent delivered read"},
		{"nobody looks", "text", 1, false, nil, "sent delivered"},
		{"repeated", "text", repeatEvery, true, nil, "sent delivered+ read"},
		{"out of order", "text", swapEvery, true, nil, "sent read delivered"},
		{"chat is open", "text", skipEvery, true, nil, "sent read"},
		{"all of them", "text", repeatEvery * swapEvery, true, nil, "sent read delivered+"},
		{"reaction", "reaction", 1, true, nil, "sent"},
		{"undeliverable", "text", 1, true, faultForNumber("131026"), "sent failed"},
	} {
		plan := s.planStatuses("wamid.x", sendRequest{Type: tt.kind}, ana, tt.number, tt.reads, tt.broken)
		slices.SortStableFunc(plan, func(a, b *webhookEvent) int { return a.due.Compare(b.due) })
		var got []string
		for _, p := range plan {
			got = append(got, p.tick+map[bool]string{true: "+"}[p.repeat])
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFailedStatusNamesTheError(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{})
	s.send(text("5491155131026", "hola"))
	got := s.statuses(statusSent, statusFailed)[statusFailed]
	delete(got.status, "id")
	delete(got.status, "timestamp")
	want := map[string]any{"status": "failed", "recipient_id": "5491155131026", "errors": []any{map[string]any{
		"code": 131026.0, "title": "Message undeliverable", "message": "Message undeliverable",
		"error_data": map[string]any{"details": "Message Undeliverable."}, "href": "/documentation/business-messaging/whatsapp/support/error-codes",
	}}}
	if diff := cmp.Diff(want, got.status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got.contacts != nil {
		t.Errorf("a failed status has contacts: %v", got.contacts)
	}
}

// A person's messages are read when the person looks at the phone, not before.
func TestReadWhenLooking(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{})
	_, answer := s.send(text("5491155550001", "hola"))
	s.statuses(statusSent, statusDelivered)
	for range 2 { // looking twice reads once
		if status, _ := s.do(http.MethodPost, "/sandbox/phones/ana/seen", "", nil); status != http.StatusNoContent {
			t.Errorf("seen: HTTP %d", status)
		}
	}
	got := s.next()
	if got.status["status"] != statusRead || got.status["id"] != wamidOf(answer) {
		t.Errorf("status %v, want read of %s", got.status, wamidOf(answer))
	}
	if _, err := s.Write("ana", Input{Type: "text", Text: "fin"}); err != nil {
		t.Fatal(err)
	}
	if got := s.next(); got.message == nil {
		t.Errorf("another status arrived: %v", got.status)
	}
}

func TestResetAfterAcceptReportsFirst(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{})
	body := text("5491155990104", "hola")
	body["biz_opaque_callback_data"] = "out:1"
	status, _ := s.send(body)
	if status != 0 {
		t.Errorf("HTTP %d, want a broken connection", status)
	}
	got := s.statuses(statusSent, statusDelivered)[statusSent]
	if got.status["biz_opaque_callback_data"] != "out:1" {
		t.Errorf("status %v, want sent for out:1", got.status)
	}
}

func TestRepeatedDelivery(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	m, err := s.Write("ana", Input{Type: "text", Text: "hola", Repeat: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if got := s.next().message["id"]; got != m.ID {
			t.Errorf("delivery %d: id %v, want %s", i, got, m.ID)
		}
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{})
	if err := s.Handshake(t.Context()); err != nil {
		t.Error(err)
	}
	wrong := newHarness(t, Options{VerifyToken: "otro"})
	if err := wrong.Handshake(t.Context()); err == nil {
		t.Error("a wrong verify token passed")
	}
}

func TestRunFinishesPostsUnderWay(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	taken, release := make(chan struct{}), make(chan struct{})
	s.mu.Lock()
	s.on = func(arrived) { close(taken); <-release }
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	other, err := New(s.opt)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = other.Run(ctx); close(ended) }()
	if _, err := other.Write("ana", Input{Type: "text", Text: "hola"}); err != nil {
		t.Fatal(err)
	}
	<-taken
	cancel()
	select {
	case <-ended:
		t.Error("Run ended with a post under way")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	<-ended
	if got := other.Counts().Posted; got != 1 {
		t.Errorf("posted %d, want 1", got)
	}
}

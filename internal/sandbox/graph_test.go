package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// shape replaces what differs between two answers of the same kind.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, e := range v {
			switch key {
			case "fbtrace_id", "id", "input", "wa_id", "user_id":
				out[key] = "…"
			default:
				out[key] = shape(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = shape(v[i])
		}
		return out
	}
	return v
}

func TestGraphAnswersAsMeta(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	uploaded := s.phones.media.put("programa.pdf", "application/pdf", []byte("%PDF"), time.Now().Add(time.Hour))
	rename := func(b []byte) []byte {
		return []byte(strings.ReplaceAll(string(b), "1037543291000001", uploaded.id))
	}
	for request, want := range map[string]string{
		"snd_text_request":                "snd_response_phone",
		"snd_buttons_request":             "snd_response_phone",
		"snd_list_request":                "snd_response_phone",
		"snd_cta_url_request":             "snd_response_phone",
		"snd_location_request":            "snd_response_phone",
		"snd_media_request":               "snd_response_phone",
		"snd_reaction_request":            "snd_response_phone",
		"snd_template_request":            "snd_response_template",
		"snd_text_request_bsuid":          "snd_response_bsuid",
		"snd_request_contact_info":        "snd_response_bsuid",
		"snd_read_and_typing_request":     "snd_read_response",
		"snd_thread_control_pass_request": "",
	} {
		status, got := s.send(rename(fixture(t, request)))
		if want == "" { // not a message: refused, not lost
			if status != http.StatusBadRequest {
				t.Errorf("%s: status %d, want 400", request, status)
			}
			continue
		}
		var wanted any
		if err := json.Unmarshal(fixture(t, want), &wanted); err != nil {
			t.Fatal(err)
		}
		if status != http.StatusOK {
			t.Errorf("%s: status %d: %v", request, status, got)
		}
		if diff := cmp.Diff(shape(wanted), shape(any(got))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", request, diff)
		}
	}
	sent := s.SentTo("5491100000001")
	if len(sent) != 8 {
		t.Errorf("SentTo holds %d messages, want 8", len(sent))
	}
	refs := 0
	for _, m := range sent {
		if m.Ref == "out:01J0000000000000000000000A" && m.Text == "Hola! Elegi una opcion" {
			refs++
		}
	}
	if refs != 1 {
		t.Errorf("the text with its reference was recorded %d times, want 1", refs)
	}
}

func TestGraphRefusesAsMeta(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	const to = "+5491155559999"
	list := func(button string, sections ...any) map[string]any {
		return map[string]any{"messaging_product": "whatsapp", "to": to, "type": "interactive", "interactive": map[string]any{
			"type": "list", "body": map[string]any{"text": "Elegí"}, "action": map[string]any{"button": button, "sections": sections},
		}}
	}
	row := func(id, title, detail string) map[string]any {
		return map[string]any{"id": id, "title": title, "description": detail}
	}
	rows := func(n int) (all []any) {
		for i := range n {
			all = append(all, row(fmt.Sprint("r", i), fmt.Sprint("Fila ", i), ""))
		}
		return all
	}
	section := func(title string, rows ...any) map[string]any {
		return map[string]any{"title": title, "rows": rows}
	}
	buttons := func(titles ...string) map[string]any {
		var all []any
		for i, title := range titles {
			all = append(all, map[string]any{"type": "reply", "reply": map[string]any{"id": fmt.Sprint("b", i), "title": title}})
		}
		return map[string]any{"messaging_product": "whatsapp", "to": to, "type": "interactive", "interactive": map[string]any{
			"type": "button", "body": map[string]any{"text": "¿Seguimos?"}, "action": map[string]any{"buttons": all},
		}}
	}
	with := func(m map[string]any, key string, v any) map[string]any { m[key] = v; return m }
	media := func(kind string, body map[string]any) map[string]any {
		return map[string]any{"messaging_product": "whatsapp", "to": to, "type": kind, kind: body}
	}

	tests := []struct {
		name string
		body any
		want int // code; 0 is accepted
	}{
		{"text", text(to, "hola"), 0},
		{"text of 4096", text(to, strings.Repeat("ñ", 4096)), 0},
		{"text of 4097", text(to, strings.Repeat("ñ", 4097)), 100},
		{"emoji count twice", text(to, strings.Repeat("👋", 2049)), 100},
		{"empty text", text(to, "  "), 100},
		{"not JSON", []byte("{"), 100},
		{"no product", map[string]any{"to": to, "type": "text"}, 100},
		{"no recipient", map[string]any{"messaging_product": "whatsapp", "type": "text", "text": map[string]any{"body": "a"}}, 100},
		{"short number", text("123", "hola"), 100},
		{"recipient that is no user id", with(with(text("", "hola"), "to", ""), "recipient", "juan"), 131009},
		{"to ourselves", text(testNumber, "hola"), 131021},
		{"unknown type", with(text(to, "hola"), "type", "fax"), 100},
		{"missing object", map[string]any{"messaging_product": "whatsapp", "to": to, "type": "image"}, 131008},
		{"long reference", with(text(to, "hola"), "biz_opaque_callback_data", strings.Repeat("x", 513)), 100},

		{"list of ten", list("Ver", section("Uno", rows(10)...)), 0},
		{"list of eleven", list("Ver", section("Uno", rows(11)...)), 131009},
		{"list without title in one section", list("Ver", section("", rows(2)...)), 0},
		{"two sections, one without title", list("Ver", section("Uno", rows(1)...), section("", row("z", "Z", ""))), 131009},
		{"button label of 21", list(strings.Repeat("a", 21), section("Uno", rows(2)...)), 131009},
		{"row title of 24", list("Ver", section("Uno", row("a", strings.Repeat("ó", 24), ""))), 0},
		{"row title of 25", list("Ver", section("Uno", row("a", strings.Repeat("ó", 25), ""))), 131009},
		{"row description of 73", list("Ver", section("Uno", row("a", "A", strings.Repeat("x", 73)))), 131009},
		{"same row id twice", list("Ver", section("Uno", row("a", "A", ""), row("a", "B", ""))), 131009},
		{"section without rows", list("Ver", section("Uno")), 131009},
		{"no sections", list("Ver"), 131009},

		{"three buttons", buttons("Sí", "No", "Tal vez"), 0},
		{"four buttons", buttons("a", "b", "c", "d"), 131009},
		{"no buttons", buttons(), 131009},
		{"button of 21", buttons(strings.Repeat("a", 21)), 131009},
		{"same title twice", buttons("Sí", "Sí"), 131009},

		{"image by link", media("image", map[string]any{"link": "https://example.com/a.png", "caption": "mirá"}), 0},
		{"image by nothing", media("image", map[string]any{}), 131008},
		{"image by both", media("image", map[string]any{"link": "https://example.com/a.png", "id": "1"}), 131009},
		{"unknown media id", media("image", map[string]any{"id": "1037543291000009"}), 100},
		{"link that is none", media("image", map[string]any{"link": "file:///etc/passwd"}), 100},
		{"audio with caption", media("audio", map[string]any{"link": "https://example.com/a.ogg", "caption": "x"}), 100},
		{"caption of 1025", media("image", map[string]any{"link": "https://example.com/a.png", "caption": strings.Repeat("x", 1025)}), 100},

		{"template without language", media("template", map[string]any{"name": "aviso"}), 131008},
		{"template that does not exist", media("template", map[string]any{"name": "no_existe_1", "language": map[string]any{"code": "es_AR"}}), 132001},
		{"reaction to nothing", media("reaction", map[string]any{"emoji": "👍"}), 131008},
		{"read without id", map[string]any{"messaging_product": "whatsapp", "status": "read"}, 100},
		{"unknown status", map[string]any{"messaging_product": "whatsapp", "status": "deleted", "message_id": "x"}, 100},
	}
	for _, tt := range tests {
		status, answer := s.send(tt.body)
		if got := code(answer); got != tt.want {
			t.Errorf("%s: code %d, want %d (%v)", tt.name, got, tt.want, answer)
		}
		if ok := status == http.StatusOK; ok != (tt.want == 0) {
			t.Errorf("%s: HTTP %d", tt.name, status)
		}
	}
}

func TestGraphRequiresTheToken(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{})
	for _, token := range []string{"", "otro", testToken + "x"} {
		status, answer := s.do(http.MethodPost, "/sandbox/graph/v26.0/"+testPhoneNumberID+"/messages", token, marshalPlain(text("5491100000001", "hola")))
		if status != http.StatusUnauthorized || code(answer) != 190 {
			t.Errorf("token %q: HTTP %d, code %d, want 401 and 190", token, status, code(answer))
		}
	}
	status, answer := s.do(http.MethodPost, "/sandbox/graph/v26.0/999/messages", testToken, marshalPlain(text("5491100000001", "hola")))
	if status != http.StatusBadRequest || code(answer) != 100 {
		t.Errorf("another number: HTTP %d, code %d, want 400 and 100", status, code(answer))
	}
	if got := s.Counts(); got.Accepted != 0 || got.Refused != 4 {
		t.Errorf("counts = %+v, want 0 accepted, 4 refused", got)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{Hang: 20 * time.Millisecond, Slow: 20 * time.Millisecond, NoStatuses: true})
	tests := []struct {
		fault  string
		status int // 0: the connection broke
		code   int
		taken  bool
	}{
		{"131056", 400, 131056, false},
		{"130429", 400, 130429, false},
		{"131047", 400, 131047, false},
		{"131030", 400, 131030, false},
		{"131000", 500, 131000, false},
		{"190", 401, 190, false},
		{"500", 500, 0, false},
		{"cuelgue", 0, 0, false},
		{"corte", 0, 0, true},
		{"lento", 200, 0, true},
		{"131026", 200, 0, true},
	}
	suffix := map[string]string{}
	for _, f := range faults {
		suffix[f.Word] = f.Suffix
	}
	if len(suffix) != len(tests) {
		t.Errorf("%d faults, %d tests", len(suffix), len(tests))
	}
	for _, tt := range tests {
		number := "5491155" + suffix[tt.fault]
		for what, body := range map[string]any{
			"by number": text(number, "buenas "+number),
			"by text":   text("5491155551234", "falla "+tt.fault+" "+number),
		} {
			before := s.Counts().Accepted
			status, answer := s.send(body)
			if status != tt.status || code(answer) != tt.code {
				t.Errorf("%s %s: HTTP %d, code %d, want %d and %d (%v)", tt.fault, what, status, code(answer), tt.status, tt.code, answer)
			}
			if taken := s.Counts().Accepted > before; taken != tt.taken {
				t.Errorf("%s %s: taken %v, want %v", tt.fault, what, taken, tt.taken)
			}
		}
	}
}

func TestFaultsByAPersonsWords(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	if _, err := s.Write("ana", Input{Type: "text", Text: "falla 131056 x2"}); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 4 {
		_, answer := s.send(text("5491155550001", "hola"))
		got = append(got, code(answer))
	}
	if diff := cmp.Diff([]int{131056, 131056, 0, 0}, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_795_000_000, 0)
	l := newLimiter(MetaLimits())
	passed := 0
	for range 60 {
		if l.allowPair("ana", now) {
			passed++
		}
	}
	if passed != 45 {
		t.Errorf("a burst to one person passed %d, want 45", passed)
	}
	if l.allowPair("ana", now.Add(5*time.Second)) {
		t.Error("passed 5 s after the burst, want 131056")
	}
	if !l.allowPair("ana", now.Add(6*time.Second)) || !l.allowPair("bruno", now) {
		t.Error("refused 6 s after the burst, or for somebody else")
	}
	passed = 0
	for i := range 200 {
		if l.allowNumber(now.Add(time.Duration(i) * 5 * time.Millisecond)) {
			passed++
		}
	}
	if passed < 150 || passed > 160 { // 80 at once and 80 within that second
		t.Errorf("in one second %d passed, want 80 after the burst", passed)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true, Limits: MetaLimits()})
	if _, err := s.Write("ana", Input{Type: "text", Text: "hola", AgeSeconds: 25 * 3600}); err != nil {
		t.Fatal(err)
	}
	if _, answer := s.send(text("5491155550001", "¿Seguís ahí?")); code(answer) != 131047 {
		t.Errorf("25 h later: %v, want 131047", answer)
	}
	if status, answer := s.send(fixture(t, "snd_template_request")); status != http.StatusOK {
		t.Errorf("template to a stranger: %v", answer)
	}
	if _, err := s.Write("ana", Input{Type: "text", Text: "acá estoy"}); err != nil {
		t.Fatal(err)
	}
	if status, answer := s.send(text("5491155550001", "¡Genial!")); status != http.StatusOK {
		t.Errorf("after a new message: %v", answer)
	}
}

func TestRecordForgetsTheOldest(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true, NoPhones: true, KeepSent: 3})
	for i := range 5 {
		s.send(text("5491100000001", fmt.Sprint("mensaje ", i)))
	}
	var got []string
	for _, m := range s.Sent() {
		got = append(got, m.Text)
	}
	if diff := cmp.Diff([]string{"mensaje 2", "mensaje 3", "mensaje 4"}, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if got := s.Counts().Accepted; got != 5 {
		t.Errorf("accepted %d, want 5", got)
	}
}

// TestGraphChecksProofs: a given proof has to be the app's, and where one is required,
// none is refused too. Downloads need no proof.
func TestGraphChecksProofs(t *testing.T) {
	t.Parallel()
	client := func(s *harness, secrets ...string) *whatsapp.Client {
		c, err := whatsapp.NewClient(whatsapp.ClientOptions{
			BaseURL: s.url + "/sandbox/graph/v26.0", PhoneNumberID: testPhoneNumberID, Tokens: []string{testToken}, AppSecrets: secrets,
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, tt := range map[string]struct {
		required bool
		secrets  []string
		refused  int64 // calls
		fine     bool
	}{
		"none":                    {false, nil, 0, true},
		"the app's":               {true, []string{testAppSecret}, 0, true},
		"the app's old one":       {true, []string{"new", testAppSecret}, 1, true},
		"another app's":           {false, []string{"other"}, 1, true},
		"another app's, required": {true, []string{"other"}, 4, false}, // and without, by both calls
		"none, required":          {true, nil, 2, false},
	} {
		s := newHarness(t, Options{NoStatuses: true, RequireProof: tt.required})
		c := client(s, tt.secrets...)
		file := s.phones.media.put("a.pdf", "application/pdf", []byte("%PDF"), time.Now().Add(time.Hour))
		_, asked := c.Number(t.Context())
		body, _, err := c.Fetch(t.Context(), inbound.Media{ID: file.id})
		if err == nil {
			body.Close()
		}
		if (err == nil) != tt.fine || s.Counts().Refused != tt.refused {
			t.Errorf("%s: got %v, %d calls refused, want %d (%v)", name, err, s.Counts().Refused, tt.refused, asked)
		}
	}
}

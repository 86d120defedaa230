package whatsapp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func decode(t testing.TB, body string) []inbound.Arrival {
	t.Helper()
	arrivals, err := whatsapp.Decode([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return arrivals
}

// value wraps the members of a value into an envelope.
func value(members string) string {
	return envelope("messages", `{"messaging_product":"whatsapp","metadata":{"display_phone_number":"5491100000099",`+
		`"phone_number_id":"200000000000002"},`+members+`}`)
}

func envelope(field, value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"value":` + value + `,"field":"` + field + `"}]}]}`
}

// TestFixtures decodes every captured webhook.
func TestFixtures(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if prefix, _, _ := strings.Cut(name, "_"); prefix != "in" && prefix != "st" && prefix != "fld" {
			continue
		}
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			t.Parallel()
			body := fixture(t, name)
			arrivals, err := whatsapp.Decode(body)
			if err != nil || len(arrivals) == 0 {
				t.Fatalf("%v, %d arrivals", err, len(arrivals))
			}
			for i := range arrivals {
				if !bytes.Contains(body, arrivals[i].Raw) || !json.Valid(arrivals[i].Raw) {
					t.Errorf("raw is not of the body: %s", arrivals[i].Raw)
				}
				arrivals[i].Raw = nil
			}
			golden(t, "testdata/golden/"+name, arrivals)
		})
	}
}

func golden(t *testing.T, path string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(want)); diff != "" {
		t.Errorf("got(-) want(+):\n%s", diff)
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	const head = `"from":"5491100000001","id":"wamid.A","timestamp":"1795000001",`
	tests := map[string]struct {
		message string
		want    inbound.Content
	}{
		"no type":        {`"text":{"body":"hola"}`, inbound.Content{Type: "text", Text: "hola"}},
		"nothing":        {`"x":1`, inbound.Content{Type: "unknown"}},
		"text of string": {`"type":"text","text":"hola"`, inbound.Content{Type: "text", Text: "hola"}},
		"wrong types":    {`"type":"text","text":{"body":{"a":1}},"context":7,"errors":{"code":1},"referral":"x"`, inbound.Content{Type: "text"}},
		"voice of old":   {`"type":"voice","voice":{"id":"9","mime_type":"audio/ogg"}`, inbound.Content{Type: "audio", Media: &inbound.Media{ID: "9", MIME: "audio/ogg", Voice: true}}},
		"hex digest":     {`"type":"image","image":{"id":"9","sha256":"49F227634806293B099545 "}`, inbound.Content{Type: "image", Media: &inbound.Media{ID: "9"}}},
		"no media id":    {`"type":"image","image":{"caption":"x"}`, inbound.Content{Type: "image", Text: "x"}},
		"flow reply":     {`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"[]"}}`, inbound.Content{Type: "interactive", Text: "Sent", Form: true}},
		"flow answers":   {`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"{\"flow_token\":\"x\",\"nombre\":\"Ana\"}"}}`, inbound.Content{Type: "interactive", Text: "Sent\nnombre: Ana", Form: true}},
		"call reply":     {`"type":"interactive","interactive":{"type":"call_permission_reply","call_permission_reply":{"response":"accept"}}`, inbound.Content{Type: "interactive", Text: "accept", Form: true}},
		"edit": {
			`"type":"edit","edit":{"original_message_id":"wamid.B","message":{"type":"image","image":{"id":"9","caption":"mejor"}}}`,
			inbound.Content{Type: "edit", Text: "mejor", TargetID: "wamid.B", Media: &inbound.Media{ID: "9"}},
		},
		"referral in context":  {`"type":"text","text":{"body":"x"},"context":{"id":"wamid.C","referral":{"source_id":"1"}}`, inbound.Content{Type: "text", Text: "x", QuotedID: "wamid.C", Referral: json.RawMessage(`{"source_id":"1"}`)}},
		"unavailable":          {`"type":"unsupported","errors":[{"code":131060}]`, inbound.Content{Type: "unsupported", Error: 131060}},
		"edit without content": {`"type":"unsupported","unsupported":{"type":"edit"},"errors":[{"code":131051}]`, inbound.Content{Type: "edit", Error: 131051}},
		"pin":                  {`"type":"unsupported","unsupported":{"type":"pin"},"errors":[{"code":131051}]`, inbound.Content{Type: "pin", Error: 131051}},
		"poll":                 {`"type":"unsupported","unsupported":{"type":"poll_creation"},"errors":[{"code":131051}]`, inbound.Content{Type: "unsupported", Error: 131051}},
		"contact request":      {`"type":"contacts","contacts":[{"origin":"contact_request","phones":[{"phone":"+5491100000001"}]},{}]`, inbound.Content{Type: "contacts", Text: "+5491100000001"}},
		"location alone":       {`"type":"location","location":{"latitude":-34.6,"longitude":-58.38}`, inbound.Content{Type: "location", Text: "-34.6,-58.38"}},
		"ephemeral":            {`"type":"ephemeral"`, inbound.Content{Type: "ephemeral"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, value(`"messages":[{`+head+test.message+`}]`))
			if len(got) != 1 || got[0].Kind != inbound.Message || got[0].Content == nil {
				t.Fatalf("got %+v", got)
			}
			if diff := cmp.Diff(*got[0].Content, test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
}

func TestPerson(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		contacts, message string
		want              inbound.Person
	}{
		"by position would be wrong": {
			`[{"profile":{"name":"Otra"},"wa_id":"5491100000002","user_id":"AR.2"},{"profile":{"name":"Ana"},"wa_id":"5491100000001","user_id":"AR.1"}]`,
			`"from":"5491100000001"`,
			inbound.Person{Phone: "5491100000001", UserID: "AR.1", Name: "Ana"},
		},
		"stranger's contact": {
			`[{"profile":{"name":"Otra"},"wa_id":"5491100000002"}]`, `"from":"5491100000001"`,
			inbound.Person{Phone: "5491100000001"},
		},
		"phone found by user id": {
			`[{"wa_id":"5491100000001","user_id":"AR.1","parent_user_id":"AR.ENT.1","profile":{"username":"ana"}}]`, `"from_user_id":"AR.1"`,
			inbound.Person{Phone: "5491100000001", UserID: "AR.1", ParentUserID: "AR.ENT.1", Username: "ana"},
		},
		"same phone, other user": {
			`[{"wa_id":"5491100000001","user_id":"AR.2","profile":{"name":"Dueño anterior"}}]`, `"from":"5491100000001","from_user_id":"AR.1"`,
			inbound.Person{Phone: "5491100000001", UserID: "AR.1"},
		},
		"parent in from":  {`[]`, `"from":"AR.ENT.77"`, inbound.Person{ParentUserID: "AR.ENT.77"}},
		"plus and spaces": {`[]`, `"from":"+54 9 11 0000-0001"`, inbound.Person{Phone: "5491100000001"}},
		"number":          {`[]`, `"from":5491100000001`, inbound.Person{Phone: "5491100000001"}},
		"a link":          {`[]`, `"from":"whatsapp:+5491100000001"`, inbound.Person{Phone: "5491100000001"}},
		"another link":    {`[]`, `"from":"Tel: +54 9 11 0000-0001"`, inbound.Person{Phone: "5491100000001"}},
		"a link to an id": {`[]`, `"from":"whatsapp:AR.1"`, inbound.Person{UserID: "AR.1"}},
		"hexadecimal":     {`[]`, `"from":"5e12ab"`, inbound.Person{ExternalID: "5e12ab"}},
		"contact rounded": {`[{"wa_id":"5.49116E+12","user_id":"AR.1"}]`, `"from_user_id":"AR.1"`, inbound.Person{UserID: "AR.1"}},
		"anything":        {`{}`, `"from":"ana@x"`, inbound.Person{ExternalID: "ana@x"}},
		"case is kept":    {`null`, `"from_user_id":"AR.aBc"`, inbound.Person{UserID: "AR.aBc"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, value(`"contacts":`+test.contacts+`,"messages":[{"id":"wamid.A","timestamp":"1795000001","type":"text","text":{"body":"x"},`+test.message+`}]`))
			if diff := cmp.Diff(got[0].Person, test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
}

// TestRoundedPhoneIsIgnored: people whose phones round to one number must not become one person.
func TestRoundedPhoneIsIgnored(t *testing.T) {
	t.Parallel()
	for _, from := range []string{`5.49116E+12`, `"5.49116E+12"`, `"5,49116E+12"`, `5.49e12`, `"5E12"`, `"+5.49116E+12"`, `" 5.49116E+12 "`, `"whatsapp:5.49116E+12"`} {
		alone := `{"from":` + from + `,"id":"wamid.A","type":"text","text":{"body":"hola"}}`
		for _, body := range []string{
			`{"messages":[` + alone + `],"metadata":{"phone_number_id":"200"}}`, alone, value(`"messages":[` + alone + `]`),
		} {
			if diff := cmp.Diff(summary(decode(t, body)), []string{"unknown  invalid"}); diff != "" {
				t.Errorf("%s: got(-) want(+):\n%s", body, diff)
			}
		}
	}
}

// TestIdentityChanges: a missed one forks the conversation.
func TestIdentityChanges(t *testing.T) {
	t.Parallel()
	old, moved := inbound.Person{Phone: "5491100000001"}, inbound.Person{Phone: "5491100000002"}
	tests := map[string]struct {
		message string
		kind    inbound.Kind
		want    *inbound.Change
	}{
		"number": {
			`"from":"5491100000001","from_user_id":"AR.2","type":"system","system":{"type":"user_changed_number","wa_id":"5491100000002","user_id":"AR.2","previous_user_id":"AR.1"}`,
			inbound.Identity,
			&inbound.Change{From: inbound.Person{Phone: old.Phone, UserID: "AR.1"}, To: inbound.Person{Phone: moved.Phone, UserID: "AR.2"}},
		},
		"old names": {
			`"from":"5491100000001","type":"system","system":{"type":"customer_changed_number","new_wa_id":"5491100000002","customer":"5491100000001"}`,
			inbound.Identity,
			&inbound.Change{From: old, To: moved},
		},
		"customer only": {
			`"type":"system","system":{"type":"customer_changed_number","wa_id":"5491100000002","customer":"5491100000001"}`,
			inbound.Identity,
			&inbound.Change{From: old, To: moved},
		},
		"user id without phone": {
			`"type":"system","system":{"type":"user_changed_user_id","user_id":"AR.2","previous_user_id":"AR.1","parent_user_id":"AR.ENT.2","previous_parent_user_id":"AR.ENT.1"}`,
			inbound.Identity,
			&inbound.Change{From: inbound.Person{UserID: "AR.1", ParentUserID: "AR.ENT.1"}, To: inbound.Person{UserID: "AR.2", ParentUserID: "AR.ENT.2"}},
		},
		"security key":   {`"from":"5491100000001","type":"system","system":{"type":"user_identity_changed"}`, inbound.Message, nil},
		"something else": {`"from":"5491100000001","type":"system","system":{"type":"joined_the_circus","body":"x"}`, inbound.Message, nil},
		"to nowhere":     {`"from":"5491100000001","type":"system","system":{"type":"user_changed_number"}`, inbound.Message, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, value(`"messages":[{"id":"wamid.A","timestamp":"1795000001",`+test.message+`}]`))
			if got[0].Kind != test.kind {
				t.Errorf("kind: got %s, want %s", got[0].Kind, test.kind)
			}
			if diff := cmp.Diff(got[0].Change, test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
			if test.want != nil && got[0].Person.Ref() != test.want.From.Ref() {
				t.Errorf("lane: got %s, want the old name's %s", got[0].Person.Ref(), test.want.From.Ref())
			}
		})
	}
}

// summary has one line for each arrival of a body.
func summary(arrivals []inbound.Arrival) []string {
	var lines []string
	for _, a := range arrivals {
		line := fmt.Sprintf("%s %s %s", a.Kind, a.Person.Ref(), a.Quarantine)
		if !strings.HasPrefix(a.ID, "sha256:") {
			line += " " + a.ID
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEverythingIsKept(t *testing.T) {
	t.Parallel()
	const good = `{"from":"1","id":"wamid.A","timestamp":"1795000001","type":"text","text":{"body":"x"}}`
	tests := map[string]struct {
		body string
		want []string
	}{
		"messages and statuses and errors together": {
			value(`"statuses":[{"id":"wamid.S","status":"read","recipient_id":"1"}],"messages":[` + good + `],"errors":[{"code":1},{"code":2}]`),
			[]string{"status 1  wamid.S", "message 1  wamid.A", "failure  ", "failure  "},
		},
		"broken neighbours": {
			value(`"messages":[7,null,"x",{"id":"wamid.X","type":"text"},` + good + `,{}],"statuses":[{"id":"wamid.S"},{"status":"sent"},[]]`),
			[]string{
				"unknown  invalid", "unknown  invalid", "unknown  invalid", "unknown  invalid", "message 1  wamid.A", "unknown  invalid",
				"unknown  invalid", "unknown  invalid", "unknown  invalid",
			},
		},
		"wrong types everywhere": {
			value(`"messages":{},"statuses":7,"errors":"x","contacts":[1,{"profile":3}]`),
			[]string{"unknown  unknown_shape"},
		},
		"clicks":                    {value(`"user_actions":[{"action_type":"marketing_messages_link_click"}]`), []string{"unknown  unknown_shape"}},
		"unknown field":             {envelope("holograms", `{"a":1}`), []string{"unknown  unknown_shape"}},
		"unknown field with a text": {envelope("holograms", `{"messages":[`+good+`]}`), []string{"message 1  wamid.A"}},
		"value missing":             {`{"object":"x","entry":[{"changes":[{"field":"messages"}]}]}`, []string{"unknown  unknown_shape"}},
		"no entries":                {`{"object":"x","entry":[]}`, []string{"unknown  unknown_shape"}},
		"no changes":                {`{"object":"x","entry":[{"id":"1","field":"account_update"},3]}`, []string{"unknown  unknown_shape", "unknown  unknown_shape"}},
		"group": {
			value(`"messages":[{"group_id":"G1",` + good[1:] + `]`),
			[]string{"message 1 group wamid.A"},
		},
		"handover":         {envelope("messaging_handovers", `{"sender":{"phone_number":"1"},"recipient":{"phone_number_id":"200"},"type":"control_passed"}`), []string{"account  "}},
		"call":             {envelope("calls", `{"metadata":{"phone_number_id":"200"},"calls":[{"id":"c"}]}`), []string{"account  "}},
		"history":          {envelope("history", `{"metadata":{"phone_number_id":"200"},"history":[{"metadata":{"phase":0}},{"metadata":{"phase":1}}],"messages":[`+good+`],"errors":[{"code":2593109}]}`), []string{"history  ", "history  ", "history  ", "failure  "}},
		"standby messages": {envelope("standby", `{"metadata":{"phone_number_id":"200"},"standby":{"messages":[`+good+`]}}`), []string{"standby 1  wamid.A"}},
		"standby flat":     {envelope("standby", `{"metadata":{"phone_number_id":"200"},"messages":[`+good+`]}`), []string{"standby 1  wamid.A"}},
		"standby unknown":  {envelope("standby", `{"standby":{"x":[1]}}`), []string{"unknown  unknown_shape"}},
		"echo of an edit":  {envelope("smb_message_echoes", `{"message_echoes":[{"from":"9","to":"1","id":"wamid.E","timestamp":"1","type":"edit","edit":{"original_message_id":"wamid.A"}}]}`), []string{"echo 1  wamid.E"}},
		"echo to nobody":   {envelope("smb_message_echoes", `{"message_echoes":[{"from":"9","id":"wamid.E","type":"text"}]}`), []string{"unknown  invalid"}},
		"preferences":      {envelope("user_preferences", `{"user_preferences":[{"user_id":"AR.1","value":"resume"},{"wa_id":"1","value":"stop"},{"value":"stop"}]}`), []string{"preference AR.1 ", "preference 1 ", "unknown  invalid"}},
		"long id":          {value(`"messages":[{"from":"1","id":"` + strings.Repeat("x", 600) + `","timestamp":"1795000001","type":"text"}]`), []string{"message 1 "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(summary(decode(t, test.body)), test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
}

func TestBareShapes(t *testing.T) {
	t.Parallel()
	const message = `{"from":"1","id":"wamid.A","timestamp":"1795000001","type":"text","text":{"body":"x"}}`
	const change = `{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"200"},"messages":` + message + `}}`
	for body, want := range map[string]string{
		// Split by a workflow.
		`{"messages":` + message + `}`:                                                           "messages",
		`{"messages":` + message + `,"contacts":{"wa_id":"1"}}`:                                  "messages",
		`{"messages":` + message + `,"contacts":[{"wa_id":"1"}]}`:                                "messages",
		`{"messages":` + message + `,"metadata":{"phone_number_id":"200"}}`:                      "messages",
		`{"statuses":{"id":"s","status":"sent","recipient_id":"1"}}`:                             "messages",
		`{"message_echoes":{"to":` + message[8:] + `,"metadata":{"phone_number_id":"200"}}`:      "messages",
		`{"errors":{"code":1},"metadata":{"phone_number_id":"200"}}`:                             "messages",
		`{"user_preferences":{"wa_id":"1","value":"stop"},"metadata":{"phone_number_id":"200"}}`: "messages",
		`{"object":"whatsapp_business_account","entry":{"id":"1","changes":[` + change + `]}}`:   "envelope",
		`{"object":"whatsapp_business_account","entry":{"id":"1","changes":` + change + `}}`:     "envelope",
		`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":` + change + `}]}`:   "envelope",
		`{"id":"1","changes":[` + change + `]}`:                                                  "envelope",
		`{"id":"1","time":1795000001,"changes":` + change + `}`:                                  "envelope",
		change: "value",
		`{"messaging_product":"whatsapp","metadata":{"phone_number_id":"200"},"messages":[` + message + `],"field":"messages"}`: "value",
		`{"messaging_product":"whatsapp","metadata":{"phone_number_id":"200"},"statuses":[{"id":"s","status":"sent"}]}`:         "value",
		`{"field":"messages","value":{"metadata":{"phone_number_id":"200"},"messages":[` + message + `]}}`:                      "value",
		`{"messages":[` + message + `],"metadata":{"phone_number_id":"200"}}`:                                                   "messages",
		`{"messages":[` + message + `]}`:                       "messages",
		`{"statuses":[{"id":"s","status":"sent"}]}`:            "messages",
		`{"metadata":{"phone_number_id":"200"},` + message[1:]: "message",
		message: "message",
	} {
		got, err := whatsapp.Decode([]byte(body))
		if err != nil || len(got) != 1 || got[0].Shape != want || got[0].Kind == inbound.Unknown {
			t.Errorf("%s: %v, got %+v, want shape %s", body, err, got, want)
		}
		if strings.Contains(body, "200") && got[0].LineRef != "200" {
			t.Errorf("%s: line ref %q", body, got[0].LineRef)
		}
	}
	for _, body := range []string{
		``, `x`, `{}`, `[]`, `7`, `{"from":"1"}`, `{"from":"1","message":"x"}`, `{"event":"x"}`, `{"field":"x"}`,
		`{"messages":{}}`, `{"messages":{"total":3}}`, `{"entry":{"id":"1"}}`, `{"id":"1","changes":[]}`, `{"id":"1","changes":{"price":2}}`, `{"message_echoes":{"id":"x"}}`,
	} {
		if got, err := whatsapp.Decode([]byte(body)); err == nil {
			t.Errorf("%s: got %+v", body, got)
		}
	}
}

// TestIDs: a repeated delivery keeps its key; a different event has a different one.
func TestIDs(t *testing.T) {
	t.Parallel()
	account := func(when string) string {
		return `{"entry":[{"id":"1","time":` + when + `,"changes":[{"field":"account_alerts","value":{"a":1}}]}]}`
	}
	first, again, later := decode(t, account("1795000000"))[0], decode(t, account("1795000000"))[0], decode(t, account("1795000100"))[0]
	if first.Key() != again.Key() || first.Key() == later.Key() {
		t.Errorf("keys: %s, %s, %s", first.Key(), again.Key(), later.Key())
	}
	if want := time.Unix(1795000000, 0).UTC(); !first.SentAt.Equal(want) {
		t.Errorf("sent at: got %v, want %v", first.SentAt, want)
	}
	text := func(more string) inbound.Arrival {
		return decode(t, value(`"messages":[{"from":"1","type":"text","text":{"body":"x"}`+more+`}]`))[0]
	}
	if got := text("").ID; got != "" {
		t.Errorf("neither id nor time: got id %q, want none", got)
	}
	if a, b := text(`,"timestamp":"1795000000"`), text(`,"timestamp":"1795000001"`); a.ID == "" || a.ID == b.ID {
		t.Errorf("no id, two times: got ids %q and %q", a.ID, b.ID)
	}
}

func FuzzDecode(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.json")
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		arrivals, err := whatsapp.Decode(body)
		if (err == nil) != (len(arrivals) > 0) {
			t.Fatalf("%v, %d arrivals", err, len(arrivals))
		}
		for _, a := range arrivals {
			if !json.Valid(a.Raw) || !bytes.Contains(body, a.Raw) {
				t.Fatalf("raw is not of the body: %q", a.Raw)
			}
			if (a.Kind == inbound.Message || a.Kind == inbound.Echo) && (a.Content == nil || a.Content.Type == "") {
				t.Fatalf("a message without content: %+v", a)
			}
			if a.Kind == inbound.Status && (a.Report == nil || a.ID == "") {
				t.Fatalf("a status without report: %+v", a)
			}
			if _, err := json.Marshal(a); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := fixture(b, "sig_vector_escaped_body.json")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		whatsapp.Decode(body)
	}
}

package n8n_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/n8n"
)

func decode(t testing.TB, body string) []inbound.Arrival {
	t.Helper()
	arrivals, err := n8n.Decode([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return arrivals
}

const (
	message   = `{"from":"5491100000001","id":"wamid.A","timestamp":"1795000001","type":"text","text":{"body":"hola"}}`
	value     = `{"messaging_product":"whatsapp","metadata":{"phone_number_id":"200"},"messages":[` + message + `],"field":"messages"}`
	flat      = `{"telefono":"5491100000001","mensaje":"hola","messageId":"wamid.A"}`
	evolution = `{"event":"messages.upsert","instance":"ventas","data":{"key":{"remoteJid":"5491100000001@s.whatsapp.net","id":"M1"},"message":{"conversation":"hola"}}}`
	hook      = `{"headers":{"host":"x"},"params":{},"query":{},"body":`
)

// TestShapes: the twelve shapes, bare and wrapped.
func TestShapes(t *testing.T) {
	t.Parallel()
	asText, _ := json.Marshal(flat)
	tests := map[string]struct {
		body  string
		shape string
		more  int
	}{
		"1 envelope":         {`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":` + value + `}]}]}`, "envelope", 0},
		"2 value":            {value, "value", 0},
		"3 messages":         {`{"messages":[` + message + `],"metadata":{"phone_number_id":"200"}}`, "messages", 0},
		"4 message":          {message, "message", 0},
		"5 simple":           {`{"from":"5491100000001","message":"hola"}`, "simple", 0},
		"5 simple text":      {`{"from":"5491100000001","text":"hola"}`, "simple", 0},
		"6 flat":             {flat, "flat", 0},
		"7 ingest":           {`{"telefono":"5491100000001","contenido":"hola","whatsapp_message_id":"wamid.A","timestamp":"2026-11-18T09:06:41Z","multimedia":null,"utm_data":{}}`, "ingest", 0},
		"8 evolution":        {evolution, "evolution", 0},
		"9 normalised":       {`{"telefono":"5491100000001","mensaje":"hola","nombre":"Ana","messageId":"M1","mediaType":"conversation","fromMe":false,"tipo":"mensaje"}`, "flat", 0},
		"10 items":           {`[{"json":` + value + `},{"json":` + value + `,"pairedItem":{"item":0}}]`, "items+json+value", 1},
		"10 bodies":          {`[{"body":` + flat + `}]`, "items+hook+flat", 0},
		"10 plain":           {`[` + value + `,` + flat + `]`, "items+value", 1},
		"11 hook":            {hook + flat + `}`, "hook+flat", 0},
		"11 hook, evolution": {hook + evolution + `,"webhookUrl":"https://n8n/x","executionMode":"production"}`, "hook+evolution", 0},
		"11 hook in items":   {`[{"json":` + hook + `[` + flat + `]}}]`, "items+json+hook+items+flat", 0},
		"12 status":          {`{"statuses":[{"id":"wamid.S","status":"read","recipient_id":"1"}]}`, "messages", 0},
		"sent as text":       {string(asText), "text+flat", 0},
		"body as text":       {hook + string(asText) + `}`, "hook+text+flat", 0},
		"a mark in front":    {"\xef\xbb\xbf" + flat, "flat", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, test.body)
			if len(got) != 1+test.more {
				t.Fatalf("got %d arrivals, want %d", len(got), 1+test.more)
			}
			if got[0].Shape != test.shape {
				t.Errorf("shape: got %s, want %s", got[0].Shape, test.shape)
			}
			for _, a := range got {
				if a.Kind == inbound.Status {
					continue
				}
				if a.Kind != inbound.Message || a.Person.Phone != "5491100000001" || a.Content.Text != "hola" || a.Content.Type != "text" {
					t.Errorf("got %+v", a)
				}
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, `hola`, `{}`, `[]`, `null`, `7`, `"hola"`, `{"a":1}`, `{"telefono":"549"}`, `{"mensaje":"hola"}`, `[{"json":{}}]`,
		`{"from":"","message":"x"}`, `{"headers":{},"body":"hola"}`, `[[[[[[` + flat + `]]]]]]`, `{"telefono":{"a":1},"mensaje":"x"}`,
	} {
		if got, err := n8n.Decode([]byte(body)); err == nil {
			t.Errorf("%s: got %+v", body, got)
		}
	}
	got := decode(t, `[{"json":{"a":1}},`+flat+`,7]`)
	if len(got) != 3 || got[0].Quarantine != "unknown_shape" || got[1].Quarantine != "" || got[2].Kind != inbound.Unknown {
		t.Errorf("unknown parts beside known ones: got %+v", got)
	}
}

func TestFlat(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want inbound.Arrival
	}{
		"everything": {
			`{"phone":"+54 9 11 0000-0001","text":"hola","message_id":"wamid.A","nombre_contacto":"Ana","linea":"ventas","timestamp":1795000001000,"contextMessageId":"wamid.Q","utm_source":"x"}`,
			inbound.Arrival{
				Kind: inbound.Message, ID: "wamid.A", LineRef: "ventas", SentAt: time.Unix(1795000001, 0).UTC(),
				Person:  inbound.Person{Phone: "5491100000001", Name: "Ana"},
				Content: &inbound.Content{Type: "text", Text: "hola", QuotedID: "wamid.Q"},
			},
		},
		"numbers": {
			`{"telefono":5491100000001,"mensaje":11,"id":7}`,
			inbound.Arrival{Kind: inbound.Message, ID: "7", Person: inbound.Person{Phone: "5491100000001"}, Content: &inbound.Content{Type: "text", Text: "11"}},
		},
		"user id": {
			`{"from":"AR.77","text":"hola","id":"wamid.A"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "wamid.A", Person: inbound.Person{UserID: "AR.77"}, Content: &inbound.Content{Type: "text", Text: "hola"}},
		},
		"hidden": {
			`{"remoteJid":"77@lid","body":"hola","id":"M1","pushName":"Ana"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Person: inbound.Person{ExternalID: "77@lid", Name: "Ana"}, Content: &inbound.Content{Type: "text", Text: "hola"}},
		},
		"ours": {
			`{"telefono":"549110","mensaje":"hola","nombre":"PSI","messageId":"M1","fromMe":true}`,
			inbound.Arrival{Kind: inbound.Echo, ID: "M1", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "text", Text: "hola"}},
		},
		"group": {
			`{"remoteJid":"12@g.us","mensaje":"hola","messageId":"M1"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Quarantine: "group", Person: inbound.Person{ExternalID: "12@g.us"}, Content: &inbound.Content{Type: "text", Text: "hola", Group: "12@g.us"}},
		},
		"reaction": {
			`{"telefono":"549110","tipo":"reaction","emoji":"👍","reactionToMessageId":"M0","messageId":"M1"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "reaction", Emoji: "👍", TargetID: "M0"}},
		},
		"image with its placeholder": {
			`{"telefono":"549110","mensaje":"[Imagen]","mediaType":"image/jpeg","media_url":"https://x/y","messageId":"M1"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "image", Media: &inbound.Media{URL: "https://x/y", MIME: "image/jpeg"}}},
		},
		"ingest": {
			`{"telefono":"549110","contenido":"mirá","whatsapp_message_id":"wamid.A","multimedia":{"tipo":"documento","url":"https://x/y","metadata":{"filename":"r.pdf","mimetype":"application/pdf","size":12}}}`,
			inbound.Arrival{Kind: inbound.Message, ID: "wamid.A", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{
				Type: "document", Text: "mirá", Media: &inbound.Media{URL: "https://x/y", MIME: "application/pdf", Name: "r.pdf", Size: 12},
			}},
		},
		"tapped": {
			`{"from":"549110","text":"Ventas","replyId":"m:1","id":"M1"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "interactive", Text: "Ventas", ReplyID: "m:1"}},
		},
		"half unwrapped": {
			`{"from":"549110","message":{"text":{"body":"x"},"conversation":"hola"},"id":"M1"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "text", Text: "hola"}},
		},
		"not for menus": {
			`{"from":"549110","message":"changed","type":"system","id":"M1"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "system", Text: "changed"}},
		},
		"no id, no time": {
			`{"from":"549110","message":"1"}`,
			inbound.Arrival{Kind: inbound.Message, Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "text", Text: "1"}},
		},
		"bad date": {
			`{"from":"549110","message":"1","id":"M1","timestamp":"mañana"}`,
			inbound.Arrival{Kind: inbound.Message, ID: "M1", Person: inbound.Person{Phone: "549110"}, Content: &inbound.Content{Type: "text", Text: "1"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, test.body)[0]
			if string(got.Raw) != test.body {
				t.Errorf("raw: got %s", got.Raw)
			}
			got.Raw, got.Shape = nil, ""
			test.want.Provider = "n8n"
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
	with := func(at string) string {
		return decode(t, `{"from":"549110","message":"1","timestamp":"`+at+`"}`)[0].ID
	}
	if a, b := with("1795000001"), with("1795000002"); a == "" || a == b {
		t.Errorf("ids of two times: %q and %q", a, b)
	}
}

func TestFixture(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/n8n_whatsapp_trigger_items.json")
	if err != nil {
		t.Fatal(err)
	}
	got := decode(t, string(body))
	if len(got) != 1 || got[0].Shape != "items+value" || got[0].LineRef != "200000000000002" || got[0].Person.Name != "Persona Prueba" || !bytes.Contains(body, got[0].Raw) {
		t.Errorf("got %+v", got)
	}
}

func FuzzDecode(f *testing.F) {
	paths, _ := filepath.Glob("../ingest/testdata/payloads/*.json")
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, seed := range []string{flat, value, `[{"json":` + hook + `[` + flat + `]}}]`, `"{}"`, `{"telefono":5e12,"tipo":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		arrivals, err := n8n.Decode(body)
		if (err == nil) != (len(arrivals) > 0) {
			t.Fatalf("%v, %d arrivals", err, len(arrivals))
		}
		for _, a := range arrivals {
			if !json.Valid(a.Raw) || a.Shape == "" || a.Provider == "" {
				t.Fatalf("got %+v", a)
			}
			if (a.Kind == inbound.Message || a.Kind == inbound.Echo) && (a.Content == nil || a.Content.Type == "" || a.Person.IsZero() && a.Content.Group == "") {
				t.Fatalf("a message without content or sender: %+v", a)
			}
			if strings.Contains(a.Person.Phone, "@") {
				t.Fatalf("not a phone: %q", a.Person.Phone)
			}
		}
	})
}

// TestTypedPhones: every spelling of a phone gives the same phone, or nobody. The
// files come from real installations.
func TestTypedPhones(t *testing.T) {
	t.Parallel()
	file := func(name string) string {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(body), "@PHONE@", "5491100000001")
	}
	here := n8n.Decoder{Country: "AR"}
	for body, want := range map[string]string{
		file("n8n_bidi_mark.json"):                                                            "5491155570301",
		file("n8n_whatsapp_prefix.json"):                                                      "5491100000001",
		file("n8n_scientific_text.json"):                                                      "",
		`{"telefono":"011 15 5555-0001","mensaje":"hola"}`:                                    "5491155550001",
		`{"telefono":"tel:+54-9-11-5555-0001","mensaje":"hola"}`:                              "5491155550001",
		`{"telefono":"5491155550001.0","mensaje":"hola"}`:                                     "5491155550001",
		`{"telefono":5.49116E+12,"mensaje":"hola"}`:                                           "",
		`{"telefono":"5.49116E+12","remoteJid":"5491155550001@s.whatsapp.net","body":"hola"}`: "5491155550001",
		`{"telefono":"549115555000123","mensaje":"hola"}`:                                     "",
		`{"telefono":"11 5555 0001 / 11 5555 0002","mensaje":"hola"}`:                         "",
		`{"telefono":"Ana","mensaje":"hola"}`:                                                 "",
	} {
		arrivals, err := here.Decode([]byte(body))
		got := ""
		if err == nil && arrivals[0].Kind == inbound.Message {
			got = arrivals[0].Person.Phone
		}
		if got != want || err != nil && want != "" {
			t.Errorf("%s: from %q, %v; want %q", body, got, err, want)
		}
	}
}

// TestPersonInFlatObjects: the same people may be answered as in Evolution's messages.
func TestPersonInFlatObjects(t *testing.T) {
	t.Parallel()
	const ana = "5491155550001"
	for body, want := range map[string]string{
		`"telefono":"5491155550001","remoteJid":"120363@g.us"`:                            ana + " group",
		`"telefono":"5491155550001","remoteJid":"120363@newsletter"`:                      ana + " group",
		`"remoteJid":"120363@newsletter"`:                                                 " group",
		`"telefono":"status@broadcast","participant":"5491155550001@s.whatsapp.net"`:      ana + " group",
		`"remoteJid":"1577000001@broadcast","participant":"5491155550001@s.whatsapp.net"`: ana + " ",
		`"remoteJid":"1577000001@broadcast","telefono":"5491155550001"`:                   ana + " ",
		`"remoteJid":"77@lid","remoteJidAlt":"5491155550001@s.whatsapp.net"`:              ana + " ",
		`"telefono":"5491155550001","remoteJid":"1@hologram"`:                             ana + " group",
		`"telefono":"5491155550001","from":"ana@escuela.example"`:                         ana + " ",
		`"from":"16505361212"`:                    " group",
		`"from":"13135550002"`:                    " group",
		`"phone":"+1 650 536 1212"`:               " group",
		`"telefono":"13135550003@s.whatsapp.net"`: " group",
		`"remoteJid":"5,49116E+12@s.whatsapp.net","telefono":"5491155550001"`:           ana + " ",
		`"remoteJid":"5491155550001_1:3@s.whatsapp.net"`:                                ana + " ",
		`"remoteJid":"5491155550001@s.whatsapp.net","fromMe":true,"to":"12@newsletter"`: " group",
	} {
		a := decode(t, `{`+body+`,"mensaje":"hola"}`)[0]
		if got := a.Person.Phone + " " + a.Quarantine; got != want || (a.Content.Group != "") != (a.Quarantine != "") {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
	for _, body := range []string{`{"remoteJid":"5.49116E+12@s.whatsapp.net","mensaje":"hola"}`, `{"telefono":"5,49116E+12","mensaje":"hola"}`, `{"remoteJid":"Support@s.whatsapp.net","mensaje":"hola"}`} {
		if got, err := n8n.Decode([]byte(body)); err == nil {
			t.Errorf("%s: got %+v", body, got)
		}
	}
}

// TestGesturesInFlatObjects say nothing, by whatever name they come.
func TestGesturesInFlatObjects(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`"mensaje":"","mediaType":"albumMessage"`:                    "notice",
		`"mensaje":"","mediaType":"encReactionMessage"`:              "notice",
		`"mensaje":"","messageType":"protocolMessage"`:               "protocol",
		`"mensaje":"","mediaType":"pinInChatMessage"`:                "pin",
		`"mensaje":"[fijado]","mediaType":"pinInChatMessage"`:        "pin",
		`"mensaje":"","mediaType":"pollUpdateMessage"`:               "poll_update",
		`"mensaje":"nuevo","mediaType":"editedMessage"`:              "edit",
		`"mensaje":"","mediaType":"keepInChatMessage","fromMe":true`: "keep_in_chat",
		`"mensaje":"","tipo":"call"`:                                 "notice",
		`"mensaje":"hola","tipo":"call"`:                             "text",
		`"mensaje":"","mediaType":"locationMessage"`:                 "location",
		`"mensaje":"hola","tipo":"consulta"`:                         "text",
	} {
		a := decode(t, `{"telefono":"5491155550001","messageId":"M1",`+body+`}`)[0]
		if a.Content.Type != want {
			t.Errorf("%s: got %s, want %s", body, a.Content.Type, want)
		}
	}
}

// TestTimesWithoutZone: a flat object's time without a zone is in the installation's zone.
func TestTimesWithoutZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -3*60*60)
	for at, want := range map[string]string{
		"2026-11-18 09:06:41":       "2026-11-18T12:06:41Z",
		"2026-11-18T09:06:41":       "2026-11-18T12:06:41Z",
		"18/11/2026, 09:06:41":      "2026-11-18T12:06:41Z",
		"2026-11-18 09:06:41-05":    "2026-11-18T14:06:41Z",
		"2026-11-18T09:06:41Z":      "2026-11-18T09:06:41Z",
		"2026-11-18T09:06:41-05:00": "2026-11-18T14:06:41Z",
		"1795000001":                "2026-11-18T11:06:41Z",
	} {
		arrivals, err := n8n.Decoder{Zone: zone}.Decode([]byte(`{"from":"5491155550001","message":"1","timestamp":"` + at + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := arrivals[0].SentAt.UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s is %s, want %s", at, got, want)
		}
	}
}

// TestSplitOutNode: n8n's Split Out node leaves one object in a list's place.
func TestSplitOutNode(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"message":         `{"messages":` + message + `,"metadata":{"phone_number_id":"200"}}`,
		"message, person": `{"messaging_product":"whatsapp","messages":` + message + `,"contacts":{"wa_id":"5491100000001","profile":{"name":"Ana"}},"metadata":{"phone_number_id":"200"}}`,
		"in items":        `[{"json":{"messages":` + message + `,"metadata":{"phone_number_id":"200"}}}]`,
	} {
		a := decode(t, body)[0]
		if a.Kind != inbound.Message || a.LineRef != "200" || a.Person.Phone != "5491100000001" || a.Content.Text != "hola" {
			t.Errorf("%s: %+v", name, a)
		}
		if strings.Contains(name, "person") && a.Person.Name != "Ana" {
			t.Errorf("%s: nobody's name in %+v", name, a.Person)
		}
	}
	a := decode(t, `{"statuses":{"id":"wamid.S","status":"read","recipient_id":"5491100000001"},"metadata":{"phone_number_id":"200"}}`)[0]
	if a.Kind != inbound.Status || a.Person.Phone != "5491100000001" {
		t.Errorf("a status: %+v", a)
	}
}

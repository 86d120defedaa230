package n8n_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/decode"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/n8n"
)

// read takes the way of every body, so that no other shape takes what is flat.
func read(o n8n.Decoder, body string) ([]inbound.Arrival, error) {
	return decode.Decoder{Flat: o}.Decode([]byte(body))
}

func first(t *testing.T, body string) inbound.Arrival {
	t.Helper()
	arrivals, err := read(n8n.Decoder{}, body)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return arrivals[0]
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
			got := first(t, test.body)
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
		return first(t, `{"from":"549110","message":"1","timestamp":"`+at+`"}`).ID
	}
	if a, b := with("1795000001"), with("1795000002"); a == "" || a == b {
		t.Errorf("ids of two times: %q and %q", a, b)
	}
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
		arrivals, err := read(here, body)
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
		a := first(t, `{`+body+`,"mensaje":"hola"}`)
		if got := a.Person.Phone + " " + a.Quarantine; got != want || (a.Content.Group != "") != (a.Quarantine != "") {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
	for _, body := range []string{`{"remoteJid":"5.49116E+12@s.whatsapp.net","mensaje":"hola"}`, `{"telefono":"5,49116E+12","mensaje":"hola"}`, `{"remoteJid":"Support@s.whatsapp.net","mensaje":"hola"}`} {
		if got, err := read(n8n.Decoder{}, body); err == nil {
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
		a := first(t, `{"telefono":"5491155550001","messageId":"M1",`+body+`}`)
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
		arrivals, err := read(n8n.Decoder{Zone: zone}, `{"from":"5491155550001","message":"1","timestamp":"`+at+`"}`)
		if err != nil {
			t.Fatal(err)
		}
		if got := arrivals[0].SentAt.UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s is %s, want %s", at, got, want)
		}
	}
}

package decode_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/decode"
	"github.com/psivisionhub/psi-router/internal/inbound"
)

func read(t testing.TB, body string) []inbound.Arrival {
	t.Helper()
	arrivals, err := decode.Decoder{}.Decode([]byte(body))
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
			got := read(t, test.body)
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
		if got, err := new(decode.Decoder).Decode([]byte(body)); err == nil {
			t.Errorf("%s: got %+v", body, got)
		}
	}
	got := read(t, `[{"json":{"a":1}},`+flat+`,7]`)
	if len(got) != 3 || got[0].Quarantine != "unknown_shape" || got[1].Quarantine != "" || got[2].Kind != inbound.Unknown {
		t.Errorf("unknown parts beside known ones: got %+v", got)
	}
}

func TestFixture(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/n8n_whatsapp_trigger_items.json")
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, string(body))
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
		arrivals, err := decode.Decoder{}.Decode(body)
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

// TestSplitOutNode: n8n's Split Out node leaves one object in place of a list.
func TestSplitOutNode(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"message":         `{"messages":` + message + `,"metadata":{"phone_number_id":"200"}}`,
		"message, person": `{"messaging_product":"whatsapp","messages":` + message + `,"contacts":{"wa_id":"5491100000001","profile":{"name":"Ana"}},"metadata":{"phone_number_id":"200"}}`,
		"in items":        `[{"json":{"messages":` + message + `,"metadata":{"phone_number_id":"200"}}}]`,
	} {
		a := read(t, body)[0]
		if a.Kind != inbound.Message || a.LineRef != "200" || a.Person.Phone != "5491100000001" || a.Content.Text != "hola" {
			t.Errorf("%s: %+v", name, a)
		}
		if strings.Contains(name, "person") && a.Person.Name != "Ana" {
			t.Errorf("%s: nobody's name in %+v", name, a.Person)
		}
	}
	a := read(t, `{"statuses":{"id":"wamid.S","status":"read","recipient_id":"5491100000001"},"metadata":{"phone_number_id":"200"}}`)[0]
	if a.Kind != inbound.Status || a.Person.Phone != "5491100000001" {
		t.Errorf("a status: %+v", a)
	}
}

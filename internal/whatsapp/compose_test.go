package whatsapp

import (
	"encoding/json"
	"testing"

	"github.com/psivisionhub/psi-router/internal/limits"
	"github.com/psivisionhub/psi-router/internal/outbound"
)

// FuzzComposeValid: a message within the limits composes to valid JSON.
func FuzzComposeValid(f *testing.F) {
	for kind, object := range map[string]string{
		"text":        `{"body":"hola"}`,
		"image":       `{"link":"https://example.com/a.jpg","caption":"a"}`,
		"interactive": `{"type":"list","body":{"text":"a"},"action":{"button":"Ver","sections":[{"rows":[{"id":"1","title":"x"}]}]}}`,
		"template":    `{"name":"turno","language":{"code":"es_AR"},"components":[{"type":"button","sub_type":"url","index":"0"}]}`,
		"reaction":    `{"message_id":"x","emoji":"👍"}`,
		"hologram":    `{"beams":7}`,
	} {
		f.Add(kind, object)
	}
	f.Fuzz(func(t *testing.T, kind, object string) {
		if kind == "" || object == "null" || !json.Valid([]byte(object)) || len(limits.Check(kind, json.RawMessage(object))) > 0 {
			t.Skip()
		}
		name, err := json.Marshal(kind)
		if err != nil {
			t.Fatal(err)
		}
		body := json.RawMessage(`{"type":` + string(name) + `,` + string(name) + `:` + object + `}`)
		got, err := compose(outbound.Post{ID: "1", To: outbound.Address{Phone: "5491100000001"}, Body: outbound.Body{Cloud: body}})
		if err == nil && !json.Valid(got) {
			t.Errorf("no JSON: %s", got)
		}
	})
}

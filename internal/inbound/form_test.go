package inbound_test

import (
	"strconv"
	"testing"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

func TestFormText(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ shown, answers, want string }{
		"answers":         {"Sent", `{"flow_token":"x","nombre":"Ana","edad":9,"turnos":["mañana","tarde"],"acepta":true}`, "Sent\nnombre: Ana\nedad: 9\nturnos: mañana, tarde\nacepta: true"},
		"a file":          {"", `{"foto":[{"id":1,"mime_type":"image/jpeg"}]}`, `foto: {"id":1,"mime_type":"image/jpeg"}`},
		"nothing said":    {"Sent", `{"flow_token":"x"}`, "Sent"},
		"empty and null":  {"Sent", `{"nombre":"","otro":null}`, "Sent\nnombre: "},
		"a list":          {"Sent", `["a"]`, "Sent\n[\"a\"]"},
		"an empty list":   {"Sent", `[]`, "Sent"},
		"no JSON":         {"Sent", `nombre=Ana`, "Sent\nnombre=Ana"},
		"nothing at all":  {"", ``, ""},
		"two of one name": {"", `{"a":"1","a":"2"}`, "a: 1\na: 2"},
	} {
		quoted, _ := rawjson.Parse([]byte(strconv.Quote(tc.answers)))
		if got := inbound.FormText(tc.shown, quoted); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	whole, _ := rawjson.Parse([]byte(`{"nombre":"Ana"}`))
	if got := inbound.FormText("Sent", whole); got != "Sent\nnombre: Ana" {
		t.Errorf("an object instead of a string: got %q", got)
	}
	if got := inbound.FormText("Sent", nil); got != "Sent" {
		t.Errorf("nothing: got %q", got)
	}
}

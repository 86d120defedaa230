package limits_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/limits"
)

// sound has one valid message of each kind.
var sound = map[string]string{
	"text":        `{"body":"hola"}`,
	"image":       `{"link":"https://example.com/a.jpg","caption":"a"}`,
	"video":       `{"link":"https://example.com/a.mp4"}`,
	"audio":       `{"link":"https://example.com/a.ogg"}`,
	"document":    `{"link":"https://example.com/a.pdf","caption":"a"}`,
	"location":    `{"latitude":-34.6,"longitude":"-58.38"}`,
	"contacts":    `[{"name":{"formatted_name":"Ana"}}]`,
	"reaction":    `{"message_id":"x","emoji":""}`,
	"button":      `{"type":"button","header":{"type":"text","text":"a"},"body":{"text":"a"},"footer":{"text":"a"},"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"Sí"}},{"type":"reply","reply":{"id":"2","title":"No"}}]}}`,
	"list":        `{"type":"list","body":{"text":"a"},"action":{"button":"Ver","sections":[{"title":"A","rows":[{"id":"1","title":"x","description":"y"}]},{"title":"B","rows":[{"id":"2","title":"x"}]}]}}`,
	"cta_url":     `{"type":"cta_url","header":{"type":"image","image":{"link":"https://example.com/a.jpg"}},"body":{"text":"a"},"action":{"name":"cta_url","parameters":{"display_text":"Ver","url":"https://example.com"}}}`,
	"flow":        `{"type":"flow","body":{"text":"a"},"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"Abrir","flow_action":"navigate","mode":"draft"}}}`,
	"place":       `{"type":"location_request_message","body":{"text":"a"},"action":{"name":"send_location"}}`,
	"phone":       `{"type":"request_contact_info","body":{"text":"a"},"action":{"name":"request_contact_info"}}`,
	"product":     `{"type":"product","body":{"text":"a"},"footer":{"text":"a"},"action":{"catalog_id":"1","product_retailer_id":"x"}}`,
	"products":    `{"type":"product_list","header":{"type":"text","text":"a"},"body":{"text":"a"},"footer":{"text":"a"},"action":{"catalog_id":"1","sections":[{"title":"A","product_items":[{"product_retailer_id":"x"}]},{"title":"B","product_items":[{"product_retailer_id":"y"}]}]}}`,
	"catalog":     `{"type":"catalog_message","body":{"text":"a"},"footer":{"text":"a"},"action":{"name":"catalog_message","parameters":{"thumbnail_product_retailer_id":"x"}}}`,
	"carousel":    `{"type":"carousel","body":{"text":"a"},"action":{"cards":[{"card_index":0,"type":"cta_url","header":{"type":"image","image":{"link":"https://example.com/a.jpg"}},"body":{"text":"a"},"action":{"name":"cta_url","parameters":{"display_text":"Ver","url":"https://example.com"}}},{"card_index":1,"type":"cta_url","header":{"type":"image","image":{"id":"1"}},"action":{"buttons":[{"type":"quick_reply","quick_reply":{"id":"1","title":"Sí"}}]}}]}}`,
	"shelf":       `{"type":"carousel","body":{"text":"a"},"action":{"cards":[{"card_index":0,"type":"product","action":{"product_retailer_id":"x","catalog_id":"1"}},{"card_index":1,"type":"product","action":{"product_retailer_id":"y","catalog_id":"1"}}]}}`,
	"may we call": `{"type":"call_permission_request","body":{"text":"a"},"action":{"name":"call_permission_request"}}`,
	"call us":     `{"type":"voice_call","body":{"text":"a"},"action":{"name":"voice_call","parameters":{"display_text":"Llamar","ttl_minutes":100}}}`,
	"bare call":   `{"type":"voice_call","body":{"text":"a"},"action":{"name":"voice_call"}}`,
	"cards":       `{"name":"turno","language":{"code":"es_AR"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ana"}]},{"type":"carousel","cards":[{"card_index":0,"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]},{"type":"body","parameters":[{"type":"text","text":"a"}]},{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"payload","payload":"x"}]}]},{"card_index":1,"components":[{"type":"body","parameters":[{"type":"text","text":"a"}]}]}]}]}`,
	"bare":        `{"name":"turno","language":{"code":"es_AR"}}`,
	"future":      `{"type":"hologram","action":{"beams":7}}`,
	"template":    `{"name":"turno","language":{"code":"es_AR"},"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]},{"type":"BODY","parameters":[{"type":"text","text":"Ana"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"x"}]},{"type":"button","sub_type":"url","index":9},{"type":"order_status"}]}`,
	"only a body": `{"name":"turno","language":{"code":"es_AR"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ana"}]}]}`,
}

// typeOf returns the message type of a kind.
func typeOf(kind string) string {
	switch kind {
	case "button", "list", "cta_url", "flow", "place", "phone", "future", "product", "products", "catalog",
		"carousel", "shelf", "may we call", "call us", "bare call":
		return "interactive"
	case "only a body", "cards", "bare":
		return "template"
	}
	return kind
}

// set returns a sound message with one value changed; nil removes it.
func set(t *testing.T, kind, path string, value any) json.RawMessage {
	t.Helper()
	var root any
	if err := json.Unmarshal([]byte(sound[kind]), &root); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	at, steps := root, strings.Split(path, ".")
	for i, step := range steps {
		last := i == len(steps)-1
		switch holder := at.(type) {
		case map[string]any:
			if at = holder[step]; last && value == nil {
				delete(holder, step)
			} else if last {
				holder[step] = value
			}
		case []any:
			var n int
			if _, err := fmt.Sscan(step, &n); err != nil {
				t.Fatal(err)
			}
			if at = holder[n]; last {
				holder[n] = value
			}
		default:
			t.Fatalf("%s has no %s", kind, path)
		}
	}
	out, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestValidMessages(t *testing.T) {
	t.Parallel()
	for kind, object := range sound {
		if flaws := limits.Check(typeOf(kind), json.RawMessage(object)); len(flaws) > 0 {
			t.Errorf("%s: %v", kind, flaws)
		}
	}
}

// TestTextLimits: each text passes at its limit and is refused, at its place,
// with one more character; a required text is also refused when missing.
func TestTextLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, path, place string
		most              int
		required          bool
	}{
		{"text", "body", "text.body", 4096, true},
		{"image", "caption", "image.caption", 1024, false},
		{"video", "caption", "video.caption", 1024, false},
		{"document", "caption", "document.caption", 1024, false},
		{"contacts", "0.name.formatted_name", "contacts[0].name.formatted_name", 4096, true},
		{"button", "body.text", "interactive.body.text", 1024, true},
		{"button", "header.text", "interactive.header.text", 60, true},
		{"button", "footer.text", "interactive.footer.text", 60, true},
		{"button", "action.buttons.1.reply.id", "interactive.action.buttons[1].reply.id", 256, true},
		{"button", "action.buttons.1.reply.title", "interactive.action.buttons[1].reply.title", 20, true},
		{"list", "body.text", "interactive.body.text", 1024, true},
		{"list", "action.button", "interactive.action.button", 20, true},
		{"list", "action.sections.1.title", "interactive.action.sections[1].title", 24, true},
		{"list", "action.sections.1.rows.0.id", "interactive.action.sections[1].rows[0].id", 200, true},
		{"list", "action.sections.1.rows.0.title", "interactive.action.sections[1].rows[0].title", 24, true},
		{"list", "action.sections.0.rows.0.description", "interactive.action.sections[0].rows[0].description", 72, false},
		{"cta_url", "body.text", "interactive.body.text", 1024, true},
		{"cta_url", "action.parameters.display_text", "interactive.action.parameters.display_text", 20, true},
		{"flow", "body.text", "interactive.body.text", 1024, true},
		{"flow", "action.parameters.flow_cta", "interactive.action.parameters.flow_cta", 30, true},
		{"place", "body.text", "interactive.body.text", 1024, true},
		{"phone", "body.text", "interactive.body.text", 1024, true},
		{"product", "body.text", "interactive.body.text", 1024, true},
		{"products", "header.text", "interactive.header.text", 60, true},
		{"products", "body.text", "interactive.body.text", 1024, true},
		{"products", "footer.text", "interactive.footer.text", 60, true},
		{"products", "action.sections.1.title", "interactive.action.sections[1].title", 24, true},
		{"catalog", "body.text", "interactive.body.text", 1024, true},
		{"carousel", "body.text", "interactive.body.text", 1024, true},
		{"carousel", "action.cards.0.body.text", "interactive.action.cards[0].body.text", 160, true},
		{"carousel", "action.cards.0.action.parameters.display_text", "interactive.action.cards[0].action.parameters.display_text", 20, true},
		{"carousel", "action.cards.1.action.buttons.0.quick_reply.title", "interactive.action.cards[1].action.buttons[0].quick_reply.title", 20, true},
		{"call us", "body.text", "interactive.body.text", 1024, true},
		{"may we call", "body.text", "interactive.body.text", 1024, true},
		{"cards", "components.1.cards.1.components.0.parameters.0.text", "template.components[1].cards[1].components[0].parameters[0].text", 160, true},
		{"template", "name", "template.name", 512, true},
		{"template", "language.code", "template.language.code", 20, true},
		{"template", "components.1.parameters.0.text", "template.components[1].parameters[0].text", 1024, true},
		{"only a body", "components.0.parameters.0.text", "template.components[0].parameters[0].text", 32768, true},
		{"reaction", "message_id", "reaction.message_id", 4096, true},
	} {
		check := func(value any) []limits.Flaw {
			return limits.Check(typeOf(c.kind), set(t, c.kind, c.path, value))
		}
		for _, letter := range []string{"a", "á", "😀"} {
			fits := strings.Repeat(letter, c.most/limits.Units(letter))
			if flaws := check(fits); len(flaws) > 0 {
				t.Errorf("%s of %d: %v", c.place, c.most, flaws)
			}
			long := fits + letter
			got := fmt.Sprintf("%d characters", limits.Units(long))
			if flaws := check(long); len(flaws) != 1 || flaws[0].Place != c.place || flaws[0].Got != got || !strings.Contains(flaws[0].Want, fmt.Sprint(c.most)) {
				t.Errorf("%s of %s: %v", c.place, got, flaws)
			}
		}
		for _, empty := range []any{nil, " \n"} {
			flaws := check(empty)
			if lacks := len(flaws) == 1 && flaws[0].Place == c.place; lacks != c.required {
				t.Errorf("%s of %q: %v", c.place, empty, flaws)
			}
		}
	}
}

func rows(from, n int) (all []any) {
	for i := range n {
		all = append(all, map[string]any{"id": fmt.Sprint(from + i), "title": "x"})
	}
	return all
}

func buttons(ids ...string) (all []any) {
	for _, id := range ids {
		all = append(all, map[string]any{"type": "reply", "reply": map[string]any{"id": id, "title": "t" + id}})
	}
	return all
}

func products(n int) (all []any) {
	for i := range n {
		all = append(all, map[string]any{"product_retailer_id": fmt.Sprint(i)})
	}
	return all
}

func cards(n int) (all []any) {
	for i := range n {
		all = append(all, map[string]any{"card_index": i, "components": []any{}})
	}
	return all
}

func shelves(n int) (all []any) {
	for range n {
		all = append(all, map[string]any{"title": "s", "product_items": products(1)})
	}
	return all
}

func sections(n int) (all []any) {
	for i := range n {
		all = append(all, map[string]any{"title": "s", "rows": rows(i, 1)})
	}
	return all
}

func TestFlaws(t *testing.T) {
	t.Parallel()
	many := make([]any, 258)
	for i := range many {
		many[i] = map[string]any{"name": map[string]any{"formatted_name": "Ana"}}
	}
	for _, c := range []struct {
		kind, path string
		value      any
		want       string // place and what is there; "" where it fits
	}{
		{"button", "action.buttons", buttons("1", "2", "3"), ""},
		{"button", "action.buttons", buttons("1", "2", "3", "4"), "interactive.action.buttons: 4"},
		{"button", "action.buttons", []any{}, "interactive.action.buttons: 0"},
		{"button", "action.buttons", nil, "interactive.action.buttons: missing"},
		{"button", "action.buttons", "x", "interactive.action.buttons: no list"},
		{"button", "action.buttons.1.type", "url", "interactive.action.buttons[1].type: another word"},
		{"button", "action.buttons.1.reply.id", "1", "interactive.action.buttons[1].reply.id: the same as interactive.action.buttons[0].reply.id"},
		{"button", "action.buttons.1.reply.id", " 2", "interactive.action.buttons[1].reply.id: spaces around it"},
		{"button", "action.buttons.1.reply.id", 2, "interactive.action.buttons[1].reply.id: no text"},
		{"button", "action.buttons.1.reply.title", "Sí", "interactive.action.buttons[1].reply.title: the same as interactive.action.buttons[0].reply.title"},
		{"button", "action", 7, "interactive.action.buttons: missing"},
		{"button", "header.type", "sticker", "interactive.header.type: another word"},
		{"cta_url", "header.image", map[string]any{}, "interactive.header.image: 0 of id, link"},
		{"list", "header", map[string]any{"type": "image"}, "interactive.header.type: another word"},
		{"list", "action.sections.1.rows", rows(2, 9), ""},
		{"list", "action.sections.1.rows", rows(2, 10), "interactive.action.sections[1].rows[9]: 11 over all"},
		{"list", "action.sections.1.rows", rows(1, 1), "interactive.action.sections[1].rows[0].id: the same as interactive.action.sections[0].rows[0].id"},
		{"list", "action.sections.1.rows", []any{}, "interactive.action.sections[1].rows: 0"},
		{"list", "action.sections", sections(10), ""},
		{"list", "action.sections", []any{map[string]any{"rows": rows(0, 2)}}, ""},
		{"list", "action.sections", []any{}, "interactive.action.sections: 0"},
		{"cta_url", "action.parameters.url", "ftp://x", "interactive.action.parameters.url: no link"},
		{"cta_url", "action.name", "flow", "interactive.action.name: another word"},
		{"flow", "action.parameters.flow_name", "alta", "interactive.action.parameters: 2 of flow_id, flow_name"},
		{"flow", "action.parameters.flow_id", nil, "interactive.action.parameters: 0 of flow_id, flow_name"},
		{"flow", "action.parameters.flow_message_version", "2", "interactive.action.parameters.flow_message_version: another word"},
		{"flow", "action.parameters.flow_action", "jump", "interactive.action.parameters.flow_action: another word"},
		{"cta_url", "action.parameters.url", "HTTPS://example.com", ""},
		{"cta_url", "action.parameters.url", "https://example.com:8443/a?b#c", ""},
		{"cta_url", "action.parameters.url", "https://", "interactive.action.parameters.url: no link"},
		{"cta_url", "action.parameters.url", "https:///a", "interactive.action.parameters.url: no link"},
		{"cta_url", "action.parameters.url", "https://:80", "interactive.action.parameters.url: no link"},
		{"cta_url", "action.parameters.url", "example.com", "interactive.action.parameters.url: no link"},
		{"place", "header", map[string]any{"type": "text", "text": strings.Repeat("a", 61)}, "interactive.header.text: 61 characters"},
		{"future", "header", map[string]any{"type": "text", "text": strings.Repeat("a", 61)}, "interactive.header.text: 61 characters"},
		{"catalog", "header", map[string]any{"type": "text", "text": strings.Repeat("a", 61)}, "interactive.header.text: 61 characters"},
		{"catalog", "action.name", nil, "interactive.action.name: missing"},
		{"product", "header", map[string]any{"type": "text", "text": "a"}, "interactive.header: there"},
		{"product", "body", nil, ""},
		{"product", "action.product_retailer_id", nil, "interactive.action.product_retailer_id: missing"},
		{"products", "header", nil, "interactive.header.type: missing"},
		{"products", "header", map[string]any{"type": "image"}, "interactive.header.type: another word"},
		{"products", "action.catalog_id", nil, "interactive.action.catalog_id: missing"},
		{"products", "action.sections", shelves(10), ""},
		{"products", "action.sections", shelves(11), "interactive.action.sections: 11"},
		{"products", "action.sections", []any{}, "interactive.action.sections: 0"},
		{"products", "action.sections.1.product_items", products(29), ""},
		{"products", "action.sections.1.product_items", products(30), "interactive.action.sections[1].product_items[29]: 31 over all"},
		{"products", "action.sections.1.product_items", []any{}, "interactive.action.sections[1].product_items: 0"},
		{"carousel", "header", map[string]any{"type": "text", "text": "a"}, "interactive.header: there"},
		{"carousel", "footer", map[string]any{"text": "a"}, "interactive.footer: there"},
		{"carousel", "body", nil, "interactive.body.text: missing"},
		{"carousel", "action.cards", nil, "interactive.action.cards: missing"},
		{"carousel", "action.cards", []any{}, "interactive.action.cards: 0"},
		{"carousel", "action.cards", cards(1), "interactive.action.cards: 1"},
		{"carousel", "action.cards", cards(10), ""},
		{"carousel", "action.cards", cards(11), "interactive.action.cards: 11"},
		{"carousel", "action.cards.0.header.type", "text", "interactive.action.cards[0].header.type: another word"},
		{"carousel", "action.cards.0.action.parameters.url", "x", "interactive.action.cards[0].action.parameters.url: no link"},
		{"may we call", "action.name", nil, "interactive.action.name: missing"},
		{"may we call", "body", nil, ""},
		{"call us", "action.name", "call", "interactive.action.name: another word"},
		{"call us", "action.parameters.display_text", strings.Repeat("a", 21), "interactive.action.parameters.display_text: 21 characters"},
		{"call us", "body", nil, "interactive.body.text: missing"},
		{"bare", "components", map[string]any{"type": "body"}, "template.components: no list"},
		{"bare", "components", []any{}, ""},
		{"cards", "components.1.cards", []any{}, "template.components[1].cards: 0"},
		{"cards", "components.1.cards", nil, "template.components[1].cards: missing"},
		{"cards", "components.1.cards", cards(10), ""},
		{"cards", "components.1.cards", cards(11), "template.components[1].cards: 11"},
		{"cards", "components.1.cards.0.components.2.index", "1.5", "template.components[1].cards[0].components[2].index: 1.5"},
		{"template", "components.2.index", "1.5", "template.components[2].index: 1.5"},
		{"template", "components.2.index", 1.5, "template.components[2].index: 1.5"},
		{"future", "body", map[string]any{"text": strings.Repeat("a", 1025)}, "interactive.body.text: 1025 characters"},
		{"future", "type", nil, "interactive.type: missing"},
		{"template", "components.2.index", "10", "template.components[2].index: 10"},
		{"template", "components.2.index", nil, "template.components[2].index: missing"},
		{"template", "components.2.index", "x", "template.components[2].index: no number"},
		{"template", "components.2.index", "9", "template.components[3]: the same as template.components[2]"},
		{"template", "components.2.sub_type", nil, "template.components[2].sub_type: missing"},
		{"template", "components.4.type", "body", "template.components[4]: the same as template.components[1]"},
		{"template", "components.4.type", nil, "template.components[4].type: missing"},
		{"template", "components.0.parameters", []any{map[string]any{"type": "text", "text": strings.Repeat("a", 61)}}, "template.components[0].parameters[0].text: 61 characters"},
		{"template", "components.0.parameters", []any{map[string]any{"type": "text", "text": "a"}, map[string]any{"type": "text", "text": "b"}}, "template.components[0].parameters[1]: 2 over all"},
		{"location", "latitude", 90.0, ""},
		{"location", "latitude", 90.5, "location.latitude: 90.5"},
		{"location", "latitude", "NaN", "location.latitude: no number"},
		{"location", "longitude", -180.0, ""},
		{"location", "longitude", "-181", "location.longitude: -181"},
		{"location", "longitude", nil, "location.longitude: missing"},
	} {
		got := ""
		for _, f := range limits.Check(typeOf(c.kind), set(t, c.kind, c.path, c.value)) {
			got += f.Place + ": " + f.Got
		}
		if diff := cmp.Diff(got, c.want); diff != "" {
			t.Errorf("%s %s (-got +want):\n%s", c.kind, c.path, diff)
		}
	}
	all, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ kind, object string }{
		{"contacts", string(all)}, {"contacts", `[]`}, {"text", `nope`}, {"text", `null`}, {"text", `[]`}, {"interactive", `7`},
	} {
		if flaws := limits.Check(c.kind, json.RawMessage(c.object)); len(flaws) != 1 {
			t.Errorf("%s %.20s: %v", c.kind, c.object, flaws)
		}
	}
}

// FuzzCheck: no body breaks the check, and every flaw names its place and problem.
func FuzzCheck(f *testing.F) {
	for kind, object := range sound {
		f.Add(typeOf(kind), object)
	}
	f.Fuzz(func(t *testing.T, kind, object string) {
		for _, flaw := range limits.Check(kind, json.RawMessage(object)) {
			if flaw.Got == "" || flaw.Want == "" || !strings.HasPrefix(flaw.Place, kind) {
				t.Errorf("%+v", flaw)
			}
		}
	})
}

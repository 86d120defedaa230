// Package n8n reads what workflows forward: the shapes of the providers in the
// wrappings that n8n adds (arrays, {json}, {headers, body}), and the flat
// objects that hand-made nodes build. It is the one decoder of everything that
// the door takes. It must never guess a line or invent a sender.
package n8n

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// Provider is what Arrivals of flat objects call it.
const Provider = "n8n"

// Shapes of this package, as Arrival.Shape names them. What came in a wrapping
// has it in front: "items+value", "hook+flat".
const (
	ShapeSimple = "simple" // {from, message} or {from, text}
	ShapeFlat   = "flat"   // Spanish and English aliases
	ShapeIngest = "ingest" // {telefono, contenido, whatsapp_message_id, multimedia}

	shapeUnknown = "unknown"
	wrapItems    = "items+"
	wrapJSON     = "json+"
	wrapHook     = "hook+"
	wrapText     = "text+"
)

// maxWraps is how many wrappings may lie around each other.
const maxWraps = 4

// Decoder decodes every shape. The zero Decoder is ready.
type Decoder struct{}

// Decode implements the door's decoder.
func (Decoder) Decode(body []byte) (arrivals []inbound.Arrival, known bool) { return Decode(body) }

// Decode reads a body of any shape that we know. known is false when no part of
// it is one (or it is no JSON); beside known parts, unknown ones are kept.
func Decode(body []byte) (arrivals []inbound.Arrival, known bool) {
	v, ok := rawjson.Parse(body)
	if !ok {
		return nil, false
	}
	var d decoder
	d.read(v, "", maxWraps)
	if !d.known {
		return nil, false
	}
	return d.out, true
}

type decoder struct {
	out   []inbound.Arrival
	known bool
}

func (d *decoder) read(v rawjson.Value, wrap string, left int) {
	if inner, name := unwrap(v); inner != nil && left > 0 {
		d.read(inner, wrap+name, left-1)
		return
	}
	if v.IsArray() && left > 0 && v.Len() > 0 {
		for item := range v.Items() {
			d.read(item, wrap+wrapItems, left-1)
		}
		return
	}
	before := len(d.out)
	if d.one(v) {
		d.known = true
	} else {
		d.out = append(d.out, inbound.Arrival{
			Kind:       inbound.Unknown,
			ID:         contentID(v),
			Provider:   Provider,
			Shape:      shapeUnknown,
			Quarantine: "unknown_shape",
			Raw:        json.RawMessage(v),
		})
	}
	for i := range d.out[before:] {
		d.out[before+i].Shape = wrap + d.out[before+i].Shape
	}
}

// one reads a value without wrappings.
func (d *decoder) one(v rawjson.Value) (known bool) {
	if evolution.Detect(v) {
		d.out, known = evolution.Append(d.out, v)
		return known
	}
	if d.out, known = whatsapp.Append(d.out, v); known {
		return true
	}
	a, known := readFlat(v)
	if known {
		d.out = append(d.out, a)
	}
	return known
}

// unwrap takes one wrapping off: {json: …} of an item, {headers, body: …} of a
// Webhook node, and JSON that was sent as text.
func unwrap(v rawjson.Value) (inner rawjson.Value, name string) {
	if v.IsString() {
		if text, ok := rawjson.Parse([]byte(v.Text())); ok && (text.IsObject() || text.IsArray()) {
			return text, wrapText
		}
		return nil, ""
	}
	var item, body rawjson.Value
	hook, others := false, false
	for key, member := range v.Members() {
		switch key {
		case "json":
			item = member
		case "body":
			body = member
		case "headers", "params", "query", "webhookUrl", "executionMode":
			hook = true
		case "binary", "pairedItem":
		default:
			others = true
		}
	}
	switch {
	case item.IsObject() && !others && body == nil:
		return item, wrapJSON
	case body.IsObject() || body.IsArray(), body.IsString() && hook:
		if hook || !others {
			return body, wrapHook
		}
	}
	return nil, ""
}

func contentID(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:16])
}

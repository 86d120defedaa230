// Package n8n reads what workflows forward: the shapes of the providers in the
// wrappings that n8n adds (arrays, {json}, {headers, body}), and the flat
// objects that hand-made nodes build. It is the one decoder of everything that
// the door takes. It must never guess a line or invent a sender.
package n8n

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

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
type Decoder struct {
	// Zone is that of times in flat objects which name none; nil is UTC.
	Zone *time.Location
	// Country (ISO 3166 alpha-2) is that of phones in flat objects which have no
	// country code; "" is none.
	Country string
}

// Decode is that of the zero Decoder.
func Decode(body []byte) ([]inbound.Arrival, error) { return Decoder{}.Decode(body) }

// Decode reads a body of any shape that we know. An error says why no part of it
// is one: no JSON, another shape, or beyond the bounds. Beside known parts,
// unknown ones are kept.
func (o Decoder) Decode(body []byte) ([]inbound.Arrival, error) {
	v, err := rawjson.ParseWithin(body, inbound.MaxDepth)
	if err != nil {
		return nil, err
	}
	o.Zone = cmp.Or(o.Zone, time.UTC)
	d := decoder{Decoder: o}
	d.read(v, "", maxWraps)
	arrivals, err := d.batch.Arrivals()
	if err == nil && !d.known {
		return nil, inbound.ErrShape
	}
	return arrivals, err
}

type decoder struct {
	Decoder
	batch inbound.Batch
	known bool
}

func (d *decoder) read(v rawjson.Value, wrap string, left int) {
	if inner, name := unwrap(v); inner != nil && left > 0 {
		d.read(inner, wrap+name, left-1)
		return
	}
	if v.IsArray() && left > 0 && v.Len() > 0 {
		for item := range inbound.Within(&d.batch, v.Items()) {
			d.read(item, wrap+wrapItems, left-1)
		}
		return
	}
	before := d.batch.Len()
	if d.decodeOne(v) {
		d.known = true
	} else {
		d.batch.Add(inbound.Arrival{
			Kind:       inbound.Unknown,
			ID:         contentID(v),
			Provider:   Provider,
			Shape:      shapeUnknown,
			Quarantine: "unknown_shape",
			Raw:        json.RawMessage(v),
		})
	}
	fresh := d.batch.From(before)
	for i := range fresh {
		fresh[i].Shape = wrap + fresh[i].Shape
	}
}

// decodeOne reads a value without wrappings.
func (d *decoder) decodeOne(v rawjson.Value) (known bool) {
	if evolution.Add(&d.batch, v) || whatsapp.Add(&d.batch, v) {
		return true
	}
	a, known := d.readFlat(v)
	if known {
		d.batch.Add(a)
	}
	return known
}

// unwrap takes one wrapping off: {json: …} of an item, {headers, body: …} of a
// Webhook node, and JSON that was sent as text.
func unwrap(v rawjson.Value) (inner rawjson.Value, name string) {
	if v.IsString() {
		if text, err := rawjson.ParseWithin([]byte(v.Text()), inbound.MaxDepth); err == nil && (text.IsObject() || text.IsArray()) {
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

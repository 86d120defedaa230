// Package decode reads every body that ingest takes: it removes the wrappings that n8n adds
// (arrays, {json}, {headers, body}, JSON in a string), detects the provider, and has that
// provider's package read the rest. It must never read a message itself, guess a line, or
// drop a part that has no known shape.
package decode

import (
	"encoding/json"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/n8n"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// Parts of Arrival.Shape. A wrapping becomes a prefix: "items+value", "hook+flat".
const (
	shapeUnknown = "unknown"
	wrapItems    = "items+"
	wrapJSON     = "json+"
	wrapHook     = "hook+"
	wrapText     = "text+"
)

// maxWraps limits the depth of wrappings.
const maxWraps = 4

// Decoder decodes every shape. The zero Decoder is ready.
type Decoder struct {
	Flat n8n.Decoder
}

// Decode reads a body of any known shape. It fails if the body is not JSON, if no part of
// it has a known shape, or if it exceeds the bounds of a Batch. Unknown parts beside known
// ones are kept.
func (o Decoder) Decode(body []byte) ([]inbound.Arrival, error) {
	v, err := rawjson.ParseWithin(body, inbound.MaxDepth)
	if err != nil {
		return nil, err
	}
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
			ID:         inbound.ContentID(v),
			Provider:   n8n.Provider,
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
	return evolution.Add(&d.batch, v) || whatsapp.Add(&d.batch, v) || d.Flat.Add(&d.batch, v)
}

// unwrap removes one wrapping: {json: …} of an item, {headers, body: …} of a Webhook node,
// or JSON in a string.
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

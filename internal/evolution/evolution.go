// Package evolution speaks Evolution API (unofficial WhatsApp over Baileys): it decodes
// webhook events into inbound.Arrivals, and has a client that sends and fetches media. It
// must never take a hidden id (@lid) for a phone number, nor our own side's message for the
// contact's.
package evolution

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Provider is the Provider of Arrivals of this package.
const Provider = "evolution"

// Shape is the payload shape of an event, as Arrival.Shape names it.
const Shape = "evolution"

// Decode reads one event, or one message as an event holds it. It fails if the body is not
// JSON, has another shape, or exceeds the bounds of a Batch.
func Decode(body []byte) ([]inbound.Arrival, error) {
	v, err := rawjson.ParseWithin(body, inbound.MaxDepth)
	if err != nil {
		return nil, err
	}
	var b inbound.Batch
	Add(&b, v)
	return b.Arrivals()
}

// Detect reports whether a value is an event or a message of this package.
func Detect(v rawjson.Value) bool {
	if v.Get("event").IsString() && (v.Get("instance").Exists() || v.Get("data").Exists()) {
		return true
	}
	return v.Get("key").Get("remoteJid").IsString() || ofGo(v)
}

// Add decodes a parsed value into a Batch. known reports whether the value is an event or a
// message of this package.
func Add(b *inbound.Batch, v rawjson.Value) (known bool) {
	if !Detect(v) {
		return false
	}
	d := decoder{event: v, batch: b, name: "messages.upsert", data: v}
	if v.Get("event").IsString() {
		d.name, d.data = normalEvent(v.Get("event").Text()), v.Get("data")
	}
	d.instance = v.Get("instance").Text()
	if d.instance == "" { // an object in some versions
		d.instance = cmp.Or(v.Get("instance", "instanceName").Text(), v.Get("instance", "name").Text())
	}
	if d.instance == "" { // Evolution Go
		d.instance = v.Get("instanceName").Text()
	}
	d.ownNumber, _ = phoneOf(v.Get("sender").Text())
	d.instance, _ = inbound.Truncate(d.instance, inbound.MaxID) // a longer one matches no line
	d.read()
	return true
}

// normalEvent maps MESSAGES_UPSERT and messages-upsert to messages.upsert.
func normalEvent(name string) string {
	name = strings.ToLower(name)
	for _, event := range []string{
		"messages.upsert", "messages.edited", "messages.update", "messages.delete", "messages.set",
		"messaging-history.set", "send.message", "connection.update",
	} {
		if strings.NewReplacer("_", ".", "-", ".").Replace(name) == strings.ReplaceAll(event, "-", ".") {
			return event
		}
	}
	return name
}

type decoder struct {
	event     rawjson.Value
	name      string
	data      rawjson.Value
	instance  string
	ownNumber string // digits of the instance's own number
	batch     *inbound.Batch
}

func (d *decoder) read() {
	items := func(read func(rawjson.Value)) {
		if !d.data.IsArray() {
			read(d.data)
			return
		}
		n, empty := d.batch.Len(), false
		for item := range inbound.Within(d.batch, d.data.Items()) {
			if !item.Exists() {
				empty = true
				continue
			}
			read(item)
		}
		switch {
		case empty: // keeps the whole event, once
			d.broken(nil)
		case d.batch.Len() == n:
			d.keep(inbound.Account, d.event, "")
		}
	}
	switch d.name {
	case "messages.upsert", "send.message":
		items(d.message)
	case "messages.edited":
		items(d.edited)
	case "messages.delete":
		items(d.deleted)
	case "messages.update":
		items(d.update)
	case "messages.set", "messaging-history.set":
		d.keep(inbound.History, d.event, "")
	default:
		d.other()
	}
}

// keep adds an arrival that is stored and not handled. Its id is a hash of its content. An
// event has its own date_time, so a repeated delivery has the same id and a repeated event
// has not.
func (d *decoder) keep(kind inbound.Kind, raw rawjson.Value, quarantine string) *inbound.Arrival {
	return d.batch.Add(inbound.Arrival{
		Kind:       kind,
		ID:         inbound.ContentID(raw),
		LineRef:    d.instance,
		Provider:   Provider,
		Shape:      Shape,
		Quarantine: quarantine,
		Raw:        json.RawMessage(raw),
	})
}

func (d *decoder) broken(raw rawjson.Value) {
	if !raw.Exists() {
		raw = d.event
	}
	d.keep(inbound.Unknown, raw, "invalid")
}

func usable(id string) bool { return id != "" && len(id) <= inbound.MaxID }

package evolution

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// message reads one message, of messages.upsert, send.message or any other event.
func (d *decoder) message(m rawjson.Value) {
	if ofGo(m) {
		d.fromGo(m)
		return
	}
	key := keyOf(m.Get("key"))
	key.FromMe = key.FromMe || d.ours()
	d.said(m, key, m.Get("key", "id").Text(), m.Get("pushName").Text(), m.Get("messageTimestamp").Time())
}

// ours reports whether the event is about a message sent through the instance's API.
func (d *decoder) ours() bool { return squeeze(d.name) == "sendmessage" }

// said reads the content of a message and adds the arrival.
func (d *decoder) said(m rawjson.Value, key Key, id, name string, at time.Time) {
	a := inbound.Arrival{
		Kind: inbound.Message, ID: id, LineRef: d.instance, Provider: Provider, Shape: Shape, SentAt: at,
	}
	person, elsewhere := key.Who()
	if key.FromMe {
		a.Kind = inbound.Echo
	} else {
		person.Name = inbound.TruncateName(name)
	}
	content, raw := d.content(m, id)
	a.Raw = raw
	if content.Type == "edit" && content.TargetID == "" {
		aim(&content, id)
		a.ID = inbound.ContentID(raw) // id is the edited message's
	}
	d.add(a, person, elsewhere, content, m)
}

// add adds a message of a contact, or of ours to one. elsewhere names the group, channel or
// status that it was written in; such a message is kept and never answered.
func (d *decoder) add(a inbound.Arrival, person inbound.Person, elsewhere string, c inbound.Content, m rawjson.Value) {
	c.Group = elsewhere
	switch {
	case !m.IsObject() || !usable(a.ID) || person.IsZero() && elsewhere == "":
		d.broken(m)
		return
	case elsewhere != "":
		a.Quarantine = "group"
	case person.Phone != "" && person.Phone == d.ownNumber:
		a.Quarantine = "invalid" // a note to ourselves: nobody to answer
	}
	a.Person, a.Content = person, &c
	d.batch.Add(a)
}

// content reads the content of a message, and returns it with the message's JSON. A large
// inline file is cut out of the JSON, so that it is not stored twice.
func (d *decoder) content(m rawjson.Value, id string) (inbound.Content, json.RawMessage) {
	c := inbound.Content{QuotedID: get(m, "contextInfo", "stanzaId").Text()}
	if ad := m.Get("contextInfo", "externalAdReply"); ad.IsObject() {
		c.Referral = json.RawMessage(ad)
	}
	body := get(m, "message")
	fill(&c, body)
	raw := json.RawMessage(m)
	file := body.Get("base64")
	if !file.Exists() {
		file = m.Get("base64")
	}
	const big = 4 << 10
	if c.Media == nil && file.IsString() && len(file) > big {
		c.Media = &inbound.Media{} // a file of an unknown type
	}
	if c.Media == nil {
		return c, raw
	}
	c.Media.ID = cmp.Or(c.Media.ID, id)
	c.Media.MIME = cmp.Or(c.Media.MIME, body.Get("mimetype").Text()) // here if the file is in storage
	c.Media.URL = body.Get("mediaUrl").Text()
	c.Media.Inline = file.Text()
	if len(file) > big {
		start := bytes.Index(raw, file)
		raw = append(append(append(json.RawMessage{}, raw[:start]...), `""`...), raw[start+len(file):]...)
	}
	return c, raw
}

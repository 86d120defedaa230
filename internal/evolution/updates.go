package evolution

import (
	"cmp"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// edited reads messages.edited, which holds the bare protocol message.
func (d *decoder) edited(m rawjson.Value) {
	d.readTarget(m, func(c *inbound.Content) { readProtocol(c, m) })
}

// deleted reads messages.delete, which holds the key of the deleted message.
func (d *decoder) deleted(m rawjson.Value) {
	d.readTarget(m, func(c *inbound.Content) {
		c.Type = "revoke"
		c.TargetID = cmp.Or(m.Get("key", "id").Text(), m.Get("id").Text(), m.Get("keyId").Text())
	})
}

// readTarget adds an edit or a delete. They have no id of their own.
func (d *decoder) readTarget(m rawjson.Value, read func(*inbound.Content)) {
	key := m.Get("key")
	if !key.IsObject() {
		key = m
	}
	var c inbound.Content
	read(&c)
	person, group := keyOf(key).Who()
	if c.TargetID == "" || person.IsZero() && group == "" {
		d.broken(m)
		return
	}
	a := d.keep(inbound.Message, m, "")
	if key.Get("fromMe").Bool() {
		a.Kind = inbound.Echo
	}
	c.Group = group
	a.Person, a.Content = person, &c
	a.SentAt = m.Get("timestampMs").Time()
	if group != "" {
		a.Quarantine = "group"
	}
}

// statuses maps Baileys' statuses to the Cloud API's.
var statuses = map[string]string{
	"ERROR": "failed", "PENDING": "accepted", "SERVER_ACK": "sent", "DELIVERY_ACK": "delivered",
	"READ": "read", "PLAYED": "played",
	"0": "failed", "1": "accepted", "2": "sent", "3": "delivered", "4": "read", "5": "played",
}

// update reads one status of messages.update.
func (d *decoder) update(m rawjson.Value) {
	id := cmp.Or(m.Get("keyId").Text(), m.Get("key", "id").Text())
	if edited := m.Get("update", "message", "editedMessage"); edited.IsObject() { // an edit, as Baileys reports it
		d.readTarget(m, func(c *inbound.Content) {
			readProtocol(c, edited)
			aim(c, id)
		})
		return
	}
	word := cmp.Or(m.Get("status").Text(), m.Get("update", "status").Text())
	if !usable(id) || !usable(word) {
		d.broken(m)
		return
	}
	key := m.Get("key")
	if !key.IsObject() {
		key = m
	}
	person, group := keyOf(key).Who()
	status, ok := statuses[strings.ToUpper(word)]
	if !ok {
		status = strings.ToLower(word)
	}
	a := d.keep(inbound.Status, m, "")
	a.ID, a.Person = id, person
	a.Report = &inbound.Report{Status: status}
	if group != "" {
		a.Person.ExternalID = cmp.Or(a.Person.ExternalID, group)
	}
	// SentAt stays zero: the event's date_time is local time with a wrong Z.
}

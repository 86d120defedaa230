package whatsapp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Shapes of this package, as Arrival.Shape names them.
const (
	ShapeEnvelope = "envelope" // {object, entry: […]}, or an entry alone
	ShapeValue    = "value"    // {messaging_product, metadata, messages, …}
	ShapeMessages = "messages" // {messages: […], metadata?} without product
	ShapeMessage  = "message"  // one message alone
)

// Decode reads a body that Meta posted, or a piece of one that a workflow passes on. It
// fails if the body is not JSON, has another shape, or exceeds the bounds of a Batch.
func Decode(body []byte) ([]inbound.Arrival, error) {
	v, err := rawjson.ParseWithin(body, inbound.MaxDepth)
	if err != nil {
		return nil, err
	}
	var b inbound.Batch
	Add(&b, v)
	return b.Arrivals()
}

// Add decodes a parsed value into a Batch. known reports whether the value has a shape of
// this package.
func Add(b *inbound.Batch, v rawjson.Value) (known bool) {
	d := decoder{batch: b}
	d.shape = Detect(v)
	switch d.shape {
	case ShapeEnvelope:
		d.envelope(v)
	case ShapeValue, ShapeMessages:
		d.change(v.Get("field").Text(), v, v)
	case ShapeMessage:
		d.metadata(v)
		d.message(v, inbound.Message)
	}
	return d.shape != ""
}

// Detect returns the shape of a value, "" if it is not one of this package.
func Detect(v rawjson.Value) string {
	var product, field, value, metadata, sender, kind, list, whole bool
	var named rawjson.Value
	for key, member := range v.Members() {
		switch key {
		case "entry":
			if member.IsArray() || hasChanges(member) {
				return ShapeEnvelope
			}
		case "changes":
			if hasChanges(v) {
				return ShapeEnvelope
			}
		case "messaging_product":
			product = true
		case "field":
			field = field || member.IsString()
		case "value":
			value = value || member.IsObject()
		case "metadata":
			metadata = member.Get("phone_number_id").Exists()
		case "messages", "statuses": // an object if a workflow has split the list
			list = list || member.IsArray() || isSplit(member)
			whole = whole || member.IsArray() || member.Get("id").Text() != ""
		case "message_echoes", "errors", "user_preferences", "history", "state_sync", "calls":
			list = list || member.IsArray() || isSplit(member)
		case "standby":
			list = list || member.IsObject()
		case "from", "from_user_id":
			sender = sender || member.Text() != ""
		case "type":
			named = member
		case "text":
			kind = kind || member.Get("body").IsString()
		}
	}
	switch {
	case field && value:
		return ShapeValue // one change alone
	case (product || field) && (list || metadata):
		return ShapeValue
	case list && (metadata || whole):
		return ShapeMessages
	case sender && (kind || named.IsString() && v.Get(named.Text()).Exists()):
		return ShapeMessage
	}
	return ""
}

// decoder reads one value into a batch.
type decoder struct {
	batch   *inbound.Batch
	shape   string
	entry   entry
	lineRef string
	people  people
}

// entry has the id and time of the entry being read.
type entry struct {
	id, time rawjson.Value
	at       time.Time
}

func (d *decoder) envelope(v rawjson.Value) {
	before, entries := d.batch.Len(), v.Get("entry")
	if !entries.Exists() {
		entries = v // an entry alone
	}
	for item := range d.items(entries) {
		from := d.batch.Len()
		d.entry = entry{id: short(item.Get("id")), time: short(item.Get("time"))}
		d.entry.at = d.entry.time.Time()
		for change := range d.items(item.Get("changes")) {
			d.change(change.Get("field").Text(), change.Get("value"), change)
		}
		if d.batch.Len() == from { // no changes: Meta's own samples misplace them
			d.lineRef = ""
			d.keep(inbound.Unknown, item, "unknown_shape")
		}
	}
	if d.batch.Len() == before {
		d.keep(inbound.Unknown, v, "unknown_shape")
	}
}

// short drops a value that is too long: it is hashed again for every arrival of the entry.
func short(v rawjson.Value) rawjson.Value {
	if len(v) > inbound.MaxID {
		return nil
	}
	return v
}

// items yields the elements of a list until the batch exceeds its bounds.
func (d *decoder) items(list rawjson.Value) iter.Seq[rawjson.Value] {
	return inbound.Within(d.batch, elements(list))
}

// elements yields the elements of a list, or the only one that a workflow left of it.
func elements(list rawjson.Value) iter.Seq[rawjson.Value] {
	if isSplit(list) {
		return func(yield func(rawjson.Value) bool) { yield(list) }
	}
	return list.Items()
}

// isSplit reports whether a value is an element in its list's place: workflows split lists.
func isSplit(list rawjson.Value) bool {
	for range list.Members() {
		return true
	}
	return false
}

// hasChanges reports whether a value is an entry. Its list of changes may be split too.
func hasChanges(entry rawjson.Value) bool {
	for change := range elements(entry.Get("changes")) {
		return change.Get("field").IsString() && change.Get("value").Exists()
	}
	return false
}

// accountFields lists the fields of notices about the number, the account, its templates
// and threads. They belong to no conversation.
var accountFields = map[string]bool{
	"account_alerts": true, "account_review_update": true, "account_settings_update": true,
	"account_update": true, "automatic_events": true, "business_capability_update": true,
	"business_status_update": true, "business_username_updates": true, "calls": true, "flows": true,
	"group_lifecycle_update": true, "group_participants_update": true, "group_settings_update": true,
	"group_status_update": true, "message_template_components_update": true,
	"message_template_quality_update": true, "message_template_status_update": true,
	"messaging_handovers": true, "partner_solutions": true, "payment_configuration_update": true,
	"phone_number_name_update": true, "phone_number_quality_update": true, "security": true,
	"smb_app_state_sync": true, "template_category_update": true,
	"template_correct_category_detection": true, "tracking_events": true,
}

// change reads one change: raw is the whole change, value its content.
func (d *decoder) change(field string, value, raw rawjson.Value) {
	if inner := value.Get("value"); inner.IsObject() && !value.Get("messaging_product").Exists() {
		value = inner // a change alone, {field, value}
	}
	before := d.batch.Len()
	d.metadata(value)
	d.people = people{list: value.Get("contacts")}
	switch {
	case field == "standby":
		d.standby(value)
	case field == "history":
		d.history(value)
	case field == "user_preferences":
		for item := range d.items(value.Get("user_preferences")) {
			d.preference(item)
		}
	case accountFields[field]:
		d.keep(inbound.Account, raw, "")
		return
	default:
		d.messages(field, value)
	}
	if d.batch.Len() == before {
		d.keep(inbound.Unknown, raw, "unknown_shape")
	}
}

// messages reads the value of the fields messages, message_echoes and smb_message_echoes,
// and of any unknown field that looks like them.
func (d *decoder) messages(field string, value rawjson.Value) {
	for key, list := range value.Members() {
		switch key {
		case "messages":
			kind := inbound.Message
			if field == "smb_message_echoes" || field == "message_echoes" {
				kind = inbound.Echo
			}
			for item := range d.items(list) {
				d.message(item, kind)
			}
		case "message_echoes":
			for item := range d.items(list) {
				d.message(item, inbound.Echo)
			}
		case "statuses":
			for item := range d.items(list) {
				d.status(item)
			}
		case "errors":
			for item := range d.items(list) {
				d.keep(inbound.Failure, item, "")
			}
		case "standby": // a forwarder may have lost the field's name
			d.copies(list)
		case "user_preferences":
			for item := range d.items(list) {
				d.preference(item)
			}
		case "history":
			for item := range d.items(list) {
				d.keep(inbound.History, item, "")
			}
		}
	}
}

// history keeps history chunks and the media messages that follow them. They are never
// handled as live messages.
func (d *decoder) history(value rawjson.Value) {
	for _, key := range []string{"history", "messages", "message_echoes"} {
		for item := range d.items(value.Get(key)) {
			d.keep(inbound.History, item, "")
		}
	}
	for item := range d.items(value.Get("errors")) {
		d.keep(inbound.Failure, item, "")
	}
}

// standby reads copies of a thread that another app owns. They are nested one level
// deeper than live traffic.
func (d *decoder) standby(value rawjson.Value) {
	inner := value.Get("standby")
	if !inner.IsObject() {
		inner = value
	}
	d.copies(inner)
}

func (d *decoder) copies(inner rawjson.Value) {
	for _, key := range []string{"messages", "message_echoes", "statuses"} {
		for item := range d.items(inner.Get(key)) {
			a := d.keep(inbound.Standby, item, "")
			a.SentAt = item.Get("timestamp").Time()
			id, status := item.Get("id").Text(), item.Get("status").Text()
			if usable(id) && usable(status) {
				a.ID = id + ":" + status
			} else if usable(id) {
				a.ID = id
			}
			switch key {
			case "messages":
				a.Person = d.person(readSender(item))
			case "message_echoes":
				if send := item.Get("message"); send.IsObject() {
					item = send
				}
				a.Person = d.person(readAddressee(item))
			case "statuses":
				a.Person = d.person(readRecipient(item))
			}
		}
	}
}

func (d *decoder) metadata(value rawjson.Value) {
	meta := value.Get("metadata")
	if !meta.IsObject() {
		meta = value.Get("recipient") // messaging_handovers
	}
	d.lineRef, _ = inbound.Truncate(meta.Get("phone_number_id").Text(), inbound.MaxID) // a longer one matches no line
}

// keep adds an arrival that is stored and not handled. Its id is a hash of its content and
// of the entry's id and time: a repeated delivery has the same id, a repeated event has not.
func (d *decoder) keep(kind inbound.Kind, raw rawjson.Value, quarantine string) *inbound.Arrival {
	return d.batch.Add(inbound.Arrival{
		Kind:       kind,
		ID:         contentID(d.entry.id, d.entry.time, raw),
		LineRef:    d.lineRef,
		Provider:   Provider,
		Shape:      d.shape,
		SentAt:     d.entry.at,
		Quarantine: quarantine,
		Raw:        json.RawMessage(raw),
	})
}

// broken keeps an element that cannot be read; the others of the list are still handled.
func (d *decoder) broken(raw rawjson.Value) { d.keep(inbound.Unknown, raw, "invalid") }

func contentID(parts ...rawjson.Value) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part)
		h.Write([]byte{0})
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:16])
}

// usable reports whether a text can be an id.
func usable(id string) bool { return id != "" && len(id) <= inbound.MaxID }

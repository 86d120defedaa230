package whatsapp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Shapes of this package, as Arrival.Shape names them.
const (
	ShapeEnvelope = "envelope" // {object, entry: […]}
	ShapeValue    = "value"    // {messaging_product, metadata, messages, …}
	ShapeMessages = "messages" // {messages: […], metadata?} without product
	ShapeMessage  = "message"  // one message alone
)

// Decode reads a body that Meta posted, or one of the pieces of it that others
// pass on. known is false when it is none of them (or no JSON).
func Decode(body []byte) (arrivals []inbound.Arrival, known bool) {
	v, ok := rawjson.Parse(body)
	if !ok {
		return nil, false
	}
	return Append(nil, v)
}

// Append is Decode for a value that was parsed already.
func Append(dst []inbound.Arrival, v rawjson.Value) (arrivals []inbound.Arrival, known bool) {
	switch shape := Detect(v); shape {
	case ShapeEnvelope:
		return appendEnvelope(dst, v), true
	case ShapeValue, ShapeMessages:
		d := decoder{shape: shape, out: dst, from: len(dst)}
		d.change(v.Get("field").Text(), v, v)
		return d.out, true
	case ShapeMessage:
		d := decoder{shape: shape, out: dst, from: len(dst)}
		d.metadata(v)
		d.message(v, inbound.Message)
		return d.out, true
	}
	return dst, false
}

// Detect names the shape of a value, "" for one that is not of this package.
func Detect(v rawjson.Value) string {
	var product, field, value, metadata, sender, kind, list bool
	for key, member := range v.Members() {
		switch key {
		case "entry":
			if member.IsArray() {
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
		case "messages", "statuses", "message_echoes", "errors":
			list = list || member.IsArray()
		case "standby":
			list = list || member.IsObject()
		case "user_preferences", "history", "state_sync", "calls":
			list = list || member.IsArray()
		case "from", "from_user_id":
			sender = sender || member.Text() != ""
		case "type":
			kind = member.IsString() && v.Get(member.Text()).Exists()
		case "text":
			kind = kind || member.Get("body").IsString()
		}
	}
	switch {
	case field && value:
		return ShapeValue // one change alone
	case (product || field) && (list || metadata):
		return ShapeValue
	case list && (metadata || v.Get("messages").IsArray() || v.Get("statuses").IsArray()):
		return ShapeMessages
	case sender && kind:
		return ShapeMessage
	}
	return ""
}

func appendEnvelope(dst []inbound.Arrival, v rawjson.Value) []inbound.Arrival {
	before := len(dst)
	for entry := range v.Get("entry").Items() {
		d := decoder{shape: ShapeEnvelope, entry: entry, out: dst, from: len(dst)}
		for change := range entry.Get("changes").Items() {
			d.from = len(d.out)
			d.lineRef, d.contacts = "", nil
			d.change(change.Get("field").Text(), change.Get("value"), change)
		}
		if len(d.out) == len(dst) { // no changes: Meta's own samples misplace them
			d.keep(inbound.Unknown, entry, "unknown_shape")
		}
		dst = d.out
	}
	if len(dst) == before {
		d := decoder{shape: ShapeEnvelope, out: dst}
		d.keep(inbound.Unknown, v, "unknown_shape")
		dst = d.out
	}
	return dst
}

// decoder collects the arrivals of one entry.
type decoder struct {
	shape    string
	entry    rawjson.Value
	lineRef  string
	contacts rawjson.Value
	out      []inbound.Arrival
	from     int // where the arrivals of this change begin
}

// accountFields are notices about the number, the account, its templates and
// threads. They concern nobody's conversation.
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

// change reads one change: raw is the whole of it, value its content.
func (d *decoder) change(field string, value, raw rawjson.Value) {
	if inner := value.Get("value"); inner.IsObject() && !value.Get("messaging_product").Exists() {
		value = inner // a change alone, {field, value}
	}
	d.metadata(value)
	d.contacts = value.Get("contacts")
	switch {
	case field == "standby":
		d.standby(value)
	case field == "history":
		d.history(value)
	case field == "user_preferences":
		for item := range value.Get("user_preferences").Items() {
			d.preference(item)
		}
	case accountFields[field]:
		d.keep(inbound.Account, raw, "")
		return
	default:
		d.messages(field, value)
	}
	if len(d.out) == d.from {
		d.keep(inbound.Unknown, raw, "unknown_shape")
	}
}

// messages reads what the fields messages, message_echoes and
// smb_message_echoes hold, and whatever an unknown field holds of it.
func (d *decoder) messages(field string, value rawjson.Value) {
	for key, list := range value.Members() {
		switch key {
		case "messages":
			kind := inbound.Message
			if field == "smb_message_echoes" || field == "message_echoes" {
				kind = inbound.Echo
			}
			for item := range list.Items() {
				d.message(item, kind)
			}
		case "message_echoes":
			for item := range list.Items() {
				d.message(item, inbound.Echo)
			}
		case "statuses":
			for item := range list.Items() {
				d.status(item)
			}
		case "errors":
			for item := range list.Items() {
				d.keep(inbound.Failure, item, "")
			}
		case "standby": // a forwarder may have lost the field's name
			d.standby(value)
		case "user_preferences":
			for item := range list.Items() {
				d.preference(item)
			}
		case "history":
			for item := range list.Items() {
				d.keep(inbound.History, item, "")
			}
		}
	}
}

// history chunks, and the media messages that follow them, are never handled as
// live messages.
func (d *decoder) history(value rawjson.Value) {
	for _, key := range []string{"history", "messages", "message_echoes"} {
		for item := range value.Get(key).Items() {
			d.keep(inbound.History, item, "")
		}
	}
	for item := range value.Get("errors").Items() {
		d.keep(inbound.Failure, item, "")
	}
}

// standby reads the copies of a thread that another app owns. They are nested
// one level deeper than live traffic.
func (d *decoder) standby(value rawjson.Value) {
	inner := value.Get("standby")
	if !inner.IsObject() {
		inner = value
	}
	for _, key := range []string{"messages", "message_echoes", "statuses"} {
		for item := range inner.Get(key).Items() {
			d.keep(inbound.Standby, item, "")
			a := &d.out[len(d.out)-1]
			a.SentAt = item.Get("timestamp").Time()
			id, fate := item.Get("id").Text(), item.Get("status").Text()
			if usable(id) && usable(fate) {
				a.ID = id + ":" + fate
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
	d.lineRef = meta.Get("phone_number_id").Text()
}

// keep adds an arrival that is only kept: its id is a hash of what it is and
// when the entry says that it happened, so that a repeated delivery is
// recognised and a repeated event is not.
func (d *decoder) keep(kind inbound.Kind, raw rawjson.Value, quarantine string) {
	d.out = append(d.out, inbound.Arrival{
		Kind:       kind,
		ID:         contentID(d.entry.Get("id"), d.entry.Get("time"), raw),
		LineRef:    d.lineRef,
		Provider:   Provider,
		Shape:      d.shape,
		SentAt:     d.entry.Get("time").Time(),
		Quarantine: quarantine,
		Raw:        json.RawMessage(raw),
	})
}

// broken keeps an element that cannot be read, beside its neighbours.
func (d *decoder) broken(raw rawjson.Value) { d.keep(inbound.Unknown, raw, "invalid") }

func contentID(parts ...rawjson.Value) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part)
		h.Write([]byte{0})
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:16])
}

// maxID is far above what providers use; a longer id is no id.
const maxID = 512

func usable(id string) bool { return id != "" && len(id) <= maxID }

package loadgen

import (
	"iter"
	"strconv"
	"time"
	"unicode/utf16"
)

// plan determines people, texts and ids: all follow from the seed, the conversation and
// the number of the message in it.
type plan struct {
	seed   uint64
	script []string
	// escaped is the script as Meta writes JSON: \u for non-ASCII characters, and \/.
	escaped [][]byte
	value   []byte // start of each change
}

// Message is one message that the run posted.
type Message struct {
	ID           string // wamid
	Person       string // phone
	UserID       string
	Conversation int
	N            int // place in the conversation, from 0
	Text         string
	// Accepted is set when the message got a 200. Otherwise it may have arrived or not.
	Accepted bool
	// Due is when the message was first due. Measured reports whether its latency counts
	// (Options.WarmUp, Options.Alternate).
	Due      time.Time
	Measured bool
}

func newPlan(o Options) plan {
	p := plan{seed: o.Seed, script: o.Script}
	for _, line := range o.Script {
		p.escaped = append(p.escaped, escape(nil, line))
	}
	p.value = append(p.value, valueHead+`{"messaging_product":"whatsapp","metadata":{"display_phone_number":"5491100000099","phone_number_id":"`...)
	p.value = escape(p.value, o.PhoneNumberID)
	p.value = append(p.value, `"},"contacts":[{"profile":{"name":"Persona de Pru\u00e9ba \ud83d\udc4b"},"wa_id":"`...)
	return p
}

// escape appends s with the escapes that Meta uses.
func escape(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for _, u := range utf16.Encode([]rune(s)) {
		switch {
		case u == '"' || u == '\\' || u == '/':
			b = append(b, '\\', byte(u))
		case u == '\n':
			b = append(b, '\\', 'n')
		case u < ' ' || u > '~':
			b = append(b, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
		default:
			b = append(b, byte(u))
		}
	}
	return b
}

// firstPerson is the number of a run's first person. All stay below 2000 0000: no such
// number exists in Buenos Aires, so no answer can reach a real person.
func (p *plan) firstPerson() uint64 { return p.seed % 200 * 100_000 }

// conversation returns the conversation of a phone or a user id.
func (p *plan) conversation(person string, most int) (int, bool) {
	if len(person) < 8 {
		return 0, false
	}
	n, err := strconv.ParseUint(person[len(person)-8:], 10, 64)
	c := int64(n) - int64(p.firstPerson()) //nolint:gosec // eight digits
	return int(c), err == nil && c >= 0 && c < int64(most)
}

// person appends the eight digits that identify a person.
func (p *plan) person(b []byte, conversation int) []byte {
	n := p.firstPerson() + uint64(conversation)
	var digits [8]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, digits[:]...)
}

func (p *plan) phone(b []byte, conversation int) []byte {
	return p.person(append(b, "54911"...), conversation)
}

func (p *plan) user(b []byte, conversation int) []byte {
	return p.person(append(b, "AR.100000000000"...), conversation)
}

// wamid appends an id; kind is I for inbound and O for outbound.
func (p *plan) wamid(b []byte, kind byte, conversation, n int) []byte {
	b = append(b, "wamid.LG"...)
	b = append(b, kind)
	b = fixed(b, p.seed)
	b = fixed(append(b, '.'), uint64(conversation))
	return fixed(append(b, '.'), uint64(n))
}

// fixed appends at least eight hex digits.
func fixed(b []byte, v uint64) []byte {
	for shift := 28; shift > 0 && v>>shift == 0; shift -= 4 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, v, 16)
}

// message appends the change of one message.
func (p *plan) message(b []byte, conversation, n int, stamp []byte) []byte {
	b = append(b, p.value...)
	b = p.phone(b, conversation)
	b = append(b, `","user_id":"`...)
	b = p.user(b, conversation)
	b = append(b, `"}],"messages":[{"from":"`...)
	b = p.phone(b, conversation)
	b = append(b, `","from_user_id":"`...)
	b = p.user(b, conversation)
	b = append(b, `","id":"`...)
	b = p.wamid(b, 'I', conversation, n)
	b = append(b, `","timestamp":"`...)
	b = append(b, stamp...)
	b = append(b, `","type":"text","text":{"body":"`...)
	b = append(b, p.escaped[n%len(p.escaped)]...)
	return append(b, `"}}]}`+valueTail...)
}

// status appends the change of one status: of an answer, or without an id of an invented
// answer to message n.
func (p *plan) status(b []byte, it item, stamp []byte) []byte {
	b = append(b, p.value...)
	b = p.phone(b, it.conversation)
	b = append(b, `","user_id":"`...)
	b = p.user(b, it.conversation)
	b = append(b, `"}],"statuses":[{"id":"`...)
	if it.id == "" {
		b = p.wamid(b, 'O', it.conversation, it.n)
	} else {
		b = escape(b, it.id)
	}
	b = append(b, `","status":"`...)
	b = append(b, it.status...)
	b = append(b, `","timestamp":"`...)
	b = append(b, stamp...)
	b = append(b, `","recipient_id":"`...)
	b = p.phone(b, it.conversation)
	b = append(b, `","recipient_user_id":"`...)
	b = p.user(b, it.conversation)
	if it.ref != "" {
		b = append(b, `","biz_opaque_callback_data":"`...)
		b = escape(b, it.ref)
	}
	return append(b, `","pricing":{"billable":false,"pricing_model":"PMP","type":"free_customer_service","category":"service"}}]}`+valueTail...)
}

const (
	bodyHead = `{"object":"whatsapp_business_account","entry":[{"id":"100000000000001","changes":[`
	bodyTail = `]}]}`

	valueHead = `{"value":`
	valueTail = `,"field":"messages"}`
)

// changeValue returns the value of a change.
func changeValue(change []byte) []byte { return change[len(valueHead) : len(change)-len(valueTail)] }

// Messages yields every message posted, by conversation and in order.
func (r Report) Messages() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for c, tried := range r.tried {
			for n := range tried {
				m := Message{
					ID: string(r.plan.wamid(nil, 'I', c, n)), Person: string(r.plan.phone(nil, c)), UserID: string(r.plan.user(nil, c)),
					Conversation: c, N: n, Text: r.plan.script[n%len(r.plan.script)], Accepted: n < r.accepted[c],
					Due: r.start.Add(r.due[c][n]), Measured: r.measured(r.due[c][n]),
				}
				if !yield(m) {
					return
				}
			}
		}
	}
}

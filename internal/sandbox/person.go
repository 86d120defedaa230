package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Person is somebody with a phone.
type Person struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Phone    string `json:"phone,omitempty"`   // digits; "" for who hides it
	UserID   string `json:"user_id,omitempty"` // business-scoped
	Username string `json:"username,omitempty"`
	Note     string `json:"note,omitempty"` // what this person is good for
}

// DefaultPeople returns the four people whose phones exist from the start.
func DefaultPeople() []Person {
	return []Person{
		{ID: "ana", Name: "Ana Gómez", Phone: "5491155550001", UserID: "AR.10000000000000000001", Note: "Un celular común de Buenos Aires."},
		{ID: "bruno", Name: "Bruno Díaz", Phone: "5493515550002", UserID: "AR.10000000000000000002", Note: "Otra persona, para ver dos conversaciones a la vez."},
		{ID: "cami", Name: "Cami Ruiz", UserID: "AR.10000000000000000003", Username: "cami.ruiz", Note: "Esconde su número: llega sólo con su id de usuario."},
		{ID: "diego", Name: "Diego Hernández", Phone: "5215555550004", UserID: "MX.10000000000000000004", Note: "Un número de México, con el 1 que a veces va y a veces no."},
	}
}

// Message is one bubble of a chat, in the Cloud API's own shape.
type Message struct {
	ID     string `json:"id"`
	From   string `json:"from"` // "person" or "business"
	Type   string `json:"type"`
	Body   any    `json:"body,omitempty"` // the object under the type's name
	Quoted string `json:"quoted,omitempty"`
	At     int64  `json:"at"` // milliseconds
	// Tick of what the person wrote: sent, delivered (the webhook answered
	// 200), read. For what the business wrote: the last status reported.
	Tick string `json:"tick,omitempty"`
	// Reactions by "person" and "business".
	Reactions map[string]string `json:"reactions,omitempty"`

	ref           string // biz_opaque_callback_data
	readScheduled bool   // its read status is on the way
}

const (
	fromPerson   = "person"
	fromBusiness = "business"

	tickSent      = "sent"
	tickDelivered = "delivered"
	tickRead      = "read"
	tickFailed    = "failed"
)

// tickRank keeps ticks from going down.
func tickRank(tick string) int {
	return slices.Index([]string{"", tickSent, tickDelivered, tickRead, tickFailed}, tick)
}

// What is kept: the oldest goes.
const (
	maxMessages = 400 // in a chat
	maxPhones   = 64  // besides the cast
)

// phone is a person's phone and its one chat.
type phone struct {
	Person
	messages []*Message
	byID     map[string]*Message
	unread   int
	// unattended is set for who came by a send, not by the cast or the page: nobody
	// looks at that phone, so its messages are read by themselves.
	unattended bool
	typing     time.Time // until when the business is typing
	lastWrote  time.Time
	nextFault  *fault // meets the next sends
	faultSends int
	used       time.Time
}

func (p *phone) add(m *Message) {
	if len(p.messages) >= maxMessages {
		delete(p.byID, p.messages[0].ID)
		p.messages = slices.Delete(p.messages, 0, 1)
	}
	p.messages = append(p.messages, m)
	p.byID[m.ID] = m
}

// phoneView is a phone as the page lists it.
type phoneView struct {
	Person
	Guest  bool     `json:"guest,omitempty"`
	Unread int      `json:"unread"`
	Last   *Message `json:"last,omitempty"`
	Typing int64    `json:"typing_until,omitempty"`
}

func (p *phone) view() phoneView {
	v := phoneView{Person: p.Person, Guest: p.unattended, Unread: p.unread}
	if len(p.messages) > 0 {
		last := *p.messages[len(p.messages)-1]
		v.Last = &last
	}
	if !p.typing.IsZero() {
		v.Typing = p.typing.UnixMilli()
	}
	return v
}

// phones is everybody. The Server's lock guards it.
type phones struct {
	order []*phone
	byID  map[string]*phone
	byRef map[string]*phone // by digits and by user id
	extra int
}

func newPhones(cast []Person) *phones {
	all := &phones{byID: map[string]*phone{}, byRef: map[string]*phone{}}
	for _, person := range cast {
		all.insert(&phone{Person: person})
	}
	return all
}

func (a *phones) insert(p *phone) {
	if p.byID == nil {
		p.byID = map[string]*Message{}
	}
	a.order = append(a.order, p)
	a.byID[p.ID] = p
	if p.Phone != "" {
		a.byRef[canonical(p.Phone)] = p
	}
	if p.UserID != "" {
		a.byRef[p.UserID] = p
	}
}

// find returns the phone that a recipient names, nil for nobody we know.
func (a *phones) find(to recipient) *phone {
	if to.phone != "" {
		return a.byRef[canonical(to.phone)]
	}
	return a.byRef[to.userID]
}

// make adds a phone for somebody new, at the cost of who was quiet longest.
func (a *phones) make(person Person, guest bool, now time.Time) *phone {
	if a.extra >= maxPhones {
		a.evict()
	}
	p := &phone{Person: person, unattended: guest, used: now}
	a.insert(p)
	a.extra++
	return p
}

func (a *phones) evict() {
	var oldest *phone
	for _, p := range a.order {
		if !p.used.IsZero() && (oldest == nil || p.used.Before(oldest.used)) {
			oldest = p
		}
	}
	if oldest == nil {
		return
	}
	a.order = slices.DeleteFunc(a.order, func(p *phone) bool { return p == oldest })
	delete(a.byID, oldest.ID)
	delete(a.byRef, canonical(oldest.Phone))
	delete(a.byRef, oldest.UserID)
	a.extra--
}

// personFor is the person behind a recipient that nobody knows.
func personFor(to recipient) Person {
	if to.phone != "" {
		return Person{ID: to.phone, Name: "+" + to.phone, Phone: to.phone}
	}
	return Person{ID: strings.ToLower(strings.ReplaceAll(to.userID, ".", "-")), Name: to.userID, UserID: to.userID}
}

// canonical is the form under which WhatsApp takes two ways to write a number
// for one: Argentina's mobile 9 and Mexico's 1.
func canonical(digits string) string {
	switch {
	case len(digits) == 12 && strings.HasPrefix(digits, "54"):
		return "549" + digits[2:]
	case len(digits) == 13 && strings.HasPrefix(digits, "521"):
		return "52" + digits[3:]
	}
	return digits
}

func digitsOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// mustMarshal makes a JSON value of what is known to be marshallable.
func mustMarshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

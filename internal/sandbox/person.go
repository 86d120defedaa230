package sandbox

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Person is a person with a phone.
type Person struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Phone    string `json:"phone,omitempty"`   // digits; "" if hidden
	UserID   string `json:"user_id,omitempty"` // business-scoped
	Username string `json:"username,omitempty"`
	Note     string `json:"note,omitempty"` // what the person is for
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

// Message is one bubble of a chat, in the Cloud API's shape.
type Message struct {
	ID     string `json:"id"`
	From   string `json:"from"` // "person" or "business"
	Type   string `json:"type"`
	Body   any    `json:"body,omitempty"` // the object under the type's name
	Quoted string `json:"quoted,omitempty"`
	At     int64  `json:"at"` // milliseconds
	// Tick is sent, delivered (the webhook answered 200) or read for a message of the
	// person, the last status reported for one of the business.
	Tick string `json:"tick,omitempty"`
	// Reactions are keyed by "person" and "business".
	Reactions map[string]string `json:"reactions,omitempty"`

	ref           string // biz_opaque_callback_data
	readScheduled bool   // its read status is scheduled
}

const (
	fromPerson   = "person"
	fromBusiness = "business"
)

// tickRank orders ticks, so that none goes down.
func tickRank(tick string) int {
	return slices.Index([]string{"", statusSent, statusDelivered, statusRead, statusFailed}, tick)
}

// Limits of the state in memory; the oldest entries are dropped.
const (
	maxMessages = 400 // in a chat
	maxPhones   = 64  // besides DefaultPeople
)

// phone is a person's phone and its one chat.
type phone struct {
	Person
	messages []*Message
	byID     map[string]*Message
	unread   int
	// unattended marks a phone that a send created, not DefaultPeople or the page. Nobody
	// looks at it, so its messages read themselves.
	unattended bool
	typing     time.Time // until when the business is typing
	lastWrote  time.Time
	nextFault  *fault // of the next sends
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

// phones is the people's side: everybody's phone. What they do goes to the webhook, and
// so does what becomes of the messages that reach them.
type phones struct {
	parts

	mu    sync.Mutex // guards all below, and everything in it
	order []*phone
	byID  map[string]*phone
	byRef map[string]*phone // by digits and by user id
	extra int
	// webhooks are the newest posts, for the page.
	webhooks  []webhookView
	webhookNo int64
}

func newPhones(with parts) *phones {
	all := &phones{parts: with, byID: map[string]*phone{}, byRef: map[string]*phone{}}
	for _, person := range DefaultPeople() {
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
	a.addRefs(p)
}

func (a *phones) addRefs(p *phone) {
	if p.Phone != "" {
		a.byRef[canonical(p.Phone)] = p
	}
	if p.UserID != "" {
		a.byRef[p.UserID] = p
	}
}

// find returns the recipient's phone, nil if there is none.
func (a *phones) find(to recipient) *phone {
	if to.phone != "" {
		return a.byRef[canonical(to.phone)]
	}
	return a.byRef[to.userID]
}

// make adds a phone, if needed in place of the one that was quiet longest.
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

// deliver puts the message on the phone, unless nobody shall see it.
func (a *phones) deliver(to recipient, id string, req sendRequest, content content, now time.Time) Person {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.find(to)
	if p == nil {
		if a.opt.NoPhones {
			return personFor(to)
		}
		p = a.make(personFor(to), true, now)
	}
	if !p.used.IsZero() {
		p.used = now
	}
	p.typing = time.Time{}
	if req.Type == "reaction" {
		a.applyReaction(p, fromBusiness, content.target, content.emoji)
		return p.Person
	}
	m := &Message{ID: id, From: fromBusiness, Type: req.Type, Body: content.body, At: now.UnixMilli(), ref: req.Opaque}
	if req.Context != nil {
		m.Quoted = req.Context.MessageID
	}
	p.add(m)
	p.unread++
	a.hub.broadcast("message", map[string]any{"phone": p.view(), "message": m})
	return p.Person
}

// businessReads marks a message as read, and everything before it.
func (a *phones) businessReads(id string, typing bool) {
	now := a.opt.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.order {
		if p.byID[id] == nil {
			continue
		}
		var ids []string
		for _, m := range p.messages {
			if m.From == fromPerson && m.Tick != statusRead {
				m.Tick = statusRead
				ids = append(ids, m.ID)
			}
			if m.ID == id {
				break
			}
		}
		if typing {
			p.typing = now.Add(25 * time.Second)
		}
		a.hub.broadcast("tick", map[string]any{"phone": p.view(), "ids": ids, "tick": statusRead})
		return
	}
}

// wroteToday says whether somebody may be blocked. Who never wrote here is let through:
// somebody else may have posted their webhook.
func (a *phones) wroteToday(to recipient) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.find(to)
	return p == nil || p.lastWrote.IsZero() || a.opt.Now().Sub(p.lastWrote) < MetaLimits().Window
}

// personFor is the person behind a recipient that nobody knows.
func personFor(to recipient) Person {
	if to.phone != "" {
		return Person{ID: to.phone, Name: "+" + to.phone, Phone: to.phone}
	}
	return Person{ID: strings.ToLower(strings.ReplaceAll(to.userID, ".", "-")), Name: to.userID, UserID: to.userID}
}

// canonical returns the digits in the form that WhatsApp uses where two forms are the same
// number: with Argentina's mobile 9, Mexico's 1.
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

package sandbox

import (
	"encoding/json"
	"time"
)

// Statuses of a message, which are also the ticks on a phone.
const (
	statusSent      = "sent"
	statusDelivered = "delivered"
	statusRead      = "read"
	statusFailed    = "failed"
)

// WhatsApp promises neither order nor "exactly once", so some messages break both: counted,
// not random, so that a test sees each case. The numbers are primes, so that the cases also
// meet.
const (
	repeatEvery = 5  // this message's delivered comes twice
	swapEvery   = 7  // read comes before delivered
	skipEvery   = 11 // delivered never comes: the chat was open
)

// delay is the wait from acceptance to a status.
func (a *phones) delay(status string) time.Duration {
	wait := map[string]time.Duration{
		statusSent: 120 * time.Millisecond, statusDelivered: 450 * time.Millisecond,
		statusRead: 1100 * time.Millisecond, statusFailed: 450 * time.Millisecond,
	}[status]
	return time.Duration(float64(wait) * a.opt.Pace)
}

// scheduleStatuses reports the fate of an accepted message, later. It is read when a
// person looks at the phone; nobody looks at a guest's, so it reads by itself.
func (a *phones) scheduleStatuses(id string, req sendRequest, person Person, number int64, fault *fault) {
	if a.opt.NoStatuses {
		return
	}
	a.enqueue(a.planStatuses(id, req, person, number, a.readsByItself(person), fault)...)
}

// planStatuses lists the statuses of the number-th message.
func (a *phones) planStatuses(id string, req sendRequest, person Person, number int64, reads bool, fault *fault) []*webhookEvent {
	now, start := a.opt.Now(), time.Now()
	at := func(status string, wait time.Duration) *webhookEvent {
		return a.statusEvent(id, req.Opaque, status, person, now.Add(wait), start.Add(wait), nil)
	}
	sent := at(statusSent, a.delay(statusSent))
	if fault != nil && fault.status != nil {
		wait := a.delay(statusFailed)
		return []*webhookEvent{sent, a.statusEvent(id, req.Opaque, statusFailed, person, now.Add(wait), start.Add(wait), fault.status)}
	}
	if req.Type == "reaction" { // gets "sent" only
		return []*webhookEvent{sent}
	}
	delivered := at(statusDelivered, a.delay(statusDelivered))
	delivered.repeat = number%repeatEvery == 0
	switch {
	case !reads:
		return []*webhookEvent{sent, delivered}
	case number%skipEvery == 0:
		return []*webhookEvent{sent, at(statusRead, a.delay(statusDelivered))}
	case number%swapEvery == 0:
		delivered.due = start.Add(a.delay(statusRead))
		return []*webhookEvent{sent, at(statusRead, a.delay(statusDelivered)), delivered}
	default:
		return []*webhookEvent{sent, delivered, at(statusRead, a.delay(statusRead))}
	}
}

func (a *phones) readsByItself(person Person) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.byID[person.ID]
	return p == nil || p.unattended
}

func (a *phones) statusEvent(id, opaque, status string, person Person, at, due time.Time, problem *wireError) *webhookEvent {
	w := &wireStatus{
		ID: id, Status: status, Timestamp: seconds(at), RecipientID: person.Phone, RecipientUserID: person.UserID, Opaque: opaque,
	}
	p := &webhookEvent{due: due, id: id, tick: status}
	switch status {
	case statusFailed: // Meta gives neither contact nor user id here
		w.RecipientUserID = ""
		w.Errors = []wireError{*problem}
	case statusRead:
		p.contact = contactOf(person)
	default:
		p.contact = contactOf(person)
		w.Pricing = &wirePricing{Model: "PMP", Type: "free_customer_service", Category: "service"}
	}
	if status != statusDelivered && status != statusRead && p.contact != nil {
		p.contact.Profile.Username = "" // only sent and delivered carry it
	}
	p.status = w
	return p
}

// markRead reports everything unread of a phone as read: its person looked at it.
func (a *phones) markRead(p *phone) {
	if p.unread = 0; a.opt.NoStatuses {
		return
	}
	now, start := a.opt.Now(), time.Now()
	var list []*webhookEvent
	for _, m := range p.messages {
		if m.From != fromBusiness || p.unattended || tickRank(m.Tick) >= tickRank(statusRead) || m.readScheduled {
			continue
		}
		m.readScheduled = true
		wait := a.delay(statusRead) - now.Sub(time.UnixMilli(m.At)) // after delivered
		wait = max(wait, a.delay(statusSent))
		list = append(list, a.statusEvent(m.ID, m.ref, statusRead, p.Person, now.Add(wait), start.Add(wait), nil))
	}
	a.enqueue(list...)
}

func (a *phones) enqueue(list ...*webhookEvent) {
	if err := a.out.add(list...); err != nil {
		a.record.count(func(c *Counts) { c.Dropped += int64(len(list)) })
		a.opt.Log.Warn("sandbox events dropped", "events", len(list), "error", err)
	}
}

// onPosted shows what became of a post: ticks on the phone, and a line in
// the log of webhooks.
func (a *phones) onPosted(res postResult) {
	a.record.count(func(c *Counts) {
		if res.ok() {
			c.Posted++
		} else {
			c.Failed++
		}
	})
	if !res.ok() {
		a.opt.Log.Debug("webhook was not taken", "code", res.code, "error", res.err, "events", len(res.events))
	}
	if a.opt.NoPhones && a.hub.idle() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.logWebhook(res)
	if !res.ok() {
		return
	}
	for _, event := range res.events {
		tick := event.tick
		if event.message != nil {
			tick = statusDelivered
		}
		a.tickUp(event.id, tick)
	}
}

func (a *phones) tickUp(id, tick string) {
	for _, p := range a.order {
		m := p.byID[id]
		if m == nil {
			continue
		}
		if tickRank(tick) > tickRank(m.Tick) {
			m.Tick = tick
			a.hub.broadcast("tick", map[string]any{"phone": p.view(), "ids": []string{id}, "tick": tick})
		}
		return
	}
}

// webhookView is one post, for the page.
type webhookView struct {
	At     int64           `json:"at"`
	What   string          `json:"what"` // message or statuses
	Count  int             `json:"count"`
	Code   int             `json:"code,omitempty"`
	Took   float64         `json:"took_ms"`
	Error  string          `json:"error,omitempty"`
	Try    int             `json:"try"`
	Body   json.RawMessage `json:"body,omitempty"`
	Ticks  []string        `json:"ticks,omitempty"`
	Number int64           `json:"number"`
}

const (
	maxWebhooks = 40
	maxShown    = 8 << 10
)

func (a *phones) logWebhook(res postResult) {
	a.webhookNo++
	v := webhookView{
		At: a.opt.Now().UnixMilli(), What: "message", Count: len(res.events), Code: res.code, Number: a.webhookNo,
		Took: float64(res.took.Microseconds()) / 1000, Try: res.try,
	}
	if res.err != nil {
		v.Error = res.err.Error()
	}
	if res.events[0].status != nil {
		v.What = "statuses"
		for _, p := range res.events[:min(len(res.events), 5)] {
			v.Ticks = append(v.Ticks, p.tick)
		}
	}
	if len(res.body) <= maxShown {
		v.Body = res.body
	}
	a.webhooks = append(a.webhooks, v)
	if len(a.webhooks) > maxWebhooks {
		a.webhooks = a.webhooks[len(a.webhooks)-maxWebhooks:]
	}
	a.hub.broadcast("webhook", v)
}

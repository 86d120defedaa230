package sandbox

import (
	"encoding/json"
	"time"
)

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

// delay returns the wait from acceptance to a status.
func (s *Server) delay(status string) time.Duration {
	wait := map[string]time.Duration{
		statusSent: 120 * time.Millisecond, statusDelivered: 450 * time.Millisecond,
		statusRead: 1100 * time.Millisecond, statusFailed: 450 * time.Millisecond,
	}[status]
	return time.Duration(float64(wait) * s.opt.Pace)
}

// scheduleStatuses schedules the statuses of an accepted message. It is read when the
// person looks at the phone; on an unattended phone it reads itself.
func (s *Server) scheduleStatuses(id string, req sendRequest, person Person, number int64, fault *fault) {
	if s.opt.NoStatuses {
		return
	}
	s.enqueue(s.planStatuses(id, req, person, number, s.readsByItself(person), fault)...)
}

// planStatuses returns the statuses of the number-th message.
func (s *Server) planStatuses(id string, req sendRequest, person Person, number int64, reads bool, fault *fault) []*webhookEvent {
	now, start := s.opt.Now(), time.Now()
	at := func(status string, wait time.Duration) *webhookEvent {
		return s.statusEvent(id, req.Opaque, status, person, now.Add(wait), start.Add(wait), nil)
	}
	sent := at(statusSent, s.delay(statusSent))
	if fault != nil && fault.status != nil {
		wait := s.delay(statusFailed)
		return []*webhookEvent{sent, s.statusEvent(id, req.Opaque, statusFailed, person, now.Add(wait), start.Add(wait), fault.status)}
	}
	if req.Type == "reaction" { // gets "sent" only
		return []*webhookEvent{sent}
	}
	delivered := at(statusDelivered, s.delay(statusDelivered))
	delivered.repeat = number%repeatEvery == 0
	switch {
	case !reads:
		return []*webhookEvent{sent, delivered}
	case number%skipEvery == 0:
		return []*webhookEvent{sent, at(statusRead, s.delay(statusDelivered))}
	case number%swapEvery == 0:
		delivered.due = start.Add(s.delay(statusRead))
		return []*webhookEvent{sent, at(statusRead, s.delay(statusDelivered)), delivered}
	default:
		return []*webhookEvent{sent, delivered, at(statusRead, s.delay(statusRead))}
	}
}

func (s *Server) readsByItself(person Person) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phones.byID[person.ID]
	return p == nil || p.unattended
}

func (s *Server) statusEvent(id, opaque, status string, person Person, at, due time.Time, problem *wireError) *webhookEvent {
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

// markRead reports all unread messages of a phone as read, because its person looked at it.
func (s *Server) markRead(p *phone) {
	if p.unread = 0; s.opt.NoStatuses {
		return
	}
	now, start := s.opt.Now(), time.Now()
	var list []*webhookEvent
	for _, m := range p.messages {
		if m.From != fromBusiness || p.unattended || tickRank(m.Tick) >= tickRank(tickRead) || m.readScheduled {
			continue
		}
		m.readScheduled = true
		wait := s.delay(statusRead) - now.Sub(time.UnixMilli(m.At)) // after delivered
		wait = max(wait, s.delay(statusSent))
		list = append(list, s.statusEvent(m.ID, m.ref, statusRead, p.Person, now.Add(wait), start.Add(wait), nil))
	}
	s.enqueue(list...)
}

func (s *Server) enqueue(list ...*webhookEvent) {
	if err := s.out.add(list...); err != nil {
		s.record.count(func(c *Counts) { c.Dropped += int64(len(list)) })
		s.log.Warn("sandbox events dropped", "events", len(list), "err", err)
	}
}

// onPosted shows the result of a post: ticks on the phone, and a line in the list of
// webhooks.
func (s *Server) onPosted(res postResult) {
	s.record.count(func(c *Counts) {
		if res.ok() {
			c.Posted++
		} else {
			c.Failed++
		}
	})
	if !res.ok() {
		s.log.Debug("webhook was refused", "code", res.code, "err", res.err, "events", len(res.events))
	}
	if s.opt.NoPhones && s.hub.idle() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logWebhook(res)
	if !res.ok() {
		return
	}
	for _, event := range res.events {
		tick := event.tick
		if event.message != nil {
			tick = tickDelivered
		}
		s.tickUp(event.id, tick)
	}
}

func (s *Server) tickUp(id, tick string) {
	for _, p := range s.phones.order {
		m := p.byID[id]
		if m == nil {
			continue
		}
		if tickRank(tick) > tickRank(m.Tick) {
			m.Tick = tick
			s.broadcast("tick", map[string]any{"phone": p.view(), "ids": []string{id}, "tick": tick})
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

func (s *Server) logWebhook(res postResult) {
	s.webhookNo++
	v := webhookView{
		At: s.opt.Now().UnixMilli(), What: "message", Count: len(res.events), Code: res.code, Number: s.webhookNo,
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
	s.webhooks = append(s.webhooks, v)
	if len(s.webhooks) > maxWebhooks {
		s.webhooks = s.webhooks[len(s.webhooks)-maxWebhooks:]
	}
	s.broadcast("webhook", v)
}

package router

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// story is one long conversation with its history.
type story struct {
	rules Rules
	conv  Conversation
	now   time.Time
	shown []string    // ids of rows and buttons
	said  []time.Time // automatic messages since our side last took part
}

var (
	anyText = rapid.SampledFrom([]string{
		"hola", "1", "2", "3", "5", "11", "22", "36", "47", "51", "menu", "MENÚ", "0", "volver", "persona", "sí", "no", "gracias",
		"👍", "", "tengo 2 hijos", "Administración", "becas", "baja", "stop", "alta", "buen día", "1️⃣", "x", "¿?",
	})
	anyType = rapid.SampledFrom([]string{
		"text", "text", "text", "text", "text", "interactive", "button", "button", "image", "audio", "sticker", "location", "order", "contacts",
		"reaction", "system", "edit", "revoke", "request_welcome", "unsupported", "from_the_future", "",
	})
	anyStep = rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, time.Second, time.Minute, 20 * time.Minute, 2 * time.Hour, 25 * time.Hour})
)

func (s *story) message(t *rapid.T) Message {
	m := Message{Type: anyType.Draw(t, "type"), Text: anyText.Draw(t, "text"), SentAt: s.now, ReceivedAt: s.now}
	if m.Type == "interactive" {
		ids := append([]string{"principal/1/0", "admin_pagos", "?/sí/0", "admin/11/1"}, s.shown...)
		m.ReplyID = rapid.SampledFrom(ids).Draw(t, "reply")
	}
	if m.Type == "button" {
		m.ReplyID = rapid.SampledFrom(payloads).Draw(t, "payload")
	}
	switch rapid.IntRange(0, 24).Draw(t, "flag") {
	case 0:
		m.Stale, m.SentAt = true, s.now.Add(-time.Hour)
	case 1:
		m.Late = true
	case 2:
		m.Group = true
	case 3:
		m.Blocked = true
	case 4:
		m.OptedOut = true
	case 5:
		m.Echo = true
	case 6:
		m.Form, m.Type = true, "interactive"
	case 7:
		m.Unseen, m.Type = true, "unsupported"
	}
	return m
}

// write is one message of the contact.
func (s *story) write(t *rapid.T) {
	s.now = s.now.Add(anyStep.Draw(t, "wait"))
	m := s.message(t)
	was := s.conv
	d := checkStep(t, s.rules, was, m, s.now)
	if d.Reason == HandoffTimeout || was.State == StateClosed && d.Next.State != StateClosed {
		s.said = nil
	}
	if len(d.Replies) > 0 && d.Handoff == nil {
		s.said = append(s.said, s.now)
	}
	s.budget(t)
	if d.Next.Invalid > s.rules.Flow.Policies.InvalidLimit {
		t.Errorf("%d invalid inputs and no offer", d.Next.Invalid)
	}
	if d.Reason == Together && (was.FileAt.IsZero() || s.now.Sub(was.FileAt) > 2*togetherWithin) {
		t.Errorf("a file got no answer, and the last one that had one came at %s", was.FileAt)
	}
	if d.Next.Offered && d.Reason != OfferPerson && d.Reason != TemplateButton && len(d.Replies) > 0 {
		t.Errorf("an offer stands that was not the last word (%s)", d.Reason)
	}
	s.keep(d)
}

// budget checks the hourly budget: so many automatic messages, then one offer.
func (s *story) budget(t *rapid.T) {
	limit := budget(s.rules)
	inHour := 0
	for _, at := range s.said {
		if s.now.Sub(at) < time.Hour {
			inHour++
		}
	}
	if inHour > limit+1 {
		t.Errorf("%d automatic messages in an hour, the budget is %d and one offer", inHour, limit)
	}
}

// order is one command of ours, or of the timer.
func (s *story) order(t *rapid.T) {
	s.now = s.now.Add(anyStep.Draw(t, "wait"))
	cmd := Command{
		Kind: rapid.SampledFrom([]CommandKind{
			CommandHandoff, CommandAgentSent, CommandClose, CommandReopen, CommandDisconnect, CommandReconnect, CommandReset, CommandTimeout, "dance",
		}).Draw(t, "command"),
		Area: rapid.SampledFrom([]string{"admin", "ventas", "administracion", "nobody", ""}).Draw(t, "area"),
	}
	was := s.conv
	d := s.rules.Apply(was, cmd, s.now)
	checkAny(t, s.rules, was, d)
	for _, r := range d.Replies {
		if r.Menu != "" {
			t.Errorf("%s showed a menu", cmd.Kind)
		}
	}
	if d.Reason == NoEffect && (d.Changed || len(d.Replies) > 0 || d.Handoff != nil || d.Closed) {
		t.Errorf("no effect, and yet %+v", d)
	}
	if again := s.rules.Apply(d.Next, cmd, s.now); again.Changed {
		t.Errorf("%s twice: %+v", cmd.Kind, again)
	}
	if d.Next.State != StateHandedOff && d.Next.State != was.State {
		s.said = nil // our side took part
	}
	if d.Reason == ResetByHand {
		s.said = nil
	}
	s.keep(d)
}

func (s *story) keep(d Decision) {
	s.conv = d.Next
	if d.Handoff != nil {
		s.conv.Ticket = "PSI-2026-000001"
	}
	for _, r := range d.Replies {
		for _, o := range r.Options {
			s.shown = append(s.shown, o.ID)
		}
	}
	if len(s.shown) > 40 {
		s.shown = s.shown[len(s.shown)-40:]
	}
}

func TestPromisesHoldInAnyStory(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	for _, breaks := range []bool{false, true} {
		f := *rules.Flow
		f.Policies.MenuBreaksHandoff = breaks
		f.Policies.AutoPerHour = 6 // so that stories run into it
		rules.Flow = &f
		rapid.Check(t, func(t *rapid.T) {
			s := &story{rules: rules, conv: NewConversation("wsp4"), now: monday}
			t.Repeat(map[string]func(*rapid.T){"write": s.write, "write more": s.write, "write on": s.write, "order": s.order})
		})
	}
}

// TestOldListsAreStale: a list shown before the last change of epoch stays stale.
func TestOldListsAreStale(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	rapid.Check(t, func(t *rapid.T) {
		s := &story{rules: rules, conv: NewConversation("wsp4"), now: monday}
		for range rapid.IntRange(1, 30).Draw(t, "turns") {
			if rapid.IntRange(0, 3).Draw(t, "who") == 0 {
				s.order(t)
			} else {
				s.write(t)
			}
		}
		for _, id := range s.shown {
			parsed, _ := parseReplyID(id)
			if parsed.epoch == s.conv.Epoch {
				continue
			}
			d := s.rules.Step(s.conv, Message{Type: "interactive", ReplyID: id, SentAt: s.now, ReceivedAt: s.now}, s.now)
			if d.Handoff != nil || d.Reason == ReplyChoice {
				t.Errorf("%s of epoch %d chose something in epoch %d (%s)", id, parsed.epoch, s.conv.Epoch, d.Reason)
			}
		}
	})
}

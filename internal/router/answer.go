package router

import (
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// Tags of hand-offs that no option of the flow names.
const (
	tagPerson = "persona" // asked for a person in words
	tagOffer  = "oferta"  // accepted the offer of a person
	tagOutage = "caida"   // was left without an answer
)

// silent says nothing and stays.
func (t *turn) silent(why Reason) Decision {
	return Decision{Next: t.next, Reason: why}
}

// text says one sentence, or nothing when the flow has none, and stays.
func (t *turn) text(why Reason, sentence string) Decision {
	d := t.silent(why)
	d.Next.Invalid = 0
	if sentence != "" {
		d.Replies = []Reply{{Text: sentence, Style: flow.StyleText}}
	}
	return d
}

// start shows the first menu of the line.
func (t *turn) start(why Reason, lead string) Decision {
	return t.show(t.flow.Start(t.was.Line), why, lead)
}

// show puts the person in a menu and shows it, with a sentence before it.
func (t *turn) show(m *flow.Menu, why Reason, lead string) Decision {
	d := t.silent(why)
	d.Next.Invalid = 0
	if m == nil {
		return d // a flow without menus has nothing to show
	}
	d.Next.Menu = m.ID
	d.Replies = []Reply{menuReply(m, d.Next.Epoch, lead, t.flow.Texts.MenuButton)}
	return d
}

// choose does what an option says.
func (t *turn) choose(c flow.Choice, why Reason) Decision {
	o, ok := t.flow.Option(c)
	switch {
	case !ok:
		return t.invalid(t.flow.Texts.Invalid)
	case o.Menu != "":
		return t.show(t.flow.Menus[o.Menu], why, "")
	case o.Handoff != nil:
		return t.handoff(HandedOff, o.Handoff.Area, o.Handoff.Tag)
	}
	d := t.text(why, o.Reply)
	d.Next.Menu = c.Menu
	return d
}

// tapped handles a tapped row or button. Only what we showed last counts: an
// old list must not move a conversation that has gone on.
func (t *turn) tapped() Decision {
	id, ours := parseReplyID(t.msg.ReplyID)
	stale := !ours || id.epoch != t.was.Epoch
	if !stale && id.menu == offerMenu && t.was.Offered {
		switch id.code {
		case offerYes:
			return t.accept()
		case offerNo:
			return t.show(t.menu, OfferDeclined, "")
		}
	}
	if m := t.flow.Menus[t.was.Menu]; !stale && m != nil && id.menu == t.was.Menu {
		for i := range m.Options {
			if m.Options[i].Code == id.code {
				return t.choose(flow.Choice{Menu: m.ID, Index: i}, ReplyChoice)
			}
		}
	}
	return t.show(t.menu, StaleReply, t.flow.Texts.StaleReply)
}

// invalid shows the menu again with a sentence that says why; after too many in
// a row it offers a person and counts anew.
func (t *turn) invalid(lead string) Decision {
	limit := t.flow.Policies.InvalidLimit
	if limit < 1 {
		limit = flow.DefaultInvalidLimit
	}
	if t.was.Invalid >= limit {
		return t.offer()
	}
	d := t.show(t.menu, InvalidInput, lead)
	d.Next.Invalid = t.was.Invalid + 1
	return d
}

// offer asks whether the person wants to talk to somebody.
func (t *turn) offer() Decision {
	d := t.silent(OfferPerson)
	d.Next.Invalid = 0
	d.Next.Offered = true
	d.Replies = []Reply{offerReply(t.flow.Texts, d.Next.Epoch)}
	return d
}

func (t *turn) accept() Decision { return t.handoff(HandedOff, t.personArea(), tagOffer) }

// personArea is the team for somebody who wants a person: the one of the menu
// that they are in when all its hand-offs go to one, else the flow's.
func (t *turn) personArea() string {
	area := ""
	for _, o := range t.menuOrEmpty().Options {
		switch {
		case o.Menu != "":
			return t.flow.Policies.OfferArea
		case o.Handoff == nil:
		case area != "" && area != o.Handoff.Area:
			return t.flow.Policies.OfferArea
		default:
			area = o.Handoff.Area
		}
	}
	if area == "" {
		return t.flow.Policies.OfferArea
	}
	return area
}

// handoff gives the conversation to a team.
func (t *turn) handoff(why Reason, area, tag string) Decision {
	d := Decision{Reason: why, Next: handedOff(t.next, area, tag), Changed: true, Handoff: &Handoff{Area: area, Tag: tag}}
	d.Next.Ticket = "" // the store makes it
	d.Next.TimeoutAt = t.timeoutFrom(t.now)
	d.Replies = confirmation(t.flow, t.flow.Texts.HandedOff, area)
	return d
}

// prefers reports whether the whole message stops marketing, or takes it up again.
func (t *turn) prefers() bool {
	return t.says(t.flow.Commands.Stop) || t.msg.OptedOut && t.says(t.flow.Commands.Start)
}

// preference notes whether the person wants marketing, and nothing else: the
// conversation stays as it is.
func (t *turn) preference() Decision {
	if t.says(t.flow.Commands.Stop) {
		d := t.text(OptedOut, t.flow.Texts.OptedOut)
		d.OptOut = true
		return d
	}
	d := t.text(OptedIn, t.flow.Texts.OptedIn)
	d.OptIn = true
	return d
}

// tooLate says nothing any more, but a stop of marketing holds from whenever it came.
func (t *turn) tooLate(why Reason) Decision {
	d := t.silent(why)
	nobodys := t.was.State == StateMenu || t.was.State == StateClosed || t.handoffIsOver()
	d.OptOut = nobodys && t.class == classText && t.Stops(t.msg.Text)
	return d
}

// endWith does what the person wants where the team's time is over, though its timer has
// not fired yet: the conversation is closed first, as it would be afterwards.
func (t *turn) endWith(act func() Decision) Decision {
	t.next = closed(t.next)
	d := act()
	d.Changed, d.Closed = true, true
	return d
}

// reopen begins a closed conversation anew. Somebody of ours closed it, so the
// budget of automatic messages begins anew too: the menu always comes.
func (t *turn) reopen() Decision {
	t.next = inMenu(t.next)
	d := t.start(ClosedReopened, t.flow.Texts.WindowReopen)
	d.Changed = true
	return d
}

// endHandoff takes the conversation back from the team that has it.
func (t *turn) endHandoff(why Reason, lead string) Decision {
	closed := why == HandoffTimeout
	auto := t.next.Auto
	t.next = inMenu(t.next)
	if !closed {
		t.next.Auto = auto // a person did this, not one of ours
	}
	d := t.start(why, lead)
	d.Changed, d.Closed = true, closed
	return d
}

// timeoutFrom is when a hand-off ends after a last word at the given time.
func (r Rules) timeoutFrom(last time.Time) time.Time {
	if r.HandoffTimeout <= 0 {
		return time.Time{}
	}
	return last.Add(r.HandoffTimeout)
}

// handedOff is the conversation in the hands of a team ("" for nobody's yet).
func handedOff(c Conversation, area, tag string) Conversation {
	c.State, c.Area, c.Tag = StateHandedOff, area, tag
	c.Menu, c.Invalid, c.Offered = "", 0, false
	c.Epoch++
	return c
}

// inMenu is the conversation back with the router: the next message, or this
// one, shows the start.
func inMenu(c Conversation) Conversation {
	c.State, c.Area, c.Tag, c.Ticket = StateMenu, "", "", ""
	c.Menu, c.Invalid, c.Offered, c.Auto = "", 0, false, nil
	c.TimeoutAt = time.Time{}
	c.Epoch++
	return c
}

// confirmation tells the person who answers from here on.
func confirmation(f *flow.Flow, sentence, area string) []Reply {
	a, ok := f.Area(area)
	if !ok {
		a = flow.Area{Name: area}
	}
	text := strings.NewReplacer("{area}", a.Name, "{expected}", a.Expected).Replace(sentence)
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return []Reply{{Text: text, Style: flow.StyleText}}
}

// recent keeps the automatic messages of the last hour. Times far ahead of the
// clock (it was set back) would block for ever, so they go too.
func recent(auto []int64, now time.Time) []int64 {
	const hour = 3600
	at := now.Unix()
	return slices.DeleteFunc(slices.Clone(auto), func(s int64) bool { return s <= at-hour || s > at+hour })
}

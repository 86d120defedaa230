package router

import (
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// Tags of hand-offs that no option names.
const (
	tagPerson = "persona" // asked for a person in words
	tagOffer  = "oferta"  // accepted the offer of a person
	tagOutage = "caida"   // was left without an answer
)

// silent says nothing and leaves the conversation where it is.
func (t *turn) silent(why Reason) Decision {
	return Decision{Next: t.next, Reason: why}
}

// text says one sentence, or nothing if it is empty, and leaves the conversation where it is.
func (t *turn) text(why Reason, sentence string) Decision {
	d := t.silent(why)
	d.Next.Invalid = 0
	if sentence != "" {
		d.Replies = []Reply{{Text: sentence, Style: flow.StyleText}}
	}
	return d
}

func (t *turn) start(why Reason, lead string) Decision {
	return t.show(t.flow.Start(t.was.Line), why, lead)
}

// show moves the conversation to a menu and shows it, with a sentence before it.
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

// choose carries out an option.
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

// tapped handles a tapped row or button. Only the menu that was shown last counts: an old
// list must not move a conversation that has moved on.
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

// invalid shows the menu again after a sentence that says why. After too many invalid inputs
// in a row it offers a person and starts counting again.
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

// offer asks whether the contact wants to talk to a person.
func (t *turn) offer() Decision {
	d := t.silent(OfferPerson)
	d.Next.Invalid = 0
	d.Next.Offered = true
	d.Replies = []Reply{offerReply(t.flow.Texts, d.Next.Epoch)}
	return d
}

func (t *turn) accept() Decision { return t.handoff(HandedOff, t.personArea(), tagOffer) }

// personArea returns the area for a contact who wants a person: that of the current menu if
// all its hand-offs go to one area, else the flow's.
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

func (t *turn) handoff(why Reason, area, tag string) Decision {
	d := Decision{Reason: why, Next: handedOff(t.next, area, tag), Changed: true, Handoff: &Handoff{Area: area, Tag: tag}}
	d.Next.Ticket = "" // the store makes it
	d.Next.TimeoutAt = t.timeoutFrom(t.now)
	d.Replies = confirmation(t.flow, t.flow.Texts.HandedOff, area)
	return d
}

// prefers reports whether the whole message stops or resumes marketing.
func (t *turn) prefers() bool {
	return t.says(t.flow.Commands.Stop) || t.msg.OptedOut && t.says(t.flow.Commands.Start)
}

// preference sets the contact's wish about marketing. The conversation stays as it is.
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

// tooLate answers nothing, but a late message still stops marketing.
func (t *turn) tooLate(why Reason) Decision {
	d := t.silent(why)
	nobodys := t.was.State == StateMenu || t.was.State == StateClosed || t.handoffIsOver()
	d.OptOut = nobodys && t.class == classText && t.Stops(t.msg.Text)
	return d
}

// endWith closes a conversation whose hand-off has timed out although its timer has not
// fired yet, then carries out act.
func (t *turn) endWith(act func() Decision) Decision {
	t.next = closed(t.next)
	d := act()
	d.Changed, d.Closed = true, true
	return d
}

// reopen restarts a closed conversation. Our side closed it, so the budget of automatic
// messages is fresh and the menu is always shown.
func (t *turn) reopen() Decision {
	t.next = inMenu(t.next)
	d := t.start(ClosedReopened, t.flow.Texts.WindowReopen)
	d.Changed = true
	return d
}

// endHandoff takes the conversation back from its team.
func (t *turn) endHandoff(why Reason, lead string) Decision {
	closed := why == HandoffTimeout
	auto := t.next.Auto
	t.next = inMenu(t.next)
	if !closed {
		t.next.Auto = auto // the contact did this, not our side
	}
	d := t.start(why, lead)
	d.Changed, d.Closed = true, closed
	return d
}

// timeoutFrom returns when a hand-off times out if nobody writes after last; zero for never.
func (r Rules) timeoutFrom(last time.Time) time.Time {
	if r.HandoffTimeout <= 0 {
		return time.Time{}
	}
	return last.Add(r.HandoffTimeout)
}

// handedOff returns the conversation handed to a team; "" is no team yet.
func handedOff(c Conversation, area, tag string) Conversation {
	c.State, c.Area, c.Tag = StateHandedOff, area, tag
	c.Menu, c.Invalid, c.Offered = "", 0, false
	c.Epoch++
	return c
}

// inMenu returns the conversation given back to the router, before the start menu is shown.
func inMenu(c Conversation) Conversation {
	c.State, c.Area, c.Tag, c.Ticket = StateMenu, "", "", ""
	c.Menu, c.Invalid, c.Offered, c.Auto = "", 0, false, nil
	c.TimeoutAt = time.Time{}
	c.Epoch++
	return c
}

// confirmation tells the contact which team answers from here on.
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

// recent keeps the times of the last hour. Times far in the future (the clock was set back)
// would block for ever, so they are dropped too.
func recent(auto []int64, now time.Time) []int64 {
	const hour = 3600
	at := now.Unix()
	return slices.DeleteFunc(slices.Clone(auto), func(s int64) bool { return s <= at-hour || s > at+hour })
}

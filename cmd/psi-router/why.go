package main

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/router"
)

type whyCmd struct {
	Phone string `arg:"" help:"Phone, however it is written; a user id, a ticket or a message id will do."`
	Last  int    `default:"5" help:"How many of the last decisions."`
}

func (whyCmd) Help() string {
	return `Examples:
  psi-router why 5491155550001
  psi-router why "11 5555-0001" --lang en
  psi-router why PSI-2026-000123 --last 20`
}

// explanation is what `why` says of one conversation.
type explanation struct {
	Conversation conversation `json:"conversation"`
	State        string       `json:"state_text"`
	Window       string       `json:"window_text"`
	Decisions    []decision   `json:"decisions"`
	Todo         []string     `json:"todo"`
}

// decision is one decision and the messages that it sent.
type decision struct {
	At         time.Time `json:"at"`
	Author     string    `json:"author"`
	Text       string    `json:"text"`
	Reason     string    `json:"reason"`
	ReasonText string    `json:"reason_text"`
	Sends      []send    `json:"sends"`
}

// send is one outgoing message and what became of it.
type send struct {
	At         time.Time `json:"at"`
	Author     string    `json:"author"`
	Text       string    `json:"text"`
	Status     string    `json:"status"`
	StatusText string    `json:"status_text"`
	Reason     string    `json:"reason,omitempty"`
	Code       int       `json:"error_code,omitempty"`
	Detail     string    `json:"error_detail,omitempty"`
}

func (c *whyCmd) Run(e *env) error {
	if c.Last < 1 {
		return usage("--last %d: write 1 or more", c.Last)
	}
	return e.withClient(func(cl *client) error {
		var t trace
		err := cl.get(e.ctx, "/trace/"+url.PathEscape(c.Phone), &t)
		if notFound(err) {
			return e.notFoundHelp(c.Phone, cl.cfg.DefaultCountry)
		}
		if err != nil {
			return err
		}
		var queues queueList
		if err := cl.get(e.ctx, "/queues", &queues); err != nil {
			return err
		}
		w := explainer{e, cl.cfg.Location(), e.now()}
		all := make([]explanation, 0, len(t.Conversations))
		for _, conv := range t.Conversations {
			all = append(all, w.explain(conv, t, queues.Items, c.Last))
		}
		if e.JSON {
			return e.printJSON(map[string]any{"key": c.Phone, "conversations": all, "records": t.Records})
		}
		for i, x := range all {
			if i > 0 {
				e.printf("\n")
			}
			w.print(x)
		}
		for _, r := range t.Records {
			e.printf("%s  %s (%s): %s\n", formatTime(r.ReceivedAt, w.loc), r.Kind, cmp.Or(r.Line, r.LineRef), w.reason(r.Reason))
		}
		return nil
	})
}

// notFoundHelp returns the error of an unknown key, with what to check.
func (e *env) notFoundHelp(key, country string) error {
	x := phone.Explain(key, country)
	seen := e.say(searchedAsIs)
	if x.Key != "" && x.Key != key {
		seen = e.say(searchedAs, x.E164)
	}
	return problem("%s", e.say(nothingFound, key, seen))
}

// explainer turns answers of the API into sentences.
type explainer struct {
	*env
	loc *time.Location
	now time.Time
}

func (w explainer) reason(code string) string { return router.Reason(code).Text(w.Lang) }

func (w explainer) explain(c conversation, t trace, queues []queueRow, last int) explanation {
	x := explanation{Conversation: c, Decisions: []decision{}, Todo: []string{}}
	for _, m := range t.Messages {
		if m.Conversation != c.ID {
			continue
		}
		in := m.Direction == "inbound"
		if in || len(x.Decisions) == 0 { // otherwise the message belongs to the last decision
			d := decision{At: happenedAt(m), Author: m.Author, Reason: m.Reason, ReasonText: w.reason(m.Reason), Sends: []send{}}
			if in {
				d.Text = messageText(m)
			}
			x.Decisions = append(x.Decisions, d)
		}
		if !in {
			d := &x.Decisions[len(x.Decisions)-1]
			d.Sends = append(d.Sends, w.send(m))
		}
	}
	x.Decisions = x.Decisions[max(0, len(x.Decisions)-last):]
	x.State, x.Window = w.state(c, handedOffAt(c, t)), w.window(c)
	x.Todo = w.todo(c, x.Decisions, queues)
	return x
}

func messageText(m api.Message) string {
	return cmp.Or(m.Text, "("+m.Type+")")
}

// handedOffAt returns when the last hand-off was.
func handedOffAt(c conversation, t trace) time.Time {
	var at time.Time
	for _, h := range t.Handoffs {
		if h.Conversation == c.ID && h.At != nil && h.At.After(at) {
			at = *h.At
		}
	}
	return at
}

func (w explainer) state(c conversation, since time.Time) string {
	switch c.State {
	case "handed_off":
		team := cmp.Or(c.Area, "?")
		ago, ticket := "", ""
		if !since.IsZero() {
			ago = w.say(teamSince, age(w.now.Sub(since)))
		}
		if c.Ticket != "" {
			ticket = ", ticket " + c.Ticket
		}
		return w.say(stateTeam, team, ago, ticket)
	case "closed":
		return w.say(stateClosed)
	case "disconnected":
		return w.say(stateSilent)
	case "menu":
		if c.Menu == "" {
			return w.say(stateNoMenu)
		}
		return w.say(stateMenu, c.Menu)
	}
	return c.State
}

func (w explainer) window(c conversation) string {
	switch t := c.WindowExpiresAt; {
	case t == nil:
		return w.say(noWindow)
	case t.After(w.now):
		return w.say(windowOpen, w.clock(*t), age(t.Sub(w.now)))
	default:
		return w.say(windowClosed, age(w.now.Sub(*t)))
	}
}

func (w explainer) clock(t time.Time) string { return t.In(w.loc).Format("02/01 15:04") }

// finalReasons are the reasons whose sentence says what became of a message.
var finalReasons = []router.Reason{router.Superseded, router.Expired, router.WindowClosed, router.Refused, router.UncertainFor}

func (w explainer) send(m api.Message) send {
	s := send{At: happenedAt(m), Author: m.Author, Text: messageText(m), Status: m.Status, StatusText: m.Status}
	if f, ok := statusTexts[m.Status]; ok {
		s.StatusText = w.say(f)
	}
	if slices.Contains(finalReasons, router.Reason(m.Reason)) {
		s.Reason = m.Reason
		s.StatusText = strings.TrimSuffix(w.reason(m.Reason), ".")
	}
	if f, ok := refusals[router.Reason(m.Reason)]; ok && m.Status == "failed" {
		s.Reason, s.StatusText = m.Reason, w.say(f)
	}
	if m.Error != nil {
		s.Code, s.Detail = m.Error.Code, m.Error.Detail
	}
	return s
}

// todo lists what the reader can do.
func (w explainer) todo(c conversation, decisions []decision, queues []queueRow) []string {
	todo := []string{}
	add := func(text lang.Text, args ...any) {
		if s := w.say(text, args...); !slices.Contains(todo, s) {
			todo = append(todo, s)
		}
	}
	for _, q := range queues {
		if q.Name != job.Inbound && q.Name != job.SendQueue(c.Line) {
			continue
		}
		switch {
		case q.Paused:
			add(queuePaused, q.Name)
		case q.HeldUntil != nil:
			add(queueWaits, q.Name, oneLine(observe.HoldReason(w.Lang, q.HeldFor), 200))
		}
		if q.Dead > 0 {
			add(queueDead, q.Dead, q.Name)
		}
	}
	if len(decisions) > 0 {
		for _, s := range decisions[len(decisions)-1].Sends {
			w.advise(s, add)
		}
	}
	if c.Left != nil {
		add(todoLeft, c.ID)
	}
	if c.Contact.Blocked {
		add(todoBlocked, c.ID)
	}
	switch c.State {
	case "handed_off":
		add(todoHandedOff, c.ID)
	case "disconnected":
		add(todoReconnect, c.ID)
	}
	return todo
}

// advise adds what to do about a message that was not delivered.
func (w explainer) advise(s send, add func(text lang.Text, args ...any)) {
	switch {
	case s.Status == "uncertain":
		add(todoUncertain)
	case s.Status != "failed":
	case s.Code == 190:
		add(todoToken)
	case s.Reason == string(router.WindowClosed) || s.Code == 131047:
		add(todoTemplate)
	case s.Code != 0:
		add(todoRefused, s.Code, oneLine(s.Detail, 200))
	}
}

func (w explainer) print(x explanation) {
	c := x.Conversation
	w.printf("%s\n", w.style(bold, cmp.Or(contactLabel(c.Contact), c.ID)+" — "+w.say(ofLine, c.Line)))
	w.printf("%s\n%s\n", x.State, x.Window)
	if alone := w.leftText(c); alone != "" {
		w.printf("%s\n", w.style(red, alone))
	}
	if len(x.Decisions) > 0 {
		w.printf("\n%s\n", w.say(lastHappened))
	}
	for _, d := range x.Decisions {
		if d.Text != "" {
			w.printf("  %s  « %s »\n", w.style(dim, w.clock(d.At)), oneLine(d.Text, textWidth))
			w.printf("    %s %s\n", d.ReasonText, w.style(dim, "("+d.Reason+")"))
		} else {
			w.printf("  %s  %s\n", w.style(dim, w.clock(d.At)), w.say(weWroteFirst))
		}
		for _, s := range d.Sends {
			code := green
			if s.Status == "failed" || s.Status == "uncertain" {
				code = red
			}
			w.printf("    → %s  « %s »%s\n", w.style(code, s.StatusText), oneLine(s.Text, textWidth), errorText(s.Code, s.Detail))
		}
		if len(d.Sends) == 0 && d.Text != "" {
			w.printf("    → %s\n", w.say(nothingSent))
		}
	}
	if len(x.Todo) > 0 {
		w.printf("\n%s\n", w.say(whatYouCanDo))
	}
	for _, t := range x.Todo {
		w.printf("  • %s\n", t)
	}
}

// errorText returns why a message failed, with a space before it; "" if it did not.
func errorText(code int, detail string) string {
	text := oneLine(detail, textWidth)
	if code != 0 {
		text = strconv.Itoa(code) + " " + text
	}
	if text == "" {
		return ""
	}
	return " [" + text + "]"
}

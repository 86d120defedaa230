package main

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/router"
)

type whyCmd struct {
	Phone string `arg:"" help:"Phone, however it is written; a user id, a ticket or a message id will do."`
	Last  int    `default:"5" help:"How many of the last decisions."`
}

// Help implements kong's help.
func (whyCmd) Help() string {
	return `Examples:
  psi-router why 5491155550001
  psi-router why "11 5555-0001" --lang en
  psi-router why PSI-2026-000123 --last 20`
}

// explanation is what why says of one conversation.
type explanation struct {
	Conversation conversation `json:"conversation"`
	State        string       `json:"state_text"`
	Window       string       `json:"window_text"`
	Decisions    []decision   `json:"decisions"`
	Todo         []string     `json:"todo"`
}

// decision is one thing that was decided, with what came of it.
type decision struct {
	At         time.Time `json:"at"`
	Author     string    `json:"author"`
	Text       string    `json:"text"`
	Reason     string    `json:"reason"`
	ReasonText string    `json:"reason_text"`
	Sends      []send    `json:"sends"`
}

// send is one outgoing message and its fate.
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

// Run explains every conversation of the person.
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
			e.printf("%s  %s (%s): %s\n", formatTime(r.ReceivedAt, w.loc), r.Kind, orDefault(r.Line, r.LineRef), w.reason(r.Reason))
		}
		return nil
	})
}

// notFoundHelp says what may be the matter when nothing is known.
func (e *env) notFoundHelp(key, country string) error {
	x := phone.Explain(key, country)
	seen := e.say("lo busqué tal cual", "I looked for it as it is")
	if x.Key != "" && x.Key != key {
		seen = e.say("lo busqué como "+x.E164, "I looked for it as "+x.E164)
	}
	return problem("%s", e.say(
		"no hay nada de "+key+" ("+seen+"). No llegó ningún mensaje suyo: fijate que el número esté bien, que su línea esté en `psi-router queue stats` sin pausa, y que Meta tenga bien la URL del webhook (mirá /status)",
		"there is nothing of "+key+" ("+seen+"). No message of theirs arrived: check the number, that no queue is paused in `psi-router queue stats`, and that Meta has the right webhook URL (see /status)"))
}

// explainer turns what the API knows into sentences.
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
		n := len(x.Decisions)
		switch {
		case m.Direction == "inbound":
			x.Decisions = append(x.Decisions, decision{
				At: m.at(), Author: m.Author, Text: messageText(m), Reason: m.Reason, ReasonText: w.reason(m.Reason), Sends: []send{},
			})
		case n > 0:
			x.Decisions[n-1].Sends = append(x.Decisions[n-1].Sends, w.send(m))
		default: // we wrote first
			x.Decisions = append(x.Decisions, decision{At: m.at(), Author: m.Author, Reason: m.Reason, ReasonText: w.reason(m.Reason), Sends: []send{w.send(m)}})
		}
	}
	since := w.handedOffAt(c, t)
	if len(x.Decisions) > last {
		x.Decisions = x.Decisions[len(x.Decisions)-last:]
	}
	x.State, x.Window = w.state(c, since), w.window(c)
	x.Todo = w.todo(c, x.Decisions, queues)
	return x
}

func messageText(m message) string {
	if m.Text == "" {
		return "(" + m.Type + ")"
	}
	return m.Text
}

// handedOffAt is when the last hand-off was.
func (w explainer) handedOffAt(c conversation, t trace) time.Time {
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
		team := orDefault(c.Area, "?")
		ago, ticket := "", ""
		if !since.IsZero() {
			ago = w.say(" desde hace ", " for ") + age(w.now.Sub(since))
		}
		if c.Ticket != "" {
			ticket = ", ticket " + c.Ticket
		}
		return w.say("La tiene el equipo "+team+ago+ticket+": el bot se calla hasta que la cierren.",
			"The team "+team+" has it"+ago+ticket+": the bot is silent until they close it.")
	case "closed":
		return w.say("Está cerrada: cuando vuelva a escribir recibe el menú.", "It is closed: when they write again they get the menu.")
	case "disconnected":
		return w.say("Está desconectada: el bot no contesta hasta que la reconecten.", "It is disconnected: the bot does not answer until it is reconnected.")
	case "menu":
		if c.Menu == "" {
			return w.say("La atiende el bot; todavía no vio ningún menú.", "The bot has it; no menu was shown yet.")
		}
		return w.say("La atiende el bot, en el menú «"+c.Menu+"».", "The bot has it, in the menu “"+c.Menu+"”.")
	}
	return c.State
}

func (w explainer) window(c conversation) string {
	switch t := c.WindowExpiresAt; {
	case t == nil:
		return w.say("No hay ventana que mirar: la línea no la tiene, o la persona nunca escribió.", "There is no window to look at: the line has none, or the person never wrote.")
	case t.After(w.now):
		return w.say("La ventana de WhatsApp está abierta hasta el "+w.clock(*t)+" (queda "+age(t.Sub(w.now))+").",
			"WhatsApp's window is open until "+w.clock(*t)+" ("+age(t.Sub(w.now))+" left).")
	default:
		return w.say("La ventana de WhatsApp se cerró hace "+age(w.now.Sub(*t))+": hasta que la persona escriba solo sale una plantilla.",
			"WhatsApp's window closed "+age(w.now.Sub(*t))+" ago: until the person writes only a template goes out.")
	}
}

func (w explainer) clock(t time.Time) string { return t.In(w.loc).Format("02/01 15:04") }

// statusTexts says each status in words: Spanish, English.
var statusTexts = map[string][2]string{
	"queued":    {"espera para salir", "waits to be sent"},
	"sending":   {"está saliendo", "is being sent"},
	"sent":      {"salió", "was sent"},
	"delivered": {"le llegó", "was delivered"},
	"read":      {"la leyó", "was read"},
	"played":    {"la escuchó", "was played"},
	"failed":    {"NO salió", "was NOT sent"},
	"uncertain": {"no se sabe si salió", "may have been sent"},
}

// refusals say in words that fit a message of ours why we did not send it, where the
// reason's own are about what the person wrote: Spanish, English.
var refusals = map[router.Reason][2]string{
	router.Blocked:  {"NO salió: la persona está bloqueada", "was NOT sent: the person is blocked"},
	router.OptedOut: {"NO salió: pidió no recibir promociones", "was NOT sent: they asked for no marketing"},
}

// finalReasons are the reasons that say by themselves what became of a message.
var finalReasons = []router.Reason{router.Superseded, router.Expired, router.WindowClosed, router.Refused, router.UncertainFor}

func (w explainer) send(m message) send {
	s := send{At: m.at(), Author: m.Author, Text: messageText(m), Status: m.Status, StatusText: m.Status}
	if f, ok := statusTexts[m.Status]; ok {
		s.StatusText = w.say(f[0], f[1])
	}
	if slices.Contains(finalReasons, router.Reason(m.Reason)) {
		s.Reason = m.Reason
		s.StatusText = strings.TrimSuffix(w.reason(m.Reason), ".")
	}
	if f, ok := refusals[router.Reason(m.Reason)]; ok && m.Status == "failed" {
		s.Reason, s.StatusText = m.Reason, w.say(f[0], f[1])
	}
	if m.Error != nil {
		s.Code, s.Detail = m.Error.Code, m.Error.Detail
	}
	return s
}

// todo is what the reader can do about what they see.
func (w explainer) todo(c conversation, decisions []decision, queues []queueRow) []string {
	todo := []string{}
	add := func(es, en string) {
		if s := w.say(es, en); !slices.Contains(todo, s) {
			todo = append(todo, s)
		}
	}
	for _, q := range queues {
		if q.Name != "inbound" && q.Name != "send:"+c.Line {
			continue
		}
		switch {
		case q.Paused:
			add("La cola "+q.Name+" está en pausa: `psi-router queue resume "+q.Name+"`.", "The queue "+q.Name+" is paused: `psi-router queue resume "+q.Name+"`.")
		case q.HeldUntil != nil:
			why := oneLine(observe.HoldReason(w.Lang, q.HeldFor), 200)
			add("La cola "+q.Name+" espera: "+why+".", "The queue "+q.Name+" waits: "+why+".")
		}
		if q.Dead > 0 {
			n := strconv.FormatInt(q.Dead, 10)
			add("Hay "+n+" trabajos abandonados en "+q.Name+": `psi-router dead list --queue "+q.Name+"`.", "There are "+n+" dead letters in "+q.Name+": `psi-router dead list --queue "+q.Name+"`.")
		}
	}
	if len(decisions) > 0 {
		for _, s := range decisions[len(decisions)-1].Sends {
			w.advise(s, add)
		}
	}
	if c.Left != nil {
		add("Para que le conteste alguien: `psi-router conv handoff "+c.ID+" --area EQUIPO`; si no hace falta: `psi-router left dismiss "+c.ID+"`.",
			"To have somebody answer: `psi-router conv handoff "+c.ID+" --area TEAM`; if nothing is needed: `psi-router left dismiss "+c.ID+"`.")
	}
	if c.Contact.Blocked {
		add("Está bloqueado: no se le contesta nada. Para que se le conteste: `psi-router conv unblock "+c.ID+"`.",
			"The person is blocked: nothing is answered. To answer again: `psi-router conv unblock "+c.ID+"`.")
	}
	switch c.State {
	case "handed_off":
		add("Para que vuelva al menú: `psi-router conv close "+c.ID+"`.", "To give it back to the menu: `psi-router conv close "+c.ID+"`.")
	case "disconnected":
		add("Para que el bot conteste: `psi-router conv reconnect "+c.ID+"`.", "To let the bot answer: `psi-router conv reconnect "+c.ID+"`.")
	}
	return todo
}

// advise tells what to do about a message that did not get through.
func (w explainer) advise(s send, add func(es, en string)) {
	switch {
	case s.Status == "uncertain":
		add("Preguntale a la persona si le llegó antes de repetir el mensaje: WhatsApp no contestó y no se repite solo.", "Ask the person whether it came before repeating the message: WhatsApp gave no answer, and it is not repeated by itself.")
	case s.Status != "failed":
	case s.Code == 190:
		add("El token de la línea no sirve más: poné uno nuevo en la configuración y reiniciá.", "The line's token is no good any more: put a new one into the configuration and restart.")
	case s.Reason == string(router.WindowClosed) || s.Code == 131047:
		add("Fuera de la ventana solo sale una plantilla aprobada.", "Outside the window only an approved template goes out.")
	case s.Code != 0:
		add("WhatsApp lo rechazó con el código "+strconv.Itoa(s.Code)+" ("+oneLine(s.Detail, 200)+"); está explicado en la página de códigos de error de la Cloud API.", "WhatsApp refused it with code "+strconv.Itoa(s.Code)+" ("+oneLine(s.Detail, 200)+"); the Cloud API's page of error codes explains it.")
	}
}

func (w explainer) print(x explanation) {
	c := x.Conversation
	w.printf("%s\n", w.style(bold, orDefault(contactLabel(c.Contact), c.ID)+" — "+w.say("línea ", "line ")+c.Line))
	w.printf("%s\n%s\n", x.State, x.Window)
	if alone := w.leftText(c); alone != "" {
		w.printf("%s\n", w.style(red, alone))
	}
	if len(x.Decisions) > 0 {
		w.printf("\n%s\n", w.say("Lo último que pasó:", "What happened last:"))
	}
	for _, d := range x.Decisions {
		if d.Text != "" {
			w.printf("  %s  « %s »\n", w.style(dim, w.clock(d.At)), oneLine(d.Text, textWidth))
			w.printf("    %s %s\n", d.ReasonText, w.style(dim, "("+d.Reason+")"))
		} else {
			w.printf("  %s  %s\n", w.style(dim, w.clock(d.At)), w.say("escribimos primero", "we wrote first"))
		}
		for _, s := range d.Sends {
			code := green
			if s.Status == "failed" || s.Status == "uncertain" {
				code = red
			}
			w.printf("    → %s  « %s »%s\n", w.style(code, s.StatusText), oneLine(s.Text, textWidth), errorText(s))
		}
		if len(d.Sends) == 0 && d.Text != "" {
			w.printf("    → %s\n", w.say("no se contestó nada", "nothing was answered"))
		}
	}
	if len(x.Todo) > 0 {
		w.printf("\n%s\n", w.say("Qué podés hacer:", "What you can do:"))
	}
	for _, t := range x.Todo {
		w.printf("  • %s\n", t)
	}
}

func errorText(s send) string {
	switch {
	case s.Code != 0:
		return " [" + strconv.Itoa(s.Code) + " " + oneLine(s.Detail, textWidth) + "]"
	case s.Detail != "":
		return " [" + oneLine(s.Detail, textWidth) + "]"
	}
	return ""
}

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/limits"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Line is a line that messages leave by.
type Line struct {
	ID string
	// Types are the types that the line can send; empty means all.
	Types []string
}

type (
	sendIn struct {
		ByID
		Idempotent
		Body SendBody
	}
	startIn struct {
		Idempotent
		Body StartBody
	}
)

// sendsAbout is the description that both ways to send share.
const sendsAbout = "A message to a conversation in the menu or closed takes it over: the bot is silent from then on, and the person's answer goes to the team. " +
	"With `takeover: false` it is a notice, and the conversation does not change. " +
	"Later than 24 h after the person's last message only a template may be sent (`window_closed`). " +
	"201 means that the message is stored and will be sent; events and its status tell what became of it."

func (s *server) registerMessages() {
	register(s, operation{
		id: "sendMessage", method: http.MethodPost, path: "/conversations/{id}/messages", tag: tagMessages, role: Agent, status: http.StatusCreated,
		summary: "Write in a conversation", errors: []int{400, 404, 409, 413, 415},
		about: "Sends by the line of the conversation. " + sendsAbout,
	}, func(ctx context.Context, actor caller, in *sendIn) (*writeOutput[Message], error) {
		c, err := s.loadToWrite(ctx, actor, in.ID, in.Body)
		if err != nil {
			return nil, err
		}
		draft, err := s.draft(ctx, actor, c.Line, in.Body)
		if err != nil {
			return nil, err
		}
		return s.send(ctx, actor, in.Idempotent, []any{"send", in.ID, in.Body}, store.Command{Conversation: in.ID, Draft: draft})
	})
	register(s, operation{
		id: "startMessage", method: http.MethodPost, path: "/messages", tag: tagMessages, role: Agent, status: http.StatusCreated,
		summary: "Write to a person", errors: []int{400, 404, 409, 413, 415},
		about: "Finds the conversation of the phone or user id on the line, or creates one; a person who never wrote can only get a template. " +
			"A key that is bound to areas reaches conversations of those areas, and conversations of no area if the message brings them to one of its own. " + sendsAbout,
	}, func(ctx context.Context, actor caller, in *startIn) (*writeOutput[Message], error) {
		b := in.Body
		if !actor.seesLine(b.Line) {
			return nil, notFound()
		}
		person, err := s.recipient(b)
		if err != nil {
			return nil, err
		}
		draft, err := s.draft(ctx, actor, b.Line, b.SendBody)
		if err != nil {
			return nil, err
		}
		return s.send(ctx, actor, in.Idempotent, []any{"start", b}, store.Command{To: &store.Recipient{Line: b.Line, Person: person}, Draft: draft})
	})
}

// loadToWrite is load for a message. A conversation without a team is judged by the team
// that the message brings it to, which the store knows.
func (s *server) loadToWrite(ctx context.Context, actor caller, id string, b SendBody) (store.Conversation, error) {
	return s.loadConversation(ctx, id, func(c store.Conversation) bool {
		return actor.sees(c.Line, c.Area) || actor.seesLine(c.Line) && c.Area == "" && !b.notice()
	})
}

// notice reports whether the message leaves the conversation to whoever has it.
func (b SendBody) notice() bool { return b.Takeover != nil && !*b.Takeover }

func (s *server) send(ctx context.Context, actor caller, in Idempotent, request any, cmd store.Command) (*writeOutput[Message], error) {
	cmd.Kind = router.CommandAgentSent
	return execute(ctx, s, actor, in, request, cmd, func(_ store.Conversation, m *store.Message) Message { return messageView(*m) })
}

// recipient returns the person that the body names.
func (s *server) recipient(b StartBody) (inbound.Person, error) {
	p := inbound.Person{UserID: strings.TrimSpace(b.UserID)}
	if p.UserID != "" && !isPrintable(p.UserID) {
		return p, invalid("body.user_id", "not printable", "Give the user id as WhatsApp writes it.")
	}
	if strings.TrimSpace(b.Phone) == "" {
		if p.UserID == "" {
			return p, invalid("body.phone", "missing", "Name the recipient: give `phone` or `user_id`.")
		}
		return p, nil
	}
	var err error
	if p.Phone, err = phone.Typed(b.Phone, s.opts.Country); err != nil {
		return p, invalid("body.phone", "not a phone", "Give one phone with its country code, like +54 9 11 0000-0001.")
	}
	return p, nil
}

// draft checks a body and returns its message. It leaves to WhatsApp what only WhatsApp can
// know: whether the template exists, whether the link works.
func (s *server) draft(ctx context.Context, actor caller, line string, b SendBody) (*store.Draft, error) {
	types, known := s.lines[line]
	switch {
	case s.lines != nil && !known:
		return nil, problem(http.StatusUnprocessableEntity, codeUnknownLine, "There is no line of this name. Use one of "+s.lineNames()+".")
	case len(types) > 0 && !slices.Contains(types, b.Type):
		return nil, problem(http.StatusUnprocessableEntity, codeNotOnThisLine,
			fmt.Sprintf("The line %s cannot send %s. It sends %s.", line, b.Type, strings.Join(types, ", ")))
	}
	d, raw, err := b.parse()
	if err != nil {
		return nil, err
	}
	if flaws := limits.Check(b.Type, raw); len(flaws) > 0 {
		return nil, limitsProblem(flaws)
	}
	d.Type = b.Type
	kind, err := json.Marshal(b.Type)
	if err != nil {
		return nil, fmt.Errorf("write type: %w", err)
	}
	d.Body = json.RawMessage(fmt.Sprintf(`{"type":%s,%s:%s}`, kind, kind, raw))
	if b.Context != nil {
		d.Quotes = b.Context.MessageID
	}
	d.OnlyOpen = b.Reopen != nil && !*b.Reopen
	d.Notice = b.notice()
	if d.Area, err = s.takeoverArea(actor, b.Area); err != nil {
		return nil, err
	}
	if t := b.Template; t != nil {
		d.Marketing = s.opts.Marketing(ctx, line, t.value.Name, t.value.Language.Code)
	}
	d.TTL, err = expiry(b.ExpiresIn)
	return d, err
}

// takeoverArea returns the area that takes the conversation over: the one that the body
// names, or the key's only one.
func (s *server) takeoverArea(actor caller, named string) (string, error) {
	if named == "" && len(actor.areas) == 1 {
		return actor.areas[0], nil
	}
	return s.areas.resolve(named, "body.area")
}

// maxTTL is the longest time that a message may wait: WhatsApp itself keeps one for 30 days
// for a phone that is off.
const maxTTL = 30 * 24 * time.Hour

// expiry parses the time that a message may wait; 0 is for ever.
func expiry(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > maxTTL {
		return 0, invalid("body.expires_in", "not a time from 1s to 720h", "Write it like 90s, 45m or 24h.")
	}
	return d, nil
}

// parse returns the draft that the type's object describes, and the object.
func (b SendBody) parse() (*store.Draft, json.RawMessage, error) {
	files := map[string]*shape[File]{"image": b.Image, "video": b.Video, "audio": b.Audio, "document": b.Document}
	objects := map[string]bool{"text": b.Text != nil, "interactive": b.Interactive != nil, "template": b.Template != nil}
	for kind, f := range files {
		objects[kind] = f != nil
	}
	for kind, there := range objects {
		switch {
		case kind == b.Type && !there:
			return nil, nil, invalid("body."+kind, "missing", "A message of type "+kind+" needs the object `"+kind+"`.")
		case kind != b.Type && there:
			return nil, nil, invalid("body."+kind, "not of this type", "Send one thing at a time: the object `"+kind+"` does not belong to a message of type "+b.Type+".")
		}
	}
	switch b.Type {
	case "text":
		return &store.Draft{Text: b.Text.value.Body}, b.Text.raw, nil
	case "interactive":
		d := &store.Draft{}
		if b.Interactive.value.Body != nil {
			d.Text = b.Interactive.value.Body.Text
		}
		return d, b.Interactive.raw, nil
	case "template":
		return &store.Draft{Text: b.Template.value.Name}, b.Template.raw, nil
	}
	f := files[b.Type]
	d, err := f.value.draft(b.Type)
	return d, f.raw, err
}

func (f File) draft(kind string) (*store.Draft, error) {
	at := "body." + kind
	link, err := url.Parse(f.Link)
	switch {
	case err != nil || link.Host == "" || link.Scheme != "https" && link.Scheme != "http":
		return nil, invalid(at+".link", "not a link", "Give the whole address where WhatsApp can fetch the file, like https://example.com/a.pdf.")
	case f.Caption != "" && kind == "audio":
		return nil, invalid(at+".caption", "not on audio", "WhatsApp shows no caption on audio: send a text beside it.")
	case f.Filename != "" && kind != "document":
		return nil, invalid(at+".filename", "only on documents", "Leave the filename out, or send it as document.")
	}
	media := &store.Media{Media: inbound.Media{URL: f.Link, Name: f.Filename}, State: store.MediaReady}
	return &store.Draft{Text: f.Caption, Media: media}, nil
}

// limitsProblem tells before queueing what WhatsApp would refuse.
func limitsProblem(flaws []limits.Flaw) *Problem {
	p := problem(http.StatusUnprocessableEntity, codeInvalid, "WhatsApp would refuse this: correct what `errors` lists. An emoji counts two characters.")
	for _, f := range flaws {
		p.Errors = append(p.Errors, Flaw{Location: "body." + f.Place, Message: f.String()})
	}
	return p
}

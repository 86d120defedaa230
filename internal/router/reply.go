package router

import (
	"strconv"
	"strings"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// The offer of a person is a menu of its own, with a name that no menu of a flow can have.
const (
	offerMenu = "?"
	offerYes  = "sí"
	offerNo   = "no"
)

// replyID is the id of a row or button: the menu, the option, and the conversation's epoch
// when it was shown.
type replyID struct {
	menu, code string
	epoch      int64
}

func (id replyID) String() string {
	return id.menu + "/" + id.code + "/" + strconv.FormatInt(id.epoch, 10)
}

func parseReplyID(s string) (replyID, bool) {
	menu, rest, ok := strings.Cut(s, "/")
	if !ok {
		return replyID{}, false
	}
	code, number, ok := strings.Cut(rest, "/")
	if !ok {
		return replyID{}, false
	}
	epoch, err := strconv.ParseInt(number, 10, 64)
	id := replyID{menu: menu, code: code, epoch: epoch}
	return id, err == nil && id.String() == s
}

func menuReply(m *flow.Menu, epoch int64, lead, button string) Reply {
	if m.Button != "" {
		button = m.Button
	}
	r := Reply{Text: join(lead, m.Text), Menu: m.ID, Style: m.Style, Footer: m.Footer}
	if m.Style == flow.StyleList {
		r.Button = button
	}
	r.Options = make([]Option, 0, len(m.Options))
	for _, o := range m.Options {
		r.Options = append(r.Options, Option{
			ID:          replyID{menu: m.ID, code: o.Code, epoch: epoch}.String(),
			Code:        o.Code,
			Title:       o.Title,
			Description: o.Description,
		})
	}
	return r
}

func offerReply(texts flow.Texts, epoch int64) Reply {
	option := func(code, title string) Option {
		return Option{ID: replyID{menu: offerMenu, code: code, epoch: epoch}.String(), Code: code, Title: title}
	}
	return Reply{
		Text: texts.OfferPerson, Style: flow.StyleButtons,
		Options: []Option{option(offerYes, texts.OfferYes), option(offerNo, texts.OfferNo)},
	}
}

// Row returns the description of an option in a list. It begins with the code, which lists do
// not show and people like to type.
func (o Option) Row() string {
	if o.Description == "" {
		return o.Code
	}
	return o.Code + " · " + o.Description
}

// join puts a sentence before a text.
func join(lead, text string) string {
	if lead == "" {
		return text
	}
	return lead + "\n\n" + text
}

// Plain returns the reply as one text with its options in lines, for lines without lists and
// buttons.
func (r Reply) Plain() string {
	var b strings.Builder
	b.WriteString(r.Text)
	if len(r.Options) > 0 {
		b.WriteString("\n")
	}
	for _, o := range r.Options {
		b.WriteString("\n*" + o.Code + "* · " + o.Title)
		if o.Description != "" {
			b.WriteString(" — " + o.Description)
		}
	}
	if r.Footer != "" {
		b.WriteString("\n\n_" + r.Footer + "_")
	}
	return b.String()
}

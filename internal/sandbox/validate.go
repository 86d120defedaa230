package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// content is the content of a valid send.
type content struct {
	body   json.RawMessage // the object under the type's name
	text   string          // for people
	target string          // of a reaction
	emoji  string
}

// Limits of WhatsApp in UTF-16 code units, in which an emoji counts two.
const (
	maxText        = 4096
	maxCaption     = 1024
	maxBody        = 1024
	maxHeader      = 60
	maxFooter      = 60
	maxButtons     = 3
	maxButtonTitle = 20
	maxButtonID    = 256
	maxRows        = 10
	maxSections    = 10
	maxRowTitle    = 24
	maxRowDetail   = 72
	maxRowID       = 200
	maxOpaque      = 512
)

// sendTypes are the types of messages that the business may send.
var sendTypes = []string{"audio", "contacts", "document", "image", "interactive", "location", "reaction", "sticker", "template", "text", "video"}

// validate refuses what Meta would refuse.
func (g *graph) validate(req *sendRequest) (content, *graphError) {
	if long(req.Opaque, maxOpaque) {
		return content{}, errParam(fmt.Sprintf("Param biz_opaque_callback_data must be at most %d characters long.", maxOpaque))
	}
	body := req.objects[req.Type]
	switch {
	case !slices.Contains(sendTypes, req.Type):
		return content{}, errParam("Param type must be one of {" + strings.ToUpper(strings.Join(sendTypes, ", ")) + "} - got \"" + req.Type + "\".")
	case len(body) == 0 || string(body) == "null":
		return content{}, errMissing("Parameter '" + req.Type + "' is mandatory for type '" + req.Type + "'")
	}
	c := content{body: body}
	var problem *graphError
	switch req.Type {
	case "text":
		c.text, problem = validText(body)
	case "image", "audio", "video", "document", "sticker":
		c.text, problem = g.validMedia(req.Type, body)
	case "interactive":
		c.text, problem = validInteractive(body)
	case "template":
		c.text, problem = validTemplate(body)
	case "reaction":
		var r struct {
			MessageID string `json:"message_id"`
			Emoji     string `json:"emoji"`
		}
		if json.Unmarshal(body, &r) != nil || r.MessageID == "" {
			problem = errMissing("Parameter 'reaction.message_id' is required")
		}
		c.target, c.emoji = r.MessageID, r.Emoji
	case "location":
		var l struct{ Latitude, Longitude *json.Number }
		if json.Unmarshal(body, &l) != nil || l.Latitude == nil || l.Longitude == nil {
			problem = errMissing("Parameters 'location.latitude' and 'location.longitude' are required")
		}
	case "contacts":
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			problem = errMissing("Parameter 'contacts' must hold at least one contact")
		}
	}
	return c, problem
}

func validText(body json.RawMessage) (string, *graphError) {
	var text struct {
		Body string `json:"body"`
	}
	if err := json.Unmarshal(body, &text); err != nil {
		return "", errParam("Param text must be a JSON object.")
	}
	switch {
	case strings.TrimSpace(text.Body) == "":
		return "", errParam("The parameter text['body'] is required.")
	case long(text.Body, maxText):
		return "", errParam(fmt.Sprintf("Param text['body'] must be at most %d characters long.", maxText))
	}
	return text.Body, nil
}

func (g *graph) validMedia(kind string, body json.RawMessage) (string, *graphError) {
	var m struct {
		ID, Link, Caption, Filename string
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return "", errParam("Param " + kind + " must be a JSON object.")
	}
	switch {
	case m.ID == "" && m.Link == "":
		return "", errMissing("Either '" + kind + ".id' or '" + kind + ".link' is required")
	case m.ID != "" && m.Link != "":
		return "", errValue("Only one of '" + kind + ".id' and '" + kind + ".link' may be given")
	case m.Caption != "" && (kind == "audio" || kind == "sticker"):
		return "", errParam("Unexpected key \"caption\" on param \"" + kind + "\".")
	case m.Filename != "" && kind != "document":
		return "", errParam("Unexpected key \"filename\" on param \"" + kind + "\".")
	case long(m.Caption, maxCaption):
		return "", errParam(fmt.Sprintf("Param %s['caption'] must be at most %d characters long.", kind, maxCaption))
	}
	if m.ID != "" {
		file := g.media.get(m.ID, g.opt.Now())
		if file == nil {
			return "", errParam("Param " + kind + "['id'] is not a valid whatsapp business account media attachment ID")
		}
		if ruleOf(file.mime).kind != kind {
			return "", errValue("The media is " + file.mime + ", which cannot be sent as " + kind)
		}
	} else if link, err := url.Parse(m.Link); err != nil || (link.Scheme != "https" && link.Scheme != "http") || link.Host == "" {
		return "", errParam("Param " + kind + "['link'] is not a valid URL.")
	}
	return m.Caption, nil
}

type interactive struct {
	Type   string
	Header *struct{ Type, Text string }
	Body   *struct{ Text string }
	Footer *struct{ Text string }
	Action struct {
		Button  string
		Buttons []struct {
			Type  string
			Reply struct{ ID, Title string }
		}
		Sections []struct {
			Title string
			Rows  []struct{ ID, Title, Description string }
		}
		Name       string
		Parameters struct {
			DisplayText string `json:"display_text"`
			URL         string
		}
	}
}

func validInteractive(body json.RawMessage) (string, *graphError) {
	var i interactive
	if err := json.Unmarshal(body, &i); err != nil {
		return "", errParam("Param interactive must be a JSON object.")
	}
	switch {
	case i.Type == "":
		return "", errMissing("Parameter 'interactive.type' is required")
	case i.Body == nil || strings.TrimSpace(i.Body.Text) == "":
		return "", errMissing("Parameter 'interactive.body.text' is required")
	case long(i.Body.Text, maxBody):
		return "", tooLong("Body text", maxBody)
	case i.Header != nil && i.Header.Type == "text" && (i.Header.Text == "" || long(i.Header.Text, maxHeader)):
		return "", errValue(fmt.Sprintf("Header text must have 1 to %d characters.", maxHeader))
	case i.Footer != nil && (i.Footer.Text == "" || long(i.Footer.Text, maxFooter)):
		return "", errValue(fmt.Sprintf("Footer text must have 1 to %d characters.", maxFooter))
	}
	var problem *graphError
	switch i.Type {
	case "button":
		problem = validButtons(i)
	case "list":
		problem = validList(i)
	case "cta_url":
		switch {
		case i.Action.Name != "cta_url" || i.Action.Parameters.URL == "":
			problem = errMissing("Parameters 'action.name' and 'action.parameters.url' are required")
		case i.Action.Parameters.DisplayText == "" || long(i.Action.Parameters.DisplayText, maxButtonTitle):
			problem = errValue(fmt.Sprintf("display_text must have 1 to %d characters.", maxButtonTitle))
		}
	case "location_request_message", "request_contact_info", "flow", "product", "product_list", "catalog_message", "address_message", "call_permission_request":
	default:
		problem = errParam("Param interactive['type'] must be one of {button, catalog_message, cta_url, flow, list, location_request_message, product, product_list, request_contact_info} - got \"" + i.Type + "\".")
	}
	return i.Body.Text, problem
}

func validButtons(i interactive) *graphError {
	buttons := i.Action.Buttons
	if len(buttons) < 1 || len(buttons) > maxButtons {
		return errValue(fmt.Sprintf("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: %d", maxButtons))
	}
	var titles, ids []string
	for _, b := range buttons {
		switch id, title := b.Reply.ID, b.Reply.Title; {
		case b.Type != "reply":
			return errValue("Button type must be 'reply'.")
		case strings.TrimSpace(title) == "":
			return errValue("Button title is required.")
		case long(title, maxButtonTitle):
			return tooLong("Button title", maxButtonTitle)
		case id == "" || id != strings.TrimSpace(id):
			return errValue("Button id is required and must have no leading or trailing spaces.")
		case long(id, maxButtonID):
			return tooLong("Button id", maxButtonID)
		case slices.Contains(titles, title) || slices.Contains(ids, id):
			return errValue("Duplicated button title or id.")
		default:
			titles, ids = append(titles, title), append(ids, id)
		}
	}
	return nil
}

func validList(i interactive) *graphError {
	a := i.Action
	switch {
	case i.Header != nil && i.Header.Type != "text":
		return errValue("List headers must be of type 'text'.")
	case strings.TrimSpace(a.Button) == "":
		return errMissing("Parameter 'action.button' is required")
	case long(a.Button, maxButtonTitle):
		return tooLong("Button label", maxButtonTitle)
	case len(a.Sections) < 1 || len(a.Sections) > maxSections:
		return errValue(fmt.Sprintf("Invalid sections count. Min allowed sections: 1, Max allowed sections: %d", maxSections))
	}
	var ids []string
	for _, section := range a.Sections {
		switch {
		case section.Title == "" && len(a.Sections) > 1:
			return errValue("Section title is required when there is more than one section.")
		case long(section.Title, maxRowTitle):
			return tooLong("Section title", maxRowTitle)
		case len(section.Rows) == 0:
			return errValue("Each section needs at least one row.")
		}
		for _, row := range section.Rows {
			switch {
			case row.ID == "" || strings.TrimSpace(row.Title) == "":
				return errValue("Row id and title are required.")
			case long(row.ID, maxRowID):
				return tooLong("Row id", maxRowID)
			case long(row.Title, maxRowTitle):
				return tooLong("Row title", maxRowTitle)
			case long(row.Description, maxRowDetail):
				return tooLong("Row description", maxRowDetail)
			case slices.Contains(ids, row.ID):
				return errValue("Duplicated row id.")
			}
			ids = append(ids, row.ID)
		}
	}
	if len(ids) > maxRows {
		return errValue(fmt.Sprintf("Total row count exceed max allowed count: %d", maxRows))
	}
	return nil
}

func validTemplate(body json.RawMessage) (string, *graphError) {
	var t struct {
		Name     string
		Language struct{ Code string }
	}
	switch err := json.Unmarshal(body, &t); {
	case err != nil || t.Name == "":
		return "", errMissing("Parameter 'template.name' is required")
	case t.Language.Code == "":
		return "", errMissing("Parameter 'template.language.code' is required")
	case strings.HasPrefix(t.Name, "no_existe"):
		return "", &graphError{HTTP: 404, Code: 132001, Title: "(#132001) Template name does not exist in the translation", Details: "template name (" + t.Name + ") does not exist in " + t.Language.Code}
	}
	return t.Name, nil
}

func tooLong(what string, limit int) *graphError {
	return errValue(fmt.Sprintf("%s is too long. Max length is %d", what, limit))
}

func long(s string, limit int) bool {
	if len(s) <= limit { // never fewer bytes than units
		return false
	}
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n > limit
}

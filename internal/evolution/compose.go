package evolution

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// SendTypes lists the Cloud API's message types that an instance can send.
func SendTypes() []string { return []string{"text", "image", "video", "audio", "document"} }

// sent is the request body for a text or a file.
type sent struct {
	Number    string  `json:"number"`
	Text      string  `json:"text,omitempty"`
	MediaType string  `json:"mediatype,omitempty"`
	Media     string  `json:"media,omitempty"`
	Caption   string  `json:"caption,omitempty"`
	FileName  string  `json:"fileName,omitempty"`
	Audio     string  `json:"audio,omitempty"`
	Quoted    *quoted `json:"quoted,omitempty"`
}

type quoted struct {
	Key struct {
		ID string `json:"id"`
	} `json:"key"`
}

// compose returns the endpoint and the request body for a Post.
func compose(p outbound.Post) (path string, body []byte, err error) {
	m := sent{Number: cmp.Or(p.To.Phone, p.To.ExternalID)}
	if m.Number == "" {
		return "", nil, errors.New("the person has neither a phone nor an Evolution id")
	}
	if p.QuotedID != "" {
		m.Quoted = &quoted{}
		m.Quoted.Key.ID = p.QuotedID
	}
	path = "message/sendText"
	if p.Body.Reply != nil {
		m.Text = p.Body.Reply.Plain()
	} else if path, err = m.cloud(p.Body.Cloud); err != nil {
		return "", nil, err
	}
	if path == "message/sendText" && strings.TrimSpace(m.Text) == "" {
		return "", nil, errors.New("the text is empty")
	}
	m.Text = clip(m.Text)
	body, err = json.Marshal(m)
	return path, body, err
}

// cloud fills the request from a body in the Cloud API's own shape, and returns the endpoint.
func (m *sent) cloud(body json.RawMessage) (path string, err error) {
	v, _ := rawjson.Parse(body)
	kind := v.Get("type").Text()
	if !slices.Contains(SendTypes(), kind) {
		return "", fmt.Errorf("an Evolution line sends %s, not %q", strings.Join(SendTypes(), ", "), kind)
	}
	if kind == "text" {
		m.Text = v.Get("text", "body").Text()
		return "message/sendText", nil
	}
	link := v.Get(kind, "link").Text()
	if link == "" {
		return "", fmt.Errorf("an Evolution line sends %s by its link", kind)
	}
	if kind == "audio" { // as a voice note
		m.Audio = link
		return "message/sendWhatsAppAudio", nil
	}
	m.MediaType, m.Media = kind, link
	m.Caption, m.FileName = v.Get(kind, "caption").Text(), v.Get(kind, "filename").Text()
	return "message/sendMedia", nil
}

package api

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// SendBody is a message in the Cloud API's shape: a type, and the object of that name.
type SendBody struct {
	Type        string              `json:"type" enum:"text,interactive,template,image,video,audio,document" example:"text" doc:"The type; the object of this name is required too."`
	Text        *shape[Text]        `json:"text,omitempty" doc:"A text."`
	Interactive *shape[Interactive] `json:"interactive,omitempty" doc:"Buttons, a list, or another of the Cloud API's interactive messages."`
	Template    *shape[Template]    `json:"template,omitempty" doc:"A template that WhatsApp has approved: the only thing that may be sent once the window is closed."`
	Image       *shape[File]        `json:"image,omitempty" doc:"A picture."`
	Video       *shape[File]        `json:"video,omitempty" doc:"A video."`
	Audio       *shape[File]        `json:"audio,omitempty" doc:"A sound."`
	Document    *shape[File]        `json:"document,omitempty" doc:"A file."`
	Context     *Context            `json:"context,omitempty" doc:"The message that it answers."`
	Reopen      *bool               `json:"reopen,omitempty" example:"true" doc:"false refuses a closed conversation with conversation_closed, instead of taking it up again."`
	Takeover    *bool               `json:"takeover,omitempty" example:"false" doc:"false sends a notice (a reminder, a receipt, a grade): the conversation does not change, the bot goes on, and no answer waits behind it. true, the default, takes the conversation over."`
	Area        string              `json:"area,omitempty" maxLength:"100" example:"admin" doc:"The team that takes the conversation over. Without it the key's only area, else the one that had the conversation last, else the flow's offer_area."`
	ExpiresIn   string              `json:"expires_in,omitempty" maxLength:"20" example:"2h" doc:"For how long it may wait to be sent, like 90s, 45m or 24h; afterwards it fails with the reason expired. Without it, for ever."`
}

// StartBody is a message to a person, who may have no conversation yet.
type StartBody struct {
	Line   string `json:"line" minLength:"1" maxLength:"100" example:"wsp4" doc:"The line to send by."`
	Phone  string `json:"phone,omitempty" maxLength:"100" example:"+54 9 11 0000-0001" doc:"The person's phone, in any usual spelling. This or user_id."`
	UserID string `json:"user_id,omitempty" maxLength:"300" example:"AR.10000000000000000001" doc:"The person's business-scoped user id."`
	SendBody
}

// Context names the message being answered.
type Context struct {
	MessageID string `json:"message_id" minLength:"1" maxLength:"100" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a03" doc:"Our id of a message of this conversation; it is shown as a quote."`
}

// Text is the text of a message.
type Text struct {
	_       struct{} `additionalProperties:"true"`
	Body    string   `json:"body" minLength:"1" maxLength:"4096" example:"¡Hola! ¿En qué te ayudo?" doc:"What it says."`
	Preview bool     `json:"preview_url,omitempty" example:"false" doc:"Show a preview of the first link."`
}

// Interactive is a message to tap on, as the Cloud API has it.
type Interactive struct {
	_      struct{}       `additionalProperties:"true"`
	Type   string         `json:"type" minLength:"1" maxLength:"50" example:"button" doc:"button, list, cta_url, flow…"`
	Header map[string]any `json:"header,omitempty" example:"{\"type\":\"text\",\"text\":\"Turnos\"}" doc:"Above the text: 60 characters, or a file by id or link; on a list only a text."`
	Body   *Phrase        `json:"body,omitempty" doc:"The text."`
	Footer *Phrase        `json:"footer,omitempty" doc:"Below the text."`
	Action map[string]any `json:"action" example:"{\"buttons\":[{\"type\":\"reply\",\"reply\":{\"id\":\"si\",\"title\":\"Sí\"}}]}" doc:"Its buttons (1 to 3, title 20 characters, id 256), its button (20) and sections (10, title 24) with rows (10 over all, title 24, description 72, id 200), or its parameters (display_text 20, flow_cta 30)."`
}

// Phrase is a text of an interactive message.
type Phrase struct {
	_    struct{} `additionalProperties:"true"`
	Text string   `json:"text" minLength:"1" maxLength:"1024" example:"¿Te sirve el martes?" doc:"What it says: 1024 characters, 60 below the text."`
}

// Template is a template with its values, as the Cloud API has it.
type Template struct {
	_          struct{}         `additionalProperties:"true"`
	Name       string           `json:"name" minLength:"1" maxLength:"512" example:"recordatorio_turno" doc:"Its name at WhatsApp."`
	Language   Language         `json:"language" doc:"Which of its languages."`
	Components []map[string]any `json:"components,omitempty" nullable:"false" doc:"Values for its places: one in the header (60 characters), those of the body (1024), and of buttons 0 to 9."`
}

// Language of a template.
type Language struct {
	_    struct{} `additionalProperties:"true"`
	Code string   `json:"code" minLength:"1" maxLength:"20" example:"es_AR" doc:"Its code at WhatsApp."`
}

// File is a file by its link.
type File struct {
	_        struct{} `additionalProperties:"true"`
	Link     string   `json:"link" minLength:"1" maxLength:"2000" example:"https://example.com/programa.pdf" doc:"Where WhatsApp fetches it: http or https, open to everybody."`
	Caption  string   `json:"caption,omitempty" maxLength:"1024" example:"El programa" doc:"Below it; not on audio."`
	Filename string   `json:"filename,omitempty" maxLength:"240" example:"programa.pdf" doc:"Its name; on documents only."`
}

// shape is an object of the Cloud API: the parsed fields that we check, and the whole as it
// came.
type shape[T any] struct {
	value T
	raw   json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *shape[T]) UnmarshalJSON(b []byte) error {
	s.raw = append(json.RawMessage(nil), b...)
	return json.Unmarshal(b, &s.value)
}

// MarshalJSON implements json.Marshaler.
func (s *shape[T]) MarshalJSON() ([]byte, error) { return s.raw, nil }

// Schema implements huma.SchemaProvider.
func (*shape[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// wireContact is an element of value.contacts.
type wireContact struct {
	Profile struct {
		Name     string `json:"name,omitempty"`
		Username string `json:"username,omitempty"`
	} `json:"profile"`
	WaID   string `json:"wa_id,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

func contactOf(p Person) *wireContact {
	c := &wireContact{WaID: p.Phone, UserID: p.UserID}
	c.Profile.Name, c.Profile.Username = p.Name, p.Username
	return c
}

type wireContext struct {
	From string `json:"from"`
	ID   string `json:"id"`
}

// wireMessage has the common fields of an element of value.messages; withBody adds the
// object of its type.
type wireMessage struct {
	Context    *wireContext `json:"context,omitempty"`
	From       string       `json:"from,omitempty"`
	FromUserID string       `json:"from_user_id,omitempty"`
	ID         string       `json:"id"`
	Timestamp  string       `json:"timestamp"`
	Type       string       `json:"type"`
}

func (m wireMessage) withBody(body map[string]any) json.RawMessage {
	head, rest := marshalPlain(m), marshalPlain(body) // {…} both, and neither is empty
	return append(append(head[:len(head)-1], ','), rest[1:]...)
}

type wireStatus struct {
	ID              string       `json:"id"`
	Status          string       `json:"status"`
	Timestamp       string       `json:"timestamp"`
	RecipientID     string       `json:"recipient_id,omitempty"`
	RecipientUserID string       `json:"recipient_user_id,omitempty"`
	Pricing         *wirePricing `json:"pricing,omitempty"`
	Opaque          string       `json:"biz_opaque_callback_data,omitempty"`
	Errors          []wireError  `json:"errors,omitempty"`
}

type wirePricing struct {
	Billable bool   `json:"billable"`
	Model    string `json:"pricing_model"`
	Type     string `json:"type"`
	Category string `json:"category"`
}

type wireError struct {
	Code      int               `json:"code"`
	Title     string            `json:"title"`
	Message   string            `json:"message"`
	ErrorData map[string]string `json:"error_data,omitempty"`
	Href      string            `json:"href,omitempty"`
}

// envelope makes the body of a webhook in Meta's key order.
func (o *outbox) envelope(batch []*webhookEvent) []byte {
	type metadata struct {
		Display string `json:"display_phone_number"`
		ID      string `json:"phone_number_id"`
	}
	type value struct {
		Product  string            `json:"messaging_product"`
		Metadata metadata          `json:"metadata"`
		Contacts []*wireContact    `json:"contacts,omitempty"`
		Messages []json.RawMessage `json:"messages,omitempty"`
		Statuses []*wireStatus     `json:"statuses,omitempty"`
	}
	type change struct {
		Value value  `json:"value"`
		Field string `json:"field"`
	}
	type entry struct {
		ID      string   `json:"id"`
		Changes []change `json:"changes"`
	}
	// Events without contacts get a value of their own: in Meta's webhooks, contacts are
	// those of every event in the value.
	var changes []change
	var known map[wireContact]bool
	for i, p := range batch {
		if i == 0 || (p.contact == nil) != (batch[i-1].contact == nil) {
			v := value{Product: "whatsapp", Metadata: metadata{o.opt.DisplayNumber, o.opt.PhoneNumberID}}
			changes = append(changes, change{Value: v, Field: "messages"})
			known = make(map[wireContact]bool, len(batch))
		}
		v := &changes[len(changes)-1].Value
		if p.contact != nil && !known[*p.contact] {
			known[*p.contact] = true
			v.Contacts = append(v.Contacts, p.contact)
		}
		if p.message != nil {
			v.Messages = append(v.Messages, p.message)
		}
		if p.status != nil {
			v.Statuses = append(v.Statuses, p.status)
		}
	}
	body := struct {
		Object string  `json:"object"`
		Entry  []entry `json:"entry"`
	}{"whatsapp_business_account", []entry{{ID: "100000000000001", Changes: changes}}}
	return asMeta(marshalPlain(body))
}

// marshalPlain marshals without HTML escapes, as Meta does.
func marshalPlain(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return []byte("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// asMeta escapes JSON as Meta does: characters beyond ASCII as \uXXXX in lower case, each
// slash as \/. Both occur only inside strings.
func asMeta(in []byte) []byte {
	out := make([]byte, 0, len(in)+len(in)/8)
	for i := 0; i < len(in); {
		c := in[i]
		switch {
		case c == '\\' && i+1 < len(in): // an escape, also \/, stays as it is
			out = append(out, c, in[i+1])
			i += 2
		case c == '/':
			out = append(out, '\\', '/')
			i++
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			r, size := utf8.DecodeRune(in[i:])
			i += size
			if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
				out = appendEscape(appendEscape(out, high), low)
			} else {
				out = appendEscape(out, r)
			}
		}
	}
	return out
}

func appendEscape(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(out, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// wamid returns a message id like WhatsApp's: base64 of the person's digits, the direction
// and a random part.
func wamid(ref string, inbound bool) string {
	var random [9]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	stanza, direction := strings.ToUpper(hex.EncodeToString(random[:])), byte(0x11)
	if inbound {
		stanza, direction = "3A"+stanza, 0x12
	}
	ref = ref[:min(len(ref), 32)]
	b := make([]byte, 0, 64)
	b = append(b, 0x1c, 0x18, byte(len(ref)))
	b = append(b, ref...)
	b = append(b, 0x15, 0x02, 0x00, direction, 0x18, byte(len(stanza)))
	b = append(b, stanza...)
	b = append(b, 0x00)
	return "wamid." + base64.StdEncoding.EncodeToString(b)
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// Handshake asks the webhook to prove that it knows the verify token, as Meta
// does when a callback is set.
func (o *outbox) Handshake(ctx context.Context) error {
	target, err := url.Parse(o.opt.WebhookURL())
	if err != nil {
		return fmt.Errorf("webhook address: %w", err)
	}
	challenge := strconv.FormatInt(o.opt.Now().UnixNano()%1_000_000_000, 10)
	query := target.Query()
	query.Set("hub.mode", "subscribe")
	query.Set("hub.challenge", challenge)
	query.Set("hub.verify_token", o.opt.VerifyToken)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("handshake: the webhook answered %d", resp.StatusCode)
	case string(answer) != challenge:
		return errors.New("handshake: the webhook answered 200 without the challenge")
	}
	return nil
}

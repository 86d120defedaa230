package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
)

// Webhook posts notices to a URL. Slack reads text, Discord content, other programs the
// rest.
type Webhook struct {
	URL    string
	Lang   string // of the text, es or en
	Client *http.Client
}

// Name implements Receiver.
func (w *Webhook) Name() string { return "webhook" }

type webhookBody struct {
	Text     string    `json:"text"`
	Content  string    `json:"content"`
	Status   string    `json:"status"` // firing, over
	Rule     string    `json:"rule"`
	Subject  string    `json:"subject"`
	Severity Severity  `json:"severity"`
	Value    float64   `json:"value"`
	Detail   string    `json:"detail"`
	Command  string    `json:"command"`
	Since    time.Time `json:"since"`
	At       time.Time `json:"at"`
	TextES   string    `json:"text_es"`
	TextEN   string    `json:"text_en"`
}

// Notify implements Receiver.
func (w *Webhook) Notify(ctx context.Context, r *Rule, n Notice) error {
	text := Text(r, n, w.Lang)
	b := webhookBody{
		Text: text, Content: text, Status: "firing", Rule: n.Rule, Subject: n.Subject, Severity: r.Severity, Value: n.Value,
		Detail: n.Detail, Command: commandFor(r, n.Incident), Since: n.Since, At: n.At, TextES: Text(r, n, "es"), TextEN: Text(r, n, "en"),
	}
	if n.Resolved {
		b.Status = "over"
	}
	body, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("write alert: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post alert: %w", withoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := w.Client.Do(req)
	if err != nil {
		return fmt.Errorf("post alert: %w", withoutURL(err))
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // to reuse the connection
	if res.StatusCode >= 300 {
		return fmt.Errorf("post alert: HTTP %d", res.StatusCode)
	}
	return nil
}

// withoutURL returns the error without its URL, which may be a secret.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// sender sends by a line.
type sender interface {
	Send(ctx context.Context, p outbound.Post) (outbound.Accepted, error)
}

// WhatsApp sends notices to a number as a template with one parameter, {{1}}, in its body.
type WhatsApp struct {
	Number       string
	Template     string
	TemplateLang string // es_AR
	Lang         string // of the text, es or en
	Line         string
	Sender       sender
}

// Name implements Receiver.
func (w *WhatsApp) Name() string { return "whatsapp" }

// maxParameter is below Meta's limit for a parameter, in characters.
const maxParameter = 900

// Notify implements Receiver.
func (w *WhatsApp) Notify(ctx context.Context, r *Rule, n Notice) error {
	text := []rune(strings.Join(strings.Fields(Text(r, n, w.Lang)), " ")) // a parameter is one line
	if len(text) > maxParameter {
		text = append(text[:maxParameter], '…')
	}
	body, err := json.Marshal(map[string]any{"type": "template", "template": map[string]any{
		"name": w.Template, "language": map[string]string{"code": w.TemplateLang},
		"components": []any{map[string]any{
			"type": "body", "parameters": []any{map[string]string{"type": "text", "text": string(text)}},
		}},
	}})
	if err != nil {
		return fmt.Errorf("write alert: %w", err)
	}
	_, err = w.Sender.Send(ctx, outbound.Post{Line: w.Line, To: outbound.Address{Phone: w.Number}, Body: outbound.Body{Cloud: body}})
	if f, ok := errors.AsType[*outbound.Failure](err); ok && f.Class == outbound.Uncertain {
		return nil // it may have arrived: a second message would be worse
	}
	if err != nil {
		return fmt.Errorf("send alert: %w", err)
	}
	return nil
}

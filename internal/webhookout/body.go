package webhookout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/psivisionhub/psi-router/internal/store"
)

// event is the body for a Standard endpoint. The API lists the same fields.
type event struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Pos       int64           `json:"pos"`
	Seq       int64           `json:"seq"`
	Data      json.RawMessage `json:"data"`
}

func (c *Client) body(e store.Event) ([]byte, error) {
	if c.opts.Format == Notice {
		return notice(e)
	}
	return encode(event{ID: e.ID, Type: e.Type, Timestamp: e.CreatedAt.UTC(), Pos: e.Pos, Seq: e.Seq, Data: e.Data})
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// sign sets the headers of Standard Webhooks, with one signature per secret.
func (c *Client) sign(h http.Header, id string, body []byte) error {
	now := c.opts.Now()
	all := make([]string, len(c.signers))
	for i, s := range c.signers {
		var err error
		if all[i], err = s.Sign(id, now, body); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(all, " "))
	return nil
}

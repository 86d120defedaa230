package whatsapp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Block blocks or unblocks a contact for the number (Block Users API). WhatsApp only
// blocks people who wrote in the last 24 h, at most 64,000 per number. Every error is an
// *outbound.Failure with WhatsApp's words.
func (c *Client) Block(ctx context.Context, contact outbound.Address, block bool) error {
	user := map[string]string{"user": contact.Phone}
	switch {
	case contact.Phone == "" && contact.UserID != "":
		user = map[string]string{"user_id": contact.UserID}
	case contact.Phone == "":
		return &outbound.Failure{Class: outbound.Permanent, Detail: "WhatsApp blocks by phone or user id only"}
	}
	body, err := json.Marshal(map[string]any{
		"messaging_product": "whatsapp", "block_users": []map[string]string{user},
	})
	if err != nil {
		return fmt.Errorf("block: %w", err)
	}
	q := apiCall{node: c.number, edge: "/block_users", body: body}
	done := "added_users"
	if !block {
		q.method, done = http.MethodDelete, "removed_users"
	}
	answer, refused := c.do(ctx, q)
	v, _ := rawjson.Parse(answer.Body)
	users := v.Get("block_users")
	reason := users.Get("failed_users").First().Get("errors").First()
	switch {
	case reason.Exists():
		number, detail := readError(reason)
		return &outbound.Failure{Class: outbound.Permanent, Code: number, Detail: c.redact.Line(detail)}
	case refused != nil:
		return notUncertain(refused)
	case users.Get(done).Len() == 0:
		return &outbound.Failure{Class: outbound.Permanent, Detail: "WhatsApp did not confirm it"}
	}
	return nil
}

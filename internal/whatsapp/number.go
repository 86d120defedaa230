package whatsapp

import (
	"context"
	"errors"
	"net/url"

	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Number describes a business number, as Meta reports it.
type Number struct {
	Display string // as people dial it
	Name    string // verified
	Quality string // GREEN, YELLOW, RED
}

// ErrAppSecret means that none of the app secrets belongs to the token's app.
var ErrAppSecret = errors.New("the app secret does not belong to the token's app")

// Number asks Meta for the number. That checks the token, and the app secrets if there are
// any; nothing is sent. Errors are *outbound.Failure, or ErrAppSecret.
func (c *Client) Number(ctx context.Context) (Number, error) {
	fields := url.Values{"fields": {"display_phone_number,verified_name,quality_rating"}}
	answer, refused := c.do(ctx, apiCall{node: c.number, query: fields})
	switch {
	case refused != nil && errors.Is(refused, errProof) && len(c.secrets) > 0:
		return Number{}, ErrAppSecret
	case refused != nil:
		return Number{}, refused
	}
	v, _ := rawjson.Parse(answer.Body)
	n := Number{Display: v.Get("display_phone_number").Text(), Name: v.Get("verified_name").Text(), Quality: v.Get("quality_rating").Text()}
	if c.worksWithoutProof() {
		return n, ErrAppSecret
	}
	return n, nil
}

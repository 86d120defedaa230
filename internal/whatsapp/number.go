package whatsapp

import (
	"context"
	"errors"
	"net/url"

	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Number is what Meta says of a business number.
type Number struct {
	Display string // as people dial it
	Name    string // verified
	Quality string // GREEN, YELLOW, RED
}

// ErrAppSecret means that no app secret is that of the token's app.
var ErrAppSecret = errors.New("the app secret is not that of the app which the token belongs to")

// Number asks Meta for the number, which shows whether the token is good for it, and
// whether an app secret, where there are any, is that of the token's app. It sends
// nothing. Errors are *outbound.Failure, or ErrAppSecret.
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

package whatsapp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// Number is what Meta says of a business number.
type Number struct {
	Display string // as people dial it
	Name    string // verified
	Quality string // GREEN, YELLOW, RED
}

// ErrAppSecret means that the app secret is not that of the token's app.
var ErrAppSecret = errors.New("the app secret is not that of the app which the token belongs to")

// invalidParameter is Meta's code for, among others, a proof that does not fit.
const invalidParameter = 100

// Number asks Meta for the number, which shows whether the token is good for it;
// with an app secret also whether that is the app's. It sends nothing. Errors are
// *outbound.Failure, or ErrAppSecret.
func (c *Client) Number(ctx context.Context, appSecret string) (Number, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, refused := c.withToken(func(token string) (httpcall.Answer, *outbound.Failure) { return c.node(ctx, token, "") })
	if refused != nil {
		return Number{}, refused
	}
	v, _ := rawjson.Parse(answer.Body)
	n := Number{Display: v.Get("display_phone_number").Text(), Name: v.Get("verified_name").Text(), Quality: v.Get("quality_rating").Text()}
	if appSecret == "" {
		return n, nil
	}
	token := c.tokens[c.current.Load()]
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write([]byte(token))
	_, refused = c.node(ctx, token, hex.EncodeToString(mac.Sum(nil)))
	if refused != nil && refused.Code == invalidParameter && strings.Contains(refused.Detail, "appsecret_proof") {
		return n, ErrAppSecret
	}
	return n, nil // the number was told: what else is wrong with the proof is not ours to judge
}

// node reads the number's own entry.
func (c *Client) node(ctx context.Context, token, proof string) (httpcall.Answer, *outbound.Failure) {
	query := url.Values{"fields": {"display_phone_number,verified_name,quality_rating"}}
	if proof != "" {
		query.Set("appsecret_proof", proof)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.String()+"/"+url.PathEscape(c.number)+"?"+query.Encode(), nil)
	if err != nil {
		return httpcall.Answer{}, &outbound.Failure{Class: outbound.Auth, Detail: "graph_url cannot be used", Err: err}
	}
	return c.call(req, token)
}

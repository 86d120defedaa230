package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/redact"
)

// ClientOptions configure a Client. BaseURL and PhoneNumberID are required.
type ClientOptions struct {
	// BaseURL of the Graph API with its version: https://graph.facebook.com/v26.0
	BaseURL       string
	PhoneNumberID string
	// Tokens are tried in turn: when one is refused the next one takes over.
	// Without any nothing is posted, and every send is an Auth failure.
	Tokens []string
	// HTTP is the client to use, nil for one of our own. Its redirect policy is
	// replaced.
	HTTP *http.Client
	// Timeout of one call, 0 for 20 s. It must stay below the lease of a send.
	Timeout time.Duration
	// Redact blanks what Meta says; nil knows no secret.
	Redact *redact.Redactor
}

// Client sends by one number of the Cloud API. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	number  string
	tokens  []string
	current atomic.Int32 // of tokens
	http    *http.Client
	media   *http.Client // follows redirects between allowed hosts
	timeout time.Duration
	redact  *redact.Redactor
}

// NewClient returns a Client.
func NewClient(o ClientOptions) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("graph_url %q: want something like https://graph.facebook.com/v26.0", o.BaseURL)
	}
	c := &Client{base: base, number: o.PhoneNumberID, timeout: o.Timeout, redact: o.Redact}
	for _, token := range o.Tokens {
		if token != "" {
			c.tokens = append(c.tokens, token)
		}
	}
	if c.number == "" {
		return nil, errors.New("phone_number_id is needed to send")
	}
	if c.timeout <= 0 {
		c.timeout = 20 * time.Second
	}
	if o.HTTP == nil {
		o.HTTP = httpcall.NewClient()
	}
	calls, media := *o.HTTP, *o.HTTP
	calls.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	media.CheckRedirect = c.redirect
	c.http, c.media = &calls, &media
	return c, nil
}

// Send posts one message and returns its wamid. Every error is an
// *outbound.Failure. WhatsApp knows no idempotency: what may have been sent is
// Uncertain, and found again by Post.ID in the statuses.
func (c *Client) Send(ctx context.Context, p outbound.Post) (providerID string, err error) {
	body, err := compose(p)
	if err != nil {
		return "", &outbound.Failure{Class: outbound.Permanent, Detail: err.Error(), Err: err}
	}
	answer, refused := c.post(ctx, body)
	if refused != nil {
		return "", refused
	}
	v, _ := rawjson.Parse(answer.Body)
	id := v.Get("messages").First().Get("id").Text()
	if id == "" || v.Get("error").Exists() {
		return "", failure(answer, c.redact)
	}
	return id, nil
}

// MarkRead shows an inbound message, and all before it, as read, and for up to
// 25 s that an answer is being typed.
func (c *Client) MarkRead(ctx context.Context, providerMessageID string) error {
	body, err := json.Marshal(map[string]any{
		"messaging_product": "whatsapp",
		"status":            "read",
		"message_id":        providerMessageID,
		"typing_indicator":  map[string]string{"type": "text"},
	})
	if err != nil {
		return fmt.Errorf("mark as read: %w", err)
	}
	if _, refused := c.post(ctx, body); refused != nil {
		return fmt.Errorf("mark as read: %w", refused)
	}
	return nil
}

// post posts to the number's messages with each token until one is taken: a
// refused token has sent nothing.
func (c *Client) post(ctx context.Context, body []byte) (httpcall.Answer, *outbound.Failure) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	target := c.base.String() + "/" + url.PathEscape(c.number) + "/messages"
	return c.withToken(func(token string) (httpcall.Answer, *outbound.Failure) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			return httpcall.Answer{}, &outbound.Failure{Class: outbound.Auth, Detail: "graph_url cannot be used", Err: err}
		}
		req.Header.Set("Content-Type", "application/json")
		return c.call(req, token)
	})
}

// withToken makes a call with the current token, and with the others when that
// one is no longer good.
func (c *Client) withToken(call func(token string) (httpcall.Answer, *outbound.Failure)) (httpcall.Answer, *outbound.Failure) {
	if len(c.tokens) == 0 {
		return httpcall.Answer{}, noToken()
	}
	first := c.current.Load()
	for tried := int32(1); ; tried++ {
		at := (first + tried - 1) % int32(len(c.tokens))
		answer, refused := call(c.tokens[at])
		if refused == nil {
			if at != first {
				c.current.Store(at)
			}
			return answer, nil
		}
		if !badToken(refused) || int(tried) == len(c.tokens) {
			return answer, refused
		}
	}
}

func noToken() *outbound.Failure {
	return &outbound.Failure{Class: outbound.Auth, Detail: "the line has no token"}
}

// badToken reports whether another token might help.
func badToken(f *outbound.Failure) bool {
	return f.Class == outbound.Auth && (f.Code == 190 || f.Code == 0)
}

// call makes one request; the Failure is nil for an HTTP 200.
func (c *Client) call(req *http.Request, token string) (httpcall.Answer, *outbound.Failure) {
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := httpcall.Do(c.http, req)
	if err != nil {
		return answer, unanswered(err)
	}
	if answer.Status != http.StatusOK {
		return answer, failure(answer, c.redact)
	}
	return answer, nil
}

// unanswered judges a call without a whole answer.
func unanswered(err error) *outbound.Failure {
	f := &outbound.Failure{Class: outbound.Throttle, Detail: "WhatsApp cannot be reached, nothing was sent", Err: err}
	if errors.Is(err, httpcall.ErrNotBegun) {
		f.Class, f.Detail = outbound.NotBegun, "it was too late to begin, nothing was sent"
	} else if e, ok := errors.AsType[*httpcall.Error](err); ok && e.Sent {
		f.Class, f.Detail = outbound.Uncertain, "the answer never came: it may have been sent"
	}
	return f
}

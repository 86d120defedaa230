package whatsapp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
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
	// Tokens are tried in turn: when one is refused, the next takes over. Without a
	// token every send is an Auth failure.
	Tokens []string
	// AppSecrets prove to Graph that a call is the app's own (appsecret_proof). They
	// are tried in turn, last of all a call without proof.
	AppSecrets []string
	// HTTP makes the calls; nil for a client of our own. Its redirect policy is replaced.
	HTTP *http.Client
	// Timeout of one call; 0 for 20 s. It must be shorter than the lease of a send.
	Timeout time.Duration
	// Redact removes secrets from Meta's error texts; nil removes none.
	Redact *redact.Redactor
}

// Client sends from one number of the Cloud API. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	number  string
	tokens  []string
	current atomic.Int32 // index into tokens
	secrets []string
	proof   atomic.Int32 // index into secrets; len(secrets): no proof
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
	c.tokens, c.secrets = nonEmpty(o.Tokens), nonEmpty(o.AppSecrets)
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

func nonEmpty(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}

// Send posts one message and returns its wamid and the recipient's wa_id. Every error is an
// *outbound.Failure. WhatsApp has no idempotency keys: a message that may have been sent
// fails as Uncertain, and its status names it by Post.ID.
func (c *Client) Send(ctx context.Context, p outbound.Post) (outbound.Accepted, error) {
	body, err := compose(p)
	if err != nil {
		return outbound.Accepted{}, &outbound.Failure{Class: outbound.Permanent, Detail: err.Error(), Err: err}
	}
	answer, refused := c.post(ctx, body)
	if refused != nil {
		return outbound.Accepted{}, refused
	}
	v, _ := rawjson.Parse(answer.Body)
	id := v.Get("messages").First().Get("id").Text()
	if id == "" || v.Get("error").Exists() {
		return outbound.Accepted{}, c.failure(answer, c.number)
	}
	return outbound.Accepted{ID: id, WaID: v.Get("contacts").First().Get("wa_id").Text()}, nil
}

// MarkRead marks an inbound message and all before it as read, and shows the typing
// indicator for up to 25 s.
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

func (c *Client) post(ctx context.Context, body []byte) (httpcall.Answer, *outbound.Failure) {
	return c.do(ctx, apiCall{node: c.number, edge: "/messages", body: body})
}

// apiCall is one call of the Graph API on a node: the number's, a file's or the account's.
type apiCall struct {
	node, edge string
	query      url.Values
	body       []byte // nil for a GET
	method     string // of a call with a body; "" is POST
}

// do tries the tokens, and with each the proofs, until Graph accepts one. That repeats
// nothing: a call refused for its token or proof had no effect.
func (c *Client) do(ctx context.Context, q apiCall) (httpcall.Answer, *outbound.Failure) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.withToken(func(token string) (httpcall.Answer, *outbound.Failure) {
		return c.withProof(token, func(proof string) (httpcall.Answer, *outbound.Failure) {
			return c.call(ctx, q, token, proof)
		})
	})
}

// withToken makes a call with the current token, then with the others while they are
// refused.
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
	return f.Class == outbound.Auth && (f.Code == 0 || errors.Is(f, errSession) || errors.Is(f, errProof))
}

// call makes one request. The Failure is nil exactly for HTTP 200.
func (c *Client) call(ctx context.Context, q apiCall, token, proof string) (httpcall.Answer, *outbound.Failure) {
	req, err := q.request(ctx, c.base, proof)
	if err != nil {
		return httpcall.Answer{}, &outbound.Failure{Class: outbound.Auth, Detail: "graph_url cannot be used", Err: err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := httpcall.Do(c.http, req)
	if err != nil {
		return answer, unanswered(err)
	}
	if answer.Status != http.StatusOK {
		return answer, c.failure(answer, q.node)
	}
	return answer, nil
}

func (q apiCall) request(ctx context.Context, base *url.URL, proof string) (*http.Request, error) {
	query := maps.Clone(q.query)
	if proof != "" {
		if query == nil {
			query = url.Values{}
		}
		query.Set("appsecret_proof", proof)
	}
	target := base.String() + "/" + url.PathEscape(q.node) + q.edge
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	if q.body == nil {
		return http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(q.method, http.MethodPost), target, bytes.NewReader(q.body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// unanswered classifies the error of a call that got no complete answer.
func unanswered(err error) *outbound.Failure {
	f := &outbound.Failure{Class: outbound.Throttle, Detail: "WhatsApp cannot be reached, nothing was sent", Err: err}
	if errors.Is(err, httpcall.ErrNotBegun) {
		f.Class, f.Detail = outbound.NotBegun, "it was too late to begin, nothing was sent"
	} else if e, ok := errors.AsType[*httpcall.Error](err); ok && e.Sent {
		f.Class, f.Detail = outbound.Uncertain, "the answer never came: it may have been sent"
	}
	return f
}

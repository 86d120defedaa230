// Package webhookout posts events to other systems' endpoints: signed, only to allowed
// addresses, with bounds on the answer. It classifies the answer and must never decide what
// comes next: it keeps no state, retries nothing and follows no redirect.
package webhookout

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// maxAnswer bounds the bytes that are read of an answer. They are discarded.
	maxAnswer = 64 << 10
	// answerTimeout is how long an answer may take after its status.
	answerTimeout = 2 * time.Second
	// maxWait bounds the wait that an endpoint may ask for.
	maxWait = 10 * time.Minute

	userAgent = "psi-router (+https://github.com/psivisionhub/psi-router)"
)

// Formats of a post.
const (
	Standard = "standard" // Standard Webhooks
	Notice   = "n8n"      // the inbox notice
)

// Options of New. Name, URL and Secrets are required.
type Options struct {
	Name string
	URL  string
	// Secrets all sign each post, so that the endpoint may verify with any of them.
	Secrets []string
	Format  string // "" for Standard
	// Allow lists the private addresses, as host:port, that the endpoint may have.
	Allow []string
	// Key is the configuration key of Allow, for error messages.
	Key string
	// Conns is how many posts run at once; 0 for 8.
	Conns int
	// Redact removes secrets from error texts; nil removes none.
	Redact *redact.Redactor
	Now    func() time.Time
}

// Client posts to one endpoint. It is safe for concurrent use.
type Client struct {
	opts    Options
	host    string
	http    *http.Client
	signers []*standardwebhooks.Webhook
}

// New returns a Client.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("endpoint %s: its url is not an address", o.Name)
	}
	if len(o.Secrets) == 0 {
		return nil, fmt.Errorf("endpoint %s: it has no secret", o.Name)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Conns <= 0 {
		o.Conns = 8
	}
	o.Key = cmp.Or(o.Key, "allow")
	c := &Client{opts: o, host: u.Host}
	if o.Format != Notice {
		for _, secret := range o.Secrets {
			s, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				return nil, fmt.Errorf("endpoint %s: its secret is not whsec_ and base64", o.Name)
			}
			c.signers = append(c.signers, s)
		}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, ControlContext: newGuard(o, u).control}
	c.http = &http.Client{
		// No proxy: it would dial in our place, without the guard.
		Transport: httpcall.Gated(&http.Transport{
			DialContext: httpcall.Dial(dialer), TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true,
			MaxIdleConns: o.Conns, MaxIdleConnsPerHost: o.Conns, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: maxAnswer, DisableCompression: true,
		}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Push posts one event. It returns nil if the endpoint took it. Every error is an
// *outbound.Failure: Permanent refuses this event, Retry is unclear, Throttle and Auth concern
// the whole endpoint, NotBegun concerns neither.
func (c *Client) Push(ctx context.Context, e store.Event) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, e)
	if err != nil {
		return &outbound.Failure{Class: outbound.Permanent, Detail: "the event cannot be written: " + err.Error()}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unanswered(err)
	}
	defer res.Body.Close()
	defer time.AfterFunc(answerTimeout, cancel).Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // only the status counts
	return c.classify(res)
}

func (c *Client) request(ctx context.Context, e store.Event) (*http.Request, error) {
	body, err := c.body(e)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opts.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	if c.opts.Format == Notice {
		req.Header.Set("X-Webhook-Secret", c.opts.Secrets[0])
		return req, nil
	}
	return req, c.sign(req.Header, e.ID, body)
}

// classify turns a status into nil or a Failure.
func (c *Client) classify(res *http.Response) error {
	f := &outbound.Failure{Code: res.StatusCode, Detail: "it answers " + res.Status}
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		f.Class = outbound.Auth
		if to, err := res.Location(); err == nil {
			f.Detail += " to " + to.Scheme + "://" + to.Host
		}
		f.Detail += ": redirects are not followed, write the target address in url"
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound ||
		code == http.StatusGone || code == http.StatusMethodNotAllowed || code == http.StatusProxyAuthRequired:
		f.Class = outbound.Auth
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		f.Class, f.Wait = outbound.Throttle, retryAfter(res.Header.Get("Retry-After"), c.opts.Now())
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		f.Class, f.Wait = outbound.Retry, retryAfter(res.Header.Get("Retry-After"), c.opts.Now())
	default:
		f.Class = outbound.Permanent
	}
	f.Detail = c.opts.Redact.Text(f.Detail)
	return f
}

// retryAfter reads a Retry-After of seconds or a date, bounded by maxWait.
func retryAfter(text string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxWait))
}

// unanswered classifies the error of a post without an answer. Its words name only the host, as
// the path of an address may be a secret.
func (c *Client) unanswered(err error) error {
	f := &outbound.Failure{Class: outbound.Retry, Err: err}
	var forbidden *forbiddenError
	var dns *net.DNSError
	var op *net.OpError
	var wrapped *url.Error
	isURL := errors.As(err, &wrapped)
	switch {
	case errors.Is(err, httpcall.ErrNotBegun):
		f.Class, f.Detail = outbound.NotBegun, "it was too late to begin"
	case errors.As(err, &forbidden):
		f.Class, f.Detail = outbound.Auth, forbidden.Error()
	case errors.As(err, &dns):
		f.Class, f.Detail = outbound.Throttle, "cannot be reached: its name "+c.host+" is not found"
	case errors.As(err, &op) && op.Op == "dial":
		f.Class, f.Detail = outbound.Throttle, "cannot be reached: "+op.Err.Error()
	case isURL && wrapped.Timeout():
		f.Detail = "it does not answer in time"
	case isCertificate(err):
		f.Class, f.Detail = outbound.Throttle, "cannot be reached: "+wrapped.Err.Error()
	case isURL:
		f.Detail = "the connection breaks off: " + wrapped.Err.Error()
	default:
		f.Detail = fmt.Sprintf("error %T", err)
	}
	f.Detail = c.opts.Redact.Text(f.Detail)
	return f
}

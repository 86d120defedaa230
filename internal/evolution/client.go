package evolution

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/redact"
)

// maxText is the longest text that WhatsApp shows, in runes.
const maxText = 4096

// ClientOptions configure a Client. BaseURL and Instance are required.
type ClientOptions struct {
	BaseURL  string // of the Evolution server
	Instance string
	APIKey   string // of the server or of the instance; without it nothing is sent
	// HTTP makes the calls; nil for a client of our own. Redirects are never followed.
	HTTP *http.Client
	// Timeout of one call; 0 for 20 s. It must be shorter than the lease of a send.
	Timeout time.Duration
	// Redact removes secrets from Evolution's error texts; nil removes none.
	Redact *redact.Redactor
}

// Client sends from one Evolution instance. It is safe for concurrent use.
type Client struct {
	base     string
	instance string
	key      string
	http     *http.Client
	timeout  time.Duration
	redact   *redact.Redactor
}

// NewClient returns a Client.
func NewClient(o ClientOptions) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("url %q: want the address of the Evolution server, like http://127.0.0.1:8080", o.BaseURL)
	}
	if o.Instance == "" {
		return nil, errors.New("instance is needed to send")
	}
	if o.HTTP == nil {
		o.HTTP = httpcall.NewClient()
	}
	if o.Timeout <= 0 {
		o.Timeout = 20 * time.Second
	}
	calls := *o.HTTP
	calls.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: base.String(), instance: o.Instance, key: o.APIKey, http: &calls, timeout: o.Timeout, redact: o.Redact}, nil
}

// Send posts one message and returns its key id and the recipient's phone. Menus go as
// text: lists and buttons do not arrive reliably over Baileys. Every error is an
// *outbound.Failure.
func (c *Client) Send(ctx context.Context, p outbound.Post) (outbound.Accepted, error) {
	path, body, err := compose(p)
	if err != nil {
		return outbound.Accepted{}, &outbound.Failure{Class: outbound.Permanent, Detail: err.Error(), Err: err}
	}
	if c.key == "" {
		return outbound.Accepted{}, noKey()
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := c.post(ctx, path, body)
	if err != nil {
		return outbound.Accepted{}, unanswered(err)
	}
	v, _ := rawjson.Parse(answer.Body)
	id := v.Get("key", "id").Text()
	if answer.Status/100 != 2 || id == "" {
		m, _ := rawjson.Parse(body)
		return outbound.Accepted{}, failure(answer, cmp.Or(m.Get("text").Text(), m.Get("caption").Text()), m.Get("media").Exists() || m.Get("audio").Exists(), c.redact)
	}
	var to inbound.Person
	Identify(&to, v.Get("key", "remoteJid").Text())
	return outbound.Accepted{ID: id, WaID: to.Phone}, nil
}

func clip(s string) string {
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText-1]) + "…"
	}
	return s
}

func (c *Client) post(ctx context.Context, path string, body []byte) (httpcall.Answer, error) {
	req, err := c.request(ctx, path, body)
	if err != nil {
		return httpcall.Answer{}, err
	}
	return httpcall.Do(c.http, req)
}

func (c *Client) request(ctx context.Context, path string, body []byte) (*http.Request, error) {
	target := c.base + "/" + path + "/" + url.PathEscape(c.instance)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("apikey", c.key)
	req.Header.Set("User-Agent", httpcall.UserAgent)
	return req, nil
}

func noKey() *outbound.Failure {
	return &outbound.Failure{Class: outbound.Auth, Detail: "the line has no api_key"}
}

// unanswered classifies the error of a call that got no complete answer.
func unanswered(err error) *outbound.Failure {
	f := &outbound.Failure{Class: outbound.Throttle, Detail: "Evolution cannot be reached, nothing was sent", Err: err}
	if errors.Is(err, httpcall.ErrNotBegun) {
		f.Class, f.Detail = outbound.NotBegun, "it was too late to begin, nothing was sent"
	} else if e, ok := errors.AsType[*httpcall.Error](err); ok && e.Sent {
		f.Class, f.Detail = outbound.Uncertain, "the answer never came: it may have been sent"
	}
	return f
}

// maxFile bounds an answer with a file in base64, in bytes: a third more than 100 MB.
const maxFile = 140 << 20

// Fetch opens a file that somebody sent. It works as long as the instance still has the
// message. Errors are *outbound.Failure.
func (c *Client) Fetch(ctx context.Context, m inbound.Media) (body io.ReadCloser, mime string, err error) {
	if m.Inline != "" {
		return file(m.Inline), m.MIME, nil
	}
	if m.ID == "" {
		return nil, "", &outbound.Failure{Class: outbound.Permanent, Detail: "the message names no file"}
	}
	if c.key == "" {
		return nil, "", noKey()
	}
	ask, err := json.Marshal(map[string]any{
		"message":      map[string]any{"key": map[string]string{"id": m.ID}},
		"convertToMp4": false,
	})
	if err != nil {
		return nil, "", &outbound.Failure{Class: outbound.Permanent, Detail: "the file's id cannot be sent", Err: err}
	}
	req, err := c.request(ctx, "chat/getBase64FromMediaMessage", ask)
	if err != nil {
		return nil, "", &outbound.Failure{Class: outbound.Auth, Detail: "url cannot be used", Err: err}
	}
	answer, err := c.whole(req)
	if errors.Is(err, httpcall.ErrNotBegun) {
		return nil, "", unanswered(err)
	}
	if err != nil {
		return nil, "", &outbound.Failure{Class: outbound.Throttle, Detail: "Evolution did not answer", Err: err}
	}
	if answer.Status/100 != 2 {
		f := failure(answer, "", false, c.redact)
		if f.Class == outbound.Uncertain || f.Class == outbound.Unknown { // it only reads
			f.Class = outbound.Retry
		}
		return nil, "", f
	}
	v, _ := rawjson.Parse(answer.Body)
	text := v.Get("base64").Text()
	if text == "" {
		return nil, "", &outbound.Failure{Class: outbound.Retry, Detail: "the answer has no file"}
	}
	return file(text), cmp.Or(v.Get("mimetype").Text(), m.MIME), nil
}

// whole makes a call whose answer may hold a whole file.
func (c *Client) whole(req *http.Request) (httpcall.Answer, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return httpcall.Answer{}, fmt.Errorf("ask for file: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxFile))
	if err != nil {
		return httpcall.Answer{}, fmt.Errorf("read file: %w", err)
	}
	return httpcall.Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

func file(text string) io.ReadCloser {
	if strings.HasPrefix(text, "data:") {
		_, text, _ = strings.Cut(text, ",")
	}
	return io.NopCloser(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
}

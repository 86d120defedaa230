package whatsapp

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// mediaHosts are Meta's hosts for files. We fetch from no other host, whatever address a
// webhook or an answer names.
var mediaHosts = []string{"lookaside.fbsbx.com", ".fbcdn.net"}

var mediaID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:=-]{0,255}$`)

var errHost = errors.New("not one of WhatsApp's file hosts")

// Fetch opens a file that somebody sent. It asks for the file's address by its id: the
// address in the webhook expires after five minutes. Errors are *outbound.Failure; reading
// the body may still fail.
func (c *Client) Fetch(ctx context.Context, m inbound.Media) (body io.ReadCloser, mime string, err error) {
	if m.Inline != "" {
		file := base64.NewDecoder(base64.StdEncoding, strings.NewReader(m.Inline))
		return io.NopCloser(file), m.MIME, nil
	}
	if len(c.tokens) == 0 {
		return nil, "", noToken()
	}
	address, mime := m.URL, m.MIME
	if m.ID != "" {
		v, refused := c.locate(ctx, m.ID)
		if refused != nil {
			return nil, "", refused
		}
		address, mime = v.Get("url").Text(), cmp.Or(v.Get("mime_type").Text(), mime)
	}
	u, err := url.Parse(address)
	if err != nil || !c.allowed(u) {
		return nil, "", &outbound.Failure{Class: outbound.Permanent, Detail: "the file's host is " + errHost.Error(), Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, "", &outbound.Failure{Class: outbound.Permanent, Detail: "the file's address cannot be used", Err: err}
	}
	req.Header.Set("Authorization", "Bearer "+c.tokens[c.current.Load()])
	req.Header.Set("User-Agent", httpcall.UserAgent)
	res, err := c.media.Do(req)
	if errors.Is(err, errHost) {
		return nil, "", &outbound.Failure{Class: outbound.Permanent, Detail: "the file redirects to a host that is " + errHost.Error(), Err: err}
	}
	if errors.Is(err, httpcall.ErrNotBegun) {
		return nil, "", unanswered(errors.Unwrap(err))
	}
	if err != nil {
		return nil, "", &outbound.Failure{Class: outbound.Throttle, Detail: "the file's host cannot be reached", Err: errors.Unwrap(err)}
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, "", noFile(res)
	}
	return res.Body, cmp.Or(mime, res.Header.Get("Content-Type")), nil
}

// locate asks Graph for a file's address.
func (c *Client) locate(ctx context.Context, id string) (rawjson.Value, *outbound.Failure) {
	if !mediaID.MatchString(id) {
		return nil, &outbound.Failure{Class: outbound.Permanent, Detail: "not a media id"}
	}
	answer, refused := c.do(ctx, apiCall{node: id, query: url.Values{"phone_number_id": {c.number}}})
	if refused != nil {
		return nil, notUncertain(refused)
	}
	v, _ := rawjson.Parse(answer.Body)
	if v.Get("url").Text() == "" {
		return nil, &outbound.Failure{Class: outbound.Retry, Detail: "the answer has no address of the file"}
	}
	return v, nil
}

// notUncertain corrects the class of a call that is safe to repeat: it leaves nothing
// uncertain and holds no line.
func notUncertain(f *outbound.Failure) *outbound.Failure {
	switch f.Class {
	case outbound.Uncertain:
		f.Class, f.Detail = outbound.Throttle, "WhatsApp did not answer"
	case outbound.Unknown:
		f.Class = outbound.Retry
	}
	return f
}

// noFile classifies a refusal of a file's host. An expired address is worth a Retry: the
// next try asks for a new one.
func noFile(res *http.Response) *outbound.Failure {
	f := &outbound.Failure{Class: outbound.Permanent, Wait: patience(res.Header), Detail: "the file's host answered HTTP " + strconv.Itoa(res.StatusCode)}
	switch {
	case res.StatusCode == http.StatusNotFound, res.StatusCode == http.StatusGone, res.StatusCode == http.StatusRequestTimeout:
		f.Class = outbound.Retry
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500:
		f.Class = outbound.Throttle
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		f.Class = outbound.Auth
	}
	return f
}

// allowed reports whether an address may be fetched: one of Meta's file hosts by https, or
// the Graph host itself, whose part the sandbox plays.
func (c *Client) allowed(u *url.URL) bool {
	if u == nil || u.User != nil {
		return false
	}
	if u.Scheme == c.base.Scheme && u.Host == c.base.Host {
		return true
	}
	if u.Scheme != "https" || u.Port() != "" && u.Port() != "443" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	for _, known := range mediaHosts {
		if host == known || known[0] == '.' && strings.HasSuffix(host, known) {
			return true
		}
	}
	return false
}

// redirect follows redirects between allowed hosts, and drops our token when the host
// changes.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 3 || !c.allowed(req.URL) {
		return fmt.Errorf("redirect: %w", errHost)
	}
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		req.Header.Del("Authorization")
	}
	return nil
}

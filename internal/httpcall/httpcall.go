// Package httpcall makes one HTTP request to a provider. If it fails, the error says whether
// the request may have arrived, which decides whether a message may be posted again. A gate
// checks the lease on the post right before the bytes leave. The package must never retry,
// nor follow a redirect on its own.
package httpcall

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

// maxAnswer bounds the bytes that are read of an answer; API answers are far smaller.
const maxAnswer = 1 << 20

// UserAgent is sent with every request: some media hosts refuse an empty one.
const UserAgent = "psi-router (+https://github.com/psivisionhub/psi-router)"

// NewClient returns a client with timeouts that a healthy provider keeps. The context limits
// the whole call. It follows no redirects.
func NewClient() *http.Client {
	return &http.Client{
		Transport: Gated(&http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           Dial(&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}),
			TLSHandshakeTimeout:   5 * time.Second,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			MaxIdleConnsPerHost:   64, // sends of one line run concurrently
			IdleConnTimeout:       45 * time.Second,
			ResponseHeaderTimeout: 25 * time.Second,
		}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Answer is an HTTP response with its body.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Error says why a call got no complete answer.
type Error struct {
	// Sent is set unless the server certainly does not have the whole request.
	Sent bool
	// Status is the HTTP status if it arrived, else 0.
	Status int
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Do makes the request and reads the answer, up to 1 MiB. Every error is an *Error.
func Do(client *http.Client, req *http.Request) (Answer, error) {
	var t tracker
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), t.trace()))
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", UserAgent)
	}
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, &Error{Sent: t.sent() && !errors.Is(err, ErrNotBegun), Err: fmt.Errorf("call %s: %w", req.URL.Host, withoutURL(err))}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, &Error{
			Sent: true, Status: res.StatusCode,
			Err: fmt.Errorf("read answer of %s: %w", req.URL.Host, err),
		}
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// withoutURL strips the URL from a client's error, as it may hold ids; Do adds the host.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// tracker watches one request. The transport repeats a POST only if nothing of it was written,
// and then gets a connection again.
type tracker struct {
	mu     sync.Mutex
	got    bool // a connection was handed over
	failed bool // writing the request failed: it is incomplete
}

func (t *tracker) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { t.set(false, false) },
		GotConn: func(httptrace.GotConnInfo) { t.set(true, false) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				t.set(true, true)
			}
		},
	}
}

func (t *tracker) set(got, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got, t.failed = got, failed
}

func (t *tracker) sent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.got && !t.failed
}

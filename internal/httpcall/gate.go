package httpcall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrNotBegun means that a gate refused: the other side has no whole request.
var ErrNotBegun = errors.New("not begun")

// Gate is asked as the last thing before the bytes of a request leave. Its error
// keeps them here: what gave the right to post is over. It must be safe for
// concurrent use.
type Gate func() error

type gateKey struct{}

// WithGate returns a context whose requests pass the gate, those of clients whose
// transport is Gated. The innermost gate counts.
func WithGate(ctx context.Context, g Gate) context.Context {
	return context.WithValue(ctx, gateKey{}, g)
}

// CheckGate asks the gate of a context, if it has one. Its error is ErrNotBegun.
func CheckGate(ctx context.Context) error {
	g, ok := ctx.Value(gateKey{}).(Gate)
	if !ok {
		return nil
	}
	if err := g(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotBegun, err)
	}
	return nil
}

// Gated returns a transport that asks the gate of a request before it connects, and
// again in each Read that hands over bytes of the body: a request whose body ends in
// an error never arrives whole. The body that the transport asks for when it sends a
// request again is as the first.
func Gated(base http.RoundTripper) http.RoundTripper { return gated{base} }

type gated struct{ base http.RoundTripper }

func (t gated) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := CheckGate(ctx); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if req.Body == nil || req.Body == http.NoBody || ctx.Value(gateKey{}) == nil {
		return t.base.RoundTrip(req)
	}
	gatedReq := *req
	gatedReq.Body = newGatedBody(ctx, req.Body, req.ContentLength)
	if again := req.GetBody; again != nil {
		gatedReq.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return newGatedBody(ctx, body, req.ContentLength), nil
		}
	}
	return t.base.RoundTrip(&gatedReq)
}

// CloseIdleConnections is what http.Client looks for.
func (t gated) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// gatedBody hides what else a body can do: whoever sends it must Read.
type gatedBody struct {
	body io.ReadCloser
	ctx  context.Context //nolint:containedctx // it is the request's, which is sent once
	left int64           // that were not handed over; below zero where nobody knows
}

func newGatedBody(ctx context.Context, body io.ReadCloser, size int64) io.ReadCloser {
	if size == 0 {
		size = -1 // a client's request with a body of unknown size
	}
	return &gatedBody{body, ctx, size}
}

func (b *gatedBody) Read(p []byte) (int, error) {
	// The transport reads once more behind the last byte, which has left by then: what
	// was sent whole must not be said to have not begun.
	if b.left != 0 {
		if err := CheckGate(b.ctx); err != nil {
			return 0, err
		}
	}
	n, err := b.body.Read(p)
	if b.left > 0 {
		b.left = max(0, b.left-int64(n))
	}
	return n, err
}

func (b *gatedBody) Close() error { return b.body.Close() }

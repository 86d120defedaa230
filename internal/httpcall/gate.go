package httpcall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrNotBegun means that a gate refused: the server cannot have the whole request.
var ErrNotBegun = errors.New("not begun")

// Gate is called right before the bytes of a request leave. An error stops them: the lease on
// the post is over. It must be safe for concurrent use.
type Gate func() error

type gateKey struct{}

// WithGate returns a context whose requests pass the gate if their transport is Gated. The
// innermost gate counts.
func WithGate(ctx context.Context, g Gate) context.Context {
	return context.WithValue(ctx, gateKey{}, g)
}

// CheckGate calls the gate of a context, if it has one. Its error is ErrNotBegun.
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

// Gated returns a transport that calls the gate before it connects, and again in each Read of
// the body: a request whose body fails never arrives whole. A body from GetBody, for a request
// that the transport repeats, is gated too.
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

// CloseIdleConnections is called by http.Client.
func (t gated) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// gatedBody hides the body's other methods (WriterTo), so that the transport must call Read.
type gatedBody struct {
	body io.ReadCloser
	ctx  context.Context //nolint:containedctx // it is the request's, which is sent once
	left int64           // bytes not yet read; negative if unknown
}

func newGatedBody(ctx context.Context, body io.ReadCloser, size int64) io.ReadCloser {
	if size == 0 {
		size = -1 // a client's request with a body of unknown size
	}
	return &gatedBody{body, ctx, size}
}

func (b *gatedBody) Read(p []byte) (int, error) {
	// The transport reads once more after the last byte has left. The gate is not called
	// then: a request that was sent whole must not fail as not begun.
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

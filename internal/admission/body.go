package admission

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// minPiece and maxPiece are the sizes of pieces.
	minPiece = 1 << 10
	maxPiece = 32 << 10
	// bodyTimeout is how long the whole body of an unauthenticated sender may take.
	bodyTimeout = 20 * time.Second
)

// Body is the body of an unauthenticated sender, in pieces. It holds room until it is
// released.
type Body struct {
	claim  *claim
	pieces [][]byte
	size   int64
}

// Read reads the body of a request. It charges each piece before it reads it, and a piece is
// never larger than all before it, except for the first. An error is ErrNoRoom, an
// *http.MaxBytesError, or the connection's.
func (r *Room) Read(req *http.Request, from Sender, limit int64) (*Body, error) {
	if req.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if paced, ok := req.Body.(*pacedBody); ok {
		paced.end = time.Now().Add(bodyTimeout)
	}
	c, err := r.enter(req.Context(), from, req.ContentLength)
	if err != nil {
		return nil, err
	}
	b := &Body{claim: c}
	if err := b.fill(req, limit); err != nil {
		b.Release()
		return nil, err
	}
	return b, nil
}

func (b *Body) fill(req *http.Request, limit int64) error {
	for announced := req.ContentLength; announced < 0 || b.size < announced; {
		next := min(max(b.size, minPiece), maxPiece)
		if announced >= 0 {
			next = min(next, announced-b.size)
		}
		if err := b.claim.take(req.Context(), next); err != nil {
			return err
		}
		piece := b.claim.room.piece(next)
		n, err := io.ReadFull(req.Body, piece)
		b.pieces = append(b.pieces, piece[:n])
		b.size += int64(n)
		switch {
		case b.size > limit:
			return &http.MaxBytesError{Limit: limit}
		case announced < 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return nil
}

// Pieces returns the bytes, to look at until the body is released.
func (b *Body) Pieces() [][]byte { return b.pieces }

// Take returns the bytes in one piece, to keep, and releases the body: they are no longer
// charged.
func (b *Body) Take() []byte {
	defer b.Release()
	if len(b.pieces) == 1 && cap(b.pieces[0]) < maxPiece { // not a piece of the pool
		return b.pieces[0]
	}
	all := make([]byte, 0, b.size)
	for _, p := range b.pieces {
		all = append(all, p...)
	}
	return all
}

// Release gives the room back. It may be called again, and on a nil Body.
func (b *Body) Release() {
	if b == nil {
		return
	}
	for _, p := range b.pieces {
		b.claim.room.reuse(p)
	}
	b.pieces = nil
	b.claim.leave()
}

// piece returns n bytes. Pieces of the largest size are pooled: otherwise as much memory as the
// room has would wait for the garbage collector.
func (r *Room) piece(n int64) []byte {
	if n < maxPiece {
		return make([]byte, n)
	}
	return r.pieces.Get().(*[maxPiece]byte)[:]
}

func (r *Room) reuse(piece []byte) {
	if cap(piece) == maxPiece {
		r.pieces.Put((*[maxPiece]byte)(piece[:maxPiece]))
	}
}

// Charge charges the bodies that a handler reads, while it runs: for handlers without
// authentication. If there is no room for a body the answer is 503, whatever the handler makes
// of it.
func (c *Control) Charge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		claim, err := c.Room.enter(r.Context(), c.Sender(c.Proxies.Client(r), time.Now()), r.ContentLength)
		if err != nil {
			refuseFull(w)
			return
		}
		defer claim.leave()
		body := &chargedBody{ReadCloser: r.Body, request: r, claim: claim}
		next.ServeHTTP(&chargedWriter{w, body}, withBody(r, body))
	})
}

type chargedBody struct {
	io.ReadCloser
	request *http.Request
	claim   *claim
	full    bool
}

func (b *chargedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), maxPiece)])
	if n > 0 && b.claim.take(b.request.Context(), int64(n)) != nil {
		b.full = true
		return 0, ErrNoRoom
	}
	return n, err
}

// chargedWriter answers 503 if there was no room, which the handler took for a bad body.
type chargedWriter struct {
	http.ResponseWriter
	body *chargedBody
}

func (w *chargedWriter) WriteHeader(status int) {
	if w.body.full {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", retryAfter)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *chargedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

const retryAfter = "5" // seconds

func refuseFull(w http.ResponseWriter) {
	w.Header().Set("Retry-After", retryAfter)
	w.Header().Set("Connection", "close")
	http.Error(w, "Too much at once, send it again", http.StatusServiceUnavailable)
}

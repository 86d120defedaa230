package ingest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/psivisionhub/psi-router/internal/admission"
)

// Limits of a body, in bytes. Meta documents 3 MB; Evolution and n8n may send whole files.
const (
	maxSigned = 4 << 20
	maxShared = 16 << 20
)

// body is the body of a request: an unauthenticated sender's, within the bounds of admission,
// or one whose sender showed a valid secret before it was read.
type body struct {
	stranger *admission.Body
	known    []byte
}

// readBody reads the body. open says that the request's lines are already known, proven that
// the sender showed their secret.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, now time.Time, open, proven bool) (b body, err error) {
	limit := int64(maxSigned)
	if open {
		limit = maxShared
	}
	if proven {
		b.known, err = readAll(w, r, limit)
		return b, err
	}
	from := h.admission.Sender(h.admission.Proxies.Client(r), now)
	b.stranger, err = h.admission.Room.Read(r, from, limit)
	return b, err
}

func (b *body) pieces() [][]byte {
	if b.stranger == nil {
		return [][]byte{b.known}
	}
	return b.stranger.Pieces()
}

// take returns the whole body, authentic by now, and gives its room back.
func (b *body) take() []byte {
	if b.stranger == nil {
		return b.known
	}
	return b.stranger.Take()
}

func (b *body) release() { b.stranger.Release() }

func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	reader := http.MaxBytesReader(w, r.Body, limit)
	const trusted = 1 << 20 // longest announced length that is allocated at once
	if n := r.ContentLength; n >= 0 && n <= trusted {
		all := make([]byte, n)
		_, err := io.ReadFull(reader, all)
		return all, err
	}
	return io.ReadAll(reader)
}

// refuseBody answers a request whose body could not be read.
func (h *Handler) refuseBody(w http.ResponseWriter, r *http.Request, now time.Time, err error) (outcome string) {
	w.Header().Set("Connection", "close") // the rest of the body is not read
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		h.noteRefusal(r, now, "too large")
		writeJSON(w, http.StatusRequestEntityTooLarge, `{"error":"Payload too large"}`)
		return outcomeTooLarge
	case errors.Is(err, admission.ErrNoRoom):
		h.noteRefusal(r, now, "no room for the body")
		w.Header().Set("Retry-After", retryAfter)
		writeJSON(w, http.StatusServiceUnavailable, `{"error":"Too much at once, send it again"}`)
		return outcomeNoRoom
	case errors.Is(err, os.ErrDeadlineExceeded):
		h.noteRefusal(r, now, "body did not arrive in time")
		writeJSON(w, http.StatusRequestTimeout, `{"error":"The body did not arrive in time"}`)
		return outcomeAborted
	}
	h.noteRefusal(r, now, "incomplete body")
	writeJSON(w, http.StatusBadRequest, `{"error":"Incomplete body"}`)
	return outcomeAborted
}

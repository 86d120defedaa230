package ingest

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/psivisionhub/psi-router/internal/sanitize"
)

// refuse answers an unauthenticated request. The answer does not say what was wrong.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, now time.Time, why string) (outcome string) {
	if h.noteRefusal(r, now, why) {
		return tooMany(w)
	}
	writeJSON(w, http.StatusUnauthorized, `{"error":"Unauthorized"}`)
	return outcomeUnauthorized
}

// refuseHandshake answers a handshake without a valid verify token.
func (h *Handler) refuseHandshake(w http.ResponseWriter, r *http.Request, now time.Time) (outcome string) {
	if h.noteRefusal(r, now, "wrong verify token") {
		return tooMany(w)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, "forbidden\n")
	return outcomeForbidden
}

func tooMany(w http.ResponseWriter) (outcome string) {
	w.Header().Set("Retry-After", "60")
	writeJSON(w, http.StatusTooManyRequests, `{"error":"Too many requests"}`)
	return outcomeLimited
}

// noteRefusal counts a refusal of any kind, and reports whether the address had too many before
// it. Exempt addresses never have.
func (h *Handler) noteRefusal(r *http.Request, now time.Time, why string) (limited bool) {
	addr := h.admission.Proxies.Client(r)
	over := h.admission.Refusals.Note(addr, now, why, slog.String("path", sanitize.Value(r.URL.Path)))
	return over && !h.admission.Exempt(addr, now)
}

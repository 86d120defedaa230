package ingest

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/psivisionhub/psi-router/internal/sanitize"
)

// refuse answers who is not known. It does not say what was wrong.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, now time.Time, why string) (outcome string) {
	if d.note(r, now, why) {
		return tooMany(w)
	}
	writeJSON(w, http.StatusUnauthorized, `{"error":"Unauthorized"}`)
	return outcomeUnauthorized
}

// refuseHandshake answers who does not know a verify token.
func (d *Door) refuseHandshake(w http.ResponseWriter, r *http.Request, now time.Time) (outcome string) {
	if d.note(r, now, "wrong verify token") {
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

// note counts a refusal of any kind, and reports whether the address had too many
// before it. Addresses that stand for many, and those of Meta, never have.
func (d *Door) note(r *http.Request, now time.Time, why string) (limited bool) {
	addr := d.admission.Proxies.Client(r)
	over := d.admission.Refusals.Note(addr, now, why, slog.String("path", sanitize.Value(r.URL.Path)))
	return over && !d.admission.Exempt(addr, now)
}

package admission

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/psivisionhub/psi-router/internal/sanitize"
)

// CountUnauthorized counts a handler's 401 answers as refusals: for handlers that authenticate
// by themselves.
func (c *Control) CountUnauthorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &watchedWriter{ResponseWriter: w}
		next.ServeHTTP(out, r)
		if out.status == http.StatusUnauthorized {
			c.Refusals.Note(c.Proxies.Client(r), time.Now(), "unknown key", slog.String("path", sanitize.Value(r.URL.Path)))
		}
	})
}

type watchedWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *watchedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

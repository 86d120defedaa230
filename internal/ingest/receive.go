package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/sanitize"
)

// Outcomes of a request, as metrics count them.
const (
	outcomeQueued       = "queued"
	outcomeUnauthorized = "unauthorized"
	outcomeLimited      = "limited"
	outcomeTooLarge     = "too_large"
	outcomeInvalid      = "invalid"
	outcomeUnavailable  = "unavailable"
	outcomeNoRoom       = "no_room"
	outcomeAborted      = "aborted"
	outcomeHandshake    = "handshake"
	outcomeForbidden    = "handshake_refused"
)

const retryAfter = "5" // seconds

// handshake answers Meta's verification. It needs only the configuration.
func (h *Handler) handshake(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	tokens := h.auth.tokens
	if line := h.pathLine(r); line != "" {
		tokens = h.auth.perLine[line]
	}
	challenge, ok := "", false
	if h.meta.Challenge != nil {
		challenge, ok = h.meta.Challenge(r.URL.Query(), tokens)
	}
	outcome := outcomeHandshake
	if ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, challenge)
	} else {
		outcome = h.refuseHandshake(w, r, start)
	}
	h.meter.Webhook(outcome, h.now().Sub(start))
}

// receive handles one POST.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	outcome := h.handle(w, r, start)
	h.meter.Webhook(outcome, h.now().Sub(start))
}

func (h *Handler) handle(w http.ResponseWriter, r *http.Request, now time.Time) (outcome string) {
	line := h.pathLine(r)
	c := caller{fixed: h.lineIndex(line)}
	var proven bool
	c.lines, proven = h.auth.bySecret(r)
	if !c.speaksFor(line) {
		c.lines = nil
	}
	header := r.Header.Get(signatureHeader)
	if c.lines == nil {
		switch {
		case header == "":
			return h.refuse(w, r, now, "no credentials")
		case h.meta.WellFormed == nil || !h.meta.WellFormed(header):
			return h.refuse(w, r, now, "no signature")
		}
	}
	body, err := h.readBody(w, r, now, c.lines != nil, proven && c.lines != nil)
	if err != nil {
		return h.refuseBody(w, r, now, err)
	}
	defer body.release()
	if header != "" {
		if lines := h.auth.bySignature(header, body.pieces()...); lines != nil {
			c.lines, c.signed = lines, true
			c.pathMismatch = !c.speaksFor(line)
		}
	}
	if c.lines == nil {
		return h.refuse(w, r, now, "bad signature")
	}
	if c.signed || proven {
		h.admission.Known.Mark(h.admission.Proxies.Client(r), now)
	}
	return h.accept(w, r, body.take(), &c, now)
}

// accept decodes an authentic body, enqueues its arrivals and answers.
func (h *Handler) accept(w http.ResponseWriter, r *http.Request, body []byte, c *caller, now time.Time) (outcome string) {
	arrivals, unread := h.decoder.Decode(body)
	if unread != nil && !c.signed {
		h.log.Warn("webhook refused", "why", unread, "bytes", len(body), "lines", h.lineIDs(c.lines))
		return answerInvalid(w)
	}
	if unread != nil {
		arrivals = []inbound.Arrival{unreadable(body, unread)}
	}
	jobs, err := h.jobs(arrivals, c, now)
	if err == nil && len(jobs) > 0 {
		err = h.enqueue(r.Context(), jobs)
	}
	if err != nil {
		h.log.Error("webhook not stored", "error", err, "jobs", len(jobs), "lines", h.lineIDs(c.lines))
		w.Header().Set("Retry-After", retryAfter)
		writeJSON(w, http.StatusServiceUnavailable, `{"error":"Not stored, send it again"}`)
		return outcomeUnavailable
	}
	h.meterArrivals(arrivals)
	if errors.Is(unread, rawjson.ErrSyntax) { // it is stored for operators, but the sender must know
		return answerInvalid(w)
	}
	answer := strconv.AppendInt(append(make([]byte, 0, 48), `{"success":true,"queued":`...), int64(len(jobs)), 10)
	writeJSON(w, http.StatusOK, string(append(answer, '}')))
	return outcomeQueued
}

// meterArrivals counts the arrivals, and logs one line if any is quarantined.
func (h *Handler) meterArrivals(arrivals []inbound.Arrival) {
	quarantined, first := 0, 0
	for i := range arrivals {
		a := &arrivals[i]
		h.meter.Arrived(a.Line, string(a.Kind))
		if a.Quarantine != "" && a.Quarantine != "group" {
			if quarantined == 0 {
				first = i
			}
			quarantined++
		}
	}
	if quarantined > 0 {
		a := &arrivals[first]
		h.log.Warn("arrivals quarantined", "count", quarantined, "why", a.Quarantine, "detail", a.Detail, "kind", a.Kind, "shape", a.Shape,
			"line", a.Line, "line_ref", sanitize.Value(a.LineRef), "from", phone.Masked(a.Person.Ref()))
	}
}

// enqueue stores the jobs. It goes on if the caller hangs up; when the body is posted again, its
// ids are known.
func (h *Handler) enqueue(ctx context.Context, jobs []queue.Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.enqueueTimeout)
	defer cancel()
	_, err := h.queue.Enqueue(ctx, jobs)
	return err
}

func answerInvalid(w http.ResponseWriter) (outcome string) {
	writeJSON(w, http.StatusBadRequest, `{"error":"Invalid payload"}`)
	return outcomeInvalid
}

func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func (h *Handler) lineIDs(lines []int) []string {
	names := make([]string, len(lines))
	for i, at := range lines {
		names[i] = h.lines[at].ID
	}
	return names
}

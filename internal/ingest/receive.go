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

// handshake answers Meta's verification. It needs nothing but the configuration.
func (d *Door) handshake(w http.ResponseWriter, r *http.Request) {
	start := d.now()
	tokens := d.auth.tokens
	if line := d.pathLine(r); line != "" {
		tokens = d.auth.perLine[line]
	}
	challenge, ok := "", false
	if d.meta.Challenge != nil {
		challenge, ok = d.meta.Challenge(r.URL.Query(), tokens)
	}
	outcome := outcomeHandshake
	if ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, challenge)
	} else {
		outcome = d.refuseHandshake(w, r, start)
	}
	d.meter.Webhook(outcome, d.now().Sub(start))
}

// receive handles one POST.
func (d *Door) receive(w http.ResponseWriter, r *http.Request) {
	start := d.now()
	outcome := d.handle(w, r, start)
	d.meter.Webhook(outcome, d.now().Sub(start))
}

func (d *Door) handle(w http.ResponseWriter, r *http.Request, now time.Time) (outcome string) {
	line := d.pathLine(r)
	c := caller{fixed: d.find(line)}
	var proven bool
	c.lines, proven = d.auth.bySecret(r)
	if !c.speaksFor(line) {
		c.lines = nil
	}
	header := r.Header.Get(signatureHeader)
	if c.lines == nil {
		switch {
		case header == "":
			return d.refuse(w, r, now, "no credentials")
		case d.meta.WellFormed == nil || !d.meta.WellFormed(header):
			return d.refuse(w, r, now, "no signature")
		}
	}
	body, err := d.read(w, r, now, c.lines != nil, proven && c.lines != nil)
	if err != nil {
		return d.unread(w, r, now, err)
	}
	defer body.release()
	if header != "" {
		if lines := d.auth.bySignature(header, body.pieces()...); lines != nil {
			c.lines, c.signed = lines, true
			c.stray = !c.speaksFor(line)
		}
	}
	if c.lines == nil {
		return d.refuse(w, r, now, "bad signature")
	}
	if c.signed || proven {
		d.admission.Known.Mark(d.admission.Proxies.Client(r), now)
	}
	return d.accept(w, r, body.take(), &c, now)
}

// accept decodes an authentic body, queues what is in it and answers.
func (d *Door) accept(w http.ResponseWriter, r *http.Request, body []byte, c *caller, now time.Time) (outcome string) {
	arrivals, unread := d.decoder.Decode(body)
	if unread != nil && !c.signed {
		d.log.Warn("webhook refused", "why", unread, "bytes", len(body), "lines", d.names(c.lines))
		return answerInvalid(w)
	}
	if unread != nil {
		arrivals = []inbound.Arrival{unreadable(body, unread)}
	}
	jobs, err := d.jobs(arrivals, c, now)
	if err == nil && len(jobs) > 0 {
		err = d.enqueue(r.Context(), jobs)
	}
	if err != nil {
		d.log.Error("webhook not stored", "err", err, "jobs", len(jobs), "lines", d.names(c.lines))
		w.Header().Set("Retry-After", retryAfter)
		writeJSON(w, http.StatusServiceUnavailable, `{"error":"Not stored, send it again"}`)
		return outcomeUnavailable
	}
	d.count(arrivals)
	if errors.Is(unread, rawjson.ErrSyntax) { // stored, for whoever looks for it; but it is not what we take
		return answerInvalid(w)
	}
	answer := strconv.AppendInt(append(make([]byte, 0, 48), `{"success":true,"queued":`...), int64(len(jobs)), 10)
	writeJSON(w, http.StatusOK, string(append(answer, '}')))
	return outcomeQueued
}

// count meters what arrived, and says once when something of it was kept aside.
func (d *Door) count(arrivals []inbound.Arrival) {
	aside, first := 0, 0
	for i := range arrivals {
		a := &arrivals[i]
		d.meter.Arrived(a.Line, string(a.Kind))
		if a.Quarantine != "" && a.Quarantine != "group" {
			if aside == 0 {
				first = i
			}
			aside++
		}
	}
	if aside > 0 {
		a := &arrivals[first]
		d.log.Warn("arrivals kept aside", "count", aside, "why", a.Quarantine, "detail", a.Detail, "kind", a.Kind, "shape", a.Shape,
			"line", a.Line, "line_ref", sanitize.Value(a.LineRef), "from", phone.Masked(a.Person.Ref()))
	}
}

// enqueue stores the jobs. A caller that hangs up does not stop it half-way: what
// was begun is finished, and when it comes again its ids are known.
func (d *Door) enqueue(ctx context.Context, jobs []queue.Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.patience)
	defer cancel()
	_, err := d.queue.Enqueue(ctx, jobs)
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

func (d *Door) names(lines []int) []string {
	names := make([]string, len(lines))
	for i, at := range lines {
		names[i] = d.lines[at].ID
	}
	return names
}

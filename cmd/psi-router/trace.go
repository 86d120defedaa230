package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
)

type traceCmd struct {
	Key string `arg:"" help:"Message id (ours or WhatsApp's), conversation, ticket, user id or phone."`
}

func (traceCmd) Help() string {
	return `Examples:
  psi-router trace 5491155550001
  psi-router trace PSI-2026-000123
  psi-router trace wamid.HBgN…  --json`
}

func (c *traceCmd) Run(e *env) error {
	return e.withClient(func(cl *client) error {
		path := "/trace/" + url.PathEscape(c.Key)
		if e.JSON {
			return cl.printAnswer(e, path)
		}
		var t trace
		if err := cl.get(e.ctx, path, &t); err != nil {
			return err
		}
		loc := cl.cfg.Location()
		for _, conv := range t.Conversations {
			e.printf("%s\n", e.style(bold, summary(conv)))
			e.printf("  contact %s, window until %s\n", contactLabel(conv.Contact), formatTime(conv.WindowExpiresAt, loc))
		}
		for _, l := range timeline(t) {
			e.printf("%s  %s\n", e.style(dim, formatTime(&l.at, loc)), l.text)
		}
		return nil
	})
}

// contactLabel joins what is known of a contact.
func contactLabel(c api.Contact) string {
	parts := []string{}
	for _, s := range []string{c.Name, c.Phone, c.UserID} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return oneLine(strings.Join(parts, " · "), 120)
}

type timelineEntry struct {
	at   time.Time
	text string
}

const textWidth = 90

// timeline lists everything of a trace, oldest first.
func timeline(t trace) []timelineEntry {
	var all []timelineEntry
	add := func(at *time.Time, format string, a ...any) {
		m := timelineEntry{text: strings.TrimRight(fmt.Sprintf(format, a...), " ")}
		if at != nil {
			m.at = *at
		}
		all = append(all, m)
	}
	for _, m := range t.Messages {
		at := happenedAt(m)
		arrow := "→"
		if m.Direction == "inbound" {
			arrow = "←"
		}
		failure := ""
		if m.Error != nil {
			failure = errorText(m.Error.Code, m.Error.Detail)
		}
		add(&at, "%s %-8s %-9s %-20s %s %s", arrow, m.Author, m.Status, m.Reason, cmp.Or(oneLine(m.Text, textWidth), "("+m.Type+")"), failure)
	}
	for _, h := range t.Handoffs {
		from := ""
		if h.FromArea != "" {
			from = h.FromArea + " → "
		}
		add(h.At, "! handoff  %s%s %s %s by %s %s", from, h.Area, h.Tag, h.Ticket, h.By, oneLine(h.Note, textWidth))
	}
	for _, a := range t.Audit {
		add(a.At, "! %s by %s %s", a.Action, a.Actor, oneLine(a.Detail, textWidth))
	}
	for _, r := range t.Records {
		add(r.ReceivedAt, "? %s  line %s %s  %s", r.Kind, r.Line, r.LineRef, r.Reason)
	}
	slices.SortStableFunc(all, func(a, b timelineEntry) int { return a.at.Compare(b.at) })
	return all
}

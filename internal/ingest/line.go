package ingest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

// unknownLine is the reason why something authentic is kept and not handled: it
// is for a number that its sender does not speak for, or that nobody configured.
const unknownLine = "unknown_line"

// caller is who made an authenticated request.
type caller struct {
	lines        []int // that its secret speaks for
	signed       bool  // by a Meta app
	fixed        int   // the line of the path, -1 without
	pathMismatch bool  // the path names a line that the caller does not speak for
}

// speaksFor reports whether the caller's secret is good for the line of its
// path, which is c.fixed; "" is no path.
func (c *caller) speaksFor(line string) bool {
	return line == "" || slices.Contains(c.lines, c.fixed)
}

// pathLine returns the line that a path names. The callbacks of earlier routers,
// /webhook/whatsapp/wsp4 and /webhook/evolution/ventas, go on working.
func (h *Handler) pathLine(r *http.Request) string {
	line := r.PathValue("line")
	if (line == "whatsapp" || line == "evolution") && h.lineIndex(line) < 0 {
		line, _, _ = strings.Cut(r.PathValue("event"), "/")
	}
	return line
}

// lineIndex returns the index of the line with an id, -1 for none.
func (h *Handler) lineIndex(id string) int {
	if id == "" {
		return -1
	}
	return slices.IndexFunc(h.lines, func(l Line) bool { return l.ID == id })
}

// assignLine gives an arrival its line. A body that names a line is believed within
// what its secret speaks for; one that names none belongs to the line of the
// path, else to the only one that the secret speaks for.
func (h *Handler) assignLine(a *inbound.Arrival, c *caller) {
	at := -1
	switch {
	case c.pathMismatch:
	case a.LineRef != "":
		at = h.findLine(a.LineRef, c.lines)
		// A path fixes the line of what carries no number of Meta's: instance
		// names and the lines that flows write are free text.
		if at < 0 && c.fixed >= 0 && a.Provider != "cloud" && h.findLine(a.LineRef, nil) < 0 {
			at = c.fixed
		}
	case c.fixed >= 0:
		at = c.fixed
	case len(c.lines) == 1:
		at = c.lines[0]
	}
	if at >= 0 {
		a.Line = h.lines[at].ID
		if ref := h.lines[at].Ref; ref != "" {
			a.LineRef = ref // one name for one line, so that copies of a message meet
		}
		return
	}
	// Notices about an account may name no number at all.
	if a.LineRef == "" && !c.pathMismatch && !concernsPerson(a.Kind) {
		return
	}
	if a.Quarantine == "" {
		a.Quarantine = unknownLine
	}
}

// concernsPerson says that what is of the kind concerns a person, and so a line.
func concernsPerson(kind inbound.Kind) bool {
	switch kind {
	case inbound.Message, inbound.Echo, inbound.Status, inbound.Identity, inbound.Preference:
		return true
	}
	return false
}

// findLine returns the line that a body means, among those of the caller; nil means
// among all.
func (h *Handler) findLine(ref string, among []int) int {
	match := func(i int) bool {
		return ref == h.lines[i].Ref || strings.EqualFold(ref, h.lines[i].ID)
	}
	if among == nil {
		for i := range h.lines {
			if match(i) {
				return i
			}
		}
		return -1
	}
	for _, i := range among {
		if match(i) {
			return i
		}
	}
	return -1
}

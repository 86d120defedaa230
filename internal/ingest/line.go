package ingest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

// unknownLine quarantines an authentic arrival for a line that is not configured, or that its
// sender is not authorised for.
const unknownLine = "unknown_line"

// caller is the sender of an authenticated request.
type caller struct {
	lines        []int // authorised by its secret
	signed       bool  // by a Meta app
	fixed        int   // the line of the path, -1 for none
	pathMismatch bool  // the path names a line that is not authorised
}

// speaksFor reports whether the caller's secret authorises the line of its path, which is
// c.fixed; "" is no path.
func (c *caller) speaksFor(line string) bool {
	return line == "" || slices.Contains(c.lines, c.fixed)
}

// pathLine returns the line that a path names. The paths of earlier routers,
// /webhook/whatsapp/wsp4 and /webhook/evolution/ventas, still work.
func (h *Handler) pathLine(r *http.Request) string {
	line := r.PathValue("line")
	if (line == "whatsapp" || line == "evolution") && h.lineIndex(line) < 0 {
		line, _, _ = strings.Cut(r.PathValue("event"), "/")
	}
	return line
}

// lineIndex returns the index of the line with an id, -1 if there is none.
func (h *Handler) lineIndex(id string) int {
	if id == "" {
		return -1
	}
	return slices.IndexFunc(h.lines, func(l Line) bool { return l.ID == id })
}

// assignLine sets an arrival's line. A line that the body names is accepted if the secret
// authorises it. A body that names none belongs to the line of the path, else to the only line
// that the secret authorises.
func (h *Handler) assignLine(a *inbound.Arrival, c *caller) {
	at := -1
	switch {
	case c.pathMismatch:
	case a.LineRef != "":
		at = h.findLine(a.LineRef, c.lines)
		// Instance names and workflows' lines are free text: one that names no configured
		// line yields to the path. A number of Meta's does not.
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
			a.LineRef = ref // one name per line, so that copies of a message have one key
		}
		return
	}
	// A notice about the account may name no number at all.
	if a.LineRef == "" && !c.pathMismatch && !concernsPerson(a.Kind) {
		return
	}
	if a.Quarantine == "" {
		a.Quarantine = unknownLine
	}
}

// concernsPerson reports whether arrivals of the kind concern a person, and so need a line.
func concernsPerson(kind inbound.Kind) bool {
	switch kind {
	case inbound.Message, inbound.Echo, inbound.Status, inbound.Identity, inbound.Preference:
		return true
	}
	return false
}

// findLine returns the index of the line that ref names, -1 for none. nil among searches all
// lines.
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

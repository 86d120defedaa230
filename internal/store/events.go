package store

import (
	"encoding/json"
	"slices"
	"strings"
)

// Types of events.
const (
	EventReceived  = "message.received"
	EventSent      = "message.sent"
	EventStatus    = "message.status"
	EventFailed    = "message.failed"
	EventOpened    = "conversation.opened"
	EventUpdated   = "conversation.updated"
	EventHandedOff = "conversation.handed_off"
	EventClosed    = "conversation.closed"
	EventTagged    = "conversation.tagged"
)

// EventFilter says which events a receiver wants. Empty lists want all.
type EventFilter struct {
	Types []string // a type, a family such as message.*, or *
	Lines []string
	Areas []string // the conversation's at that moment, or the one that it just left
}

// ByTypeOnly reports whether the type alone decides.
func (f EventFilter) ByTypeOnly() bool { return len(f.Lines) == 0 && len(f.Areas) == 0 }

// Match reports whether the filter wants the event.
func (f EventFilter) Match(e Event) bool {
	if !f.matchType(e.Type) {
		return false
	}
	if f.ByTypeOnly() {
		return true
	}
	var data struct {
		Conversation struct{ Line, Area string }
		FromArea     string `json:"from_area"`
		Handoff      struct {
			FromArea string `json:"from_area"`
		}
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return true // when in doubt, too many
	}
	if len(f.Lines) > 0 && !slices.Contains(f.Lines, data.Conversation.Line) {
		return false
	}
	return len(f.Areas) == 0 || slices.ContainsFunc([]string{data.Conversation.Area, data.FromArea, data.Handoff.FromArea},
		func(area string) bool { return area != "" && slices.Contains(f.Areas, area) })
}

func (f EventFilter) matchType(kind string) bool {
	return len(f.Types) == 0 || slices.ContainsFunc(f.Types, func(want string) bool {
		family, all := strings.CutSuffix(want, "*")
		return want == kind || all && strings.HasPrefix(kind, family)
	})
}

// MaxEventPageBytes limits the size of the events of one page.
const MaxEventPageBytes = 4 << 20

// EventPage collects events until their size reaches MaxEventPageBytes.
type EventPage struct {
	Events []Event
	bytes  int
}

// Add adds an event.
func (p *EventPage) Add(e Event) {
	p.Events, p.bytes = append(p.Events, e), p.bytes+len(e.Data)
}

// Full reports that the page ends here, though there may be more events.
func (p *EventPage) Full() bool { return p.bytes >= MaxEventPageBytes }

// Texts and names are stored whole. Their many copies, in events and lists, are cut here
// and marked as truncated.
const (
	MaxCopiedText = 16 << 10 // letters
	MaxCopiedName = 256
)

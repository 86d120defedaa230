package store

// Texts and names are stored whole. Copies of them, in events and lists, end here
// and say so (truncated): of these there are many.
const (
	CopiedText = 16 << 10 // letters
	CopiedName = 256
)

// EventsBytes is how much the events of one page may hold.
const EventsBytes = 4 << 20

// EventPage gathers the events of a page until they hold EventsBytes.
type EventPage struct {
	Events []Event
	bytes  int
}

// Add adds an event.
func (p *EventPage) Add(e Event) {
	p.Events, p.bytes = append(p.Events, e), p.bytes+len(e.Data)
}

// Full says that the page ends here, though there may be more events.
func (p *EventPage) Full() bool { return p.bytes >= EventsBytes }

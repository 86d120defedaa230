package store

// Texts and names are stored whole. Copies of them, in events and lists, end here
// and say so (truncated): of these there are many.
const (
	MaxCopiedText = 16 << 10 // letters
	MaxCopiedName = 256
)

// MaxEventPageBytes is how much the events of one page may hold.
const MaxEventPageBytes = 4 << 20

// EventPage gathers the events of a page until they hold MaxEventPageBytes.
type EventPage struct {
	Events []Event
	bytes  int
}

// Add adds an event.
func (p *EventPage) Add(e Event) {
	p.Events, p.bytes = append(p.Events, e), p.bytes+len(e.Data)
}

// Full says that the page ends here, though there may be more events.
func (p *EventPage) Full() bool { return p.bytes >= MaxEventPageBytes }

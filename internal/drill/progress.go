package drill

import (
	"time"
)

// Phases of a drill.
const (
	PhaseStart  = "start"  // servers and processes come up
	PhaseLoad   = "load"   // people write, things go wrong
	PhaseSettle = "settle" // everything that waits is done
	PhaseCheck  = "check"  // every message is asked for
)

// Event is something that happened.
type Event struct {
	At    time.Duration
	Phase string // set when a phase begins
	Fault string // kind; set when a fault begins or is over
	What  string // whom it meets: "worker-2"
	Over  bool
	// Note is set for what nobody planned.
	Note string
}

// Progress is where a drill stands.
type Progress struct {
	Elapsed   time.Duration
	Phase     string
	Messages  int64 // to be written
	Accepted  int64
	PerSecond float64 // accepted, lately
	Sent      int64   // answers that WhatsApp took
	Fault     string  // what is wrong at the moment
	What      string
	Faults    int // over
	OfFaults  int
	// What the router tells; Known is false while it tells nothing.
	Known   bool
	Handled int64
	Depth   int64 // jobs of all queues
	Pending int64 // answers that are still to be sent
	Dead    int64
}

func (d *drill) tell(e Event) {
	e.At = time.Since(d.began)
	d.Tell(e)
}

func (d *drill) phase(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.Phase = name
	d.tell(Event{Phase: name})
}

func (d *drill) begins(f fault, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.Fault, d.at.What = f.kind.name, what
	d.tell(Event{Fault: f.kind.name, What: what})
}

func (d *drill) over(f fault, what string, began time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.Fault, d.at.What = "", ""
	d.at.Faults++
	lasted := time.Since(d.began) - began
	if f.kind.outage {
		d.outage += lasted
	}
	d.injected = append(d.injected, InjectedFault{
		Fault: f.kind.name, What: what, At: seconds(began), Lasted: seconds(lasted),
	})
	d.tell(Event{Fault: f.kind.name, What: what, Over: true})
}

// note keeps what nobody planned.
func (d *drill) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
	d.tell(Event{Note: text})
}

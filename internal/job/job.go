// Package job names the router's queues and makes the jobs that they hold. It must
// never enqueue or run a job, nor know the store: a wake-up says only where to look.
package job

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// The queues whose jobs carry a body.
const (
	Inbound = "inbound" // lane = line:person
	Status  = "status"  // lane = line:message id
	Media   = "media"   // lane = message id
)

const (
	// SendPrefix begins the names of the queues of sends.
	SendPrefix   = "send:"
	eventsPrefix = "events:"
)

// SendQueue returns the queue of a line's sends.
func SendQueue(line string) string { return SendPrefix + line }

// EventQueue returns the queue of an endpoint's events.
func EventQueue(endpoint string) string { return eventsPrefix + endpoint }

// SendLine returns the line whose sends the queue holds.
func SendLine(queue string) (line string, ok bool) { return strings.CutPrefix(queue, SendPrefix) }

// Split cuts the name of a queue into its kind and its owner. Only the queues of
// lines and endpoints are owned.
func Split(queue string) (kind, owner string, owned bool) { return strings.Cut(queue, ":") }

// Line returns the line that a job belongs to, "" if it names no configured one.
func Line(j queue.Job) string {
	if line, ok := SendLine(j.Queue); ok {
		return line
	}
	if j.Queue == Inbound || j.Queue == Status {
		if line, _, _ := strings.Cut(j.Lane, ":"); !strings.HasPrefix(line, "?") {
			return line
		}
	}
	return ""
}

// Arrival returns the job of an arrival. All arrivals of one person on one line share a
// lane, but each message's statuses have their own.
func Arrival(a inbound.Arrival) (queue.Job, error) {
	body, err := inbound.Encode(a)
	if err != nil {
		return queue.Job{}, err
	}
	j := queue.Job{Queue: Inbound, Lane: a.Line, ID: a.Key(), Body: body}
	if a.Line == "" {
		j.Lane = "?" + a.LineRef
	}
	ref := a.Person.Ref()
	switch {
	case a.Kind == inbound.Status:
		j.Queue, j.Lane = Status, j.Lane+":"+a.ID
	case ref != "":
		j.Lane += ":" + ref
	default:
		j.Lane += ":-" + string(a.Kind)
	}
	return j, nil
}

// File returns the job that fetches the file of a message; ref says where it is.
func File(messageID string, ref any) (queue.Job, error) {
	body, err := json.Marshal(ref)
	if err != nil {
		return queue.Job{}, fmt.Errorf("encode media job: %w", err)
	}
	return queue.Job{Queue: Media, Lane: messageID, ID: messageID, Body: body}, nil
}

// WakeSends returns the wake-up for a conversation's sends.
func WakeSends(line, conversation string) queue.Job {
	return queue.Job{Queue: SendQueue(line), Lane: conversation}
}

// WakeEvents returns the wake-up for a conversation's events.
func WakeEvents(endpoint, conversation string) queue.Job {
	return queue.Job{Queue: EventQueue(endpoint), Lane: conversation}
}

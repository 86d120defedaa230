package rehearse

import (
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// CRM is the result for the events of the CRM.
type CRM struct {
	Ways   []string `json:"ways"`   // its modes, one after the other
	Events int      `json:"events"` // of the API
	Taken  int      `json:"taken"`  // accepted, each counted once
	// Waited counts the events not accepted yet when the CRM recovered. Back is the time
	// until it had them.
	Waited   int     `json:"waited"`
	Back     float64 `json:"back_seconds"`
	Repeated int     `json:"repeated"` // posted again under the same id
	Refused  int     `json:"refused"`  // posts not accepted
	// WakeUps is the peak number of wake-ups for events in the queue.
	WakeUps   int64 `json:"wake_ups"`
	Lost      int   `json:"lost"`
	Doubled   int   `json:"doubled"` // posted again under another id
	Reordered int   `json:"reordered"`
}

// comeback is the recovery of the CRM.
type comeback struct {
	at     time.Time
	before int // events accepted by then
	least  int // minimum number of events: one for each message and each answer
	events []loadgen.Event
	took   time.Duration
}

// mend makes the CRM work again. It returns nil without a CRM, and with CRMStays.
func (r *rehearsal) mend(ctx context.Context, load loadgen.Report) (*comeback, error) {
	if r.CRM == nil || r.CRMStays {
		return nil, nil
	}
	c := &comeback{at: time.Now(), least: int(load.Progress.Messages)}
	c.before, _ = r.cluster.CRM.Counts()
	if r.CRM[len(r.CRM)-1] == cluster.CRMWorks {
		return c, nil
	}
	return c, r.inject(ctx, fault{kind: kindOf(CRMFault + cluster.CRMWorks)})
}

// caughtUp waits until the CRM has every event. It returns false on a timeout.
func (r *rehearsal) caughtUp(ctx context.Context, c *comeback) bool {
	if c == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, r.Settle)
	defer cancel()
	r.mu.Lock()
	c.least += len(r.sent)
	r.mu.Unlock()
	// The newest events get their numbers within a second or two.
	const calmLooks, between = 5, 500 * time.Millisecond
	for calm, pos := 0, int64(0); ; {
		more, at, err := r.api.Events(ctx, pos)
		c.events, pos = append(c.events, more...), at
		taken, _ := r.cluster.CRM.Counts()
		switch {
		case err != nil || len(more) > 0 || len(c.events) < c.least || taken < len(c.events):
			calm = 0
		case calm == 0:
			c.took = time.Since(c.at)
			calm++
		default:
			calm++
		}
		if calm == calmLooks {
			return true
		}
		if !loadgen.Sleep(ctx, between) {
			r.note(fmt.Sprintf("the CRM has %d of %d events (of at least %d expected) %v after its recovery (%v)", taken, len(c.events), c.least, r.Settle, err))
			return false
		}
	}
}

// result compares the events with those that the CRM accepted.
func (r *rehearsal) result(c *comeback) (CRM, []string) {
	one := CRM{Ways: r.CRM, Events: len(c.events), Back: seconds(c.took), WakeUps: r.wakeUps}
	one.Taken, one.Refused = r.cluster.CRM.Counts()
	one.Waited = max(0, one.Events-c.before)
	v := compare(c.events, r.cluster.CRM.Accepted())
	one.Repeated, one.Lost, one.Doubled, one.Reordered = v.repeated, len(v.lost), len(v.doubled), len(v.reordered)
	return one, some(v.lost, v.doubled, v.reordered)
}

// judgement lists the faults of the accepted events.
type judgement struct {
	lost, doubled, reordered []string
	repeated                 int
}

// compare finds the faults: every event must have come, in order within its conversation.
// A repeat under the same id is no fault: the receiver recognises it.
func compare(happened []loadgen.Event, taken []cluster.Event) (v judgement) {
	type place struct {
		conversation string
		seq          int64
	}
	ids := make(map[place]string, len(taken)) // of accepted events
	last := map[string]int64{}
	for _, e := range taken {
		at := place{e.Conversation, e.Seq}
		switch id, came := ids[at]; {
		case came && id == e.ID:
			v.repeated++
			continue
		case came:
			v.doubled = append(v.doubled, fmt.Sprintf("event %d of %s came as %s and as %s", e.Seq, e.Conversation, id, e.ID))
			continue
		}
		ids[at] = e.ID
		if before := last[e.Conversation]; e.Seq != before+1 {
			v.reordered = append(v.reordered, fmt.Sprintf("event %d of %s came after event %d", e.Seq, e.Conversation, before))
		}
		last[e.Conversation] = max(last[e.Conversation], e.Seq)
	}
	for _, e := range happened {
		if id := ids[place{e.Conversation, e.Seq}]; id != e.ID {
			v.lost = append(v.lost, fmt.Sprintf("event %s, %d of %s, never came", e.ID, e.Seq, e.Conversation))
		}
	}
	return v
}

package rehearse

import (
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// CRM is what became of the events that it should get.
type CRM struct {
	Ways   []string `json:"ways"`   // how it behaved, one way after the other
	Events int      `json:"events"` // that happened
	Taken  int      `json:"taken"`  // each once
	// Waited are those that it had not taken when it came back, and Back is in how
	// many seconds it had them.
	Waited   int     `json:"waited"`
	Back     float64 `json:"back_seconds"`
	Repeated int     `json:"repeated"` // came again, under the same id
	Refused  int     `json:"refused"`  // posts that it did not take
	// WakeUps is how many jobs for events waited in the queue, at most.
	WakeUps   int64 `json:"wake_ups"`
	Lost      int   `json:"lost"`
	Doubled   int   `json:"doubled"` // came under another id
	Reordered int   `json:"reordered"`
}

// comeback is a CRM that works again.
type comeback struct {
	at     time.Time
	before int // what it had taken by then
	least  int // events that there must be: one for each message and each answer
	events []loadgen.Event
	took   time.Duration
}

// mend makes the CRM work; nil without one, and when it stays as it is.
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

// caughtUp waits until the CRM has every event. It is false when that does not
// come.
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
			r.note(fmt.Sprintf("the CRM has %d of %d events, which should be %d at least, %v after it came back (%v)", taken, len(c.events), c.least, r.Settle, err))
			return false
		}
	}
}

// result compares what happened with what the CRM took.
func (r *rehearsal) result(c *comeback) (CRM, []string) {
	one := CRM{Ways: r.CRM, Events: len(c.events), Back: seconds(c.took), WakeUps: r.wakeUps}
	one.Taken, one.Refused = r.cluster.CRM.Counts()
	one.Waited = max(0, one.Events-c.before)
	v := compare(c.events, r.cluster.CRM.Accepted())
	one.Repeated, one.Lost, one.Doubled, one.Reordered = v.repeated, len(v.lost), len(v.doubled), len(v.reordered)
	return one, some(v.lost, v.doubled, v.reordered)
}

// judgement lists what is wrong with the events that somebody took.
type judgement struct {
	lost, doubled, reordered []string
	repeated                 int
}

// compare judges: all that happened must have come, each conversation's in order.
// What comes again under its id is fine: that is what the id is for.
func compare(happened []loadgen.Event, taken []cluster.Event) (v judgement) {
	type place struct {
		conversation string
		seq          int64
	}
	ids := make(map[place]string, len(taken)) // of what came
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

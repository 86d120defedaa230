package loadtest

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

func (t *test) behave(ctx context.Context, way string) error {
	t.tell(Event{CRM: way})
	return t.cluster.CRM.SetMode(ctx, way)
}

// misbehave lets the CRM behave in one way after the other.
func (t *test) misbehave(ctx context.Context) error {
	for _, way := range t.CRM[1:] {
		if !loadgen.Sleep(ctx, t.Duration/time.Duration(len(t.CRM))) {
			return nil
		}
		if err := t.behave(ctx, way); err != nil {
			return err
		}
	}
	return nil
}

// mend makes the CRM work; nil without one, and when it stays as it is.
func (t *test) mend(ctx context.Context, load loadgen.Report) (*comeback, error) {
	if t.CRM == nil || t.CRMStays {
		return nil, nil
	}
	c := &comeback{at: time.Now(), least: int(load.Progress.Messages)}
	c.before, _ = t.cluster.CRM.Counts()
	if t.CRM[len(t.CRM)-1] == cluster.CRMWorks {
		return c, nil
	}
	return c, t.behave(ctx, cluster.CRMWorks)
}

// caughtUp waits until the CRM has every event. It is false when that does not
// come.
func (t *test) caughtUp(ctx context.Context, c *comeback) bool {
	if c == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, t.Settle)
	defer cancel()
	c.least += int(t.posts.count())
	// The newest events get their numbers within a second or two.
	const calmLooks, between = 5, 500 * time.Millisecond
	for calm, pos := 0, int64(0); ; {
		more, at, err := t.api.Events(ctx, pos)
		c.events, pos = append(c.events, more...), at
		taken, _ := t.cluster.CRM.Counts()
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
			t.note(fmt.Sprintf("the CRM has %d of %d events, which should be %d at least, %v after it came back (%v)", taken, len(c.events), c.least, t.Settle, err))
			return false
		}
	}
}

// result compares what happened with what the CRM took.
func (t *test) result(c *comeback) (CRM, []string) {
	r := CRM{Ways: t.CRM, Events: len(c.events), Back: seconds(c.took), WakeUps: t.wakeUps}
	r.Taken, r.Refused = t.cluster.CRM.Counts()
	r.Waited = max(0, r.Events-c.before)
	v := compare(c.events, t.cluster.CRM.Accepted())
	r.Repeated, r.Lost, r.Doubled, r.Reordered = v.repeated, len(v.lost), len(v.doubled), len(v.reordered)
	var wrong []string
	for _, list := range [][]string{v.lost, v.doubled, v.reordered} {
		wrong = append(wrong, list[:min(len(list), 5)]...)
	}
	return r, wrong
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

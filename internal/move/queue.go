package move

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// QueueSource is a queue that leaves. It is nobody else's meanwhile.
type QueueSource interface {
	Installation(ctx context.Context) (string, error)
	Stats(ctx context.Context, queues ...string) ([]queue.Stats, error)
	// Waiting returns jobs of a queue after a place, in the order of their lanes.
	Waiting(ctx context.Context, name string, after int64, limit, size int) ([]queue.Waiting, error)
	// Letters returns dead letters after an ID, the oldest first.
	Letters(ctx context.Context, after int64, limit, size int) ([]queue.DeadLetter, error)
	// Leave empties the queue.
	Leave(ctx context.Context) error
}

// QueueTarget is where it goes to.
type QueueTarget interface {
	// MovedFrom says who was moved here, "" for nobody, and whether all of it is
	// here; Move notes it.
	MovedFrom(ctx context.Context) (installation string, finished bool, err error)
	Move(ctx context.Context, installation string, finished bool) error
	// Load adds jobs in order, and LoadDead dead letters; what came already is
	// passed over.
	Load(ctx context.Context, jobs []queue.Waiting) (added int, err error)
	LoadDead(ctx context.Context, letters []queue.DeadLetter) (added int, err error)
	Hold(ctx context.Context, name string, until time.Time, reason string) error
	Pause(ctx context.Context, name string) error
	Stats(ctx context.Context, queues ...string) ([]queue.Stats, error)
	Check(ctx context.Context) ([]string, error)
}

// QueueOptions of Queue.
type QueueOptions struct {
	Source   QueueSource
	Target   QueueTarget
	DryRun   bool
	Step     int // how many jobs go at once, 1000 if 0
	Progress Progress
}

// Letters is the name of the part that dead letters are.
const Letters = "dead letters"

// Queue moves what waits and what was given up, and empties the source once all
// of it is where it belongs. One that was used again afterwards can be moved again.
func Queue(ctx context.Context, o QueueOptions) (Report, error) {
	r := Report{DryRun: o.DryRun}
	name, err := o.Source.Installation(ctx)
	if err != nil {
		return r, err
	}
	before, err := o.Target.Stats(ctx)
	if err != nil {
		return r, err
	}
	from, finished, err := o.Target.MovedFrom(ctx)
	if err != nil {
		return r, err
	}
	if from != "" && from != name {
		return r, refuse("another installation was moved, or is being moved, to this Redis: name another one, or another database of it (…/1)")
	}
	for _, q := range before {
		if from == "" && q.Depth+q.Dead+q.Enqueued > 0 {
			return r, refuse("this Redis holds the queue of another installation (%s has been used): name another one, or another database of it (…/1)", q.Name)
		}
	}
	stats, err := o.Source.Stats(ctx)
	if err != nil {
		return r, err
	}
	letters := Part{Name: Letters}
	for _, q := range stats {
		r.Parts = append(r.Parts, Part{Name: q.Name, Total: q.Depth})
		letters.Total += q.Dead
	}
	r.Parts = append(r.Parts, letters)
	total, _ := r.Totals()
	r.Already, r.Resumed = from == name && finished && total == 0, from == name && !finished
	if o.DryRun || r.Already {
		return r, nil
	}
	if err := o.Target.Move(ctx, name, false); err != nil {
		return r, err
	}
	added, err := carryQueues(ctx, o, stats, r.Parts)
	if err != nil {
		return r, err
	}
	if !finished || from == "" { // nobody else can have used it
		if err := count(ctx, o.Target, before, added); err != nil {
			return r, err
		}
	}
	if err := o.Source.Leave(ctx); err != nil {
		return r, err
	}
	return r, o.Target.Move(ctx, name, true)
}

// carryQueues returns how many jobs and letters were not there yet.
func carryQueues(ctx context.Context, o QueueOptions, stats []queue.Stats, parts []Part) (added [2]int64, err error) {
	for i, q := range stats {
		if err := settings(ctx, o.Target, q); err != nil {
			return added, err
		}
		p := &parts[i]
		for after := int64(0); ; {
			o.Progress.tell(*p, false)
			jobs, err := o.Source.Waiting(ctx, q.Name, after, cmp.Or(o.Step, stepRows), stepBytes)
			if err != nil {
				return added, err
			}
			if len(jobs) == 0 {
				break
			}
			n, err := o.Target.Load(ctx, jobs)
			if err != nil {
				return added, err
			}
			added[0] += int64(n)
			p.Moved += int64(len(jobs))
			after = jobs[len(jobs)-1].Place
		}
	}
	p := &parts[len(parts)-1]
	for after := int64(0); ; {
		o.Progress.tell(*p, false)
		list, err := o.Source.Letters(ctx, after, cmp.Or(o.Step, stepRows), stepBytes)
		if err != nil || len(list) == 0 {
			return added, err
		}
		n, err := o.Target.LoadDead(ctx, list)
		if err != nil {
			return added, err
		}
		added[1] += int64(n)
		p.Moved += int64(len(list))
		after = list[len(list)-1].ID
	}
}

// settings keeps a queue closed that was closed by somebody.
func settings(ctx context.Context, to QueueTarget, q queue.Stats) error {
	if !q.Paused && q.HeldUntil.IsZero() {
		return nil
	}
	if err := to.Hold(ctx, q.Name, q.HeldUntil, q.HeldFor); err != nil {
		return err
	}
	if !q.Paused {
		return nil
	}
	return to.Pause(ctx, q.Name)
}

// count wants the target to have what it says that it took.
func count(ctx context.Context, to QueueTarget, before []queue.Stats, added [2]int64) error {
	wrong, err := to.Check(ctx)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the queue on Redis does not add up: %s", strings.Join(wrong, "; "))
	}
	after, err := to.Stats(ctx)
	if err != nil {
		return err
	}
	var got [2]int64
	for _, q := range after {
		got[0] += q.Depth
		got[1] += q.Dead
	}
	for _, q := range before {
		got[0] -= q.Depth
		got[1] -= q.Dead
	}
	if got != added {
		return fmt.Errorf("%d jobs and %d dead letters were taken, and there are %d and %d more: somebody else uses this Redis", added[0], added[1], got[0], got[1])
	}
	return nil
}

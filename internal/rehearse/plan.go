package rehearse

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kinds lists the faults that are possible in an installation.
func Kinds(embedded bool) []string {
	var names []string
	for _, k := range kinds {
		if k.fits(embedded) {
			names = append(names, k.name)
		}
	}
	return names
}

// fault is a planned fault.
type fault struct {
	kind   kind
	after  time.Duration // since the load began, or
	moment float64       // fraction of messages accepted by then, 0 to 1
	lasts  time.Duration
	pick   int // selects the target, or is the size of the fault
}

// first reports whether a fault begins before the load.
func (f fault) first() bool { return f.after == 0 && f.moment == 0 }

// kindOf returns a kind by name.
func kindOf(name string) kind {
	return kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })]
}

// plan lists the faults in order.
func (o Options) plan() (all []fault, err error) {
	if o.Drill != nil {
		if all, err = o.Drill.draw(rand.New(rand.NewPCG(o.Load.Seed, 1)), o.Embedded, o.BackoffSpeedup); err != nil {
			return nil, err
		}
	}
	if o.SlowPostgres > 0 {
		all = append(all, fault{kind: kindOf(slowStore), pick: int(o.SlowPostgres)})
	}
	if o.DropResponses > 0 {
		all = append(all, fault{kind: kindOf(cutAnswers), pick: o.DropResponses})
	}
	for i, way := range o.CRM {
		all = append(all, fault{kind: kindOf(CRMFault + way), after: time.Duration(i) * o.Duration / time.Duration(len(o.CRM))})
	}
	if o.RestartRedis {
		all = append(all, fault{kind: kindOf(killRedis), after: o.Duration / 2})
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Or(cmp.Compare(a.after, b.after), cmp.Compare(a.moment, b.moment)) })
	return all, nil
}

// draw chooses faults, their times and durations. Every kind comes once before one
// repeats.
func (d Drill) draw(random *rand.Rand, embedded bool, speedup float64) ([]fault, error) {
	fit := Kinds(embedded)
	for _, name := range d.Only {
		if !slices.Contains(fit, name) {
			return nil, fmt.Errorf("%w: no fault %q here; the faults are %s", ErrOptions, name, strings.Join(fit, ", "))
		}
	}
	var some []kind
	for _, name := range fit {
		if k := kindOf(name); len(d.Only) == 0 && d.Faults >= k.minFaults || slices.Contains(d.Only, name) {
			some = append(some, k)
		}
	}
	moments := make([]float64, d.Faults)
	for i := range moments {
		moments[i] = 0.02 + 0.93*random.Float64()
	}
	slices.Sort(moments)
	all := make([]fault, d.Faults)
	var order []int
	for i := range all {
		if len(order) == 0 {
			order = random.Perm(len(some))
		}
		k := some[order[0]]
		order = order[1:]
		all[i] = fault{
			kind: k, moment: moments[i], pick: random.IntN(1 << 16),
			lasts: k.shortest + time.Duration(random.Int64N(int64(k.longest-k.shortest)+1)),
		}
	}
	stretch(all, time.Duration(float64(d.Outage)/speedup))
	return all, nil
}

// stretch lengthens the outages until they last for least in total, each by the same
// fraction of the room that its kind allows. If that is not enough, each has its maximum.
func stretch(all []fault, least time.Duration) {
	var have, most time.Duration
	for _, f := range all {
		if f.kind.outage {
			have, most = have+f.lasts, most+f.kind.longest
		}
	}
	if have >= least || have == most {
		return
	}
	part := min(1, float64(least-have)/float64(most-have))
	for i := range all {
		if f := &all[i]; f.kind.outage {
			f.lasts += time.Duration(math.Ceil(part * float64(f.kind.longest-f.lasts)))
		}
	}
}

// span is the duration of the load: long enough to outlast all faults.
func (r *rehearsal) span() time.Duration {
	const start = 1500 * time.Millisecond // start time of a process or a server
	var faults time.Duration
	for _, f := range r.faults {
		faults += f.lasts + start
		if f.kind.name == restartAll {
			faults += start * time.Duration(len(r.cluster.Nodes))
		}
	}
	return max(time.Duration(r.Drill.Faults)*cmp.Or(r.Drill.Pace, 6*time.Second), faults*5/4)
}

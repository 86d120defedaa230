package drill

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kinds lists the faults that fit.
func Kinds(embedded bool) []string {
	var names []string
	for _, k := range kinds {
		if k.fits(embedded) {
			names = append(names, k.name)
		}
	}
	return names
}

// fault is one that will happen.
type fault struct {
	kind   kind
	moment float64 // how much of the messages is accepted by then, 0 to 1
	lasts  time.Duration
	pick   int // whom it meets
}

// plan chooses what goes wrong, when and for how long. All kinds have their turn
// before one comes again.
func plan(random *rand.Rand, o Options) ([]fault, error) {
	var some []kind
	for _, k := range kinds {
		if k.fits(o.Embedded) && (len(o.Only) == 0 && o.Faults >= k.minFaults || slices.Contains(o.Only, k.name)) {
			some = append(some, k)
		}
	}
	for _, name := range o.Only {
		if fit := Kinds(o.Embedded); !slices.Contains(fit, name) {
			return nil, fmt.Errorf("%w: there is no fault %q here; there are %s", ErrOptions, name, strings.Join(fit, ", "))
		}
	}
	moments := make([]float64, o.Faults)
	for i := range moments {
		moments[i] = 0.02 + 0.93*random.Float64()
	}
	slices.Sort(moments)
	all := make([]fault, o.Faults)
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
	stretch(all, time.Duration(float64(o.Outage)/o.BackoffSpeedup))
	return all, nil
}

// stretch makes outages last for at least so long together, each by the same part of
// what its kind allows; when that does not suffice they are as long as they may be.
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

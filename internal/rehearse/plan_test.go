package rehearse

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// story is a plan as text, one line for each fault.
func story(t *testing.T, seed uint64, o Options) (names []string, whole []fault) {
	t.Helper()
	o.Load.Seed, o.BackoffSpeedup = seed, max(1, o.BackoffSpeedup)
	all, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		names = append(names, f.kind.name)
	}
	return names, all
}

func TestPlanFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	o := Options{Drill: &Drill{Faults: 40}}
	one, whole := story(t, 7, o)
	again, _ := story(t, 7, o)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Errorf("the same seed gives another plan:\n%s", diff)
	}
	if other, _ := story(t, 8, o); slices.Equal(one, other) {
		t.Error("another seed gives the same plan")
	}
	for i, f := range whole {
		if f.lasts < f.kind.shortest || f.lasts > f.kind.longest {
			t.Errorf("%s lasts %v", f.kind.name, f.lasts)
		}
		if f.moment < 0 || f.moment > 1 || i > 0 && f.moment < whole[i-1].moment {
			t.Errorf("fault %d is at %v", i, f.moment)
		}
	}
}

// TestPlanGivesEachKindItsTurn: no kind repeats before every kind has come once.
func TestPlanGivesEachKindItsTurn(t *testing.T) {
	t.Parallel()
	for _, embedded := range []bool{false, true} {
		fit := Kinds(embedded)
		names, _ := story(t, 3, Options{Embedded: embedded, Drill: &Drill{Faults: max(20, len(fit))}})
		got := slices.Clone(names[:len(fit)])
		slices.Sort(got)
		slices.Sort(fit)
		if diff := cmp.Diff(got, fit); diff != "" {
			t.Errorf("embedded %v (-got +want):\n%s", embedded, diff)
		}
	}
	if names, _ := story(t, 3, Options{Drill: &Drill{Faults: 10}}); slices.Contains(names, "stall_worker") {
		t.Error("a short drill stalls a worker")
	}
	if names, _ := story(t, 3, Options{Drill: &Drill{Faults: 2, Only: []string{"stall_worker"}}}); names[1] != "stall_worker" {
		t.Errorf("got %v, want the kinds of Only", names)
	}
}

// TestPlanHasEnoughOutage: for every seed the outages last for the requested total, and none
// exceeds the maximum of its kind.
func TestPlanHasEnoughOutage(t *testing.T) {
	t.Parallel()
	away := func(seed uint64, least time.Duration) (sum time.Duration) {
		_, all := story(t, seed, Options{BackoffSpeedup: 150, Drill: &Drill{Faults: 36, Outage: least}})
		for _, f := range all {
			if f.lasts < f.kind.shortest || f.lasts > f.kind.longest {
				t.Errorf("seed %d: %s lasts %v", seed, f.kind.name, f.lasts)
			}
			if f.kind.outage {
				sum += f.lasts
			}
		}
		return sum * 150
	}
	short := 0
	for seed := range uint64(200) {
		if away(seed, 0) < 2*time.Hour {
			short++
		}
		if got := away(seed, 2*time.Hour); got < 2*time.Hour || got > max(away(seed, 0), 2*time.Hour+time.Second) {
			t.Errorf("seed %d: outages last %v in total, want two hours", seed, got)
		}
		if got := away(seed, 100*time.Hour); got <= 2*time.Hour {
			t.Errorf("seed %d: outages last %v in total, want the maximum", seed, got)
		}
	}
	if short == 0 {
		t.Error("no seed needed longer outages")
	}
	t.Logf("%d of 200 seeds need longer outages", short)
}

package alert

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// always are working hours around the clock.
func always() Hours {
	h := Hours{}
	for day := time.Sunday; day <= time.Saturday; day++ {
		h.Spans = append(h.Spans, Span{day, 0, 24 * time.Hour})
	}
	return h
}

func TestToSamples(t *testing.T) {
	t.Parallel()
	now := noon()
	f := Facts{
		Queues: []queue.Stats{
			{Name: "inbound", Depth: 3, OldestAge: 70 * time.Second},
			{Name: "send:wsp4", Depth: 1, OldestAge: time.Second, HeldUntil: now.Add(time.Second), HeldReason: "no token"},
			{Name: "media", OldestAge: time.Hour, Dead: 2, Paused: true}, // empty
			{Name: "status", Depth: 1, Paused: true},
		},
		OldestUnanswered: time.Second, OldestHandedOff: now.Add(-time.Hour), Left: 40,
		LastInbound: map[string]time.Time{"wsp4": now.Add(-2 * time.Hour), "gone": now.Add(-time.Hour)},
		Down:        map[string]string{"store": "disk is full"},
		Lines:       []string{"new", "wsp4"},
		Reports: []Report{
			{Role: "webhook", Host: "one", Disk: Disk{"/data", 25, 100}, Spooled: 90 * time.Second},
			{Role: "worker", Host: "one", Disk: Disk{"/data", 25, 100}, Sends: map[string]SendCount{"wsp4": {6, 1}, "few": {9, 9}}},
			{Role: "worker", Host: "two", Sends: map[string]SendCount{"wsp4": {4, 4}}},
		},
	}
	s := State{}
	got := ToSamples(f, always(), &s, now)
	want := []Sample{
		{CheckDown, "store", 1, "disk is full"},
		{DeadLetters, "inbound", 0, ""},
		{DeadLetters, "media", 2, ""},
		{DeadLetters, "send:wsp4", 0, ""},
		{DeadLetters, "status", 0, ""},
		{DiskUsed, "one:/data", 0.75, ""},
		{DiskUsed, "one:/data", 0.75, ""},
		{FailedSends, "wsp4", 0.5, ""},
		{InboundAge, "inbound", 70, ""},
		{LeftPeople, "", 40, ""},
		{Workers, "", 0, ""},
		{QueueAge, "media", 0, ""},
		{QueueAge, "send:wsp4", 1, ""},
		{QueueAge, "status", 0, ""},
		{QueueHeld, "send:wsp4", 1, "no token"},
		{QueuePaused, "status", 1, ""},
		{RouterAnswer, "", 90, ""},
		{SilentLine, "wsp4", 7200, ""},
		{TeamAnswer, "", 3600, ""},
	}
	if diff := cmp.Diff(want, got.Values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// The probe of a held queue does not end the incident.
	f.Queues[1].HeldUntil = time.Time{}
	held := func(at time.Time) (n int) {
		for _, v := range ToSamples(f, always(), &s, at).Values {
			if v.Measure == QueueHeld {
				n++
			}
		}
		return n
	}
	if held(now.Add(30*time.Second)) != 1 || held(now.Add(2*time.Minute)) != 0 {
		t.Error("a probe ended the hold, or nothing did")
	}
}

func TestUnknownMeasures(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		f    Facts
		h    Hours
		want []Measure
	}{
		{"all is", Facts{}, always(), nil},
		{"queues", Facts{NoQueues: true}, always(), []Measure{QueueHeld, QueuePaused, InboundAge, QueueAge, DeadLetters, RouterAnswer}},
		{"the store", Facts{NoStats: true}, always(), []Measure{SilentLine, RouterAnswer, TeamAnswer, LeftPeople}},
		{"other processes", Facts{NoReports: true}, always(), []Measure{Workers, FailedSends}},
		{"nobody works", Facts{}, Hours{}, []Measure{SilentLine, TeamAnswer}},
	} {
		got := ToSamples(tc.f, tc.h, &State{}, noon())
		unknown := map[Measure]bool{}
		for m, yes := range got.Unknown {
			if yes {
				unknown[m] = true
			}
		}
		want := map[Measure]bool{}
		for _, m := range tc.want {
			want[m] = true
		}
		if diff := cmp.Diff(want, unknown); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

package alert

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTally(t *testing.T) {
	t.Parallel()
	var c Tally
	now := noon()
	want := func(at time.Time, want map[string]SendCount) {
		t.Helper()
		if diff := cmp.Diff(want, c.Counts(at)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	want(now, map[string]SendCount{})
	c.Sent("a", "sent", now)
	c.Sent("a", "permanent", now)
	c.Sent("a", "not_begun", now)
	c.Sent("a", "pair", now.Add(10*time.Minute))
	c.Sent("b", "uncertain", now.Add(10*time.Minute))
	want(now.Add(14*time.Minute), map[string]SendCount{"a": {3, 1}, "b": {1, 1}})
	want(now.Add(15*time.Minute), map[string]SendCount{"a": {1, 0}, "b": {1, 1}})
	c.Sent("a", "sent", now.Add(15*time.Minute)) // reuses the first minute's bucket
	want(now.Add(15*time.Minute), map[string]SendCount{"a": {2, 0}, "b": {1, 1}})
	want(now.Add(24*time.Hour), map[string]SendCount{})
}

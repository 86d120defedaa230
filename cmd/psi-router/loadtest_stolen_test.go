package main

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/loadtest"
)

// TestStolenProcessors: a machine that shares its processors is told of, with what was
// measured in calm seconds, and only that.
func TestStolenProcessors(t *testing.T) {
	t.Parallel()
	some := loadtest.Latency{Count: 9, P50: 57, P99: 124}
	for _, tc := range []struct {
		calm *loadtest.Calm
		want string
	}{
		{nil, "This machine shares processors with others: it was without 17.6 % of them"},
		{
			&loadtest.Calm{Seconds: 8, Webhook: loadtest.Latency{Count: 9, P99: 11}},
			"This machine shares processors with others: it was without 17.6 % of them; in the 8 s when it was hardly without, webhook p99 11 ms",
		},
		{
			&loadtest.Calm{Seconds: 8, Webhook: loadtest.Latency{Count: 9, P99: 11}, Reply: some},
			"This machine shares processors with others: it was without 17.6 % of them; in the 8 s when it was hardly without, webhook p99 11 ms, reply p50 57 ms and p99 124 ms",
		},
	} {
		if got := stolen(loadEnglish(), loadtest.Report{Stolen: 0.176, Calm: tc.calm}); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

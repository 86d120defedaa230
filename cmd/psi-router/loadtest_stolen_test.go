package main

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// TestStolenProcessors: a machine that shares its processors is told of, with what was
// measured in calm seconds, and only that.
func TestStolenProcessors(t *testing.T) {
	t.Parallel()
	v := &rehearsal{e: &env{globals: &globals{Lang: "en"}}}
	some := rehearse.Latency{Count: 9, P50: 57, P99: 124}
	for _, tc := range []struct {
		calm *rehearse.Calm
		want string
	}{
		{nil, "This machine shares processors with others: it was without 17.6 % of them"},
		{
			&rehearse.Calm{Seconds: 8, Webhook: rehearse.Latency{Count: 9, P99: 11}},
			"This machine shares processors with others: it was without 17.6 % of them; in the 8 s when it was hardly without, webhook p99 11 ms",
		},
		{
			&rehearse.Calm{Seconds: 8, Webhook: rehearse.Latency{Count: 9, P99: 11}, Reply: some},
			"This machine shares processors with others: it was without 17.6 % of them; in the 8 s when it was hardly without, webhook p99 11 ms, reply p50 57 ms and p99 124 ms",
		},
	} {
		if got := v.stolen(rehearse.Report{LoadReport: &rehearse.LoadReport{Stolen: 0.176, Calm: tc.calm}}); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// program builds psi-router.
func (r *run) program(ctx context.Context) (path string, err error) {
	path = filepath.Join(r.dir, "psi-router")
	return path, r.command(ctx, "", "go", "build", "-o", path, "./cmd/psi-router")
}

// loadtest runs a load test. A broken promise is an error, and so is a missed rate.
func loadtest(ctx context.Context, o rehearse.Options) (rehearse.Report, error) {
	report, err := rehearse.Run(ctx, o)
	if err = errors.Join(err, report.Err(), ctx.Err()); err != nil {
		return report, fmt.Errorf("%w\n%q", err, append(report.Wrong, report.Notes...))
	}
	if !report.Quiet || report.Missed > 0 {
		return report, fmt.Errorf("the rate was not kept: %d requests were not posted\n%q", report.Missed, report.Notes)
	}
	return report, nil
}

// newSeed chooses the people of a run, or of both runs of a pair.
func newSeed() uint64 { return uint64(time.Now().UnixNano())%1_000_000 + 1 }

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// program builds psi-router.
func (r *run) program(ctx context.Context) (path string, err error) {
	path = filepath.Join(r.dir, "psi-router")
	return path, r.command(ctx, "", "go", "build", "-o", path, "./cmd/psi-router")
}

// loadtest runs one and reads what it reports. That it exits with 1 means that a
// promise was broken.
func loadtest(ctx context.Context, bin string, args []string, report any) error {
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s%s", err, said.Bytes(), out.Bytes())
	}
	var rate struct {
		Quiet  bool
		Missed int64
	}
	if err := errors.Join(json.Unmarshal(out.Bytes(), &rate), json.Unmarshal(out.Bytes(), report)); err != nil {
		return fmt.Errorf("read its report: %w", err)
	}
	if !rate.Quiet || rate.Missed > 0 {
		return fmt.Errorf("it could not keep the rate: %d requests never left\n%s", rate.Missed, said.Bytes())
	}
	return nil
}

// newSeed decides who writes in a run, or in both runs of a pair.
func newSeed() string { return strconv.FormatInt(time.Now().UnixNano()%1_000_000+1, 10) }

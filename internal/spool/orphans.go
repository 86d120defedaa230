package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// orphanFile is the spool of a process that no longer runs.
type orphanFile struct {
	*journal
	path   string
	oldest time.Time
}

// adoptOrphans moves the jobs of orphan files into this one, the file with the oldest job first,
// each in its order. It leaves a file that a running process uses, and one that cannot be read
// or moved: neither may stop the start.
func (s *Spool) adoptOrphans(ctx context.Context, o Options) {
	var found []orphanFile
	for _, path := range o.OrphanFiles {
		f, err := openOrphan(ctx, path, o)
		switch {
		case errors.Is(err, sqlite.ErrLocked):
		case err != nil:
			s.log.Error("cannot read another process's spool: its jobs stay in its file", "file", path, "error", err)
		default:
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(a, b orphanFile) int { return cmp.Or(a.oldest.Compare(b.oldest), cmp.Compare(a.path, b.path)) })
	for _, f := range found {
		n, err := f.moveTo(ctx, s.journal)
		err = errors.Join(err, f.db.Close())
		if n > 0 {
			s.log.Warn("took over jobs of another process's spool", "jobs", n, "file", f.path)
		}
		if err != nil {
			s.log.Error("cannot take over all of another process's spool: the rest stays in its file", "file", f.path, "error", err)
		}
	}
}

func openOrphan(ctx context.Context, path string, o Options) (orphanFile, error) {
	o.Path, o.MaxPages = path, 0
	j, err := openJournal(ctx, o)
	if err != nil {
		return orphanFile{}, err
	}
	_, oldest, err := j.count(ctx)
	if err != nil {
		return orphanFile{}, errors.Join(err, j.db.Close())
	}
	return orphanFile{journal: j, path: path, oldest: oldest}, nil
}

// moveTo moves all jobs in batches. Each batch is on disk there before it is removed here. A job
// that was not removed is moved again later, and its id deduplicates it.
func (f orphanFile) moveTo(ctx context.Context, to *journal) (moved int, err error) {
	for {
		batch, err := f.after(ctx, 0, batchJobs, batchBytes)
		if err != nil || len(batch) == 0 {
			return moved, err
		}
		if err := to.adopt(ctx, batch); err != nil {
			return moved, fmt.Errorf("take over: %w", err)
		}
		if err := f.remove(ctx, batch[len(batch)-1].n, "[]"); err != nil {
			return moved, fmt.Errorf("remove moved jobs: %w", err)
		}
		moved += len(batch)
	}
}

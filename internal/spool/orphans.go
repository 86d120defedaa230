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

// orphanFile is a file that another process kept jobs in and is done with.
type orphanFile struct {
	*journal
	path   string
	oldest time.Time
}

// adoptOrphans moves what is in the files of others into this one, the file with the
// oldest job first, each in its order. A file that a living process uses is left
// alone, and one that cannot be read or moved stays as it is: neither may keep a
// door from opening.
func (s *Spool) adoptOrphans(ctx context.Context, o Options) {
	var found []orphanFile
	for _, path := range o.OrphanFiles {
		f, err := openOrphan(ctx, path, o)
		switch {
		case errors.Is(err, sqlite.ErrLocked):
		case err != nil:
			s.log.Error("what another process kept cannot be read, and stays in its file", "file", path, "error", err)
		default:
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(a, b orphanFile) int { return cmp.Or(a.oldest.Compare(b.oldest), cmp.Compare(a.path, b.path)) })
	for _, f := range found {
		n, err := f.moveTo(ctx, s.journal)
		err = errors.Join(err, f.db.Close())
		if n > 0 {
			s.log.Warn("jobs that another process kept are taken over", "jobs", n, "file", f.path)
		}
		if err != nil {
			s.log.Error("what another process kept is not all taken over: the rest stays in its file", "file", f.path, "error", err)
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

// moveTo moves all jobs, a batch at a time: it is on the disk there before it is
// removed here. One that was moved and not removed is moved again, and its id tells.
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
			return moved, fmt.Errorf("remove what was taken over: %w", err)
		}
		moved += len(batch)
	}
}

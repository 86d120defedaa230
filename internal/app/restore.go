package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
)

// ErrBackInTime means that the database is an older one than the router has seen:
// a backup was put back, or it is another one.
var ErrBackInTime = errors.New("the database is older than what the router has seen")

// memory keeps outside of the database how far that had come: in Redis, or where
// there is none in data_dir.
type memory struct {
	redis *redisqueue.Engine
	file  string
	store *pgstore.Store
	log   *slog.Logger
}

const (
	noteName = "store"
	fileName = "store.mark"
	lookPace = 10 * time.Second
)

func (m *memory) seen(ctx context.Context) (mark pgstore.Mark, known bool, err error) {
	var text string
	if m.redis != nil {
		text, err = m.redis.Noted(ctx, noteName)
	} else {
		var raw []byte
		if raw, err = os.ReadFile(m.file); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		text = string(raw)
	}
	if err != nil || text == "" {
		return mark, false, err
	}
	if err := json.Unmarshal([]byte(text), &mark); err != nil {
		m.log.Warn("what was remembered of the database cannot be read, and is written anew", "error", err)
		return mark, false, nil
	}
	return mark, true, nil
}

func (m *memory) keep(ctx context.Context, mark pgstore.Mark) error {
	text, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	if m.redis != nil {
		return m.redis.Note(ctx, noteName, string(text))
	}
	if err := os.WriteFile(m.file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(m.file+".new", m.file)
}

// check refuses a database that went back in time.
func (m *memory) check(ctx context.Context) error {
	seen, known, err := m.seen(ctx)
	if err != nil {
		return fmt.Errorf("remember the database: %w", err)
	}
	now, err := m.store.Mark(ctx)
	if err != nil {
		return err
	}
	if known && now.Behind(seen) {
		return backInTime(now, seen)
	}
	return m.keep(ctx, now)
}

func backInTime(now, seen pgstore.Mark) error {
	const cure = "stop every router, then run psi-router migrate --after-restore: it skips the numbers that may have been given out, and marks automatic messages that are not sent as uncertain"
	if now.ID != seen.ID {
		return fmt.Errorf("%w (it is store %s, and that was store %s): mend database_url. If the change is meant, %s", ErrBackInTime, now.ID, seen.ID, cure)
	}
	return fmt.Errorf("%w (its last event is %d, and there was %d). If a backup was put back, %s", ErrBackInTime, now.Pos, seen.Pos, cure)
}

// Run remembers how far the database is until ctx ends. It returns an error when
// that goes back under a running router.
func (m *memory) Run(ctx context.Context) error {
	tick := time.NewTicker(lookPace)
	defer tick.Stop()
	var last pgstore.Mark
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			over = true
		}
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		now, err := m.store.Mark(look)
		switch {
		case err != nil: // others say so, and louder
		case last.ID != "" && now.Behind(last):
			cancel()
			return backInTime(now, last)
		case now != last:
			if err = m.keep(look, now); err == nil {
				last = now
			}
		}
		cancel()
		if err != nil {
			m.log.Debug("how far the database is was not noted", "error", err)
		}
	}
	return nil
}

// AfterRestore makes a database usable that was put back from a backup, while no
// router runs. It returns how many messages may or may not have been sent.
func AfterRestore(ctx context.Context, cfg *config.Config) (doubtful int, err error) {
	if cfg.DatabaseURL.Empty() {
		return 0, errors.New("this is for PostgreSQL: the files of data_dir are put back all together, with the queue, while the router is stopped")
	}
	log := slog.New(slog.DiscardHandler)
	e, err := openEngines(ctx, opening{cfg: cfg, restored: true, log: log})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	m := e.db.memory
	if doubtful, err = m.store.AfterRestore(ctx, time.Now()); err != nil {
		return doubtful, err
	}
	now, err := m.store.Mark(ctx)
	if err != nil {
		return doubtful, err
	}
	return doubtful, m.keep(ctx, now)
}

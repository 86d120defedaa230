package app

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// notesLost is what happens when Redis came back without what it had: it is said, and
// what an operator paused is paused again. Limits come back with those who need them.
func (e *engines) notesLost(logger *slog.Logger) func(ctx context.Context, paused []string) error {
	return func(ctx context.Context, paused []string) (err error) {
		if e.redis == nil {
			logger.Warn("the file in data_dir that says how far the database was is gone: a database that went back in time meanwhile was not noticed")
			return nil
		}
		logger.Error("Redis came back empty: messages that waited in it are lost unless WhatsApp sends them again; answers and events are woken from the database")
		for _, name := range paused {
			// Nobody may have made the queue yet.
			err = errors.Join(err, e.redis.Hold(ctx, name, time.Time{}, ""), e.redis.Pause(ctx, name))
		}
		if err == nil && len(paused) > 0 {
			logger.Info("queues are paused again", "queues", paused)
		}
		return err
	}
}

// emptied is when Redis was found to have come back empty, zero for never.
func (e *engines) emptied(ctx context.Context) (time.Time, error) {
	if e.redis == nil || e.db == nil {
		return time.Time{}, nil
	}
	return e.db.NotesLostAt(ctx)
}

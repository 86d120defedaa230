package app

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// notesLost returns the hook for a Redis that lost its data: it logs the loss, and pauses
// again what an operator had paused. The processes that serve a queue restore its limit.
func (e *engines) notesLost(logger *slog.Logger) func(ctx context.Context, paused []string) error {
	return func(ctx context.Context, paused []string) (err error) {
		if e.redis == nil {
			logger.Warn("the notes file in data_dir is gone: a database that went back in time meanwhile was not noticed")
			return nil
		}
		logger.Error("Redis came back empty: messages that waited in it are lost unless WhatsApp resends them; answers and events are woken from the database")
		for _, name := range paused {
			// The hold creates the queue if it does not exist yet.
			err = errors.Join(err, e.redis.Hold(ctx, name, time.Time{}, ""), e.redis.Pause(ctx, name))
		}
		if err == nil && len(paused) > 0 {
			logger.Info("queues are paused again", "queues", paused)
		}
		return err
	}
}

// emptied returns when Redis was found to have lost its data, zero for never.
func (e *engines) emptied(ctx context.Context) (time.Time, error) {
	if e.redis == nil || e.db == nil {
		return time.Time{}, nil
	}
	return e.db.NotesLostAt(ctx)
}

package app

import (
	"context"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// All that follows is store.Store: each method asks whether there is a store.
// They are written out, and none is embedded, so that a new one cannot pass by.

func (w *awaited) Turn(ctx context.Context, now time.Time, batch []inbound.Arrival) ([]store.Result, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.Turn(ctx, now, batch)
}

func (w *awaited) Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.Reject(ctx, now, arrival, why)
}

func (w *awaited) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.Statuses(ctx, now, batch)
}

func (w *awaited) Command(ctx context.Context, now time.Time, cmd store.Command) (store.CommandResult, error) {
	s, err := w.open()
	if err != nil {
		return store.CommandResult{}, err
	}
	return s.Command(ctx, now, cmd)
}

func (w *awaited) AddAudit(ctx context.Context, row store.AuditRow) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.AddAudit(ctx, row)
}

func (w *awaited) Audit(ctx context.Context, before string, limit int) ([]store.AuditEntry, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.Audit(ctx, before, limit)
}

func (w *awaited) ClaimSends(ctx context.Context, now time.Time, token string, conversations []string) ([]store.SendClaim, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.ClaimSends(ctx, now, token, conversations)
}

func (w *awaited) RecordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]store.Recorded, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.RecordSends(ctx, now, results)
}

func (w *awaited) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.SaveMedia(ctx, messageID, media)
}

func (w *awaited) UntriedNotices(ctx context.Context, limit int) ([]store.Notice, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.UntriedNotices(ctx, limit)
}

func (w *awaited) Apologize(ctx context.Context, now time.Time) (int, error) {
	s, err := w.open()
	if err != nil {
		return 0, err
	}
	return s.Apologize(ctx, now)
}

func (w *awaited) Pump(ctx context.Context, now time.Time) (store.PumpResult, error) {
	s, err := w.open()
	if err != nil {
		return store.PumpResult{}, err
	}
	return s.Pump(ctx, now)
}

func (w *awaited) Conversations(ctx context.Context, filter store.Filter) ([]store.Conversation, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.Conversations(ctx, filter)
}

func (w *awaited) Conversation(ctx context.Context, id string) (store.Conversation, error) {
	s, err := w.open()
	if err != nil {
		return store.Conversation{}, err
	}
	return s.Conversation(ctx, id)
}

func (w *awaited) Messages(ctx context.Context, conversation, after string, limit int) ([]store.Message, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.Messages(ctx, conversation, after, limit)
}

func (w *awaited) Events(ctx context.Context, after int64, limit int) ([]store.Event, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.Events(ctx, after, limit)
}

func (w *awaited) Trace(ctx context.Context, key string) (store.Trace, error) {
	s, err := w.open()
	if err != nil {
		return store.Trace{}, err
	}
	return s.Trace(ctx, key)
}

func (w *awaited) Gauges(ctx context.Context, now time.Time) (store.Gauges, error) {
	s, err := w.open()
	if err != nil {
		return store.Gauges{}, err
	}
	return s.Gauges(ctx, now)
}

func (w *awaited) Lead(ctx context.Context, now time.Time, r store.Term) (store.Leadership, error) {
	s, err := w.open()
	if err != nil {
		return store.Leadership{}, err
	}
	return s.Lead(ctx, now, r)
}

func (w *awaited) RegisterEndpoint(ctx context.Context, now time.Time, endpoint string) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.RegisterEndpoint(ctx, now, endpoint)
}

func (w *awaited) PendingEvents(ctx context.Context, endpoint string, conversations []string, limit int) ([]store.Event, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.PendingEvents(ctx, endpoint, conversations, limit)
}

func (w *awaited) AdvanceCursors(ctx context.Context, endpoint string, cursors []store.Cursor) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.AdvanceCursors(ctx, endpoint, cursors)
}

func (w *awaited) ScanBacklog(ctx context.Context, endpoint string, wants store.EventFilter) (store.ScanResult, error) {
	s, err := w.open()
	if err != nil {
		return store.ScanResult{}, err
	}
	return s.ScanBacklog(ctx, endpoint, wants)
}

func (w *awaited) LaggingConversations(ctx context.Context, endpoint string, after store.Lagging, until time.Time, limit int) ([]store.Lagging, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.LaggingConversations(ctx, endpoint, after, until, limit)
}

func (w *awaited) Backlogs(ctx context.Context, endpoints []string) (map[string]store.Backlog, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.Backlogs(ctx, endpoints)
}

func (w *awaited) PruneCursors(ctx context.Context, endpoint, after string) (store.PruneResult, error) {
	s, err := w.open()
	if err != nil {
		return store.PruneResult{}, err
	}
	return s.PruneCursors(ctx, endpoint, after)
}

// SetPaused implements store.Store.
func (w *awaited) SetPaused(ctx context.Context, queue string, paused bool) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	return s.SetPaused(ctx, queue, paused)
}

// Paused implements store.Store.
func (w *awaited) Paused(ctx context.Context) ([]string, error) {
	s, err := w.open()
	if err != nil {
		return nil, err
	}
	return s.Paused(ctx)
}

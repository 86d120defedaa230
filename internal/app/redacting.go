package app

import (
	"context"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Errors of other systems are stored in queue and store and shown by every face. They are
// redacted when written, and again when read, because rows of earlier versions have them
// too.

// redactingQueue redacts the reasons of failed jobs and held queues.
type redactingQueue struct {
	queue.Engine
	redact *redact.Redactor
}

// Exchange implements queue.Queue.
func (q redactingQueue) Exchange(ctx context.Context, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	if slices.ContainsFunc(outcomes, func(o queue.Outcome) bool { return o.Err != "" }) {
		outcomes = slices.Clone(outcomes)
		for i := range outcomes {
			outcomes[i].Err = q.redact.Text(outcomes[i].Err)
		}
	}
	return q.Engine.Exchange(ctx, name, outcomes, want, lease)
}

// Hold implements queue.Queue.
func (q redactingQueue) Hold(ctx context.Context, name string, until time.Time, reason string) error {
	return q.Engine.Hold(ctx, name, until, q.redact.Text(reason))
}

// Stats implements queue.Operator.
func (q redactingQueue) Stats(ctx context.Context, queues ...string) ([]queue.Stats, error) {
	all, err := q.Engine.Stats(ctx, queues...)
	for i := range all {
		all[i].HeldReason = q.redact.Text(all[i].HeldReason)
	}
	return all, err
}

// Dead implements queue.Operator.
func (q redactingQueue) Dead(ctx context.Context, name string, before int64, limit int) ([]queue.DeadLetter, error) {
	all, err := q.Engine.Dead(ctx, name, before, limit)
	for i := range all {
		all[i] = q.redactLetter(all[i])
	}
	return all, err
}

// DeadLetter implements queue.Operator.
func (q redactingQueue) DeadLetter(ctx context.Context, id int64) (queue.DeadLetter, error) {
	d, err := q.Engine.DeadLetter(ctx, id)
	return q.redactLetter(d), err
}

// redactLetter redacts a dead letter. Of its body, which a person wrote, only secrets are
// blanked; a redrive uses the engine's own copy.
func (q redactingQueue) redactLetter(d queue.DeadLetter) queue.DeadLetter {
	d.Err = q.redact.Text(d.Err)
	if body := q.redact.Secrets(string(d.Job.Body)); body != string(d.Job.Body) {
		d.Job.Body = []byte(body)
	}
	return d
}

// redactingStore redacts the errors of messages and media.
type redactingStore struct {
	store.Store
	redact *redact.Redactor
}

// Statuses implements store.Store.
func (s redactingStore) Statuses(ctx context.Context, now time.Time, batch []inbound.Arrival) error {
	batch = slices.Clone(batch)
	for i, a := range batch {
		if a.Report != nil && a.Report.Detail != "" {
			r := *a.Report
			r.Detail = s.redact.Text(r.Detail)
			batch[i].Report = &r
		}
	}
	return s.Store.Statuses(ctx, now, batch)
}

// Reject implements store.Store.
func (s redactingStore) Reject(ctx context.Context, now time.Time, arrival inbound.Arrival, why string) error {
	return s.Store.Reject(ctx, now, arrival, s.redact.Text(why))
}

// RecordSends implements store.Store.
func (s redactingStore) RecordSends(ctx context.Context, now time.Time, results []store.SendResult) ([]store.Recorded, error) {
	results = slices.Clone(results)
	for i := range results {
		results[i].Detail = s.redact.Text(results[i].Detail)
	}
	return s.Store.RecordSends(ctx, now, results)
}

// SaveMedia implements store.Store.
func (s redactingStore) SaveMedia(ctx context.Context, messageID string, media store.Media) error {
	media.Error = s.redact.Text(media.Error)
	return s.Store.SaveMedia(ctx, messageID, media)
}

// Messages implements store.Store.
func (s redactingStore) Messages(ctx context.Context, conversation, after string, limit int) ([]store.Message, error) {
	all, err := s.Store.Messages(ctx, conversation, after, limit)
	s.redactMessages(all)
	return all, err
}

// Trace implements store.Store.
func (s redactingStore) Trace(ctx context.Context, key string) (store.Trace, error) {
	t, err := s.Store.Trace(ctx, key)
	s.redactMessages(t.Messages)
	for i := range t.Audit {
		t.Audit[i].Detail = s.redact.Secrets(t.Audit[i].Detail)
	}
	for i := range t.Records {
		t.Records[i].Detail = s.redact.Text(t.Records[i].Detail)
	}
	return t, err
}

func (s redactingStore) redactMessages(all []store.Message) {
	for i := range all {
		all[i].ErrorDetail = s.redact.Text(all[i].ErrorDetail)
		if m := all[i].Media; m != nil && m.Error != "" {
			blanked := *m
			blanked.Error = s.redact.Text(m.Error)
			all[i].Media = &blanked
		}
	}
}

// Audit implements store.Store. Its details are reasons that operators gave.
func (s redactingStore) Audit(ctx context.Context, before string, limit int) ([]store.AuditEntry, error) {
	all, err := s.Store.Audit(ctx, before, limit)
	for i := range all {
		all[i].Detail = s.redact.Secrets(all[i].Detail)
	}
	return all, err
}

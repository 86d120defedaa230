package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/store"
)

const said = "no sesame-open-sesame 5491155559876"

func assertRedacted(t *testing.T, what, got string) {
	t.Helper()
	if strings.Contains(got, "sesame") || strings.Contains(got, "5491155559876") || !strings.Contains(got, redact.Secret) {
		t.Errorf("%s: got %q", what, got)
	}
}

// TestRedactingQueue: no secret is in the file, and those written by an earlier version are
// not shown.
func TestRedactingQueue(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	q, err := sqlitequeue.Open(ctx, sqlitequeue.Options{Path: filepath.Join(t.TempDir(), "q.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	d := redactingQueue{q, redact.New("sesame-open-sesame")}
	var last int64
	for _, writer := range []queue.Engine{d, q} {
		if err := d.Hold(ctx, "q", time.Time{}, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Enqueue(ctx, []queue.Job{{Queue: "q", Lane: "a", ID: time.Now().String(), Body: []byte(`{"said":"sesame-open-sesame 5491155559876"}`)}}); err != nil {
			t.Fatal(err)
		}
		b, err := writer.Exchange(ctx, "q", nil, 1, time.Minute)
		if err != nil || len(b.Claims) != 1 {
			t.Fatalf("%+v %v", b, err)
		}
		outcomes := []queue.Outcome{{Lane: "a", Token: b.Claims[0].Token, Verdict: queue.Dead, Err: said}}
		if _, err := writer.Exchange(ctx, "q", outcomes, 0, time.Minute); err != nil || outcomes[0].Err != said {
			t.Fatalf("%+v %v", outcomes, err)
		}
		if err := writer.Hold(ctx, "q", time.Now().Add(time.Hour), said); err != nil {
			t.Fatal(err)
		}
		for _, reader := range []queue.Engine{d, q} {
			if reader == writer && writer == q {
				continue // an earlier version wrote it
			}
			stats, err := reader.Stats(ctx, "q")
			all, err2 := reader.Dead(ctx, "q", 0, 1)
			if err = errors.Join(err, err2); err != nil || len(stats) != 1 || len(all) != 1 {
				t.Fatalf("%+v %+v %v", stats, all, err)
			}
			assertRedacted(t, "hold", stats[0].HeldReason)
			assertRedacted(t, "dead letters", all[0].Err)
			one, err := reader.DeadLetter(ctx, all[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			assertRedacted(t, "dead letter", one.Err)
			last = one.ID
			if body := string(one.Job.Body); reader == d && body != `{"said":"<secret> 5491155559876"}` {
				t.Errorf("the body, which somebody wrote: got %s", body)
			}
		}
	}
	// A redrive uses the original body.
	if n, err := d.Redrive(ctx, []int64{last}); err != nil || n != 1 {
		t.Fatalf("%d %v", n, err)
	}
	if err := d.Hold(ctx, "q", time.Time{}, ""); err != nil {
		t.Fatal(err)
	}
	if b, err := d.Exchange(ctx, "q", nil, 1, time.Minute); err != nil || len(b.Claims) != 1 || !strings.Contains(string(b.Claims[0].Body), "sesame-open-sesame") {
		t.Errorf("redriven: got %+v %v", b, err)
	}
}

// recordingStore records what is written, and returns rows of an earlier version.
type recordingStore struct {
	store.Store
	heard []string
}

func (s *recordingStore) Statuses(_ context.Context, _ time.Time, batch []inbound.Arrival) error {
	s.heard = append(s.heard, batch[0].Report.Detail)
	return nil
}

func (s *recordingStore) Reject(_ context.Context, _ time.Time, _ inbound.Arrival, why string) error {
	s.heard = append(s.heard, why)
	return nil
}

func (s *recordingStore) RecordSends(_ context.Context, _ time.Time, results []store.SendResult) ([]store.Recorded, error) {
	s.heard = append(s.heard, results[0].Detail)
	return nil, nil
}

func (s *recordingStore) SaveMedia(_ context.Context, _ string, media store.Media) error {
	s.heard = append(s.heard, media.Error)
	return nil
}

func (s *recordingStore) Messages(context.Context, string, string, int) ([]store.Message, error) {
	return []store.Message{{ErrorDetail: said, Media: &store.Media{Error: said}}}, nil
}

func (s *recordingStore) Trace(context.Context, string) (store.Trace, error) {
	all, err := s.Messages(nil, "", "", 0) //nolint:staticcheck // it uses no argument
	return store.Trace{Messages: all, Audit: []store.AuditRow{{Detail: said}}, Records: []store.Record{{Detail: said}}}, err
}

func (s *recordingStore) Audit(context.Context, string, int) ([]store.AuditEntry, error) {
	return []store.AuditEntry{{AuditRow: store.AuditRow{Detail: said}}}, nil
}

func TestRedactingStore(t *testing.T) {
	t.Parallel()
	ctx, under := t.Context(), &recordingStore{}
	s := redactingStore{under, redact.New("sesame-open-sesame")}
	batch := []inbound.Arrival{{Report: &inbound.Report{Detail: said}}, {}}
	results := []store.SendResult{{Detail: said}}
	_, err := s.RecordSends(ctx, time.Time{}, results)
	if err = errors.Join(err, s.Statuses(ctx, time.Time{}, batch), s.Reject(ctx, time.Time{}, inbound.Arrival{}, said), s.SaveMedia(ctx, "m", store.Media{Error: said})); err != nil {
		t.Fatal(err)
	}
	if len(under.heard) != 4 || batch[0].Report.Detail != said || results[0].Detail != said {
		t.Errorf("heard %q; what callers hold was changed: %+v %+v", under.heard, batch, results)
	}
	for _, text := range under.heard {
		assertRedacted(t, "kept", text)
	}
	all, err := s.Messages(ctx, "", "", 0)
	tr, err2 := s.Trace(ctx, "")
	audit, err3 := s.Audit(ctx, "", 0)
	if err = errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{all[0].ErrorDetail, all[0].Media.Error, tr.Messages[0].ErrorDetail, tr.Messages[0].Media.Error, tr.Records[0].Detail} {
		assertRedacted(t, "shown", text)
	}
	for _, text := range []string{tr.Audit[0].Detail, audit[0].Detail} {
		if text != "no <secret> 5491155559876" {
			t.Errorf("a reason that an operator gave: got %q", text)
		}
	}
}

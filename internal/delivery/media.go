package delivery

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// MediaOptions configure Media. Store, Queue and Dir are needed.
type MediaOptions struct {
	Store store.Downloads
	Queue queue.Queue
	// Fetchers are by line.
	Fetchers map[string]Fetcher
	// Dir is where files go: <dir>/<aa>/<sha256>.<ext>. Media creates it.
	Dir string
	// MaxBytes limits the size of a file (default 100 MiB).
	MaxBytes int64
	// Lease is how long a download may take (default 5 min).
	Lease       time.Duration
	MaxAttempts int // default 12
	Backoff     queue.Backoff
	Drain       time.Duration
	Meter       Meter
	Runs        queue.Meter
	Log         *slog.Logger
}

// Media fetches the files that people sent, at once: WhatsApp keeps them for seven days. A
// file's name is the hash of its content, so no file can replace another.
type Media struct {
	opts   MediaOptions
	runner *queue.Runner
}

// NewMedia returns the downloads. It panics when a needed option is missing.
func NewMedia(o MediaOptions) *Media {
	if o.Store == nil || o.Queue == nil || o.Dir == "" {
		panic("delivery: media needs a store, a queue and a directory")
	}
	o.MaxBytes = positive(o.MaxBytes, 100<<20)
	o.Lease = positive(o.Lease, 5*time.Minute)
	o.MaxAttempts = positive(o.MaxAttempts, 12)
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	o.Log = partLogger(o.Log, "media")
	m := &Media{opts: o}
	m.runner = queue.NewRunner(queue.RunnerOptions{
		Queue: o.Queue, Name: job.Media, Handler: mediaHandler{m},
		Slots: 4, Lease: o.Lease, MaxAttempts: o.MaxAttempts, Backoff: o.Backoff,
		Drain: o.Drain, Meter: o.Runs, Log: o.Log,
	})
	return m
}

// Run fetches files until ctx ends.
func (m *Media) Run(ctx context.Context) error {
	if err := m.removeStale(time.Now()); err != nil {
		return err
	}
	if err := m.runner.Run(ctx); err != nil {
		return fmt.Errorf("fetch media: %w", err)
	}
	return nil
}

type mediaHandler struct{ *Media }

// Handle implements queue.Handler; its batches have one job.
func (m mediaHandler) Handle(ctx context.Context, batch []queue.Claim, settle func(int, queue.Outcome)) {
	for i, c := range batch {
		settle(i, m.fetchFile(ctx, c))
	}
}

// Bury implements queue.Burier: the message then says why it has no file. Its dead letter
// can be redriven.
func (m mediaHandler) Bury(ctx context.Context, c queue.Claim, why string) error {
	var ref store.MediaRef
	if err := json.Unmarshal(c.Body, &ref); err == nil && ref.MessageID != "" {
		return m.save(ctx, ref, store.MediaFailed, savedFile{}, why)
	}
	return nil // nobody can read it: only the dead letter remains
}

// fetchFile fetches one file and returns the outcome of its job.
func (m *Media) fetchFile(ctx context.Context, c queue.Claim) queue.Outcome {
	var ref store.MediaRef
	if err := json.Unmarshal(c.Body, &ref); err != nil || ref.MessageID == "" {
		return queue.Outcome{Verdict: queue.Dead, Err: fmt.Sprintf("decode media job: %v", err)}
	}
	began := time.Now()
	file, err := m.download(httpcall.WithGate(ctx, leaseGate(ctx, 0)), ref)
	if queue.LeaseOf(ctx).Left() <= 0 { // another worker has the job, and may have its file
		return queue.Outcome{Verdict: queue.Postpone}
	}
	o, state, detail := queue.Outcome{Verdict: queue.Done}, store.MediaReady, ""
	if err != nil {
		o, state, detail = m.classify(ctx, c, err)
	}
	if ctx.Err() != nil && err != nil {
		return o // the drain or the lease ended: nothing is known about the file
	}
	m.opts.Meter.Media(state)
	m.opts.Log.Info("media", "id", ref.MessageID, "line", ref.Line, "state", state, "error", detail,
		"size", file.size, "mime", file.mime, "attempt", c.Attempt, "ms", time.Since(began).Milliseconds())
	if err := m.save(ctx, ref, state, file, detail); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return queue.Outcome{Verdict: queue.Dead, Err: err.Error()}
		}
		// The file is on disk: the next attempt finds it, or fetches it again.
		return queue.Outcome{Verdict: queue.Postpone, Delay: m.opts.Backoff.Delay(2), Err: err.Error()}
	}
	return o
}

// classify returns what an error means for the job and for the message's file.
func (m *Media) classify(ctx context.Context, c queue.Claim, err error) (o queue.Outcome, state, detail string) {
	detail = publicDetail(err)
	f, classified := errors.AsType[*outbound.Failure](err)
	switch {
	case ctx.Err() != nil:
		return queue.Outcome{Verdict: queue.Retry, Err: detail}, store.MediaPending, detail
	case errors.Is(err, errDisk): // disk full, a directory gone
		m.opts.Log.Error("media cannot be written", "error", err)
		return queue.Outcome{Verdict: queue.Postpone, Delay: m.opts.Backoff.Delay(6), Err: detail}, store.MediaPending, detail
	case errors.Is(err, errFinal) || classified && f.Class == outbound.Permanent:
		return queue.Outcome{Verdict: queue.Done}, store.MediaFailed, detail
	case classified && (f.Class == outbound.Throttle || f.Class == outbound.Auth || f.Class == outbound.Pair):
		wait := max(f.Wait, m.opts.Backoff.Delay(5))
		return queue.Outcome{Verdict: queue.Postpone, Delay: wait, Err: detail}, store.MediaPending, detail
	case c.Attempt >= m.opts.MaxAttempts: // a dead letter, so that it can be redriven
		return queue.Outcome{Verdict: queue.Dead, Err: detail}, store.MediaFailed, detail
	case classified:
		return queue.Outcome{Verdict: queue.Retry, Delay: f.Wait, Err: detail}, store.MediaPending, detail
	default:
		return queue.Outcome{Verdict: queue.Retry, Err: detail}, store.MediaPending, detail
	}
}

// publicDetail returns an error's text for people. Of a network error it shows only the
// kind, as an address may hold a token.
func publicDetail(err error) string {
	if f, ok := errors.AsType[*outbound.Failure](err); ok {
		if f.Code != 0 {
			return fmt.Sprintf("%s (code %d)", f.Detail, f.Code)
		}
		return f.Detail
	}
	if errors.Is(err, errFinal) || errors.Is(err, errDisk) || errors.Is(err, errMismatch) {
		return err.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the download took too long"
	}
	return "the download broke off"
}

// save writes the state of a message's file. Data that serves only to fetch the file is
// dropped once there is nothing to fetch.
func (m *Media) save(ctx context.Context, ref store.MediaRef, state string, f savedFile, detail string) error {
	media := store.Media{Media: ref.Media, State: state, Path: f.path, Error: detail}
	media.Inline = ""
	if state == store.MediaReady {
		media.URL, media.SHA256, media.MIME, media.Size = "", f.sha256, f.mime, f.size
	}
	if err := m.opts.Store.SaveMedia(ctx, ref.MessageID, media); err != nil {
		return fmt.Errorf("save media: %w", err)
	}
	return nil
}

// download writes a file to the disk, from wherever it is.
func (m *Media) download(ctx context.Context, ref store.MediaRef) (savedFile, error) {
	want := strings.ToLower(ref.Media.SHA256)
	if f, ok := m.existing(want, ref.Media.MIME); ok {
		return f, nil
	}
	if ref.Media.Size > m.opts.MaxBytes {
		return savedFile{}, m.tooLarge()
	}
	if ref.Media.Inline != "" {
		return m.writeFile(inline(ref.Media.Inline), ref.Media.MIME, want, true)
	}
	fetcher := m.opts.Fetchers[ref.Line]
	if fetcher == nil {
		return savedFile{}, fmt.Errorf("%w: no line %q to fetch it from", errMismatch, ref.Line)
	}
	body, mime, err := fetcher.Fetch(ctx, ref.Media)
	if err != nil {
		return savedFile{}, err
	}
	defer body.Close()
	if mime == "" {
		mime = ref.Media.MIME
	}
	return m.writeFile(&ctxReader{ctx: ctx, r: body}, mime, want, false)
}

// inline decodes base64, with or without padding and data: prefix.
func inline(s string) io.Reader {
	if strings.HasPrefix(s, "data:") {
		_, s, _ = strings.Cut(s, ",")
	}
	return base64.NewDecoder(base64.RawStdEncoding, strings.NewReader(strings.TrimRight(s, "=\r\n ")))
}

// ctxReader stops reading when the context ends, whatever the body does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (b *ctxReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

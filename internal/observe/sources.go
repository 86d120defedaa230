package observe

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// Figures are the store's gauges.
type Figures struct {
	OldestUnanswered time.Duration
	PendingSends     int64
	UncertainSends   int64
	EventsUnnumbered int64
	LastInbound      map[string]time.Time // by line
}

// Sources are asked when somebody looks, at a cost that does not grow with
// history. A nil function is a source that does not exist.
type Sources struct {
	Queues  func(ctx context.Context) ([]queue.Stats, error)
	Figures func(ctx context.Context) (Figures, error)
}

// patience bounds a source, so that a look never hangs on what is down.
const patience = 2 * time.Second

func (s Sources) queues(ctx context.Context) ([]queue.Stats, error) {
	if s.Queues == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Queues(ctx)
}

func (s Sources) figures(ctx context.Context) (Figures, error) {
	if s.Figures == nil {
		return Figures{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Figures(ctx)
}

// Watch adds the gauges of the sources and the results of the checks. It must
// be called at most once.
func (m *Metrics) Watch(h *Health) { m.registry.MustRegister(&collector{h}) }

type collector struct{ health *Health }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	queueDepth    = desc("psi_queue_depth", "Jobs that wait or run.", "queue")
	queueInFlight = desc("psi_queue_in_flight", "Jobs that run.", "queue")
	queueDead     = desc("psi_queue_dead", "Dead letters.", "queue")
	queueOldest   = desc("psi_queue_oldest_seconds", "Age of the oldest job.", "queue")
	queuePaused   = desc("psi_queue_paused", "1 while somebody paused it.", "queue")
	queueHeld     = desc("psi_queue_held", "1 while it waits for what it needs.", "queue")
	queueDone     = desc("psi_queue_done_total", "Jobs done, by all processes.", "queue")
	queueStalled  = desc("psi_queue_stalled_total", "Leases that ran out, by all processes.", "queue")
	unanswered    = desc("psi_oldest_unanswered_seconds", "Age of the oldest message whose automatic answer has not left.")
	pendingSends  = desc("psi_sends_pending", "Messages that wait to be sent.")
	uncertain     = desc("psi_sends_uncertain", "Messages that may have been sent.")
	unnumbered    = desc("psi_events_unnumbered", "Events that wait for their number.")
	lastInbound   = desc("psi_line_last_inbound_timestamp_seconds", "When the line last heard something.", "line")
	up            = desc("psi_check_up", "1 while the check is well.", "check")
	sourceUp      = desc("psi_source_up", "1 while the source of gauges answers.", "source")
)

// Describe implements prometheus.Collector; it describes nothing, since what
// there is depends on the queues and lines.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx := context.Background()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	total := func(d *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, r := range c.health.Results(ctx) {
		gauge(up, one(r.OK), r.Name)
	}
	stats, err := c.health.sources.queues(ctx)
	gauge(sourceUp, one(err == nil), "queues")
	now := c.health.now()
	for _, q := range stats {
		gauge(queueDepth, float64(q.Depth), q.Name)
		gauge(queueInFlight, float64(q.InFlight), q.Name)
		gauge(queueDead, float64(q.Dead), q.Name)
		gauge(queueOldest, q.OldestAge.Seconds(), q.Name)
		gauge(queuePaused, one(q.Paused), q.Name)
		gauge(queueHeld, one(q.HeldUntil.After(now)), q.Name)
		total(queueDone, q.Done, q.Name)
		total(queueStalled, q.Stalled, q.Name)
	}
	f, err := c.health.sources.figures(ctx)
	gauge(sourceUp, one(err == nil), "store")
	if err != nil {
		return
	}
	gauge(unanswered, f.OldestUnanswered.Seconds())
	gauge(pendingSends, float64(f.PendingSends))
	gauge(uncertain, float64(f.UncertainSends))
	gauge(unnumbered, float64(f.EventsUnnumbered))
	for line, at := range f.LastInbound {
		gauge(lastInbound, float64(at.Unix()), line)
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

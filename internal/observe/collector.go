package observe

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// StoreStats are the store's gauges.
type StoreStats struct {
	OldestUnanswered time.Duration
	OldestHandedOff  time.Time // since when a person has waited for a team
	Left             int64     // conversations without an answer and without a team
	PendingSends     int64
	UncertainSends   int64
	EventsUnnumbered int64
	LastInbound      map[string]time.Time // by line
	Endpoints        map[string]EndpointBacklog
}

// EndpointBacklog is how far an endpoint is behind.
type EndpointBacklog struct {
	Conversations int64
	Oldest        time.Duration
}

// Sources are read on each request, at a cost that does not grow with history. A nil
// function is a source that does not exist.
type Sources struct {
	Queues     func(ctx context.Context) ([]queue.Stats, error)
	StoreStats func(ctx context.Context) (StoreStats, error)
	// Emptied reports whether the queue server lost its data within the last day.
	Emptied func(ctx context.Context) (bool, error)
	Disk    func() (Disk, error)
	// Clock returns how far the machine's clock is ahead of WhatsApp's; ok is false while
	// that is unknown.
	Clock func() (ahead time.Duration, ok bool)
	// Spool returns the number of jobs in this process's spool and the age of the oldest.
	Spool func() (depth int, oldest time.Duration)
	// Workers counts the processes that handle turns and sends; ok is false while that is
	// unknown. Alerts returns the firing alerts.
	Workers func() (n int, ok bool)
	Alerts  func() []OpenAlert
}

// OpenAlert is a firing alert.
type OpenAlert struct{ Rule, Subject string }

// OldestUnanswered is the age of the oldest message without an automatic answer, including
// those still in the queue or the spool.
func (s Sources) OldestUnanswered(queues []queue.Stats, f StoreStats) time.Duration {
	owed := f.OldestUnanswered
	for _, q := range queues {
		if q.Name == job.Inbound && q.Depth > 0 {
			owed = max(owed, q.OldestAge)
		}
	}
	if s.Spool != nil {
		_, oldest := s.Spool()
		owed = max(owed, oldest)
	}
	return owed
}

// sourceTimeout bounds a source, so that a request never hangs on a dependency that is
// down.
const sourceTimeout = 2 * time.Second

func (s Sources) queues(ctx context.Context) ([]queue.Stats, error) {
	if s.Queues == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	return s.Queues(ctx)
}

func (s Sources) storeStats(ctx context.Context) (StoreStats, error) {
	if s.StoreStats == nil {
		return StoreStats{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	return s.StoreStats(ctx)
}

// RegisterHealth adds the gauges of the sources and the results of the checks. It must be
// called at most once.
func (m *Metrics) RegisterHealth(h *Health) { m.registry.MustRegister(&collector{h}) }

type collector struct{ health *Health }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	queueDepth        = desc("psi_queue_depth", "Jobs waiting or running.", "queue")
	queueInFlight     = desc("psi_queue_in_flight", "Jobs running.", "queue")
	queueDead         = desc("psi_queue_dead", "Dead letters.", "queue")
	queueOldest       = desc("psi_queue_oldest_seconds", "Age of the oldest job.", "queue")
	queuePaused       = desc("psi_queue_paused", "1 while the queue is paused.", "queue")
	queueEmptied      = desc("psi_queue_emptied", "1 for a day after the queue server was found to have lost its data.")
	queueHeld         = desc("psi_queue_held", "1 while the queue is held.", "queue")
	queueDone         = desc("psi_queue_done_total", "Jobs done, by all processes.", "queue")
	queueStalled      = desc("psi_queue_stalled_total", "Leases that ran out, by all processes.", "queue")
	unanswered        = desc("psi_oldest_unanswered_seconds", "How long the longest-waiting person has waited: for the router's answer, or for the team of the hand-off.", "waits_for")
	conversationsLeft = desc("psi_conversations_left", "Conversations of the last week whose last message got no answer, that no team has, and for which nothing waits to be sent.")
	workers           = desc("psi_workers", "Processes that handle turns and sends.")
	alertFiring       = desc("psi_alert_firing", "1 for each firing alert.", "rule", "subject")
	diskFree          = desc("psi_disk_free_bytes", "Free space on the disk of data_dir.", "dir")
	diskSize          = desc("psi_disk_size_bytes", "Size of the disk of data_dir.", "dir")
	clockAhead        = desc("psi_clock_ahead_seconds", "How far the clock of this machine is ahead of WhatsApp's, negative behind.")
	spoolDepth        = desc("psi_spool_depth", "Messages in this process's spool.")
	spoolOldest       = desc("psi_spool_oldest_seconds", "Age of the oldest message in the spool.")
	pendingSends      = desc("psi_sends_pending", "Messages waiting to be sent.")
	uncertainSends    = desc("psi_sends_uncertain", "Messages that may or may not have been sent.")
	eventsUnnumbered  = desc("psi_events_unnumbered", "Events without a position yet.")
	lastInbound       = desc("psi_line_last_inbound_timestamp_seconds", "When the line last received something.", "line")
	endpointBehind    = desc("psi_endpoint_behind_conversations", "Conversations known to have events that the endpoint has not taken, up to 1000; while it takes none, the count grows slowly.", "endpoint")
	endpointOldest    = desc("psi_endpoint_oldest_event_seconds", "Age of the oldest event that the endpoint has not taken.", "endpoint")
	checkUp           = desc("psi_check_up", "1 while the check passes.", "check")
	sourceUp          = desc("psi_source_up", "1 while the source of gauges answers.", "source")
)

// Describe implements prometheus.Collector. It describes nothing, because the metrics
// depend on the queues and lines.
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
		gauge(checkUp, boolValue(r.OK), r.Name)
	}
	stats, err := c.health.sources.queues(ctx)
	gauge(sourceUp, boolValue(err == nil), "queues")
	now := c.health.now()
	for _, q := range stats {
		gauge(queueDepth, float64(q.Depth), q.Name)
		gauge(queueInFlight, float64(q.InFlight), q.Name)
		gauge(queueDead, float64(q.Dead), q.Name)
		gauge(queueOldest, q.OldestAge.Seconds(), q.Name)
		gauge(queuePaused, boolValue(q.Paused), q.Name)
		gauge(queueHeld, boolValue(q.HeldUntil.After(now)), q.Name)
		total(queueDone, q.Done, q.Name)
		total(queueStalled, q.Stalled, q.Name)
	}
	if ask := c.health.sources.Emptied; ask != nil {
		call, cancel := context.WithTimeout(ctx, sourceTimeout)
		if lost, err := ask(call); err == nil {
			gauge(queueEmptied, boolValue(lost))
		}
		cancel()
	}
	c.collectProcess(gauge)
	f, err := c.health.sources.storeStats(ctx)
	gauge(sourceUp, boolValue(err == nil), "store")
	if err != nil {
		return
	}
	gauge(unanswered, c.health.sources.OldestUnanswered(stats, f).Seconds(), "router")
	gauge(unanswered, secondsSince(f.OldestHandedOff, now), "team")
	gauge(conversationsLeft, float64(f.Left))
	gauge(pendingSends, float64(f.PendingSends))
	gauge(uncertainSends, float64(f.UncertainSends))
	gauge(eventsUnnumbered, float64(f.EventsUnnumbered))
	for name, l := range f.Endpoints {
		gauge(endpointBehind, float64(l.Conversations), name)
		gauge(endpointOldest, l.Oldest.Seconds(), name)
	}
	for line, at := range f.LastInbound {
		gauge(lastInbound, float64(at.Unix()), line)
	}
}

// collectProcess collects the gauges of this process.
func (c *collector) collectProcess(gauge func(*prometheus.Desc, float64, ...string)) {
	s := c.health.sources
	if s.Disk != nil {
		if d, err := s.Disk(); err == nil {
			gauge(diskFree, float64(d.Free), d.Dir)
			gauge(diskSize, float64(d.Size), d.Dir)
		}
	}
	if s.Clock != nil {
		if ahead, ok := s.Clock(); ok {
			gauge(clockAhead, ahead.Seconds())
		}
	}
	if s.Spool != nil {
		depth, oldest := s.Spool()
		gauge(spoolDepth, float64(depth))
		gauge(spoolOldest, oldest.Seconds())
	}
	if s.Workers != nil {
		if n, ok := s.Workers(); ok {
			gauge(workers, float64(n))
		}
	}
	if s.Alerts != nil {
		for _, a := range s.Alerts() {
			gauge(alertFiring, 1, a.Rule, a.Subject)
		}
	}
}

// secondsSince returns the seconds since at, 0 for never.
func secondsSince(at, now time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(0, now.Sub(at).Seconds())
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

package observe

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// StoreStats are the store's gauges.
type StoreStats struct {
	OldestUnanswered time.Duration
	OldestHandedOff  time.Time // since when somebody waits for a team
	Left             int64     // conversations that got no answer, and that nobody has
	PendingSends     int64
	UncertainSends   int64
	EventsUnnumbered int64
	LastInbound      map[string]time.Time // by line
	Endpoints        map[string]EndpointBacklog
}

// EndpointBacklog say how far behind an endpoint is.
type EndpointBacklog struct {
	Conversations int64
	Oldest        time.Duration
}

// Sources are asked when somebody looks, at a cost that does not grow with
// history. A nil function is a source that does not exist.
type Sources struct {
	Queues     func(ctx context.Context) ([]queue.Stats, error)
	StoreStats func(ctx context.Context) (StoreStats, error)
	// Emptied says whether the queue's server lost all it had within a day.
	Emptied func(ctx context.Context) (bool, error)
	Disk    func() (Disk, error)
	// Clock is how far the machine's clock is ahead of WhatsApp's; ok is false while
	// that is not known.
	Clock func() (ahead time.Duration, ok bool)
	// Spool is what waits on this disk for the queue.
	Spool func() (depth int, oldest time.Duration)
	// Workers counts the processes that do turns and sends; ok is false while
	// that is not known. Alerts are those that are open.
	Workers func() (n int, ok bool)
	Alerts  func() []OpenAlert
}

// OpenAlert is something that is wrong.
type OpenAlert struct{ Rule, Subject string }

// OldestUnanswered is for how long the oldest automatic answer is owed: to who is in the
// store, and to who did not even get there.
func (s Sources) OldestUnanswered(queues []queue.Stats, f StoreStats) time.Duration {
	owed := f.OldestUnanswered
	for _, q := range queues {
		if q.Name == "inbound" && q.Depth > 0 {
			owed = max(owed, q.OldestAge)
		}
	}
	if s.Spool != nil {
		_, oldest := s.Spool()
		owed = max(owed, oldest)
	}
	return owed
}

// sourceTimeout bounds a source, so that a look never hangs on what is down.
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

// RegisterHealth adds the gauges of the sources and the results of the checks. It must
// be called at most once.
func (m *Metrics) RegisterHealth(h *Health) { m.registry.MustRegister(&collector{h}) }

type collector struct{ health *Health }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	queueDepth        = desc("psi_queue_depth", "Jobs that wait or run.", "queue")
	queueInFlight     = desc("psi_queue_in_flight", "Jobs that run.", "queue")
	queueDead         = desc("psi_queue_dead", "Dead letters.", "queue")
	queueOldest       = desc("psi_queue_oldest_seconds", "Age of the oldest job.", "queue")
	queuePaused       = desc("psi_queue_paused", "1 while somebody paused it.", "queue")
	queueEmptied      = desc("psi_queue_emptied", "1 for a day after the queue's server was found to have lost all it had.")
	queueHeld         = desc("psi_queue_held", "1 while it waits for what it needs.", "queue")
	queueDone         = desc("psi_queue_done_total", "Jobs done, by all processes.", "queue")
	queueStalled      = desc("psi_queue_stalled_total", "Leases that ran out, by all processes.", "queue")
	unanswered        = desc("psi_oldest_unanswered_seconds", "How long the person who has waited longest waits: for the router's answer, or for the team that they were handed off to.", "waits_for")
	conversationsLeft = desc("psi_conversations_left", "Conversations of the last week whose last word got no answer, that no team has, and for which nothing waits to be sent.")
	workers           = desc("psi_workers", "Processes that do turns and sends.")
	alertFiring       = desc("psi_alert_firing", "1 for each alert that is open.", "rule", "subject")
	diskFree          = desc("psi_disk_free_bytes", "Room that is left for data_dir.", "dir")
	diskSize          = desc("psi_disk_size_bytes", "Size of the disk of data_dir.", "dir")
	clockAhead        = desc("psi_clock_ahead_seconds", "How far the clock of this machine is ahead of WhatsApp's, negative behind.")
	spoolDepth        = desc("psi_spool_depth", "Messages that wait on this disk for the queue.")
	spoolOldest       = desc("psi_spool_oldest_seconds", "Age of the oldest of them.")
	pendingSends      = desc("psi_sends_pending", "Messages that wait to be sent.")
	uncertainSends    = desc("psi_sends_uncertain", "Messages that may have been sent.")
	eventsUnnumbered  = desc("psi_events_unnumbered", "Events that wait for their number.")
	lastInbound       = desc("psi_line_last_inbound_timestamp_seconds", "When the line last heard something.", "line")
	endpointBehind    = desc("psi_endpoint_behind_conversations", "Conversations known to have events that the endpoint has not taken, up to 1000; while it takes none, more become known little by little.", "endpoint")
	endpointOldest    = desc("psi_endpoint_oldest_event_seconds", "Age of the oldest event that the endpoint has not taken.", "endpoint")
	checkUp           = desc("psi_check_up", "1 while the check is well.", "check")
	sourceUp          = desc("psi_source_up", "1 while the source of gauges answers.", "source")
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

// collectProcess are the gauges of this process.
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

// secondsSince is how long ago it was, 0 for never.
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

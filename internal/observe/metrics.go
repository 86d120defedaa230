package observe

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts the work of every part. It implements the Meter of the webhook handler,
// the queue runner, the worker and delivery, and is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	webhooks     *prometheus.CounterVec
	webhookTime  prometheus.Histogram
	arrivals     *prometheus.CounterVec
	batchSize    *prometheus.HistogramVec
	batchTime    *prometheus.HistogramVec
	settled      *prometheus.CounterVec
	turnMessages prometheus.Counter
	turnTime     prometheus.Histogram
	decisions    *prometheus.CounterVec
	replies      *prometheus.CounterVec
	sends        *prometheus.CounterVec
	sendTime     *prometheus.HistogramVec
	media        *prometheus.CounterVec
	pushes       *prometheus.CounterVec
	pushTime     *prometheus.HistogramVec
}

var (
	// fastBuckets suit work of milliseconds, slowBuckets work that waits for others.
	fastBuckets = []float64{.0005, .001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5}
	slowBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20}
	sizeBuckets = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500}
)

// NewMetrics returns metrics with a registry of their own.
func NewMetrics(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry:     prometheus.NewRegistry(),
		webhooks:     counter("psi_webhook_requests_total", "Webhook requests by outcome.", "outcome"),
		webhookTime:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "psi_webhook_seconds", Help: "Time until a webhook was answered.", Buckets: fastBuckets}),
		arrivals:     counter("psi_arrivals_total", "Messages, statuses and other arrivals.", "line", "kind"),
		batchSize:    histogram("psi_batch_jobs", "Jobs in one batch.", sizeBuckets, "queue"),
		batchTime:    histogram("psi_batch_seconds", "Time of one batch.", fastBuckets, "queue"),
		settled:      counter("psi_jobs_settled_total", "Jobs by verdict.", "queue", "verdict"),
		turnMessages: prometheus.NewCounter(prometheus.CounterOpts{Name: "psi_turn_messages_total", Help: "Messages handled in turns."}),
		turnTime:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "psi_turn_seconds", Help: "Time of one turn's transaction.", Buckets: fastBuckets}),
		decisions:    counter("psi_decisions_total", "Decisions by reason.", "line", "reason"),
		replies:      counter("psi_replies_total", "Automatic replies decided.", "line"),
		sends:        counter("psi_sends_total", "Sends by verdict.", "line", "verdict"),
		sendTime:     histogram("psi_send_seconds", "Time of one send.", slowBuckets, "line"),
		media:        counter("psi_media_total", "Downloads by outcome.", "outcome"),
		pushes:       counter("psi_events_pushed_total", "Events posted to endpoints, by verdict.", "endpoint", "verdict"),
		pushTime:     histogram("psi_event_push_seconds", "Time of one post to an endpoint.", slowBuckets, "endpoint"),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "psi_build_info", Help: "The running version.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(
		m.webhooks, m.webhookTime, m.arrivals, m.batchSize, m.batchTime, m.settled, m.turnMessages, m.turnTime,
		m.decisions, m.replies, m.sends, m.sendTime, m.media, m.pushes, m.pushTime, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Webhook implements ingest's Meter.
func (m *Metrics) Webhook(outcome string, took time.Duration) {
	m.webhooks.WithLabelValues(outcome).Inc()
	m.webhookTime.Observe(took.Seconds())
}

// Arrived implements ingest's Meter.
func (m *Metrics) Arrived(line, kind string) { m.arrivals.WithLabelValues(line, kind).Inc() }

// Batch implements the queue's Meter.
func (m *Metrics) Batch(queue string, size int, took time.Duration) {
	m.batchSize.WithLabelValues(queue).Observe(float64(size))
	m.batchTime.WithLabelValues(queue).Observe(took.Seconds())
}

// Settled implements the queue's Meter.
func (m *Metrics) Settled(queue, verdict string) { m.settled.WithLabelValues(queue, verdict).Inc() }

// Turn implements the worker's Meter.
func (m *Metrics) Turn(size int, took time.Duration) {
	m.turnMessages.Add(float64(size))
	m.turnTime.Observe(took.Seconds())
}

// Decision implements the worker's Meter.
func (m *Metrics) Decision(line, reason string, replies int) {
	m.decisions.WithLabelValues(line, reason).Inc()
	m.replies.WithLabelValues(line).Add(float64(replies))
}

// Sent implements delivery's Meter.
func (m *Metrics) Sent(line, verdict string, took time.Duration) {
	m.sends.WithLabelValues(line, verdict).Inc()
	if verdict == "not_begun" {
		return // the provider was not asked
	}
	m.sendTime.WithLabelValues(line).Observe(took.Seconds())
}

// Media implements delivery's Meter.
func (m *Metrics) Media(outcome string) { m.media.WithLabelValues(outcome).Inc() }

// Pushed implements delivery's EventMeter.
func (m *Metrics) Pushed(endpoint, verdict string, took time.Duration) {
	m.pushes.WithLabelValues(endpoint, verdict).Inc()
	m.pushTime.WithLabelValues(endpoint).Observe(took.Seconds())
}

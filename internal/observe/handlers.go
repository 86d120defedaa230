package observe

import (
	"encoding/json"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// Register adds all paths for callers that may see everything, /metrics only if m is not
// nil.
func (h *Health) Register(mux *http.ServeMux, m *Metrics) {
	h.RegisterProbes(mux, func(*http.Request) bool { return true })
	h.RegisterPages(mux, m)
}

// RegisterProbes adds /healthz and /readyz, which monitoring asks under any host name.
// /readyz tells only allowed callers which check fails.
func (h *Health) RegisterProbes(mux *http.ServeMux, allowed func(*http.Request) bool) {
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		code, out := h.readiness(r)
		if !allowed(r) {
			out = readyView{Status: out.Status, Down: []string{}, Checks: []Result{}}
		}
		writeJSON(w, code, out)
	})
}

// RegisterPages adds /status, and /metrics when m is not nil.
func (h *Health) RegisterPages(mux *http.ServeMux, m *Metrics) {
	mux.HandleFunc("GET /status", h.status)
	if m != nil {
		mux.Handle("GET /metrics", m.Handler())
	}
}

// healthz says only that the process answers: a restart would not bring back a dependency.
func (h *Health) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

type readyView struct {
	Status string   `json:"status"` // ready, down, draining
	Down   []string `json:"down"`
	Checks []Result `json:"checks"`
}

func (h *Health) readiness(r *http.Request) (int, readyView) {
	ok, results := h.Ready(r.Context())
	out := readyView{Status: "ready", Down: []string{}, Checks: results}
	for _, c := range results {
		if !c.OK && !c.Info {
			out.Down = append(out.Down, c.Name+": "+c.Error)
		}
	}
	switch {
	case ok:
		return http.StatusOK, out
	case len(out.Down) > 0:
		out.Status = "down"
	default:
		out.Status = "draining"
	}
	return http.StatusServiceUnavailable, out
}

// Status is the program's state, for people and programs.
type Status struct {
	Version string        `json:"version"`
	Go      string        `json:"go"`
	Started time.Time     `json:"started_at"`
	Uptime  float64       `json:"uptime_seconds"`
	Status  string        `json:"status"`
	Down    []string      `json:"down"`
	Checks  []Result      `json:"checks"`
	Queues  []QueueStatus `json:"queues"`
	Lines   []LineStatus  `json:"lines"`
	Sends   SendStatus    `json:"sends"`
	// Endpoints are the endpoints that events are pushed to.
	Endpoints []EndpointStatus `json:"endpoints"`
	// OldestUnanswered is the age of the oldest message without its automatic answer,
	// OldestHandedOff how long a person has waited for a team.
	OldestUnanswered float64 `json:"oldest_unanswered_seconds"`
	OldestHandedOff  float64 `json:"oldest_handed_off_seconds"`
	// Left counts the conversations without an answer and without a team.
	Left int64 `json:"left"`
	// Workers is the number of processes that handle turns and sends; absent if unknown.
	Workers *int     `json:"workers,omitempty"`
	Alerts  []string `json:"alerts"` // firing, as rule:subject
	// Unknown names the sources that could not be read: their figures are missing, not
	// zero.
	Unknown []string `json:"unknown,omitempty"`
}

// QueueStatus is one queue.
type QueueStatus struct {
	Name      string     `json:"name"`
	Depth     int64      `json:"depth"`
	InFlight  int64      `json:"in_flight"`
	Dead      int64      `json:"dead"`
	OldestAge float64    `json:"oldest_age_seconds"`
	Paused    bool       `json:"paused"`
	HeldUntil *time.Time `json:"held_until"`
	HeldFor   string     `json:"held_for,omitempty"`
	Rate      float64    `json:"rate,omitempty"`
}

// LineStatus is one line.
type LineStatus struct {
	LineInfo
	LastInbound *time.Time `json:"last_inbound_at"`
}

// EndpointStatus is one endpoint; its queue's status says whether it is held.
type EndpointStatus struct {
	Name      string     `json:"name"`
	Behind    int64      `json:"behind_conversations"`
	Oldest    float64    `json:"oldest_event_seconds"`
	HeldUntil *time.Time `json:"held_until"`
	HeldFor   string     `json:"held_for,omitempty"`
}

// SendStatus counts messages by what they wait for.
type SendStatus struct {
	Pending   int64 `json:"pending"`
	Uncertain int64 `json:"uncertain"`
}

func (h *Health) status(w http.ResponseWriter, r *http.Request) {
	_, ready := h.readiness(r)
	now := h.now()
	s := Status{
		Version: h.version, Go: runtime.Version(), Started: h.started.UTC(), Uptime: now.Sub(h.started).Round(time.Millisecond).Seconds(),
		Status: ready.Status, Down: ready.Down, Checks: ready.Checks, Queues: []QueueStatus{}, Lines: []LineStatus{}, Endpoints: []EndpointStatus{},
	}
	queues, err := h.sources.queues(r.Context())
	if err != nil {
		s.Unknown = append(s.Unknown, "queues")
	}
	for _, q := range queues {
		s.Queues = append(s.Queues, queueStatus(q, now))
	}
	f, err := h.sources.storeStats(r.Context())
	if err != nil {
		s.Unknown = append(s.Unknown, "store")
	}
	s.OldestUnanswered, s.OldestHandedOff = h.sources.OldestUnanswered(queues, f).Seconds(), secondsSince(f.OldestHandedOff, now)
	if h.sources.Workers != nil {
		if n, ok := h.sources.Workers(); ok {
			s.Workers = &n
		}
	}
	s.Alerts = []string{}
	if h.sources.Alerts != nil {
		for _, a := range h.sources.Alerts() {
			s.Alerts = append(s.Alerts, strings.TrimSuffix(a.Rule+":"+a.Subject, ":"))
		}
	}
	s.Sends, s.Left = SendStatus{f.PendingSends, f.UncertainSends}, f.Left
	for _, name := range slices.Sorted(maps.Keys(f.Endpoints)) {
		e := EndpointStatus{Name: name, Behind: f.Endpoints[name].Conversations, Oldest: f.Endpoints[name].Oldest.Seconds()}
		for _, q := range s.Queues {
			if q.Name == job.EventQueue(name) {
				e.HeldUntil, e.HeldFor = q.HeldUntil, q.HeldFor
			}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	for _, l := range h.lines {
		line := LineStatus{LineInfo: l}
		if at := f.LastInbound[l.ID]; !at.IsZero() {
			at = at.UTC()
			line.LastInbound = &at
		}
		s.Lines = append(s.Lines, line)
	}
	writeJSON(w, http.StatusOK, s)
}

func queueStatus(q queue.Stats, now time.Time) QueueStatus {
	s := QueueStatus{
		Name: q.Name, Depth: q.Depth, InFlight: q.InFlight, Dead: q.Dead,
		OldestAge: q.OldestAge.Seconds(), Paused: q.Paused, Rate: q.Limit.Rate,
	}
	if q.HeldUntil.After(now) {
		until := q.HeldUntil.UTC()
		s.HeldUntil, s.HeldFor = &until, q.HeldReason
	}
	return s
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // it fails only if the caller is gone
}

package rehearse

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// Phases of a rehearsal.
const (
	PhaseStart  = "start"  // servers and processes start
	PhaseLoad   = "load"   // people write, faults happen
	PhaseSettle = "settle" // the remaining work is done
	PhaseCheck  = "check"  // every message is verified
)

// Event is a phase, a fault or a note.
type Event struct {
	At    time.Duration
	Phase string // set when a phase begins
	Fault string // kind; set when a fault begins or ends
	What  string // target: "worker-2"
	Over  bool
	Note  string // an unplanned incident
}

// Progress is the state of a rehearsal.
type Progress struct {
	loadgen.Progress
	At           time.Duration // since the start
	Phase        string
	WantMessages int           // messages to write, 0 for no limit
	WantDuration time.Duration // of the load, 0 for no limit
	Answers      int64         // accepted by WhatsApp
	// Rates since the last Progress.
	RequestsPerSecond, MessagesPerSecond, AnswersPerSecond float64
	Fault, What                                            string // current fault and its target
	Faults, OfFaults                                       int    // ended, of all
	Known                                                  bool   // whether the router answered with the rest
	Handled, Depth, Pending, Dead                          int64
}

// tell is called with mu held.
func (r *rehearsal) tell(e Event) {
	e.At = time.Since(r.began)
	r.Tell(e)
}

func (r *rehearsal) enter(phase string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at.Phase = phase
	r.tell(Event{Phase: phase})
}

// note records an unplanned incident.
func (r *rehearsal) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, text)
	r.tell(Event{Note: text})
}

// accept is called when WhatsApp accepts an answer: its statuses follow.
func (r *rehearsal) accept(s sandbox.Sent) {
	r.mu.Lock()
	r.sent = append(r.sent, s)
	r.mu.Unlock()
	if load := r.load.Load(); load != nil {
		load.ReplyAccepted(s.To, s.ID, s.Ref)
	}
}

// Second is one second of the load. Depth is the state at its end.
type Second struct {
	At       float64 `json:"at_seconds"`
	Requests float64 `json:"requests_per_second"`
	Answers  float64 `json:"answers_per_second"`
	// Webhook is the latency of the second's requests.
	Webhook Latency `json:"webhook_ms"`
	// Reply is the latency of replies to messages that were due in the second.
	Reply Latency `json:"reply_ms"`
	// Stolen is the fraction of processor time that the host gave to other machines, 0 to
	// 1; 0 if unknown.
	Stolen float64 `json:"stolen"`
	Depth  int64   `json:"depth"`
	Known  bool    `json:"known"` // whether the router answered with its depth
}

// watch reads the router's numbers, about once a second.
func (r *rehearsal) watch(ctx context.Context) {
	for more := true; more; more = loadgen.Sleep(ctx, time.Second) {
		f, err := r.api.Stats(ctx)
		var m cluster.Memory
		if r.cluster != nil {
			m, _ = r.cluster.Memory(ctx) // Redis may be down
		}
		r.mu.Lock()
		p := &r.at
		if p.Known = err == nil; p.Known {
			p.Handled = f.Handled
		}
		p.Depth, p.Pending, p.Dead = f.Depth, f.Pending, f.Dead
		r.wakeUps = max(r.wakeUps, f.Events)
		r.memory = cluster.Memory{Redis: max(r.memory.Redis, m.Redis), Router: max(r.memory.Router, m.Router)}
		if p.Phase == PhaseSettle {
			r.show(0, p.Progress)
		}
		r.mu.Unlock()
	}
}

// progress is called by the generator.
func (r *rehearsal) progress(p loadgen.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	took := p.Elapsed - r.at.Elapsed
	r.show(took, p)
	if took < time.Second/2 && len(r.series) > 0 { // the last interval is too short for a rate
		return
	}
	machine := machineTicks()
	s := Second{
		At: seconds(p.Elapsed), Requests: math.Round(r.at.RequestsPerSecond), Webhook: latency(p.Recent),
		Stolen: machine.stolenSince(r.machine), Depth: r.at.Depth, Known: r.at.Known,
	}
	r.machine = machine
	if s.calm() {
		r.calm.AddCurve(p.RecentCurve)
	}
	r.series = append(r.series, s)
}

// show calls Progress with the current state; mu is held.
func (r *rehearsal) show(took time.Duration, load loadgen.Progress) {
	p, answers := &r.at, int64(len(r.sent))
	per := func(now, before int64) float64 {
		if took <= 0 {
			return 0
		}
		return float64(now-before) / took.Seconds()
	}
	p.RequestsPerSecond, p.MessagesPerSecond = per(load.Requests, p.Requests), per(load.Messages, p.Messages)
	p.AnswersPerSecond = per(answers, p.Answers)
	p.Progress, p.Answers, p.At = load, answers, time.Since(r.began)
	p.WantMessages, p.WantDuration, p.OfFaults = r.Load.Messages, r.Duration, len(r.faults)
	r.Progress(*p)
}

// settle waits until all work is done. It returns false on a timeout.
func (r *rehearsal) settle(ctx context.Context) bool {
	waiting, cancel := context.WithTimeout(ctx, r.Settle)
	defer cancel()
	for calm := 0; ; {
		f, err := r.api.Stats(waiting)
		jobs, reports := f.Depth, 0
		if r.CRMStays { // its events stay in the queue
			jobs -= f.Events
		}
		if r.cluster != nil {
			reports = r.cluster.WhatsApp.PendingEvents()
		}
		if calm++; err != nil || jobs > 0 || f.Pending > 0 || reports > 0 {
			calm = 0
		}
		if calm == 3 {
			return true
		}
		if !loadgen.Sleep(waiting, 300*time.Millisecond) {
			if ctx.Err() == nil {
				r.note(fmt.Sprintf("work is left %v after the last message: %d jobs, %d answers and %d statuses (%v)", r.Settle, jobs, f.Pending, reports, err))
			}
			return false
		}
	}
}

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
	PhaseStart  = "start"  // servers and processes come up
	PhaseLoad   = "load"   // people write, things go wrong
	PhaseSettle = "settle" // everything that waits is done
	PhaseCheck  = "check"  // every message is asked for
)

// Event is something that happened.
type Event struct {
	At    time.Duration
	Phase string // set when a phase begins
	Fault string // kind; set when a fault begins or is over
	What  string // whom it meets: "worker-2"
	Over  bool
	Note  string // what nobody planned
}

// Progress is where a rehearsal stands.
type Progress struct {
	loadgen.Progress
	At           time.Duration // since it began
	Phase        string
	WantMessages int           // to be written, 0 for no end
	WantDuration time.Duration // to be written for, 0 for no end
	Answers      int64         // that WhatsApp took
	// A second, since the last Progress.
	RequestsPerSecond, MessagesPerSecond, AnswersPerSecond float64
	Fault, What                                            string // what is wrong at the moment
	Faults, OfFaults                                       int    // over, of all
	Known                                                  bool   // whether the router tells the rest
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

// note keeps what nobody planned.
func (r *rehearsal) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, text)
	r.tell(Event{Note: text})
}

// accept is WhatsApp taking an answer: its statuses follow.
func (r *rehearsal) accept(s sandbox.Sent) {
	r.mu.Lock()
	r.sent = append(r.sent, s)
	r.mu.Unlock()
	if load := r.load.Load(); load != nil {
		load.ReplyAccepted(s.To, s.ID, s.Ref)
	}
}

// Second is what happened in one, or what is known at its end.
type Second struct {
	At       float64 `json:"at_seconds"`
	Requests float64 `json:"requests_per_second"`
	Answers  float64 `json:"answers_per_second"`
	// Webhook is the latency of the second's requests, in milliseconds.
	Webhook Latency `json:"webhook_ms"`
	// Reply is that of the messages that were due in it.
	Reply Latency `json:"reply_ms"`
	// Stolen is the part of its processors that the machine was without, as its host
	// gave them to others: 0 to 1, and 0 where nobody knows.
	Stolen float64 `json:"stolen"`
	Depth  int64   `json:"depth"`
	Known  bool    `json:"known"` // whether the router told its depth
}

// watch asks the router how it is, about once a second.
func (r *rehearsal) watch(ctx context.Context) {
	for more := true; more; more = loadgen.Sleep(ctx, time.Second) {
		f, err := r.api.Stats(ctx)
		var m cluster.Memory
		if r.cluster != nil {
			m, _ = r.cluster.Memory(ctx) // Redis may be away
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

// progress is told by the generator.
func (r *rehearsal) progress(p loadgen.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	took := p.Elapsed - r.at.Elapsed
	r.show(took, p)
	if took < time.Second/2 && len(r.series) > 0 { // the end: a rate of so little says nothing
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

// show tells Progress where the rehearsal stands; mu is held.
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

// settle waits until nothing waits any more. It is false when that does not come.
func (r *rehearsal) settle(ctx context.Context) bool {
	waiting, cancel := context.WithTimeout(ctx, r.Settle)
	defer cancel()
	for calm := 0; ; {
		f, err := r.api.Stats(waiting)
		jobs, reports := f.Depth, 0
		if r.CRMStays { // its events will not be done
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
				r.note(fmt.Sprintf("not everything was done %v after the last message: %d jobs, %d answers and %d reports wait (%v)", r.Settle, jobs, f.Pending, reports, err))
			}
			return false
		}
	}
}

package loadtest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// posts are the answers that WhatsApp took.
type posts struct {
	mu  sync.Mutex
	all []loadgen.Post
	at  []time.Time
}

func (p *posts) add(s sandbox.Sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, loadgen.Post{Ref: s.Ref, ProviderID: s.ID})
	p.at = append(p.at, s.At)
}

func (p *posts) count() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(p.all))
}

// accept is WhatsApp taking an answer: its statuses follow.
func (t *test) accept(s sandbox.Sent) {
	t.posts.add(s)
	if load := t.load.Load(); load != nil {
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
func (t *test) watch(ctx context.Context) {
	for loadgen.Sleep(ctx, time.Second) {
		f, err := t.api.Stats(ctx)
		m := t.remember(ctx)
		t.mu.Lock()
		t.figures, t.known = f, err == nil
		t.wakeUps = max(t.wakeUps, f.Events)
		t.memory = cluster.Memory{Redis: max(t.memory.Redis, m.Redis), Router: max(t.memory.Router, m.Router)}
		if t.phase == PhaseSettle {
			t.Progress(t.now(0))
		}
		t.mu.Unlock()
	}
}

// remember asks how much memory is used; zero where nobody knows.
func (t *test) remember(ctx context.Context) cluster.Memory {
	if t.cluster == nil {
		return cluster.Memory{}
	}
	m, err := t.cluster.Memory(ctx)
	if err != nil && ctx.Err() == nil && !t.RestartRedis {
		t.note(err.Error())
	}
	return m
}

// spent begins to count what is computed.
func (t *test) spent() func() cluster.CPU {
	if t.cluster == nil {
		return func() cluster.CPU { return cluster.CPU{} }
	}
	before := t.cluster.CPU()
	return func() cluster.CPU {
		now := t.cluster.CPU()
		return cluster.CPU{Router: now.Router - before.Router, Redis: now.Redis - before.Redis, Postgres: now.Postgres - before.Postgres}
	}
}

// reported says whether WhatsApp has nothing more to say.
func (t *test) reported() bool { return t.cluster == nil || t.cluster.WhatsApp.PendingEvents() == 0 }

// progress is told by the generator.
func (t *test) progress(p loadgen.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	took := p.Elapsed - t.wrote.Elapsed
	requests := p.Requests - t.wrote.Requests
	t.wrote = p
	now := t.now(took)
	if took > 0 {
		now.PerSecond = float64(requests) / took.Seconds()
	}
	if took < time.Second/2 && len(t.series) > 0 { // the end: a rate of so little says nothing
		t.Progress(now)
		return
	}
	machine := machineTicks()
	s := Second{
		At: seconds(p.Elapsed), Requests: math.Round(now.PerSecond), Webhook: latency(p.Recent),
		Stolen: machine.stolenSince(t.machine), Depth: now.Depth, Known: now.Known,
	}
	t.machine = machine
	if s.calm() {
		t.calm.AddCurve(p.RecentCurve)
	}
	t.series = append(t.series, s)
	t.Progress(now)
}

// now is where the test stands; t.mu is held.
func (t *test) now(took time.Duration) Progress {
	answers := t.posts.count()
	p := Progress{
		Progress: t.wrote, Phase: t.phase, WantMessages: t.Messages, WantDuration: t.Duration, Answers: answers,
		Known: t.known, Depth: t.figures.Depth, Pending: t.figures.Pending, Dead: t.figures.Dead,
	}
	if took > 0 {
		p.AnswersPerSecond = float64(answers-t.answers) / took.Seconds()
	}
	t.answers = answers
	return p
}

// left are the jobs that will be done: those for a CRM that stays away will not.
func (t *test) left(f loadgen.RouterStats) int64 {
	if t.CRMStays {
		return f.Depth - f.Events
	}
	return f.Depth
}

// settle waits until nothing waits any more. It is false when that does not come.
func (t *test) settle(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, t.Settle)
	defer cancel()
	for calm := 0; ; {
		f, err := t.api.Stats(ctx)
		if err == nil && t.left(f) == 0 && f.Pending == 0 && t.reported() {
			calm++
		} else {
			calm = 0
		}
		if calm == 3 {
			return true
		}
		if !loadgen.Sleep(ctx, 300*time.Millisecond) {
			t.note(fmt.Sprintf("not everything was done %v after the last message: %d jobs and %d answers wait (%v)", t.Settle, t.left(f), f.Pending, err))
			return false
		}
	}
}

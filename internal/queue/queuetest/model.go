package queuetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// Model is a queue engine in memory. Its fields may be changed before first use.
type Model struct {
	MaxDepth int           // most jobs in one queue; 0 is no limit
	MaxDelay time.Duration // longest delay or lease
	Window   time.Duration // how long an ID is remembered at least

	now    func() time.Time
	closed chan struct{}

	mu     sync.Mutex
	queues map[string]*modelQueue
	wakers map[string]chan struct{} // closed and replaced when a queue changes
	dead   []modelDead              // by ID
	lastID int64
	fence  int64
	broken error
}

type modelQueue struct {
	stats   queue.Stats
	dropped int64
	lanes   map[string]*modelLane
	seen    map[int64]map[string]bool // by generation
	seq     int64
	fence   *int64 // shared by all queues: a token is valid in one queue only
	tat     time.Time
}

type modelLane struct {
	jobs    []modelJob
	due     time.Time
	token   string
	counted int
	suspect bool
	err     string
}

type modelJob struct {
	queue.Job
	seq      int64
	enqueued time.Time
	redriven bool
}

type modelDead struct {
	queue.DeadLetter
}

var _ queue.Engine = (*Model)(nil)

// NewModel returns an empty engine. A nil now means time.Now.
func NewModel(now func() time.Time) *Model {
	if now == nil {
		now = time.Now
	}
	return &Model{
		MaxDelay: time.Hour, Window: 24 * time.Hour,
		now: now, closed: make(chan struct{}),
		queues: map[string]*modelQueue{}, wakers: map[string]chan struct{}{},
	}
}

// Break makes every call fail with err, as an engine that cannot be reached, until it is
// called with nil.
func (m *Model) Break(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
	for name := range m.wakers {
		m.wake(name)
	}
}

// Restart acts as a new process does: it voids every lease.
func (m *Model) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, q := range m.queues {
		for _, l := range q.lanes {
			if l.token != "" {
				q.expire(l)
				l.token, l.due = "", m.now()
			}
		}
		m.wake(name)
	}
}

// expire counts a lease that ran out: the first makes a suspect, further ones count as
// attempts.
func (q *modelQueue) expire(l *modelLane) {
	q.stats.Stalled++
	q.stats.InFlight--
	if l.suspect {
		l.counted++
	}
	l.suspect = true
}

// lock locks the model if it can be used; on error nothing is locked.
func (m *Model) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	select {
	case <-m.closed:
		m.mu.Unlock()
		return queue.ErrClosed
	default:
	}
	if m.broken != nil {
		err := m.broken
		m.mu.Unlock()
		return err
	}
	return nil
}

func (m *Model) make(name string) *modelQueue {
	q := m.queues[name]
	if q == nil {
		q = &modelQueue{lanes: map[string]*modelLane{}, seen: map[int64]map[string]bool{}, fence: &m.fence}
		q.stats.Name = name
		m.queues[name] = q
	}
	return q
}

func (m *Model) wake(name string) {
	if ch := m.wakers[name]; ch != nil {
		close(ch)
		delete(m.wakers, name)
	}
}

// Enqueue implements queue.Queue.
func (m *Model) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	room := map[string]int{}
	for _, j := range jobs {
		if err := j.Check(); err != nil {
			return nil, err
		}
		room[j.Queue]++
	}
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for name, n := range room {
		if q := m.queues[name]; q != nil {
			n += int(q.stats.Depth)
		}
		if m.MaxDepth > 0 && n > m.MaxDepth {
			return nil, fmt.Errorf("enqueue in %s: %w", name, queue.ErrFull)
		}
	}
	now := m.now()
	for _, q := range m.queues {
		gen := now.UnixNano() / int64(m.Window/2)
		maps.DeleteFunc(q.seen, func(g int64, _ map[string]bool) bool { return g < gen-2 })
	}
	added := make([]bool, len(jobs))
	for i, j := range jobs {
		q := m.make(j.Queue)
		added[i] = q.admit(j, now, m.Window)
		if !added[i] {
			q.stats.Duplicates++
			continue
		}
		q.stats.Enqueued++
		q.push(j, now, false)
		m.wake(j.Queue)
	}
	return added, nil
}

// admit reports whether the job is new, and remembers it.
func (q *modelQueue) admit(j queue.Job, now time.Time, window time.Duration) bool {
	if j.ID == "" {
		l := q.lanes[j.Lane]
		return l == nil || l.token != "" && len(l.jobs) == 1
	}
	gen := now.UnixNano() / int64(window/2)
	for g := gen - 2; g <= gen; g++ {
		if q.seen[g][j.ID] {
			return false
		}
	}
	if q.seen[gen] == nil {
		q.seen[gen] = map[string]bool{}
	}
	q.seen[gen][j.ID] = true
	return true
}

func (q *modelQueue) push(j queue.Job, now time.Time, redriven bool) {
	q.seq++
	q.stats.Depth++
	j.Body = bytes.Clone(j.Body)
	l := q.lanes[j.Lane]
	if l == nil {
		l = &modelLane{due: now}
		q.lanes[j.Lane] = l
	}
	l.jobs = append(l.jobs, modelJob{Job: j, seq: q.seq, enqueued: now, redriven: redriven})
}

// Exchange implements queue.Queue.
func (m *Model) Exchange(ctx context.Context, name string, outcomes []queue.Outcome, want int, lease time.Duration) (queue.Batch, error) {
	if err := queue.CheckExchange(outcomes, want, lease); err != nil {
		return queue.Batch{}, err
	}
	if err := m.lock(ctx); err != nil {
		return queue.Batch{}, err
	}
	defer m.mu.Unlock()
	now := m.now()
	var b queue.Batch
	q := m.queues[name]
	if q == nil {
		for _, o := range outcomes {
			b.Refused = append(b.Refused, o.Lane)
		}
		b.Next = m.MaxDelay
		return b, nil
	}
	q.tat = q.arrival(now)
	if q.stats.HeldUntil.After(now.Add(m.MaxDelay)) {
		q.stats.HeldUntil, q.stats.HeldReason = time.Time{}, ""
	}
	for _, o := range outcomes {
		if !m.settle(q, o, now) {
			b.Refused = append(b.Refused, o.Lane)
			q.stats.Refused++
		}
	}
	if want > 0 {
		b.Claims = q.claim(now, want, min(lease, m.MaxDelay), m.MaxDelay)
	}
	b.Next = max(0, min(m.MaxDelay, q.next(now).Sub(now)))
	if len(outcomes) > 0 || len(b.Claims) > 0 {
		m.wake(name)
	}
	return b, nil
}

func (m *Model) settle(q *modelQueue, o queue.Outcome, now time.Time) bool {
	l := q.lanes[o.Lane]
	if l == nil || l.token == "" || l.token != o.Token {
		return false
	}
	l.token = ""
	q.stats.InFlight--
	l.due = now.Add(min(max(o.Delay, 0), m.MaxDelay))
	switch o.Verdict {
	case queue.Retry:
		q.stats.Retried++
		l.counted++
		l.err = o.Err
		return true
	case queue.Postpone:
		return true
	case queue.Done:
		q.stats.Done++
	case queue.Dead:
		q.stats.Dead++
		m.lastID++
		head := l.jobs[0]
		m.dead = append(m.dead, modelDead{queue.DeadLetter{
			ID: m.lastID, Job: head.Job, Attempts: l.counted + 1, Err: cmp.Or(o.Err, l.err),
			Enqueued: head.enqueued, Died: now,
		}})
	}
	q.stats.Depth--
	if len(l.jobs) == 1 {
		delete(q.lanes, o.Lane)
		return true
	}
	*l = modelLane{jobs: l.jobs[1:], due: now}
	return true
}

func (q *modelQueue) claim(now time.Time, want int, lease, maxDelay time.Duration) []queue.Claim {
	for _, l := range q.lanes {
		if l.due.After(now.Add(maxDelay)) {
			l.due = now
			if l.token != "" {
				l.due = now.Add(lease)
			}
		}
	}
	if q.opens(now).After(now) {
		return nil
	}
	gap, burst := q.stats.Limit.Spacing()
	if gap > 0 {
		q.tat = later(q.tat, now)
		want = min(want, int(now.Add(burst).Sub(q.tat)/gap))
	}
	var claims []queue.Claim
	for _, key := range q.due(now) {
		if len(claims) == want {
			break
		}
		l := q.lanes[key]
		if l.token != "" {
			q.expire(l)
		}
		*q.fence++
		l.token = fmt.Sprintf("%d.model", *q.fence)
		l.due = now.Add(lease)
		q.stats.InFlight++
		q.tat = q.tat.Add(gap)
		head := l.jobs[0]
		c := queue.Claim{
			Job: head.Job, Token: l.token, Attempt: l.counted + 1,
			Suspect: l.suspect, Redriven: head.redriven, EnqueuedAt: head.enqueued,
		}
		c.Body = bytes.Clone(head.Body)
		claims = append(claims, c)
	}
	return claims
}

// due returns the lanes that may be served, in order.
func (q *modelQueue) due(now time.Time) []string {
	var keys []string
	for key, l := range q.lanes {
		if !l.due.After(now) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		x, y := q.lanes[a], q.lanes[b]
		return cmp.Or(x.due.Compare(y.due), cmp.Compare(x.jobs[0].seq, y.jobs[0].seq))
	})
	return keys
}

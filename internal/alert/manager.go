package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	leadership = "alerts"
	// leaseRounds is how many rounds a leader may miss before another process takes over.
	leaseRounds = 4
	// notifyTimeout bounds one notice to one receiver.
	notifyTimeout = 10 * time.Second
	// maxOutbox bounds the notices that wait for receivers.
	maxOutbox = 200
)

// Receiver gets notices. A notice is sent again after an error.
type Receiver interface {
	Name() string
	Notify(ctx context.Context, r *Rule, n Notice) error
}

// Options of NewManager. Process, Store, Collect, Report and Rules are required.
type Options struct {
	// Process is this process's name, unique among all.
	Process string
	Store   store.Duties
	// Collect gathers the facts except the reports; Report returns this process's own
	// report.
	Collect func(ctx context.Context) Facts
	Report  func() Report
	Rules   []Rule
	Hours   Hours
	// Receivers may be empty: the log and the status page show alerts anyway.
	Receivers []Receiver
	Every     time.Duration // between two rounds; 15 s if 0
	Now       func() time.Time
	Log       *slog.Logger // nil discards
}

// Manager evaluates the rules. Every process has one; only the leader evaluates.
type Manager struct {
	opts Options

	state     State // the leader's state, as last seen
	leading   bool
	lease     queue.Lease // the leader lease; of this round while the store is down
	dirty     bool        // the state is not in the store yet
	failing   map[string]bool
	storeDown bool

	mu           sync.Mutex
	firing       []Incident
	workers      int
	reportsKnown bool
	spooled      time.Duration
}

// NewManager returns a manager. It panics if a required option is missing.
func NewManager(o Options) *Manager {
	if o.Process == "" || o.Store == nil || o.Collect == nil || o.Report == nil || len(o.Rules) == 0 {
		panic("alert: a manager needs Process, Store, Collect, Report and Rules")
	}
	if o.Every <= 0 {
		o.Every = 15 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler)).With("part", "alerts")
	return &Manager{opts: o, failing: map[string]bool{}}
}

// Firing returns the incidents that fire now, as far as this process knows.
func (m *Manager) Firing() []Incident {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.firing)
}

// Workers returns the number of worker processes; ok is false while it is unknown.
func (m *Manager) Workers() (n int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers, m.reportsKnown
}

// Spooled returns the age of the oldest message in any process's spool, by the latest
// reports; ok is false while it is unknown.
func (m *Manager) Spooled() (oldest time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spooled, m.reportsKnown
}

func oldestSpooled(reports []Report) (oldest time.Duration) {
	for _, r := range reports {
		oldest = max(oldest, r.Spooled)
	}
	return oldest
}

// Rule returns the rule with the id, or nil.
func (m *Manager) Rule(id string) *Rule {
	for i := range m.opts.Rules {
		if m.opts.Rules[i].ID == id {
			return &m.opts.Rules[i]
		}
	}
	return nil
}

// Run does a round every Every until ctx ends. Failures do not end it.
func (m *Manager) Run(ctx context.Context) error {
	t := time.NewTicker(m.opts.Every)
	defer t.Stop()
	for {
		m.Round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Round evaluates once. A panic in it is logged like an error.
func (m *Manager) Round(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			m.opts.Log.Error("alerts: a round panicked", "panic", fmt.Sprint(r))
		}
	}()
	now := m.opts.Now()
	report := m.opts.Report()
	m.lease = queue.NewLease(m.leaseTTL())
	reports, err := m.sync(ctx, now, report)
	if ctx.Err() != nil {
		return
	}
	if err != nil && !m.storeDown {
		m.opts.Log.Warn("the store does not answer: alerts go on with this process's state", "error", err)
	}
	m.storeDown = err != nil
	// While the store is down the last leader goes on: no other process can become leader.
	if m.leading {
		facts := m.opts.Collect(ctx)
		facts.Reports, facts.NoReports = reports, err != nil
		m.evaluate(ctx, facts, now)
	}
	m.publish()
	m.mu.Lock()
	if m.reportsKnown = err == nil; m.reportsKnown {
		m.workers, m.spooled = CountWorkers(reports), oldestSpooled(reports)
	}
	m.mu.Unlock()
}

// publish updates the results of Firing, Workers and Spooled.
func (m *Manager) publish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.firing = m.state.Firing()
}

// evaluate judges the facts, stores the new state, and notifies.
func (m *Manager) evaluate(ctx context.Context, facts Facts, now time.Time) {
	before := m.state.clone()
	in := ToSamples(facts, m.opts.Hours, &before, now)
	next, notices := Evaluate(m.opts.Rules, in, before, now)
	for _, n := range notices {
		r := m.Rule(n.Rule)
		level, msg := slog.LevelWarn, "alert"
		if n.Resolved {
			level, msg = slog.LevelInfo, "alert is over"
		}
		m.opts.Log.Log(ctx, level, msg, "rule", n.Rule, "subject", n.Subject, "severity", string(r.Severity), "value", n.Value,
			"detail", n.Detail, "command", commandFor(r, n.Incident))
		for _, to := range m.opts.Receivers {
			n.Undelivered = append(n.Undelivered, to.Name())
		}
		if len(n.Undelivered) > 0 {
			next.Outbox = append(next.Outbox, n)
		}
	}
	if over := len(next.Outbox) - maxOutbox; over > 0 {
		next.Outbox = next.Outbox[over:]
	}
	m.state, m.dirty = next, true
	if len(next.Outbox) == 0 {
		return
	}
	if len(notices) > 0 {
		// Stored before it is delivered: a process that dies in between delivers it after
		// the restart.
		if _, err := m.sync(ctx, now, Report{}); err == nil && !m.leading {
			return
		}
	}
	m.publish() // before delivery: a receiver may look at once
	m.deliver(ctx)
	if _, err := m.sync(ctx, m.opts.Now(), Report{}); err != nil && ctx.Err() == nil {
		m.opts.Log.Debug("delivered notices are not stored yet", "error", err)
	}
}

// sync renews or acquires the leader lease and stores what changed. The zero Report leaves
// the last one as it is.
func (m *Manager) sync(ctx context.Context, now time.Time, report Report) ([]Report, error) {
	r := store.Term{Duty: leadership, Process: m.opts.Process, Lease: m.leaseTTL()}
	var err error
	if report.Role != "" {
		if r.Report, err = json.Marshal(report); err != nil {
			return []Report{report}, fmt.Errorf("write report: %w", err)
		}
	}
	if m.leading && m.dirty {
		if r.State, err = json.Marshal(m.state); err != nil {
			return []Report{report}, fmt.Errorf("write state: %w", err)
		}
	}
	lease := queue.NewLease(r.Lease)
	got, err := m.opts.Store.Lead(ctx, now, r)
	if err != nil {
		return []Report{report}, err
	}
	m.lease = lease
	// The stored state replaces this process's own.
	if !got.Leader || got.Acquired {
		m.state = State{}
		if len(got.State) > 0 {
			if err := json.Unmarshal(got.State, &m.state); err != nil {
				m.opts.Log.Warn("the stored state of the alerts cannot be read: they start over", "error", err)
				m.state = State{}
			}
		}
	}
	m.leading, m.dirty = got.Leader, false
	reports := make([]Report, 0, len(got.Reports))
	for _, raw := range got.Reports {
		var one Report
		if err := json.Unmarshal(raw, &one); err == nil {
			reports = append(reports, one)
		}
	}
	return reports, nil
}

// deliver sends waiting notices in order. After a failure a receiver gets the rest in the
// next round.
func (m *Manager) deliver(ctx context.Context) {
	failed := map[string]bool{}
	var left []Notice
	for _, n := range m.state.Outbox {
		n.Undelivered = slices.DeleteFunc(slices.Clone(n.Undelivered), func(name string) bool {
			i := slices.IndexFunc(m.opts.Receivers, func(r Receiver) bool { return r.Name() == name })
			r := m.Rule(n.Rule)
			if i < 0 || r == nil {
				return true // the receiver or the rule is gone
			}
			if failed[name] {
				return false
			}
			call, cancel := context.WithTimeout(httpcall.WithGate(ctx, m.checkLease), notifyTimeout)
			defer cancel()
			err := m.opts.Receivers[i].Notify(call, r, n)
			failed[name] = err != nil
			if ctx.Err() == nil && !errors.Is(err, httpcall.ErrNotBegun) {
				m.logDelivery(name, err)
			}
			return err == nil
		})
		if len(n.Undelivered) > 0 {
			left = append(left, n)
		}
	}
	m.state.Outbox, m.dirty = left, true
}

// leaseTTL is the length of the leader lease.
func (m *Manager) leaseTTL() time.Duration { return leaseRounds * m.opts.Every }

// checkLease returns an error if the leader lease is nearly over. A process that stood
// still may no longer be the leader; the new one sends the same notices.
func (m *Manager) checkLease() error {
	if m.lease.Left() < min(notifyTimeout, m.leaseTTL()/2) {
		return errors.New("another process may be the leader by now")
	}
	return nil
}

// logDelivery logs when a receiver starts failing and when it recovers.
func (m *Manager) logDelivery(name string, err error) {
	switch {
	case err != nil && !m.failing[name]:
		m.opts.Log.Error("an alert could not be delivered: retrying", "receiver", name, "error", err)
	case err == nil && m.failing[name]:
		m.opts.Log.Info("alerts can be delivered again", "receiver", name)
	}
	m.failing[name] = err != nil
}

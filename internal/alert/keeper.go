package alert

import (
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
	duty = "alerts"
	// leases is how many looks a process may miss before another takes over.
	leases = 4
	// tellFor bounds one message to one receiver.
	tellFor = 10 * time.Second
	// mostWaiting bounds what waits for receivers that do not answer.
	mostWaiting = 200
)

// board is what the keeper needs of store.Store.
type board interface {
	Lead(ctx context.Context, now time.Time, r store.Term) (store.Leadership, error)
}

// Receiver gets what is told. It is told again what it returned an error for.
type Receiver interface {
	Name() string
	Tell(ctx context.Context, r *Rule, n Notice) error
}

// Options of NewKeeper. Process, Board, Look, Self and Rules are needed.
type Options struct {
	// Process names this one among all.
	Process string
	Board   board
	// Look gathers the facts, but for the reports; Self makes this process's own.
	Look  func(ctx context.Context) Facts
	Self  func() Report
	Rules []Rule
	Hours Hours
	// Receivers may be none: then the log and the page say what is wrong.
	Receivers []Receiver
	Every     time.Duration // between two looks; 15 s if 0
	Now       func() time.Time
	Log       *slog.Logger // nil discards
}

// Keeper watches. Every process has one; the one that has the duty evaluates.
type Keeper struct {
	Options

	state State // that of the holder, as it was seen last
	mine  bool
	lease queue.Lease // of the duty; while the store is away, of this look
	dirty bool        // state has something that the store has not
	cut   map[string]bool
	blind bool

	mu      sync.Mutex
	open    []Incident
	workers int
	seen    bool
	spooled time.Duration
}

// NewKeeper returns a keeper. It panics when a needed option is missing.
func NewKeeper(o Options) *Keeper {
	if o.Process == "" || o.Board == nil || o.Look == nil || o.Self == nil || len(o.Rules) == 0 {
		panic("alert: a keeper needs Process, Board, Look, Self and Rules")
	}
	if o.Every <= 0 {
		o.Every = 15 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("part", "alerts")
	return &Keeper{Options: o, cut: map[string]bool{}}
}

// Open lists what is wrong now, as far as this process knows.
func (k *Keeper) Open() []Incident {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.open)
}

// Workers counts the processes that do turns and sends; ok is false while that is
// not known.
func (k *Keeper) Workers() (n int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.workers, k.seen
}

// Spooled is for how long the oldest message waits on the disk of any door, as the
// processes reported within the last looks; ok is false while that is not known.
func (k *Keeper) Spooled() (oldest time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.spooled, k.seen
}

func oldestSpooled(reports []Report) (oldest time.Duration) {
	for _, r := range reports {
		oldest = max(oldest, r.Spooled)
	}
	return oldest
}

// Rule returns a rule by its id, or nil.
func (k *Keeper) Rule(id string) *Rule {
	for i := range k.Rules {
		if k.Rules[i].ID == id {
			return &k.Rules[i]
		}
	}
	return nil
}

// Run looks again and again until ctx ends. Failures never end it.
func (k *Keeper) Run(ctx context.Context) error {
	t := time.NewTicker(k.Every)
	defer t.Stop()
	for {
		k.Round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Round is one look. A panic in it is logged like an error.
func (k *Keeper) Round(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			k.Log.Error("alerts: a look broke", "panic", fmt.Sprint(r))
		}
	}()
	now := k.Now()
	own := k.Self()
	k.lease = queue.NewLease(k.term())
	reports, err := k.serve(ctx, now, own)
	if ctx.Err() != nil {
		return
	}
	if err != nil && !k.blind {
		k.Log.Warn("the store does not answer: alerts go on with what this process knows", "error", err)
	}
	k.blind = err != nil
	// While the store is away, who had the duty last goes on: nobody can take it.
	if k.mine {
		facts := k.Look(ctx)
		facts.Reports, facts.NoReports = reports, err != nil
		k.look(ctx, facts, now)
	}
	k.show()
	k.mu.Lock()
	if k.seen = err == nil; k.seen {
		k.workers, k.spooled = CountWorkers(reports), oldestSpooled(reports)
	}
	k.mu.Unlock()
}

// show makes what is known what Open tells.
func (k *Keeper) show() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open = k.state.Open()
}

// look evaluates, keeps what came of it, and tells.
func (k *Keeper) look(ctx context.Context, facts Facts, now time.Time) {
	was := k.state.clone()
	in := Take(facts, k.Hours, &was, now)
	next, notices := Evaluate(k.Rules, in, was, now)
	for _, n := range notices {
		r := k.Rule(n.Rule)
		level, msg := slog.LevelWarn, "alert"
		if n.Over {
			level, msg = slog.LevelInfo, "alert is over"
		}
		k.Log.Log(ctx, level, msg, "rule", n.Rule, "subject", n.Subject, "severity", string(r.Severity), "value", n.Value,
			"detail", n.Detail, "command", command(r, n.Incident))
		for _, to := range k.Receivers {
			n.Left = append(n.Left, to.Name())
		}
		if len(n.Left) > 0 {
			next.Outbox = append(next.Outbox, n)
		}
	}
	if over := len(next.Outbox) - mostWaiting; over > 0 {
		next.Outbox = next.Outbox[over:]
	}
	k.state, k.dirty = next, true
	if len(next.Outbox) == 0 {
		return
	}
	if len(notices) > 0 {
		// Kept before it is told: who dies in between tells it after the restart.
		if _, err := k.serve(ctx, now, Report{}); err == nil && !k.mine {
			return
		}
	}
	k.show() // who is told looks at once
	k.tell(ctx)
	if _, err := k.serve(ctx, k.Now(), Report{}); err != nil && ctx.Err() == nil {
		k.Log.Debug("what was told is not kept yet", "error", err)
	}
}

// serve comes for the duty, and brings what changed. The zero Report leaves the
// last one as it is.
func (k *Keeper) serve(ctx context.Context, now time.Time, own Report) ([]Report, error) {
	r := store.Term{Duty: duty, Process: k.Process, Lease: k.term()}
	var err error
	if own.Role != "" {
		if r.Report, err = json.Marshal(own); err != nil {
			return []Report{own}, fmt.Errorf("write report: %w", err)
		}
	}
	if k.mine && k.dirty {
		if r.State, err = json.Marshal(k.state); err != nil {
			return []Report{own}, fmt.Errorf("write state: %w", err)
		}
	}
	lease := queue.NewLease(r.Lease)
	got, err := k.Board.Lead(ctx, now, r)
	if err != nil {
		return []Report{own}, err
	}
	k.lease = lease
	// What another process knows replaces what this one does.
	if !got.Leader || got.Acquired {
		k.state = State{}
		if len(got.State) > 0 {
			if err := json.Unmarshal(got.State, &k.state); err != nil {
				k.Log.Warn("the state of the alerts cannot be read: they begin anew", "error", err)
				k.state = State{}
			}
		}
	}
	k.mine, k.dirty = got.Leader, false
	reports := make([]Report, 0, len(got.Reports))
	for _, raw := range got.Reports {
		var one Report
		if err := json.Unmarshal(raw, &one); err == nil {
			reports = append(reports, one)
		}
	}
	return reports, nil
}

// tell brings what waits to who has not got it, in order: a receiver that fails
// gets the rest the next time.
func (k *Keeper) tell(ctx context.Context) {
	failed := map[string]bool{}
	var left []Notice
	for _, n := range k.state.Outbox {
		n.Left = slices.DeleteFunc(slices.Clone(n.Left), func(name string) bool {
			i := slices.IndexFunc(k.Receivers, func(r Receiver) bool { return r.Name() == name })
			r := k.Rule(n.Rule)
			if i < 0 || r == nil {
				return true // nobody's any more
			}
			if failed[name] {
				return false
			}
			call, cancel := context.WithTimeout(httpcall.WithGate(ctx, k.onDuty), tellFor)
			defer cancel()
			err := k.Receivers[i].Tell(call, r, n)
			failed[name] = err != nil
			if ctx.Err() == nil && !errors.Is(err, httpcall.ErrNotBegun) {
				k.note(name, err)
			}
			return err == nil
		})
		if len(n.Left) > 0 {
			left = append(left, n)
		}
	}
	k.state.Outbox, k.dirty = left, true
}

// term is how long the duty is a process's.
func (k *Keeper) term() time.Duration { return leases * k.Every }

// onDuty is the gate of what is told: who stood still may find that another process
// has the duty, and tells the same.
func (k *Keeper) onDuty() error {
	if k.lease.Left() < min(tellFor, k.term()/2) {
		return errors.New("somebody else may have the duty by now")
	}
	return nil
}

// note logs when a receiver begins to fail, and when it works again.
func (k *Keeper) note(name string, err error) {
	switch {
	case err != nil && !k.cut[name]:
		k.Log.Error("an alert could not be delivered: it is tried again", "receiver", name, "error", err)
	case err == nil && k.cut[name]:
		k.Log.Info("alerts can be delivered again", "receiver", name)
	}
	k.cut[name] = err != nil
}

// Package drill rehearses the bad days of an installation, on one of its own
// that is thrown away: it writes as many people do, kills processes, stops the
// servers below them and makes WhatsApp misbehave, and then asks for every
// message and every answer. It knows the router only as an operator does, by its
// processes, its API and what reaches WhatsApp. It must never touch a process, a
// server or a file that it did not make, and never leave one behind.
package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/stage"
)

// Options of Run. Program is required.
type Options struct {
	// Program is the router's executable; it is started as "psi-router serve".
	Program string
	// Messages are written by so many Conversations (default 10,000 by 500).
	Messages, Conversations int
	// Webhooks and Workers are how many processes there are of each (default 2
	// and 3). With Embedded there is one for everything, on SQLite.
	Webhooks, Workers int
	Embedded          bool
	// Faults is how many things go wrong, one after the other (default 10).
	Faults int
	// Only are the kinds of faults to choose from; nil is all that fit.
	Only []string
	// Pace is how much of the writing goes to each fault, in time, at least; 6 s
	// unless told. A slow machine takes longer.
	Pace time.Duration
	// Hurry makes the router's back-offs pass so many times faster: an outage of
	// seconds is then as hard as one of minutes. 1 unless told.
	Hurry float64
	// Duration ends the writing early; 0 never does.
	Duration time.Duration
	// Settle is how long everything may take to be done afterwards; 6 min unless
	// told.
	Settle time.Duration
	// Seed decides who writes, and what goes wrong when. The rest is the
	// machine's doing.
	Seed uint64
	// Parent is where the files are made; "" is the system's directory for
	// temporary ones. Keep leaves them there; they also stay when something is
	// wrong.
	Parent string
	Keep   bool
	// Tell is called with everything that happens, one call after the other.
	Tell func(Event)
	// Progress is called a few times a second, never beside Tell.
	Progress func(Progress)
}

// Phases of a drill.
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
	// Note is set for what nobody planned.
	Note string
}

// Progress is where a drill stands.
type Progress struct {
	Elapsed   time.Duration
	Phase     string
	Messages  int64 // to be written
	Accepted  int64
	PerSecond float64 // accepted, lately
	Sent      int64   // answers that WhatsApp took
	Fault     string  // what is wrong at the moment
	What      string
	Faults    int // over
	OfFaults  int
	// What the router tells; Known is false while it tells nothing.
	Known   bool
	Handled int64
	Depth   int64 // jobs of all queues
	Pending int64 // answers that are still to be sent
	Dead    int64
}

// least are the bounds that make a drill mean something.
const (
	perConversation = stage.AnswersPerHour * 9 / 10 // within an hour
	retryFor        = 5 * time.Minute
)

// ErrOptions means that the options make no drill.
var ErrOptions = errors.New("this makes no drill")

func (o *Options) check() error {
	o.Messages, o.Conversations = or(o.Messages, 10_000), or(o.Conversations, 500)
	o.Webhooks, o.Workers = or(o.Webhooks, 2), or(o.Workers, 3)
	if o.Embedded {
		o.Webhooks, o.Workers = 0, 0
	}
	o.Pace, o.Settle = or(o.Pace, 6*time.Second), or(o.Settle, 6*time.Minute)
	if o.Hurry == 0 {
		o.Hurry = 1
	}
	o.Conversations = min(o.Conversations, o.Messages)
	switch {
	case o.Program == "":
		return fmt.Errorf("%w: there is no program to start", ErrOptions)
	case o.Messages < 1 || o.Conversations < 1 || o.Webhooks < 0 || o.Workers < 0 || o.Faults < 0 || o.Duration < 0 || o.Hurry < 1:
		return fmt.Errorf("%w: its numbers are too small", ErrOptions)
	case o.Messages/o.Conversations > perConversation:
		return fmt.Errorf("%w: %d messages are too many for %d conversations, as nobody gets more than %d answers an hour", ErrOptions, o.Messages, o.Conversations, perConversation)
	}
	if o.Tell == nil {
		o.Tell = func(Event) {}
	}
	return nil
}

func or[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// drill is one that runs.
type drill struct {
	Options
	*stage.Stage
	began time.Time
	plan  []fault

	mu       sync.Mutex // guards the rest, and calls of Tell and Progress
	at       Progress
	struck   []Struck
	outage   time.Duration
	notes    []string
	accepted atomic.Int64
	written  chan struct{} // closed when nobody writes any more
}

// Run does a drill, from nothing to nothing. The report is good when there is no
// error; then its Err says whether the router kept its promises. An error means
// that there was no drill: something is missing, or ctx ended.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	d := &drill{Options: o, began: time.Now(), written: make(chan struct{})}
	var err error
	if d.plan, err = plan(rand.New(rand.NewPCG(o.Seed, 1)), o); err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	d.phase(PhaseStart)
	d.Stage, err = stage.Raise(ctx, stage.Options{
		Program: o.Program, Webhooks: o.Webhooks, Workers: o.Workers, Embedded: o.Embedded, Hurry: o.Hurry,
		Parent: o.Parent, Record: 2*o.Messages + 1000, Note: d.note,
	})
	if err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	r, err := d.run(ctx)
	r.Files = d.Fall(o.Keep || err == nil && r.Err() != nil)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return r, fmt.Errorf("drill: %w", err)
	}
	return r, nil
}

func (d *drill) run(ctx context.Context) (Report, error) {
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { d.watch(watching) })
	defer watcher.Wait()
	defer stop()

	d.phase(PhaseLoad)
	load, err := d.write(ctx)
	if err != nil {
		return Report{}, err
	}
	d.phase(PhaseSettle)
	quiet, err := d.settle(ctx)
	if err != nil {
		return Report{}, err
	}
	d.phase(PhaseCheck)
	return d.report(ctx, load, quiet)
}

// write lets people write while things go wrong.
func (d *drill) write(ctx context.Context) (loadgen.Report, error) {
	const batch, statuses = 3, 1
	rate := 0.0
	if d.Faults > 0 {
		rate = float64(d.Messages) * (1 + statuses) / batch / d.span().Seconds()
	}
	gen, err := loadgen.New(loadgen.Options{
		URL: d.Front.URL() + "/webhook", Secret: d.Secret, PhoneNumberID: stage.PhoneNumberID,
		Connections: 32, Conversations: d.Conversations, Messages: d.Messages, Batch: batch, Statuses: statuses,
		Duplicates: 0.1, Rate: rate, Script: []string{"menú", "1"}, Seed: d.Seed, GiveUp: retryFor,
		Progress: func(p loadgen.Progress) { d.accepted.Store(p.Messages) },
	})
	if err != nil {
		return loadgen.Report{}, err
	}
	writing, cancel := ctx, context.CancelFunc(func() {})
	if d.Duration > 0 {
		writing, cancel = context.WithTimeout(ctx, d.Duration)
	}
	defer cancel()
	var faults sync.WaitGroup
	var struck error
	faults.Go(func() { struck = d.strike(ctx, writing) })
	report, err := gen.Run(writing)
	close(d.written)
	faults.Wait()
	switch {
	case ctx.Err() != nil:
		return report, context.Cause(ctx)
	case err != nil && writing.Err() == nil:
		return report, err
	}
	return report, struck
}

// span is how long people write, so that they still do when the last fault comes.
func (d *drill) span() time.Duration {
	const start = 1500 * time.Millisecond // of a process, or of a server
	var faults time.Duration
	for _, f := range d.plan {
		faults += f.lasts + start
		if f.kind.name == restartAll {
			faults += start * time.Duration(len(d.Members))
		}
	}
	return max(time.Duration(d.Faults)*d.Pace, faults*5/4)
}

// strike makes things go wrong, each when its part of the messages has been
// accepted, and puts them right again. Once the writing was ended early, no
// further one begins.
func (d *drill) strike(ctx, writing context.Context) error {
	for _, f := range d.plan {
		if !d.reach(writing, int64(f.moment*float64(d.Messages))) {
			return nil
		}
		what, heal, err := f.kind.strike(ctx, d.Stage, f.pick)
		if err != nil {
			return fmt.Errorf("%s: %w", f.kind.name, err)
		}
		began := time.Since(d.began)
		d.begins(f, what)
		if !sleep(ctx, f.lasts) {
			return nil
		}
		if err := heal(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("after %s: %w", f.kind.name, err)
		}
		d.over(f, what, began)
	}
	return nil
}

// reach waits until so many messages are accepted, or nobody writes any more. It
// is false when the writing was ended.
func (d *drill) reach(ctx context.Context, messages int64) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for d.accepted.Load() < messages {
		select {
		case <-ctx.Done():
			return false
		case <-d.written:
			return ctx.Err() == nil
		case <-tick.C:
		}
	}
	return ctx.Err() == nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (d *drill) tell(e Event) {
	e.At = time.Since(d.began)
	d.Tell(e)
}

func (d *drill) phase(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.Phase = name
	d.tell(Event{Phase: name})
}

func (d *drill) begins(f fault, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.Fault, d.at.What = f.kind.name, what
	d.tell(Event{Fault: f.kind.name, What: what})
}

func (d *drill) over(f fault, what string, began time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.Fault, d.at.What = "", ""
	d.at.Faults++
	lasted := time.Since(d.began) - began
	if f.kind.outage {
		d.outage += lasted
	}
	d.struck = append(d.struck, Struck{
		Fault: f.kind.name, What: what, At: seconds(began), Lasted: seconds(lasted),
	})
	d.tell(Event{Fault: f.kind.name, What: what, Over: true})
}

// note keeps what nobody planned.
func (d *drill) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
	d.tell(Event{Note: text})
}

// Kinds lists the faults that fit.
func Kinds(embedded bool) []string {
	var names []string
	for _, k := range kinds {
		if k.fits(embedded) {
			names = append(names, k.name)
		}
	}
	return names
}

// fault is one that will happen.
type fault struct {
	kind   kind
	moment float64 // how much of the messages is accepted by then, 0 to 1
	lasts  time.Duration
	pick   int // whom it meets
}

// plan chooses what goes wrong, when and for how long. All kinds have their turn
// before one comes again.
func plan(random *rand.Rand, o Options) ([]fault, error) {
	var some []kind
	for _, k := range kinds {
		if k.fits(o.Embedded) && (len(o.Only) == 0 && o.Faults >= k.least || slices.Contains(o.Only, k.name)) {
			some = append(some, k)
		}
	}
	for _, name := range o.Only {
		if fit := Kinds(o.Embedded); !slices.Contains(fit, name) {
			return nil, fmt.Errorf("%w: there is no fault %q here; there are %s", ErrOptions, name, strings.Join(fit, ", "))
		}
	}
	moments := make([]float64, o.Faults)
	for i := range moments {
		moments[i] = 0.02 + 0.93*random.Float64()
	}
	slices.Sort(moments)
	all := make([]fault, o.Faults)
	var order []int
	for i := range all {
		if len(order) == 0 {
			order = random.Perm(len(some))
		}
		k := some[order[0]]
		order = order[1:]
		all[i] = fault{
			kind: k, moment: moments[i], pick: random.IntN(1 << 16),
			lasts: k.shortest + time.Duration(random.Int64N(int64(k.longest-k.shortest)+1)),
		}
	}
	return all, nil
}

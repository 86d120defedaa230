// Package rehearse sets up a router, lets many people write to it, makes things go
// wrong meanwhile, takes its answers as WhatsApp would, and then asks for every
// message: what was lost, doubled or reordered, and how long the webhook and people
// had to wait. A drill is the rehearsal of the bad days, a load test that of the full
// ones. The router is one that is thrown away, or one that runs already; both are
// known only from outside. It must never leave out a wait that somebody would have
// had: at a rate, time counts from when a request was due. It must never touch a
// process, a server or a file that it did not make, nor leave one behind.
package rehearse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// Options of Run. Program or Target is required.
type Options struct {
	// Program is the router's executable: it is started and thrown away. Webhooks
	// and Workers are how many processes there are of each (default 1 and 2, of a
	// drill 2 and 3); with Embedded there is one for everything, on SQLite.
	Program           string
	Webhooks, Workers int
	Embedded          bool
	// BackoffSpeedup makes the router's back-offs pass so many times faster: an outage of
	// seconds is then as hard as one of minutes. 1 unless told.
	BackoffSpeedup float64
	// Parent is where files are made, "" for the system's temporary ones. Keep leaves
	// them there; they also stay when something is wrong.
	Parent string
	Keep   bool

	// Target is a router that runs already, instead of all that.
	Target *Target

	// Load is what people write, and how fast; a drill decides most of it. Where it goes
	// and what becomes of its statuses is decided here.
	Load loadgen.Options
	// Duration ends the writing; without it and without Load.Messages it goes on until
	// the context ends.
	Duration time.Duration
	// Settle is how long everything may take to be done afterwards; 2 min unless
	// told, 6 of a drill.
	Settle time.Duration
	// Begin returns when people are to begin to write; nil begins when everything is ready.
	Begin func(context.Context) error

	// Drill makes things go wrong that nobody chose, and is strict.
	Drill *Drill
	// SlowPostgres is how much longer each call to PostgreSQL takes, from the first
	// message on until everything is done.
	SlowPostgres time.Duration
	// RestartRedis kills Redis in the middle of Duration and starts it again.
	RestartRedis bool
	// CRM says how a CRM behaves that gets every event: in these ways (of
	// cluster.CRMModes), one after the other, for an equal part of Duration each.
	// Afterwards it works, and every event is asked for, unless CRMStays as it is.
	// nil is no CRM.
	CRM      []string
	CRMStays bool
	// DropResponses makes WhatsApp take one answer in so many and break the connection
	// instead of saying so. Then it reports what becomes of all answers itself, and
	// none may stay uncertain.
	DropResponses int

	// Tell is called with what happens, Progress about once a second; one call
	// after the other.
	Tell     func(Event)
	Progress func(Progress)
}

// Drill is a rehearsal with faults that Load.Seed chooses. It is strict: dead letters,
// work that is not done in time and processes that end by themselves are broken
// promises too, and one that is interrupted proves nothing.
type Drill struct {
	// Faults is how many there are, one after the other.
	Faults int
	// Only are the kinds to choose from; nil is all that fit.
	Only []string
	// Pace is how much of the writing goes to each fault, in time, at least; 6 s
	// unless told. A slow machine takes longer.
	Pace time.Duration
	// Outage is how long Redis, PostgreSQL and WhatsApp are away together at least, as
	// the back-offs see it: it draws faults out, each as far as its kind goes.
	Outage time.Duration
}

// Target is a router that runs already.
type Target struct {
	URL           string // without /webhook
	Secret        string // app secret of the line
	PhoneNumberID string
	Token         string // that the router sends with
	Line          string
	// Graph is where the fake WhatsApp listens: the router's graph_url has to
	// point there, or its answers are not seen. "" does not listen.
	Graph string
	// API is where it tells what it stored.
	API loadgen.API
}

// ErrOptions means that the options make no rehearsal.
var ErrOptions = errors.New("these options do not fit")

// perConversation keeps a drill within an hour of answers.
const perConversation = cluster.AnswersPerHour * 9 / 10

// name is what people call it.
func (o *Options) name() string {
	if o.Drill != nil {
		return "drill"
	}
	return "load test"
}

func (o *Options) check() error {
	l := &o.Load
	if o.Drill != nil {
		o.Webhooks, o.Workers, o.Settle = cmp.Or(o.Webhooks, 2), cmp.Or(o.Workers, 3), cmp.Or(o.Settle, 6*time.Minute)
		if o.Embedded {
			o.Webhooks, o.Workers = 0, 0
		}
		l.Messages, l.Conversations, l.Connections = cmp.Or(l.Messages, 10_000), cmp.Or(l.Conversations, 500), 32
		l.Batch, l.Statuses, l.Duplicates, l.RetryFor = 3, 1, 0.1, 5*time.Minute
	} else {
		o.Webhooks, o.Workers, o.Settle = cmp.Or(o.Webhooks, 1), cmp.Or(o.Workers, 2), cmp.Or(o.Settle, 2*time.Minute)
	}
	l.Conversations, l.Connections, l.Batch, l.Burst = cmp.Or(l.Conversations, 1000), cmp.Or(l.Connections, 64), cmp.Or(l.Batch, 1), cmp.Or(l.Burst, 1)
	if l.Messages > 0 {
		l.Conversations = min(l.Conversations, l.Messages)
	}
	if len(l.Script) == 0 {
		l.Script = []string{"menú", "1"}
	}
	if o.Tell == nil {
		o.Tell = func(Event) {}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.DropResponses > 0 {
		l.Statuses = 0 // WhatsApp reports itself
	}
	for _, way := range o.CRM {
		if !slices.Contains(cluster.CRMModes(), way) {
			return fmt.Errorf("%w: a CRM cannot be %q; there are %s", ErrOptions, way, strings.Join(cluster.CRMModes(), ", "))
		}
	}
	switch d := o.Drill; {
	case o.Program == "" && o.Target == nil:
		return fmt.Errorf("%w: there is no router", ErrOptions)
	case o.Webhooks < 0 || o.Workers < 0 || o.Duration < 0 || o.SlowPostgres < 0 || o.DropResponses < 0 || o.BackoffSpeedup != 0 && o.BackoffSpeedup < 1,
		l.Messages < 0 || l.Conversations < 1 || l.Rate < 0 || l.Statuses < 0 || l.Statuses > 3,
		d != nil && (d.Faults < 0 || d.Outage < 0):
		return fmt.Errorf("%w: a number is too small, or there are more than three statuses", ErrOptions)
	case d != nil && l.Messages/l.Conversations > perConversation:
		return fmt.Errorf("%w: %d messages are too many for %d conversations, as nobody gets more than %d answers an hour", ErrOptions, l.Messages, l.Conversations, perConversation)
	case (o.SlowPostgres != 0 || o.RestartRedis) && (o.Target != nil || o.Embedded):
		return fmt.Errorf("%w: only servers of its own can be slowed down and restarted", ErrOptions)
	case o.Target != nil && (d != nil || o.CRM != nil || o.DropResponses > 0 || o.BackoffSpeedup != 0):
		return fmt.Errorf("%w: only around a router of its own can a CRM or WhatsApp misbehave", ErrOptions)
	case len(o.CRM) > 1 && o.Duration == 0:
		return fmt.Errorf("%w: a CRM that changes its ways needs a duration", ErrOptions)
	case o.RestartRedis && o.Duration == 0:
		return fmt.Errorf("%w: the middle, when Redis is restarted, needs a duration", ErrOptions)
	}
	o.BackoffSpeedup = max(1, o.BackoffSpeedup)
	return nil
}

// rehearsal is one that runs.
type rehearsal struct {
	Options
	began          time.Time
	faults         []fault
	cluster        *cluster.Cluster // nil with a Target
	api            loadgen.API
	noReplyCapture bool // nobody sees the answers
	load           atomic.Pointer[loadgen.Generator]
	written        chan struct{} // closed when nobody writes any more

	mu       sync.Mutex // guards the rest, and calls of Tell and Progress
	at       Progress
	sent     []sandbox.Sent // answers that WhatsApp took
	injected []InjectedFault
	outage   time.Duration
	restore  []func(context.Context) error // of the faults that last until all is done
	notes    []string
	series   []Second
	wakeUps  int64          // the most
	memory   cluster.Memory // the most of each
	cpu      cluster.CPU    // while people wrote
	machine  ticks          // at the last second's end
	calm     loadgen.Durations
	stolen   float64 // while people wrote
}

// Run does a rehearsal, from nothing to nothing. The report is good when there is no
// error; then its Err says whether the router kept its promises. When ctx ends, nothing
// further is written, and what was is still accounted for, except by a drill: then, and
// when something is missing, there is an error.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, fmt.Errorf("%s: %w", o.name(), err)
	}
	r := &rehearsal{Options: o, began: time.Now(), written: make(chan struct{})}
	var err error
	if r.faults, err = o.plan(); err != nil {
		return Report{}, fmt.Errorf("%s: %w", o.name(), err)
	}
	r.enter(PhaseStart)
	stop, err := r.start(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", o.name(), err)
	}
	report, err := r.run(ctx)
	report.Files = stop(o.Keep || err == nil && report.Err() != nil)
	if o.Drill != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return report, fmt.Errorf("%s: %w", o.name(), err)
	}
	return report, nil
}

// start makes what the rehearsal needs. stop ends it, and says where files are left.
func (r *rehearsal) start(ctx context.Context) (stop func(keep bool) string, err error) {
	o := r.Load
	var door string
	if r.Target != nil {
		if stop, err = r.attach(ctx); err != nil {
			return nil, err
		}
		door, o.Secret, o.PhoneNumberID, o.ReportReplies = r.Target.URL, r.Target.Secret, r.Target.PhoneNumberID, !r.noReplyCapture
	} else {
		r.cluster, err = cluster.Start(ctx, cluster.Options{
			Program: r.Program, Webhooks: r.Webhooks, Workers: r.Workers, Embedded: r.Embedded, BackoffSpeedup: r.BackoffSpeedup,
			DelayProxy: r.SlowPostgres > 0, CRM: r.CRM != nil, Rate: 20_000, Parent: r.Parent, Record: 1,
			Accepted: r.accept, Reports: r.Drill != nil || r.DropResponses > 0, Note: r.note,
		})
		if err != nil {
			return nil, err
		}
		stop, door = r.cluster.Stop, r.cluster.DoorURL()
		r.api = loadgen.API{URL: door, Key: r.cluster.Key, Line: cluster.Line}
		o.Secret, o.PhoneNumberID, o.ReportReplies = r.cluster.Secret, cluster.PhoneNumberID, r.Drill == nil
	}
	o.URL, o.Progress = door+"/webhook", r.progress
	o.SyntheticStatuses = r.SlowPostgres > 0 // answers come too late to keep the rate with their reports
	if r.Drill != nil && len(r.faults) > 0 {
		o.Rate = float64(o.Messages*(1+o.Statuses)) / float64(o.Batch) / r.span().Seconds()
	}
	load, err := loadgen.New(o)
	if err != nil {
		stop(false)
		return nil, err
	}
	r.load.Store(load)
	return stop, nil
}

// attach takes the answers of a router that runs already.
func (r *rehearsal) attach(ctx context.Context) (stop func(bool) string, err error) {
	r.api, r.noReplyCapture = r.Target.API, r.Target.Graph == ""
	r.api.Line = r.Target.Line
	if _, err := r.api.Stats(ctx); err != nil {
		return nil, err
	}
	if r.noReplyCapture {
		return func(bool) string { return "" }, nil
	}
	whatsapp, err := sandbox.New(sandbox.Options{
		PhoneNumberID: r.Target.PhoneNumberID, AppSecret: r.Target.Secret, Token: r.Target.Token,
		WebhookURL: func() string { return r.Target.URL + "/webhook" },
		KeepSent:   1, NoFaults: true, NoPhones: true, NoStatuses: true, Accepted: r.accept,
	})
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.Target.Graph)
	if err != nil {
		return nil, fmt.Errorf("listen as WhatsApp: %w", err)
	}
	server := &http.Server{Handler: whatsapp.Handler(), ReadHeaderTimeout: 5 * time.Second}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(l) }) // it ends when it is closed
	return func(bool) string {
		server.Close()
		served.Wait()
		return ""
	}, nil
}

func (r *rehearsal) run(ctx context.Context) (Report, error) {
	// Who interrupts a load test wants the report of what was done.
	whole := ctx
	if r.Drill == nil {
		whole = context.WithoutCancel(ctx)
	}
	watching, stop := context.WithCancel(whole)
	var watcher sync.WaitGroup
	watcher.Go(func() { r.watch(watching) })
	defer watcher.Wait()
	defer stop()

	if r.Begin != nil {
		if err := r.Begin(ctx); err != nil {
			return Report{}, err
		}
	}
	r.enter(PhaseLoad)
	load, err := r.write(ctx, whole)
	if err != nil {
		return Report{}, err
	}
	interrupted := ctx.Err() != nil
	r.enter(PhaseSettle)
	crm, err := r.mend(whole, load)
	if err != nil {
		return Report{}, err
	}
	quiet := r.settle(whole) && r.caughtUp(whole, crm)
	for _, restore := range r.restore {
		if err := restore(whole); err != nil {
			return Report{}, err
		}
	}
	if whole.Err() != nil {
		return Report{}, context.Cause(whole)
	}
	r.enter(PhaseCheck)
	return r.report(whole, load, crm, quiet, interrupted)
}

// Package rehearse writes to a router as many people would, injects faults meanwhile,
// accepts its answers as WhatsApp would, and then verifies every message. The report says
// which were lost, doubled or reordered, and how long the webhook and people had to wait.
// A drill rehearses faults, a load test rehearses load. The router is a temporary
// installation or a running one; both are known only from outside. It must never leave out
// a wait that a person would have had: at a rate, time counts from when a request was due.
// It must never touch a process, a server or a file that it did not make, nor leave one
// behind.
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
	// Program is the router's executable, for a temporary installation. Webhooks and
	// Workers are the numbers of processes of each role (default 1 and 2, in a drill 2 and
	// 3). With Embedded one process does everything, on SQLite.
	Program           string
	Webhooks, Workers int
	Embedded          bool
	// BackoffSpeedup divides the router's back-offs: an outage of seconds is then as hard as
	// one of minutes. Default 1.
	BackoffSpeedup float64
	// Parent is the directory for the files, "" for the system's temporary directory. Keep
	// keeps them; they also stay if the router broke a promise.
	Parent string
	Keep   bool

	// Target is a running router, used instead of a temporary installation.
	Target *Target

	// Load is what people write, and how fast; a drill overrides most of it. Run sets its
	// address and the handling of its statuses.
	Load loadgen.Options
	// Duration limits the load. Without it and without Load.Messages the load lasts until the
	// context ends.
	Duration time.Duration
	// Settle limits the time for the remaining work afterwards; default 2 min, in a drill
	// 6.
	Settle time.Duration
	// Begin returns when the load shall begin; nil begins once everything is ready.
	Begin func(context.Context) error

	// Drill makes the rehearsal a drill.
	Drill *Drill
	// SlowPostgres is the delay of each call to PostgreSQL, from the first message until all
	// work is done.
	SlowPostgres time.Duration
	// RestartRedis kills Redis after half of Duration and starts it again.
	RestartRedis bool
	// CRM lists the modes (of cluster.CRMModes) that a fake CRM goes through, each for an
	// equal share of Duration. It then recovers and every event is verified, unless
	// CRMStays. nil is no CRM.
	CRM      []string
	CRMStays bool
	// DropResponses makes WhatsApp accept one answer in this many and break the connection
	// instead of responding. WhatsApp then sends the statuses of all answers itself, and no
	// answer may stay uncertain.
	DropResponses int

	// Tell is called for each event, Progress about once a second. The calls do not
	// overlap.
	Tell     func(Event)
	Progress func(Progress)
}

// Drill is a rehearsal with faults chosen by Load.Seed. It is strict: dead letters, work
// not done in time and processes that end unexpectedly are broken promises too, and an
// interrupted drill is an error.
type Drill struct {
	// Faults is the number of faults, one after the other.
	Faults int
	// Only are the kinds to choose from; nil is all possible ones.
	Only []string
	// Pace is the minimum time of the load for each fault; default 6 s. A slow machine
	// takes longer.
	Pace time.Duration
	// Outage is the minimum total time for which Redis, PostgreSQL and WhatsApp are down, at
	// the speed of the back-offs: faults are lengthened, each up to the maximum of its kind.
	Outage time.Duration
}

// Target is a running router.
type Target struct {
	URL           string // without /webhook
	Secret        string // app secret of the line
	PhoneNumberID string
	Token         string // access token of the router
	Line          string
	// Graph is the address of the fake WhatsApp. The router's graph_url must point to it, or
	// the answers are not seen. "" does not listen.
	Graph string
	// API reads the messages that the router stored.
	API loadgen.API
}

// ErrOptions means that the options are invalid.
var ErrOptions = errors.New("the options are invalid")

// perConversation limits the messages of a conversation in a drill, below AnswersPerHour.
const perConversation = cluster.AnswersPerHour * 9 / 10

// name is the name of the rehearsal in errors.
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
		l.Statuses = 0 // WhatsApp sends them itself
	}
	for _, way := range o.CRM {
		if !slices.Contains(cluster.CRMModes(), way) {
			return fmt.Errorf("%w: a CRM has no mode %q; the modes are %s", ErrOptions, way, strings.Join(cluster.CRMModes(), ", "))
		}
	}
	switch d := o.Drill; {
	case o.Program == "" && o.Target == nil:
		return fmt.Errorf("%w: a program or a target is required", ErrOptions)
	case o.Webhooks < 0 || o.Workers < 0 || o.Duration < 0 || o.SlowPostgres < 0 || o.DropResponses < 0 || o.BackoffSpeedup != 0 && o.BackoffSpeedup < 1,
		l.Messages < 0 || l.Conversations < 1 || l.Rate < 0 || l.Statuses < 0 || l.Statuses > 3,
		d != nil && (d.Faults < 0 || d.Outage < 0):
		return fmt.Errorf("%w: a number is too small, or there are more than three statuses", ErrOptions)
	case d != nil && l.Messages/l.Conversations > perConversation:
		return fmt.Errorf("%w: %d messages are too many for %d conversations: a conversation gets at most %d answers", ErrOptions, l.Messages, l.Conversations, perConversation)
	case (o.SlowPostgres != 0 || o.RestartRedis) && (o.Target != nil || o.Embedded):
		return fmt.Errorf("%w: only a temporary installation with servers can be slowed down and restarted", ErrOptions)
	case o.Target != nil && (d != nil || o.CRM != nil || o.DropResponses > 0 || o.BackoffSpeedup != 0):
		return fmt.Errorf("%w: only a temporary installation can have faults of a CRM or of WhatsApp", ErrOptions)
	case len(o.CRM) > 1 && o.Duration == 0:
		return fmt.Errorf("%w: a CRM with several modes needs a duration", ErrOptions)
	case o.RestartRedis && o.Duration == 0:
		return fmt.Errorf("%w: a restart of Redis needs a duration", ErrOptions)
	}
	o.BackoffSpeedup = max(1, o.BackoffSpeedup)
	return nil
}

// rehearsal is a running rehearsal.
type rehearsal struct {
	Options
	began          time.Time
	faults         []fault
	cluster        *cluster.Cluster // nil with a Target
	api            loadgen.API
	noReplyCapture bool // the answers are not seen
	load           atomic.Pointer[loadgen.Generator]
	written        chan struct{} // closed at the end of the load

	mu       sync.Mutex // guards the rest, and calls of Tell and Progress
	at       Progress
	sent     []sandbox.Sent // answers that WhatsApp accepted
	injected []InjectedFault
	outage   time.Duration
	restore  []func(context.Context) error // of the faults that last until all work is done
	notes    []string
	series   []Second
	wakeUps  int64          // peak
	memory   cluster.Memory // peak of each
	cpu      cluster.CPU    // during the load
	machine  ticks          // at the end of the last second
	calm     loadgen.Durations
	stolen   float64 // during the load
}

// Run runs a rehearsal. Without an error the report is complete, and its Err says whether
// the router kept its promises. If ctx ends, a load test stops writing and verifies what
// was written; a drill returns an error.
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

// start starts the cluster or attaches to the target. stop ends it, and returns the
// directory of files that stay.
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
	o.SyntheticStatuses = r.SlowPostgres > 0 // answers are too late for their statuses to keep the rate
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

// attach accepts the answers of a running router.
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
	served.Go(func() { _ = server.Serve(l) }) // it ends when the server is closed
	return func(bool) string {
		server.Close()
		served.Wait()
		return ""
	}, nil
}

func (r *rehearsal) run(ctx context.Context) (Report, error) {
	// An interrupted load test still reports on what was written.
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

// Package loadtest writes to a router as many people do, at a fixed rate or as
// fast as it answers, takes its answers as WhatsApp would, and then asks for
// every message: what was lost, doubled or reordered, and how long the webhook
// and people had to wait. The router is one that it sets up and throws away, or
// one that it is told of. It knows both only from outside. It must never leave
// out a wait that somebody would have had: at a rate, time counts from when a
// request was due.
package loadtest

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
	// and Workers are how many processes there are of each (default 1 and 2); with
	// Embedded there is one for everything, on SQLite.
	Program           string
	Webhooks, Workers int
	Embedded          bool
	// SlowPostgres is how much longer each call to PostgreSQL takes, from the first
	// message on until everything is done.
	SlowPostgres time.Duration
	// RestartRedis kills Redis in the middle and starts it again.
	RestartRedis bool
	// CRM says how a CRM behaves that gets every event: in these ways (of
	// cluster.CRMModes), one after the other, for an equal part of the writing each.
	// Afterwards it works, and every event is asked for, unless CRMStays as it is.
	// nil is no CRM.
	CRM      []string
	CRMStays bool
	// DropResponses makes WhatsApp take one answer in so many and break the connection
	// instead of saying so. Then it reports what becomes of all answers itself, and
	// none may stay uncertain.
	DropResponses int
	// BackoffSpeedup makes the router's back-offs pass so many times faster; 1 unless told.
	BackoffSpeedup float64
	// Parent is where files are made, "" for the system's temporary ones; Keep
	// leaves them there.
	Parent string
	Keep   bool

	// Target is a router that runs already, instead of all that.
	Target *Target

	// Rate is requests a second; 0 posts the next one when the last is answered.
	Rate  float64
	Burst int // requests that leave together
	// Messages ends the writing after so many, Duration after so long; without
	// both it goes on until the context ends.
	Messages int
	Duration time.Duration
	// Conversations, Connections, Batch, Duplicates, Script, Seed: as in loadgen.
	Conversations, Connections, Batch int
	Duplicates                        float64
	Script                            []string
	Seed                              uint64
	// WarmUp is for how long no latency counts at first, of a run that is compared
	// with another.
	WarmUp time.Duration
	// Begin is when people begin to write, the zero time as soon as everything is
	// ready; Alternate shares the machine with another run that begins then too.
	Begin     time.Time
	Alternate loadgen.Alternation
	// Statuses is how many reports come of each answer.
	Statuses int
	// Settle is how long everything may take to be done afterwards; 2 min unless
	// told.
	Settle time.Duration
	// Tell is called with what happens, Progress about once a second; one call
	// after the other.
	Tell     func(Event)
	Progress func(Progress)
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

// Phases of a test.
const (
	PhaseStart  = "start"
	PhaseLoad   = "load"
	PhaseSettle = "settle"
	PhaseCheck  = "check"
)

// Event is something that happened.
type Event struct {
	At    time.Duration
	Phase string // set when a phase begins
	Redis string // "down", "up"
	CRM   string // set when it changes its ways: how it behaves now
	Note  string // what nobody planned
}

// Progress is where a test stands.
type Progress struct {
	loadgen.Progress
	Phase        string
	WantMessages int           // to be written, 0 for no end
	WantDuration time.Duration // to be written for, 0 for no end
	Answers      int64         // that WhatsApp took
	// Requests and answers a second, since the last Progress.
	PerSecond, AnswersPerSecond float64
	Known                       bool // whether the router tells the rest
	Depth, Pending, Dead        int64
}

// ErrOptions means that the options make no test.
var ErrOptions = errors.New("this makes no load test")

func (o *Options) check() error {
	o.Webhooks, o.Workers = cmp.Or(o.Webhooks, 1), cmp.Or(o.Workers, 2)
	o.Conversations, o.Connections, o.Batch, o.Burst = cmp.Or(o.Conversations, 1000), cmp.Or(o.Connections, 64), cmp.Or(o.Batch, 1), cmp.Or(o.Burst, 1)
	o.Settle = cmp.Or(o.Settle, 2*time.Minute)
	if o.Messages > 0 {
		o.Conversations = min(o.Conversations, o.Messages)
	}
	if len(o.Script) == 0 {
		o.Script = []string{"menú", "1"}
	}
	if o.Tell == nil {
		o.Tell = func(Event) {}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.DropResponses > 0 {
		o.Statuses = 0 // WhatsApp reports itself
	}
	for _, way := range o.CRM {
		if !slices.Contains(cluster.CRMModes(), way) {
			return fmt.Errorf("%w: a CRM cannot be %q; there are %s", ErrOptions, way, strings.Join(cluster.CRMModes(), ", "))
		}
	}
	switch {
	case o.Program == "" && o.Target == nil:
		return fmt.Errorf("%w: there is no router", ErrOptions)
	case (o.SlowPostgres != 0 || o.RestartRedis) && (o.Target != nil || o.Embedded):
		return fmt.Errorf("%w: only servers of its own can be slowed down and restarted", ErrOptions)
	case o.Messages < 0 || o.Duration < 0 || o.SlowPostgres < 0 || o.Rate < 0 || o.Webhooks < 0 || o.Workers < 0 || o.Statuses < 0 || o.Statuses > 3:
		return fmt.Errorf("%w: a number is too small, or there are more than three statuses", ErrOptions)
	case o.Target != nil && (o.CRM != nil || o.DropResponses > 0 || o.BackoffSpeedup != 0):
		return fmt.Errorf("%w: only around a router of its own can a CRM or WhatsApp misbehave", ErrOptions)
	case o.DropResponses < 0 || o.BackoffSpeedup != 0 && o.BackoffSpeedup < 1:
		return fmt.Errorf("%w: a number is too small", ErrOptions)
	case len(o.CRM) > 1 && o.Duration == 0:
		return fmt.Errorf("%w: a CRM that changes its ways needs a duration", ErrOptions)
	case o.RestartRedis && o.Duration == 0:
		return fmt.Errorf("%w: the middle, when Redis is restarted, needs a duration", ErrOptions)
	}
	return nil
}

// test is one that runs.
type test struct {
	Options
	began          time.Time
	cluster        *cluster.Cluster // nil with a Target
	api            loadgen.API
	door           string
	noReplyCapture bool // nobody sees the answers
	load           atomic.Pointer[loadgen.Generator]
	posts          posts

	mu      sync.Mutex // guards the rest, and calls of Tell and Progress
	phase   string
	notes   []string
	series  []Second
	wrote   loadgen.Progress // the latest
	answers int64            // then
	figures loadgen.RouterStats
	known   bool
	memory  cluster.Memory // the most of each
	cpu     cluster.CPU    // while people wrote
	machine ticks          // at the last second's end
	calm    loadgen.Durations
	stolen  float64 // while people wrote
	wakeUps int64   // the most
}

// Run does a test. When ctx ends, nothing further is written, and what was is
// still accounted for. The report is good when there is no error; then its Err
// says whether all is well.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, fmt.Errorf("load test: %w", err)
	}
	t := &test{Options: o, began: time.Now()}
	t.enter(PhaseStart)
	fall, err := t.start(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("load test: %w", err)
	}
	r, err := t.run(ctx)
	r.Files = fall(o.Keep || err == nil && r.Err() != nil)
	if err != nil {
		return r, fmt.Errorf("load test: %w", err)
	}
	return r, nil
}

// start makes what the test needs. fall ends it, and says where files are left.
func (t *test) start(ctx context.Context) (fall func(keep bool) string, err error) {
	o := loadgen.Options{
		Connections: t.Connections, Conversations: t.Conversations, Messages: t.Messages, Statuses: t.Statuses,
		Batch: t.Batch, Rate: t.Rate, Burst: t.Burst, WarmUp: t.WarmUp, Alternate: t.Alternate, Duplicates: t.Duplicates, Script: t.Script, Seed: t.Seed,
		RetryFor: time.Minute, ReportReplies: true, Progress: t.progress,
		SyntheticStatuses: t.SlowPostgres > 0, // answers come too late to keep the rate with their reports
	}
	if t.Target != nil {
		return t.attach(ctx, o)
	}
	t.cluster, err = cluster.Start(ctx, cluster.Options{
		Program: t.Program, Webhooks: t.Webhooks, Workers: t.Workers, Embedded: t.Embedded, DelayProxy: t.SlowPostgres > 0,
		Rate: 20_000, Parent: t.Parent, Record: 1, Accepted: t.accept, Note: t.note, CRM: t.CRM != nil, Reports: t.DropResponses > 0, BackoffSpeedup: t.BackoffSpeedup,
	})
	if err != nil {
		return nil, err
	}
	if t.DropResponses > 0 {
		if err := t.cluster.WhatsApp.InjectFaultEvery("corte", t.DropResponses); err != nil {
			t.cluster.Stop(false)
			return nil, err
		}
	}
	t.door = t.cluster.DoorURL()
	t.api = loadgen.API{URL: t.door, Key: t.cluster.Key, Line: cluster.Line}
	o.URL, o.Secret, o.PhoneNumberID = t.door+"/webhook", t.cluster.Secret, cluster.PhoneNumberID
	load, err := loadgen.New(o)
	if err != nil {
		t.cluster.Stop(false)
		return nil, err
	}
	t.load.Store(load)
	return t.cluster.Stop, nil
}

// attach prepares for a router that runs already.
func (t *test) attach(ctx context.Context, o loadgen.Options) (fall func(bool) string, err error) {
	t.api, t.door, t.noReplyCapture = t.Target.API, t.Target.URL, t.Target.Graph == ""
	t.api.Line = t.Target.Line
	if _, err := t.api.Stats(ctx); err != nil {
		return nil, err
	}
	o.URL, o.Secret, o.PhoneNumberID, o.ReportReplies = t.door+"/webhook", t.Target.Secret, t.Target.PhoneNumberID, !t.noReplyCapture
	load, err := loadgen.New(o)
	if err != nil {
		return nil, err
	}
	t.load.Store(load)
	if t.noReplyCapture {
		return func(bool) string { return "" }, nil
	}
	whatsapp, err := sandbox.New(sandbox.Options{
		PhoneNumberID: t.Target.PhoneNumberID, AppSecret: t.Target.Secret, Token: t.Target.Token,
		WebhookURL: func() string { return t.door + "/webhook" },
		KeepSent:   1, NoFaults: true, NoPhones: true, NoStatuses: true, Accepted: t.accept,
	})
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", t.Target.Graph)
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

func (t *test) run(ctx context.Context) (Report, error) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watcher sync.WaitGroup
	watcher.Go(func() { t.watch(watching) })
	defer watcher.Wait()
	defer stop()

	if err := t.wait(ctx); err != nil {
		return Report{}, err
	}
	t.slow(t.SlowPostgres)
	t.enter(PhaseLoad)
	load, err := t.write(ctx)
	if err != nil {
		return Report{}, err
	}
	interrupted := ctx.Err() != nil
	// Who interrupts wants the report of what was done.
	after := context.WithoutCancel(ctx)
	t.enter(PhaseSettle)
	crm, err := t.mend(after, load)
	if err != nil {
		return Report{}, err
	}
	quiet := t.settle(after) && t.caughtUp(after, crm)
	t.slow(0)
	t.enter(PhaseCheck)
	return t.report(after, load, crm, quiet, interrupted)
}

func (t *test) enter(phase string) {
	t.mu.Lock()
	t.phase = phase
	t.mu.Unlock()
	t.tell(Event{Phase: phase})
}

func (t *test) tell(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.At = time.Since(t.began)
	t.Tell(e)
}

// note keeps what nobody planned.
func (t *test) note(text string) {
	t.mu.Lock()
	t.notes = append(t.notes, text)
	t.mu.Unlock()
	t.tell(Event{Note: text})
}

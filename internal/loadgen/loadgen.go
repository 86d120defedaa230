// Package loadgen posts to a webhook as Meta would for many people at once, signed and
// in order. Afterwards it finds every message that was lost, doubled, reordered or left
// unanswered. It knows the router only from outside: by its webhook, its API and its
// sends. It must never look inside.
package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// Options of New. URL, Secret and PhoneNumberID are required.
type Options struct {
	URL           string // webhook, http or https
	Secret        string // app secret, signs the requests
	PhoneNumberID string
	Connections   int // that post concurrently; default 32
	Conversations int // people; default 1000
	// Messages is the total number of messages, spread over the people in turn; 0 means
	// until the context ends.
	Messages int
	// Statuses is the number of statuses for each message. Meta sends three for each
	// message that we send: sent, delivered, read.
	Statuses int
	// ReportReplies makes the statuses report on the answers given to ReplyAccepted.
	// Otherwise they report on answers that do not exist.
	ReportReplies bool
	// SyntheticStatuses keeps the number of statuses for each message while answers are
	// late: with ReportReplies, missing statuses are made up.
	SyntheticStatuses bool
	Batch             int // messages and statuses in one request; default 1
	// RawValue posts each message as n8n forwards it, the value without its envelope, for
	// receivers that read only that. It needs Batch 1.
	RawValue bool
	// Rate is the number of requests a second; 0 posts each as soon as the one before is
	// answered. With a rate, latency counts from the time when a request is due.
	Rate  float64
	Burst int // with a Rate: requests due at the same time; default 1
	// WarmUp is the time at the start in which latency does not count, so that a
	// comparison of two runs leaves out their start.
	WarmUp time.Duration
	// Alternate shares the machine with another run. It needs a Rate.
	Alternate Alternation
	// Duplicates is the fraction (0 to 1) of requests that are posted again after their
	// 200: half of them at once, half of them later.
	Duplicates float64
	// Script is what people write: their n-th message is line n, in a loop. The default
	// is "hola", "1", "11".
	Script []string
	// Seed determines ids and people. Runs with different seeds have different people
	// (below 100,000 conversations).
	Seed uint64
	// Timeout limits one request; default 20 s.
	Timeout time.Duration
	// RetryFor is how long a request without a 200 is repeated, as Meta does for days;
	// default a minute. After it, its conversations send no more messages.
	RetryFor time.Duration
	// Progress is called about once a second, and once at the end.
	Progress func(Progress)
}

// Progress is the state of a run.
type Progress struct {
	Elapsed    time.Duration
	Requests   int64 // answered 200
	Messages   int64 // accepted
	Statuses   int64 // accepted
	Duplicates int64 // requests posted again on purpose
	Retried    int64 // posts repeated after a refusal or failure
	GaveUp     int64 // messages that never got a 200
	Latency    Latency
	// Recent is the latency since the last Progress. Reply is, since then, the age of a
	// person's newest message when an answer came: about how long people wait.
	Recent, Reply Latency
	RecentCurve   []Bucket // Recent, shortest first
}

// Latency of requests that were answered 200.
type Latency struct {
	Count                    int64
	P50, P90, P99, P999, Max time.Duration
}

// Bucket counts the durations up to Until and above the Until of the bucket before.
type Bucket struct {
	Until time.Duration
	Count int64
}

// Report is the result of a run.
type Report struct {
	Progress
	// Refusals counts answers other than 200 by status; 0 is no answer.
	Refusals map[int]int64
	// Missed counts requests that were due before the end and never posted: with a Rate,
	// no connection was free. No latency includes them.
	Missed int64
	// Curve is the latency in buckets, shortest first.
	Curve []Bucket

	plan     plan
	start    time.Time
	measured func(due time.Duration) bool
	due      [][]time.Duration // by conversation, of each message
	accepted []int             // by conversation: number of messages that got a 200
	tried    []int             // by conversation: number of messages posted
}

// PerSecond returns the accepted requests a second.
func (r Report) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Elapsed.Seconds()
}

// Generator is a run that can be started once.
type Generator struct {
	o         Options
	target    *url.URL
	plan      plan
	signature *whatsapp.Signature
	start     time.Time
	scheduled atomic.Int64 // requests whose time is set

	requests, messages, statuses, duplicates, retried, gaveUp atomic.Int64

	latency  Durations
	reply    Durations
	refusals sync.Map // status → *atomic.Int64
	inboxes  []inbox  // of the workers
	newest   []atomic.Int64
	due      [][]time.Duration
	accepted []int // each entry belongs to one worker
	tried    []int
	stuck    []bool
}

// New returns a generator. It fails if an option is invalid.
func New(o Options) (*Generator, error) {
	target, err := url.Parse(o.URL)
	if err != nil || target.Host == "" || (target.Scheme != "http" && target.Scheme != "https") {
		return nil, fmt.Errorf("load: %q is not an http or https address", o.URL)
	}
	if o.Secret == "" || o.PhoneNumberID == "" {
		return nil, errors.New("load: an app secret and a phone_number_id are required")
	}
	if o.Messages < 0 || o.Rate < 0 || o.Statuses < 0 || o.Duplicates < 0 || o.Duplicates > 1 {
		return nil, errors.New("load: messages, statuses and rate must not be negative, and duplicates must be between 0 and 1")
	}
	if o.RawValue && o.Batch > 1 {
		return nil, errors.New("load: a raw value is one message and needs batch 1")
	}
	if o.Alternate.Slice < 0 || o.Alternate.Slice > 0 && o.Rate == 0 {
		return nil, errors.New("load: alternation needs a slice that is not negative, and a rate")
	}
	o.Conversations = orDefault(o.Conversations, 1000)
	o.Connections = min(orDefault(o.Connections, 32), o.Conversations)
	o.Batch, o.Burst = orDefault(o.Batch, 1), orDefault(o.Burst, 1)
	o.Timeout, o.RetryFor = orDefault(o.Timeout, 20*time.Second), orDefault(o.RetryFor, time.Minute)
	if len(o.Script) == 0 {
		o.Script = []string{"hola", "1", "11"}
	}
	return &Generator{
		o: o, target: target, plan: newPlan(o), signature: whatsapp.NewSignature(o.Secret),
		accepted: make([]int, o.Conversations), tried: make([]int, o.Conversations), stuck: make([]bool, o.Conversations),
		inboxes: make([]inbox, o.Connections), newest: make([]atomic.Int64, o.Conversations), due: make([][]time.Duration, o.Conversations),
	}, nil
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Run posts until everything is accepted or the context ends. The end of the context is
// an error only with Messages. The report is valid in any case.
func (g *Generator) Run(ctx context.Context) (Report, error) {
	g.start = time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers, watch sync.WaitGroup
	done := make(chan struct{})
	if g.o.Progress != nil {
		watch.Go(func() { g.watch(done) })
	}
	for id := range g.o.Connections {
		workers.Go(func() {
			if err := newWorker(g, id).run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	var ended atomic.Int64 // when the run was asked to end
	stop := context.AfterFunc(ctx, func() { ended.Store(int64(time.Since(g.start))) })
	workers.Wait()
	if stop() {
		ended.Store(int64(time.Since(g.start)))
	}
	close(done)
	watch.Wait()

	r := Report{
		Progress: g.progress(), Refusals: map[int]int64{}, Curve: g.latency.Curve(),
		plan: g.plan, accepted: g.accepted, tried: g.tried, start: g.start, due: g.due, measured: g.measured,
	}
	if g.o.Rate > 0 && g.o.Messages == 0 {
		r.Missed = max(0, int64(g.o.Alternate.activeTime(time.Duration(ended.Load())).Seconds()*g.o.Rate)-g.scheduled.Load())
	}
	g.refusals.Range(func(status, count any) bool {
		r.Refusals[status.(int)] = count.(*atomic.Int64).Load()
		return true
	})
	err := context.Cause(ctx)
	if g.o.Messages == 0 && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		err = nil
	}
	return r, err
}

func (g *Generator) watch(done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before, replies []int64
	tell := func() {
		p := g.progress()
		p.Recent, p.RecentCurve = g.latency.since(&before)
		p.Reply, _ = g.reply.since(&replies)
		g.o.Progress(p)
	}
	for {
		select {
		case <-done:
			tell()
			return
		case <-tick.C:
			tell()
		}
	}
}

func (g *Generator) progress() Progress {
	return Progress{
		Elapsed: time.Since(g.start), Requests: g.requests.Load(), Messages: g.messages.Load(),
		Statuses: g.statuses.Load(), Duplicates: g.duplicates.Load(), Retried: g.retried.Load(),
		GaveUp: g.gaveUp.Load(), Latency: g.latency.Latency(),
	}
}

func (g *Generator) refused(status int) {
	count, ok := g.refusals.Load(status)
	if !ok {
		count, _ = g.refusals.LoadOrStore(status, new(atomic.Int64))
	}
	count.(*atomic.Int64).Add(1)
}

// nextDue returns when the next request is due.
func (g *Generator) nextDue() time.Time {
	if g.o.Rate == 0 {
		return time.Now()
	}
	turn := g.scheduled.Add(1) - 1
	turn -= turn % int64(g.o.Burst)
	return g.start.Add(g.o.Alternate.wallTime(time.Duration(float64(turn) / g.o.Rate * float64(time.Second))))
}

// measured reports whether the latency of a request due at this time counts.
func (g *Generator) measured(due time.Duration) bool {
	return due >= g.o.WarmUp && g.o.Alternate.settled(due)
}

// Package loadgen writes to a webhook as Meta would for many people at once,
// signed and in order, and afterwards proves what became of every message:
// lost, doubled, reordered, unanswered. It knows the router only from outside,
// by its webhook, its API and what it sends; it must never look inside.
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
	URL           string // of the webhook, http or https
	Secret        string // app secret that signs
	PhoneNumberID string
	Connections   int // posting at once; 32 unless told
	Conversations int // people; 1000 unless told
	// Messages to write in all, dealt out to the people in turn; 0 goes on
	// until the context ends.
	Messages int
	// Statuses is how many delivery reports go with each message. Meta sends
	// three for each message that we send: sent, delivered, read.
	Statuses int
	// ReportReplies makes the reports those of answers that ReplyAccepted tells of; without
	// it they are of answers that nobody gave.
	ReportReplies bool
	// SyntheticStatuses keeps so many reports to one message also while answers come late:
	// with ReportReplies, reports are made up when there are none.
	SyntheticStatuses bool
	Batch             int // messages and statuses in one request; 1 unless told
	// RawValue posts each message as n8n forwards it, the value without its
	// envelope, for receivers that know nothing else. It goes with Batch 1.
	RawValue bool
	// Rate is requests a second; 0 posts the next one as soon as the last is
	// answered. With a rate, latency counts from when a request was due.
	Rate  float64
	Burst int // with a Rate: requests that leave together; 1 unless told
	// WarmUp is for how long latency does not count at first: who compares two runs
	// may leave out what both took to get going.
	WarmUp time.Duration
	// Alternate shares the machine with another run. It goes with a Rate.
	Alternate Alternation
	// Duplicates is the part (0 to 1) of requests that are posted once more
	// after their 200: half of them at once, half of them later.
	Duplicates float64
	// Script is what people write: their n-th message says line n, over and
	// over. "hola", "1" and "11" unless told.
	Script []string
	// Seed makes ids and people. Runs with other seeds are other people (below
	// 100,000 conversations).
	Seed uint64
	// Timeout of one request, 20 s unless told.
	Timeout time.Duration
	// RetryFor is how long a request that gets no 200 is posted again, as Meta
	// does for days; a minute unless told. Its conversations then say no more.
	RetryFor time.Duration
	Now      func() time.Time // for timestamps; nil means time.Now
	// Progress is called about once a second, and once at the end.
	Progress func(Progress)
}

// Progress is where a run stands.
type Progress struct {
	Elapsed    time.Duration
	Requests   int64 // answered 200
	Messages   int64 // accepted
	Statuses   int64 // accepted
	Duplicates int64 // requests posted again on purpose
	Retried    int64 // posts that were refused or failed, and came again
	GaveUp     int64 // messages that never got a 200
	Latency    Latency
	// Recent is the latency since the last Progress. Reply is, since then, how
	// old somebody's newest message was when an answer came: nearly how long
	// people wait.
	Recent, Reply Latency
	RecentCurve   []Bucket // Recent, shortest first
}

// Latency of requests that were answered 200.
type Latency struct {
	Count                    int64
	P50, P90, P99, P999, Max time.Duration
}

// Bucket counts what took at most so long, and longer than the one before.
type Bucket struct {
	Until time.Duration
	Count int64
}

// Report is how a run went.
type Report struct {
	Progress
	// Refusals counts answers other than 200 by status; 0 is no answer.
	Refusals map[int]int64
	// Missed are requests whose time came before the end and that were never
	// posted: with a Rate, nobody was free. Their latency is in no figure.
	Missed int64
	// Curve is the latency, in buckets of 3 %, shortest first.
	Curve []Bucket

	plan     plan
	start    time.Time
	measured func(due time.Duration) bool
	due      [][]time.Duration // by conversation, of each message
	accepted []int             // by conversation: its first n messages got a 200
	tried    []int             // by conversation: its first n messages were posted
}

// PerSecond returns accepted requests and messages a second.
func (r Report) PerSecond() (requests, messages float64) {
	if r.Elapsed <= 0 {
		return 0, 0
	}
	return float64(r.Requests) / r.Elapsed.Seconds(), float64(r.Progress.Messages) / r.Elapsed.Seconds()
}

// Generator is a run that can be started once.
type Generator struct {
	o         Options
	target    *url.URL
	plan      plan
	signature *whatsapp.Signature
	start     time.Time
	scheduled atomic.Int64 // requests that were given their time

	requests, messages, statuses, duplicates, retried, gaveUp atomic.Int64

	latency  Durations
	reply    Durations
	refusals sync.Map // status → *atomic.Int64
	inboxes  []inbox  // of the workers
	newest   []atomic.Int64
	due      [][]time.Duration
	accepted []int // each entry is written by the one worker that owns it
	tried    []int
	stuck    []bool
}

// New checks the options.
func New(o Options) (*Generator, error) {
	target, err := url.Parse(o.URL)
	if err != nil || target.Host == "" || (target.Scheme != "http" && target.Scheme != "https") {
		return nil, fmt.Errorf("load: %q is not an http or https address", o.URL)
	}
	if o.Secret == "" || o.PhoneNumberID == "" {
		return nil, errors.New("load: an app secret and a phone_number_id are required")
	}
	if o.Messages < 0 || o.Rate < 0 || o.Statuses < 0 || o.Duplicates < 0 || o.Duplicates > 1 {
		return nil, errors.New("load: messages, statuses and rate are not negative, duplicates is between 0 and 1")
	}
	if o.RawValue && o.Batch > 1 {
		return nil, errors.New("load: a bare value is one message: it goes with batch 1")
	}
	if o.Alternate.Slice < 0 || o.Alternate.Slice > 0 && o.Rate == 0 {
		return nil, errors.New("load: turns are of a time that is not negative, and at a rate")
	}
	o.Conversations = orDefault(o.Conversations, 1000)
	o.Connections = min(orDefault(o.Connections, 32), o.Conversations)
	o.Batch, o.Burst = orDefault(o.Batch, 1), orDefault(o.Burst, 1)
	o.Timeout, o.RetryFor = orDefault(o.Timeout, 20*time.Second), orDefault(o.RetryFor, time.Minute)
	if len(o.Script) == 0 {
		o.Script = []string{"hola", "1", "11"}
	}
	if o.Now == nil {
		o.Now = time.Now
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

// Run posts until everything is accepted, or the context ends; that is an error
// only when Messages were asked for. The report is good in any case.
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
	var ended atomic.Int64 // when it was told to
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

// nextDue gives the next request its time.
func (g *Generator) nextDue() time.Time {
	if g.o.Rate == 0 {
		return time.Now()
	}
	turn := g.scheduled.Add(1) - 1
	turn -= turn % int64(g.o.Burst)
	return g.start.Add(g.o.Alternate.wallTime(time.Duration(float64(turn) / g.o.Rate * float64(time.Second))))
}

// measured says whether the latency of what is due so long after the beginning counts.
func (g *Generator) measured(due time.Duration) bool {
	return due >= g.o.WarmUp && g.o.Alternate.settled(due)
}

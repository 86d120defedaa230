package rehearse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// Report is the result of a rehearsal, with the part of a drill or of a load test.
type Report struct {
	Seed          uint64  `json:"seed"`
	Embedded      bool    `json:"embedded"`
	Webhooks      int     `json:"webhooks"`
	Workers       int     `json:"workers"`
	Conversations int     `json:"conversations"`
	Took          float64 `json:"took_seconds"`
	// Of messages.
	Accepted int   `json:"accepted"` // got a 200
	Unsure   int   `json:"unsure"`   // posted, and got no 200
	Late     int   `json:"late"`     // stored late, and not answered
	Lost     int   `json:"lost"`
	Repeated int64 `json:"repeated"` // posts repeated on purpose
	Retried  int64 `json:"retried"`  // posts repeated after a failure
	// Of answers.
	Uncertain  int `json:"uncertain"`  // may have been sent; not repeated
	Failed     int `json:"failed"`     // given up with a reason
	Unanswered int `json:"unanswered"` // missing
	// Of both.
	Doubled   int   `json:"doubled"`
	Reordered int   `json:"reordered"`
	Dead      int64 `json:"dead"`  // dead letters
	Quiet     bool  `json:"quiet"` // all work was done in the end
	// Webhook is the time until the 200; at a rate it counts from when the request was due.
	Webhook Latency `json:"webhook_ms"`
	// Wrong lists the first few lost, doubled, reordered and unanswered messages.
	Wrong []string `json:"wrong"`
	// Notes are unplanned incidents, such as processes that ended unexpectedly.
	Notes []string `json:"notes"`
	Files string   `json:"files,omitempty"` // their directory, if they stay

	*DrillReport
	*LoadReport
}

// DrillReport is the part for a drill.
type DrillReport struct {
	// Outage is the total time for which Redis, PostgreSQL or WhatsApp were down, at the
	// speed of the back-offs.
	Outage  float64 `json:"outage_seconds"`
	Handled int     `json:"handled"`
	Sent    int     `json:"sent"`
	// Left counts the people who were left without an answer (late, uncertain, failed), as
	// the router lists them.
	Left int64 `json:"left"`
	// Waits from the webhook to the decision, and to WhatsApp.
	LongestHandled float64         `json:"longest_handled_seconds"`
	LongestWait    float64         `json:"longest_wait_seconds"`
	P99Wait        float64         `json:"p99_wait_seconds"`
	Faults         []InjectedFault `json:"faults"`
}

// InjectedFault is a fault that was injected.
type InjectedFault struct {
	Fault  string  `json:"fault"`
	What   string  `json:"what"`
	At     float64 `json:"at_seconds"`
	Lasted float64 `json:"lasted_seconds"`
}

// LoadReport is the part for a load test.
type LoadReport struct {
	Began time.Time `json:"began"`
	// The router.
	URL          string  `json:"url,omitempty"` // of a Target
	SlowPostgres float64 `json:"slow_postgres_ms"`
	RestartRedis bool    `json:"restart_redis"`
	Hurry        float64 `json:"hurry"`                  // BackoffSpeedup
	Warm         float64 `json:"warm_seconds,omitempty"` // at the start, not in any latency
	// The load.
	Rate         float64 `json:"rate"` // requests a second; 0 posts each when the one before is answered
	Burst        int     `json:"burst"`
	Batch        int     `json:"batch"`
	StatusesEach int     `json:"statuses_each"`
	Connections  int     `json:"connections"`
	// The result.
	Wrote       float64          `json:"wrote_seconds"` // duration of the load
	Interrupted bool             `json:"interrupted"`
	Requests    int64            `json:"requests"` // answered 200
	PerSecond   float64          `json:"requests_per_second"`
	Messages    int64            `json:"messages"` // in them
	Statuses    int64            `json:"statuses"` // in them
	Refusals    map[string]int64 `json:"refusals"` // answers other than 200; "none" is no answer
	// Missed counts requests that were due and never posted, because no connection was free.
	// No latency includes them.
	Missed int64 `json:"missed"`
	GaveUp int   `json:"gave_up"` // messages refused for RetryFor
	Stored int   `json:"stored"`
	// Of answers.
	Blind   bool `json:"blind"` // they could not be seen
	Answers int  `json:"answers"`
	// Cut counts answers that WhatsApp accepted without responding.
	Cut int64 `json:"cut"`
	// CRM is the result for the events; nil without a CRM.
	CRM *CRM `json:"crm,omitempty"`
	// Memory is the peak memory in bytes; 0 if unknown.
	Memory cluster.Memory `json:"memory"`
	// CPU is the processor time for each message during the load: of all processes of the
	// router together, of Redis and of PostgreSQL.
	CPU CPU `json:"cpu_us_each"`
	// Reply is the time until WhatsApp had the first answer to a message; at a rate it
	// counts from when the request was due.
	Reply Latency `json:"reply_ms"`
	// Calm is both latencies in the calm seconds; nil without any. Stolen is the stolen
	// fraction of processor time during the load, as in Second.
	Calm   *Calm   `json:"calm,omitempty"`
	Stolen float64 `json:"stolen"`
	// The latencies as curves, and second by second.
	WebhookCurve []Bucket `json:"webhook_curve"`
	ReplyCurve   []Bucket `json:"reply_curve"`
	Series       []Second `json:"series"`
}

// CPU is processor time in µs.
type CPU struct {
	Router   float64 `json:"router"`
	Redis    float64 `json:"redis"`
	Postgres float64 `json:"postgres"`
}

// Latency is a latency in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Bucket counts durations of up to Until milliseconds.
type Bucket struct {
	Until float64 `json:"until"`
	Count int64   `json:"count"`
}

// ErrBroken means that the router broke a promise.
var ErrBroken = errors.New("the router did not keep its promises")

// Err returns ErrBroken if anything was lost, reordered, doubled or left unanswered, or if
// a further check of a drill or a load test failed; else nil.
func (r Report) Err() error {
	var wrong []string
	count := func(n int, name string) {
		if n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", n, name))
		}
	}
	count(r.Lost, "lost")
	count(r.Unanswered, "unanswered")
	count(r.Reordered, "reordered")
	count(r.Doubled, "doubled")
	if r.DrillReport != nil {
		count(int(r.Dead), "dead")
		if !r.Quiet {
			wrong = append(wrong, "the work was not done in time")
		}
		wrong = append(wrong, r.Notes...)
	}
	if l := r.LoadReport; l != nil {
		if l.Cut > 0 {
			count(r.Uncertain, "uncertain although their statuses came")
		}
		if l.CRM != nil {
			count(l.CRM.Lost, "events lost")
			count(l.CRM.Doubled, "events doubled")
			count(l.CRM.Reordered, "events reordered")
		}
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBroken, strings.Join(wrong, ", "))
}

// report reads every message and verifies it.
func (r *rehearsal) report(ctx context.Context, load loadgen.Report, crm *comeback, quiet, interrupted bool) (Report, error) {
	api := r.api
	if r.Target != nil {
		api.Since = r.began.Add(-time.Second) // older messages belong to others
	}
	rows, err := api.Rows(ctx)
	if err != nil {
		return Report{}, err
	}
	stats, err := r.api.Stats(ctx)
	if err != nil {
		return Report{}, err
	}
	if r.cluster != nil && !r.CRMStays { // hanging posts would delay it
		r.cluster.Shutdown()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := loadgen.Evidence{Messages: load.Messages(), Rows: rows}
	for _, s := range r.sent {
		e.Posts = append(e.Posts, loadgen.Post{Ref: s.Ref, ProviderID: s.ID})
	}
	if r.cluster != nil {
		e.Replies = func(loadgen.Message) int { return 1 }
	} else {
		e.Rows, e.NoReplyCapture = ours(rows, load), len(r.sent) == 0
	}
	v := loadgen.Verify(e)
	one := Report{
		Seed: r.Load.Seed, Embedded: r.Embedded, Webhooks: r.Webhooks, Workers: r.Workers, Conversations: r.Load.Conversations,
		Accepted: v.Accepted, Unsure: v.Unsure, Late: v.Late, Lost: len(v.Lost), Repeated: load.Duplicates, Retried: load.Retried,
		Uncertain: v.Uncertain, Failed: v.Failed, Unanswered: len(v.Unanswered),
		Doubled: len(v.Doubled), Reordered: len(v.Reordered), Dead: stats.Dead, Quiet: quiet,
		Webhook: latency(load.Latency), Wrong: []string{}, Notes: append([]string{}, r.notes...),
	}
	if r.Drill != nil {
		one.DrillReport = r.drillReport(v, rows, stats)
	} else {
		one.LoadReport = r.loadReport(v, rows, load)
		one.Blind, one.Interrupted = e.NoReplyCapture, interrupted
		if crm != nil {
			events, wrong := r.result(crm)
			one.CRM, one.Wrong = &events, append(one.Wrong, wrong...)
		}
		if r.Target != nil {
			one.URL, one.Webhooks, one.Workers = r.Target.URL, 0, 0
		}
	}
	one.Wrong = append(one.Wrong, some(v.Lost, v.Unanswered, v.Reordered, v.Doubled)...)
	one.Took = seconds(time.Since(r.began))
	return one, nil
}

// some returns the first few of each list.
func some(lists ...[]string) (all []string) {
	for _, list := range lists {
		all = append(all, list[:min(len(list), 5)]...)
	}
	return all
}

func (r *rehearsal) drillReport(v loadgen.Verdict, rows []loadgen.Row, stats loadgen.RouterStats) *DrillReport {
	at := make(map[string]time.Time, len(r.sent))
	for _, s := range r.sent {
		at[s.Ref] = s.At
	}
	handled, answered := waits(rows, at)
	return &DrillReport{
		Outage: math.Round(r.outage.Seconds() * r.BackoffSpeedup), Handled: v.Stored, Sent: v.Sent, Left: stats.Left,
		LongestHandled: seconds(quantile(handled, 1)), LongestWait: seconds(quantile(answered, 1)), P99Wait: seconds(quantile(answered, 0.99)),
		Faults: append([]InjectedFault{}, r.injected...),
	}
}

func (r *rehearsal) loadReport(v loadgen.Verdict, rows []loadgen.Row, load loadgen.Report) *LoadReport {
	o := r.Load
	one := LoadReport{
		Began: r.began, SlowPostgres: ms(r.SlowPostgres), RestartRedis: r.RestartRedis, Hurry: r.BackoffSpeedup, Warm: seconds(o.WarmUp),
		Rate: o.Rate, Burst: o.Burst, Batch: o.Batch, StatusesEach: o.Statuses, Connections: o.Connections,
		Wrote: seconds(load.Elapsed), Requests: load.Requests, PerSecond: math.Round(load.PerSecond()*10) / 10,
		Messages: load.Progress.Messages, Statuses: load.Statuses, Missed: load.Missed, Refusals: map[string]int64{},
		GaveUp: int(load.GaveUp), Stored: v.Stored, Answers: v.Sent, Memory: r.memory, Stolen: r.stolen,
		WebhookCurve: curve(load.Curve), Series: append([]Second{}, r.series...),
	}
	if n := load.Progress.Messages; n > 0 {
		each := func(d time.Duration) float64 { return math.Round(float64(d.Microseconds()) / float64(n)) }
		one.CPU = CPU{each(r.cpu.Router), each(r.cpu.Redis), each(r.cpu.Postgres)}
	}
	for status, n := range load.Refusals {
		name := "none"
		if status != 0 {
			name = strconv.Itoa(status)
		}
		one.Refusals[name] = n
	}
	if r.cluster != nil {
		one.Cut = r.cluster.WhatsApp.Counts().Cut
	}
	r.replies(&one, load, rows)
	return &one
}

// ours leaves out conversations without a message of the run: others write to that router
// too.
func ours(rows []loadgen.Row, load loadgen.Report) []loadgen.Row {
	written := map[string]bool{}
	for m := range load.Messages() {
		written[m.ID] = true
	}
	mine := map[string]bool{}
	for _, r := range rows {
		if written[r.ProviderID] {
			mine[r.Conversation] = true
		}
	}
	var some []loadgen.Row
	for _, r := range rows {
		if mine[r.Conversation] {
			some = append(some, r)
		}
	}
	return some
}

// replies measures the time from when a message was due until WhatsApp had its first
// answer: in a conversation an answer follows its message.
func (r *rehearsal) replies(one *LoadReport, load loadgen.Report, rows []loadgen.Row) {
	written := map[string]loadgen.Message{}
	var begun time.Time
	for m := range load.Messages() {
		written[m.ID] = m
		if begun.IsZero() || m.Due.Before(begun) {
			begun = m.Due
		}
	}
	sent := make(map[string]time.Time, len(r.sent))
	for _, s := range r.sent {
		sent[s.Ref], sent[s.ID] = s.At, s.At
	}
	var all, calm loadgen.Durations
	by := make([]loadgen.Durations, len(one.Series))
	asked := map[string]loadgen.Message{} // by conversation: the message without an answer yet
	for _, row := range rows {
		if row.Direction == "inbound" {
			asked[row.Conversation] = written[row.ProviderID]
			continue
		}
		m := asked[row.Conversation]
		at, ok := sent[row.ID]
		if !ok && row.ProviderID != "" {
			at, ok = sent[row.ProviderID]
		}
		if m.Due.IsZero() || !ok {
			continue
		}
		delete(asked, row.Conversation)
		i := second(one.Series, m.Due.Sub(begun))
		if i >= 0 {
			by[i].Add(at.Sub(m.Due))
		}
		if m.Measured {
			all.Add(at.Sub(m.Due))
			if i >= 0 && one.Series[i].calm() {
				calm.Add(at.Sub(m.Due))
			}
		}
	}
	one.Reply, one.ReplyCurve = latency(all.Latency()), curve(all.Curve())
	one.Calm = calmly(one.Series, &r.calm, &calm)
	for i := range one.Series {
		one.Series[i].Reply = latency(by[i].Latency())
	}
	for _, s := range r.sent {
		if i := second(one.Series, s.At.Sub(begun)); i >= 0 {
			one.Series[i].Answers++
		}
	}
}

// second returns the index of the second that a time belongs to, -1 for none.
func second(series []Second, at time.Duration) int {
	for i := max(0, int(at.Seconds())-1); i < len(series); i++ {
		if at.Seconds() <= series[i].At {
			return i
		}
	}
	return -1
}

func latency(l loadgen.Latency) Latency {
	return Latency{Count: l.Count, P50: ms(l.P50), P90: ms(l.P90), P99: ms(l.P99), P999: ms(l.P999), Max: ms(l.Max)}
}

func curve(buckets []loadgen.Bucket) []Bucket {
	all := make([]Bucket, len(buckets))
	for i, b := range buckets {
		all[i] = Bucket{ms(b.Until), b.Count}
	}
	return all
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
func ms(d time.Duration) float64      { return math.Round(d.Seconds()*100_000) / 100 }

// waits measures the times from the webhook of a message to its decision, and to its
// answer at WhatsApp. An answer follows its message.
func waits(rows []loadgen.Row, sent map[string]time.Time) (handled, answered []time.Duration) {
	came := map[string]time.Time{}
	for _, r := range rows {
		if r.Direction == "inbound" {
			came[r.Conversation] = r.ReceivedAt
			if !r.ReceivedAt.IsZero() && !r.CreatedAt.IsZero() {
				handled = append(handled, r.CreatedAt.Sub(r.ReceivedAt))
			}
			continue
		}
		at, ok := sent[r.ID]
		if since := came[r.Conversation]; ok && !since.IsZero() {
			answered = append(answered, at.Sub(since))
		}
	}
	return handled, answered
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return max(0, all[int(float64(len(all)-1)*q)])
}

package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// Report is what became of everything.
type Report struct {
	Began time.Time `json:"began"`
	// What was tested.
	URL          string  `json:"url,omitempty"` // of a router that ran already
	Embedded     bool    `json:"embedded"`
	Webhooks     int     `json:"webhooks"`
	Workers      int     `json:"workers"`
	SlowPostgres float64 `json:"slow_postgres_ms"`
	RestartRedis bool    `json:"restart_redis"`
	Hurry        float64 `json:"hurry"`                   // how many times faster back-offs passed
	Warm         float64 `json:"warm_seconds,omitempty"`  // at first, which no latency counts
	Turns        float64 `json:"turns_seconds,omitempty"` // each of them, while another run rests
	// With what.
	Rate          float64 `json:"rate"` // requests a second; 0 is as fast as they are answered
	Burst         int     `json:"burst"`
	Batch         int     `json:"batch"`
	StatusesEach  int     `json:"statuses_each"`
	Conversations int     `json:"conversations"`
	Connections   int     `json:"connections"`
	Seed          uint64  `json:"seed"`
	// How it went.
	Wrote       float64          `json:"wrote_seconds"` // for how long was written
	Took        float64          `json:"took_seconds"`
	Interrupted bool             `json:"interrupted"`
	Requests    int64            `json:"requests"` // answered 200
	PerSecond   float64          `json:"requests_per_second"`
	Messages    int64            `json:"messages"` // in them
	Statuses    int64            `json:"statuses"` // in them
	Repeated    int64            `json:"repeated"` // posts once more on purpose
	Retried     int64            `json:"retried"`  // posts once more since they had failed
	Refusals    map[string]int64 `json:"refusals"` // answers other than 200; "none" is no answer
	// Missed are requests that nobody was free to post when they were due, nor
	// until the end: no latency counts them.
	Missed int64 `json:"missed"`
	// Of messages.
	Accepted int `json:"accepted"`
	Unsure   int `json:"unsure"`
	GaveUp   int `json:"gave_up"` // were refused for a minute
	Stored   int `json:"stored"`
	Late     int `json:"late"`
	Lost     int `json:"lost"`
	// Of answers.
	Blind      bool `json:"blind"` // nobody could see them
	Answers    int  `json:"answers"`
	Uncertain  int  `json:"uncertain"`
	Failed     int  `json:"failed"`
	Unanswered int  `json:"unanswered"`
	// Cut are those that WhatsApp took without saying so.
	Cut int64 `json:"cut"`
	// Of both.
	Doubled   int   `json:"doubled"`
	Reordered int   `json:"reordered"`
	Dead      int64 `json:"dead"`
	Quiet     bool  `json:"quiet"` // everything was done in the end
	// CRM is what became of the events; nil without one.
	CRM *CRM `json:"crm,omitempty"`
	// Memory is the most that was used, in bytes: of Redis, and resident of all
	// processes together; 0 where nobody knows.
	Memory Memory `json:"memory"`
	// CPU is what a message cost while people wrote, in µs: of all processes of the
	// router together, of Redis and of PostgreSQL.
	CPU CPU `json:"cpu_us_each"`
	// Webhook is until the 200, Reply until WhatsApp had the first answer to a
	// message; both in milliseconds, at a rate since the request was due.
	Webhook Latency `json:"webhook_ms"`
	Reply   Latency `json:"reply_ms"`
	// Calm are both where nobody disturbed the machine; nil when somebody always did.
	// Stolen is the part of its processors that it was without while people wrote, as
	// in Second.
	Calm   *Calm   `json:"calm,omitempty"`
	Stolen float64 `json:"stolen"`
	// The same as curves, and second by second.
	WebhookCurve []Bucket `json:"webhook_curve"`
	ReplyCurve   []Bucket `json:"reply_curve"`
	Series       []Second `json:"series"`
	// Wrong says what was lost, doubled and so on, the first few of each.
	Wrong []string `json:"wrong"`
	Notes []string `json:"notes"`
	Files string   `json:"files,omitempty"`
}

// Memory is in bytes.
type Memory struct {
	Redis  int64 `json:"redis"`
	Router int64 `json:"router"`
}

// CPU is in µs.
type CPU struct {
	Router   float64 `json:"router"`
	Redis    float64 `json:"redis"`
	Postgres float64 `json:"postgres"`
}

// Latency is in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Bucket counts what took at most so many milliseconds.
type Bucket struct {
	Until float64 `json:"until"`
	Count int64   `json:"count"`
}

// ErrBroken means that messages or answers are not as they should be.
var ErrBroken = errors.New("the router did not keep its promises")

// Err is nil when nothing was lost, doubled, reordered or left unanswered.
func (r Report) Err() error {
	var wrong []string
	crm := CRM{}
	if r.CRM != nil {
		crm = *r.CRM
	}
	unknown := 0
	if r.Cut > 0 { // the statuses of all answers came
		unknown = r.Uncertain
	}
	for _, part := range []struct {
		name string
		n    int
	}{
		{"lost", r.Lost},
		{"doubled", r.Doubled},
		{"reordered", r.Reordered},
		{"unanswered", r.Unanswered},
		{"uncertain although their statuses came", unknown},
		{"events lost", crm.Lost},
		{"events doubled", crm.Doubled},
		{"events reordered", crm.Reordered},
	} {
		if part.n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", part.n, part.name))
		}
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBroken, strings.Join(wrong, ", "))
}

// report asks for every message and compares.
func (t *test) report(ctx context.Context, load loadgen.Report, crm *comeback, quiet, interrupted bool) (Report, error) {
	api := t.api
	if t.Target != nil {
		api.Since = t.began.Add(-time.Second) // what is older is of others
	}
	rows, err := api.Rows(ctx)
	if err != nil {
		return Report{}, err
	}
	f, err := t.api.Stats(ctx)
	if err != nil {
		return Report{}, err
	}
	t.posts.mu.Lock()
	defer t.posts.mu.Unlock()
	e := loadgen.Evidence{Messages: load.Messages(), Rows: rows, Posts: t.posts.all}
	if t.cluster != nil {
		e.Replies = func(loadgen.Message) int { return 1 }
	} else {
		e.Rows = ours(rows, load)
		e.NoReplyCapture = len(t.posts.all) == 0
	}
	v := loadgen.Verify(e)
	per, _ := load.PerSecond()
	r := Report{
		Began: t.began, Embedded: t.Embedded, Webhooks: t.Webhooks, Workers: t.Workers,
		SlowPostgres: ms(t.SlowPostgres), RestartRedis: t.RestartRedis, Hurry: max(1, t.BackoffSpeedup), Warm: seconds(t.WarmUp), Turns: seconds(t.Alternate.Slice),
		Rate: t.Rate, Burst: t.Burst, Batch: t.Batch, StatusesEach: t.Statuses, Conversations: t.Conversations,
		Connections: t.Connections, Seed: t.Seed,
		Wrote: seconds(load.Elapsed), Interrupted: interrupted, Requests: load.Requests, PerSecond: math.Round(per*10) / 10,
		Messages: load.Progress.Messages, Statuses: load.Statuses, Repeated: load.Duplicates, Retried: load.Retried, Missed: load.Missed,
		Refusals: map[string]int64{},
		Accepted: v.Accepted, Unsure: v.Unsure, GaveUp: int(load.GaveUp), Stored: v.Stored, Late: v.Late, Lost: len(v.Lost),
		Blind: e.NoReplyCapture, Answers: v.Sent, Uncertain: v.Uncertain, Failed: v.Failed, Unanswered: len(v.Unanswered),
		Doubled: len(v.Doubled), Reordered: len(v.Reordered), Dead: f.Dead, Quiet: quiet,
		Stolen:  t.stolen,
		Webhook: latency(load.Latency), WebhookCurve: curve(load.Curve), Wrong: []string{}, Notes: []string{},
	}
	if n := load.Progress.Messages; n > 0 {
		each := func(d time.Duration) float64 { return math.Round(float64(d.Microseconds()) / float64(n)) }
		r.CPU = CPU{each(t.cpu.Router), each(t.cpu.Redis), each(t.cpu.Postgres)}
	}
	if t.Target != nil {
		r.URL, r.Webhooks, r.Workers = t.Target.URL, 0, 0
	}
	for status, n := range load.Refusals {
		name := fmt.Sprint(status)
		if status == 0 {
			name = "none"
		}
		r.Refusals[name] = n
	}
	t.mu.Lock()
	r.Series = append([]Second{}, t.series...)
	r.Notes = append(r.Notes, t.notes...)
	r.Memory = Memory(t.memory)
	if crm != nil {
		events, wrong := t.result(crm)
		r.CRM, r.Wrong = &events, append(r.Wrong, wrong...)
	}
	t.mu.Unlock()
	t.replies(&r, load, rows)
	for _, list := range [][]string{v.Lost, v.Doubled, v.Reordered, v.Unanswered} {
		r.Wrong = append(r.Wrong, list[:min(len(list), 5)]...)
	}
	if t.cluster != nil {
		r.Cut = t.cluster.WhatsApp.Counts().Cut
		if !t.CRMStays { // posts that hang would keep it
			t.cluster.Shutdown()
		}
	}
	r.Took = seconds(time.Since(t.began))
	return r, nil
}

// ours leaves out the conversations that no message of the run is in: somebody
// else writes to that router as well.
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

// replies measures from when a message was due until WhatsApp had the first
// answer to it: in a conversation an answer follows its message.
func (t *test) replies(r *Report, load loadgen.Report, rows []loadgen.Row) {
	written := map[string]loadgen.Message{}
	var begun time.Time
	for m := range load.Messages() {
		written[m.ID] = m
		if begun.IsZero() || m.Due.Before(begun) {
			begun = m.Due
		}
	}
	sent := make(map[string]time.Time, len(t.posts.all))
	for i, p := range t.posts.all {
		sent[p.Ref], sent[p.ProviderID] = t.posts.at[i], t.posts.at[i]
	}
	var all, calm loadgen.Durations
	by := make([]loadgen.Durations, len(r.Series))
	asked := map[string]loadgen.Message{} // by conversation: the one without an answer yet
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
		i := second(r.Series, m.Due.Sub(begun))
		if i >= 0 {
			by[i].Add(at.Sub(m.Due))
		}
		if m.Measured {
			all.Add(at.Sub(m.Due))
			if i >= 0 && r.Series[i].calm() {
				calm.Add(at.Sub(m.Due))
			}
		}
	}
	r.Reply, r.ReplyCurve = latency(all.Latency()), curve(all.Curve())
	r.Calm = calmly(r.Series, &t.calm, &calm)
	for i := range r.Series {
		r.Series[i].Reply = latency(by[i].Latency())
	}
	for _, at := range t.posts.at {
		if i := second(r.Series, at.Sub(begun)); i >= 0 {
			r.Series[i].Answers++
		}
	}
}

// second finds the one in the series that a time belongs to, -1 for none.
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

package drill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// Report is what became of everything.
type Report struct {
	Seed          uint64  `json:"seed"`
	Embedded      bool    `json:"embedded"`
	Webhooks      int     `json:"webhooks"`
	Workers       int     `json:"workers"`
	Conversations int     `json:"conversations"`
	Took          float64 `json:"took_seconds"`
	// Outage is for how long Redis, PostgreSQL or WhatsApp were away, as the
	// back-offs saw it.
	Outage float64 `json:"outage_seconds"`
	// Of messages.
	Accepted int   `json:"accepted"` // got a 200
	Unsure   int   `json:"unsure"`   // were posted and got none
	Handled  int   `json:"handled"`
	Late     int   `json:"late"` // stored by a detour, and not answered
	Lost     int   `json:"lost"`
	Repeated int64 `json:"repeated"` // posts once more on purpose
	Retried  int64 `json:"retried"`  // posts once more since they had failed
	// Of answers.
	Sent       int `json:"sent"`
	Uncertain  int `json:"uncertain"`  // may have been sent, and are not repeated
	Failed     int `json:"failed"`     // given up, with a reason
	Unanswered int `json:"unanswered"` // owed
	// Left counts the people without an answer whom nobody will write to, as the router
	// lists them: late, uncertain and failed ones.
	Left int64 `json:"left"`
	// Of both.
	Reordered int   `json:"reordered"`
	Doubled   int   `json:"doubled"`
	Dead      int64 `json:"dead"` // dead letters
	Quiet     bool  `json:"quiet"`
	// Waits in seconds: from the door to the decision, and to WhatsApp.
	LongestHandled float64 `json:"longest_handled_seconds"`
	LongestWait    float64 `json:"longest_wait_seconds"`
	P99Wait        float64 `json:"p99_wait_seconds"`
	// Webhook is how long the door took, in milliseconds.
	Webhook Door            `json:"webhook_ms"`
	Faults  []InjectedFault `json:"faults"`
	// Wrong says what was lost, doubled and so on, the first few of each.
	Wrong []string `json:"wrong"`
	// Notes say what nobody planned: processes that ended by themselves.
	Notes []string `json:"notes"`
	Files string   `json:"files,omitempty"` // where they are, when they stayed
}

// Door is how long the webhook took to answer.
type Door struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// InjectedFault is a fault that happened.
type InjectedFault struct {
	Fault  string  `json:"fault"`
	What   string  `json:"what"`
	At     float64 `json:"at_seconds"`
	Lasted float64 `json:"lasted_seconds"`
}

// ErrBroken means that a promise was not kept.
var ErrBroken = errors.New("the router did not keep its promises")

// Err is nil when nothing was lost, reordered, doubled or given up, and ErrBroken
// otherwise.
func (r Report) Err() error {
	var wrong []string
	for _, part := range []struct {
		name string
		n    int
	}{
		{"lost", r.Lost},
		{"unanswered", r.Unanswered},
		{"reordered", r.Reordered},
		{"doubled", r.Doubled},
		{"dead", int(r.Dead)},
	} {
		if part.n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", part.n, part.name))
		}
	}
	if !r.Quiet {
		wrong = append(wrong, "not everything was done in time")
	}
	if len(r.Notes) > 0 {
		wrong = append(wrong, r.Notes...)
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBroken, strings.Join(wrong, ", "))
}

// report asks for every message and compares.
func (d *drill) report(ctx context.Context, load loadgen.Report, quiet bool) (Report, error) {
	rows, err := d.api().Rows(ctx)
	if err != nil {
		return Report{}, err
	}
	f, err := d.figures(ctx)
	if err != nil {
		return Report{}, err
	}
	d.Shutdown()

	sent := d.WhatsApp.Sent()
	posts := make([]loadgen.Post, len(sent))
	at := make(map[string]time.Time, len(sent))
	for i, s := range sent {
		posts[i] = loadgen.Post{Ref: s.Ref, ProviderID: s.ID}
		at[s.Ref] = s.At
	}
	v := loadgen.Verify(loadgen.Evidence{
		Messages: load.Messages(), Rows: rows, Posts: posts, Replies: func(loadgen.Message) int { return 1 },
	})
	handled, answered := waits(rows, at)
	r := Report{
		Seed: d.Seed, Embedded: d.Embedded, Webhooks: d.Webhooks, Workers: d.Workers, Conversations: d.Conversations,
		Took:     seconds(time.Since(d.began)),
		Accepted: v.Accepted, Unsure: v.Unsure, Handled: v.Stored, Late: v.Late, Lost: len(v.Lost),
		Repeated: load.Duplicates, Retried: load.Retried,
		Sent: v.Sent, Uncertain: v.Uncertain, Failed: v.Failed, Unanswered: len(v.Unanswered), Left: f.Left,
		Reordered: len(v.Reordered), Doubled: len(v.Doubled), Dead: f.Dead, Quiet: quiet,
		LongestHandled: seconds(longest(handled)), LongestWait: seconds(longest(answered)), P99Wait: seconds(quantile(answered, 0.99)),
		Webhook: Door{milliseconds(load.Latency.P50), milliseconds(load.Latency.P99), milliseconds(load.Latency.Max)},
		Wrong:   []string{}, Notes: []string{},
	}
	for _, list := range [][]string{v.Lost, v.Unanswered, v.Reordered, v.Doubled} {
		r.Wrong = append(r.Wrong, list[:min(len(list), 5)]...)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Faults = append([]InjectedFault{}, d.injected...)
	r.Outage = math.Round(d.outage.Seconds() * d.BackoffSpeedup)
	r.Notes = append(r.Notes, d.notes...)
	return r, nil
}

// waits measures, from when a message was at the door, until it was decided
// about and until its answer was at WhatsApp. An answer follows its message.
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

func longest(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return max(0, slices.Max(all))
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return max(0, all[int(float64(len(all)-1)*q)])
}

func seconds(d time.Duration) float64      { return math.Round(d.Seconds()*1000) / 1000 }
func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*100_000) / 100 }

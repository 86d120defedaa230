package api

import (
	"context"
	"net/http"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// Queue is one queue.
type Queue struct {
	_         struct{}   `additionalProperties:"true"`
	Name      string     `json:"name" example:"send:wsp4" doc:"inbound, status, media, send:<line> or events:<endpoint>."`
	Depth     int64      `json:"depth" example:"12" doc:"Jobs waiting or running."`
	InFlight  int64      `json:"in_flight" example:"4" doc:"Jobs running."`
	Dead      int64      `json:"dead" example:"0" doc:"Dead letters: jobs that failed for good, kept until somebody redrives or drops them."`
	OldestAge float64    `json:"oldest_age_seconds" example:"0.8" doc:"How long the oldest job has waited."`
	Paused    bool       `json:"paused" example:"false" doc:"Somebody paused it."`
	HeldUntil *time.Time `json:"held_until" example:"2026-11-24T10:00:30Z" doc:"Until when it is on hold because a service it needs does not answer; null when it is not."`
	HeldFor   string     `json:"held_for" example:"WhatsApp answers 190: the token expired" doc:"Why it is on hold."`
	Rate      *float64   `json:"rate" example:"80" doc:"Jobs a second at most; null without a limit."`
	Totals    Totals     `json:"totals" doc:"Counters since the queue was created."`
}

// Totals are a queue's counters.
type Totals struct {
	_          struct{} `additionalProperties:"true"`
	Enqueued   int64    `json:"enqueued" example:"10412" doc:"Jobs added."`
	Duplicates int64    `json:"duplicates" example:"31" doc:"Jobs that had been added before."`
	Done       int64    `json:"done" example:"10400" doc:"Jobs done."`
	Retried    int64    `json:"retried" example:"7" doc:"Runs that failed and were tried again."`
	Refused    int64    `json:"refused" example:"0" doc:"Results that came after their lease had run out."`
	Stalled    int64    `json:"stalled" example:"0" doc:"Leases that ran out."`
}

// QueueList is all queues.
type QueueList struct {
	_          struct{}   `additionalProperties:"true"`
	Items      []Queue    `json:"items" nullable:"false" doc:"Queues, by name."`
	EmptiedAt  *time.Time `json:"emptied_at" example:"2026-11-24T10:00:30Z" doc:"When the queue server was found to have lost its data; null for never."`
	NextCursor *string    `json:"next_cursor" example:"" doc:"Always null: there is one page."`
}

type byName struct {
	Name string `path:"name" maxLength:"200" doc:"Name of the queue." example:"send:wsp4"`
}

func (s *server) registerQueues() {
	register(s, operation{
		id: "listQueues", method: http.MethodGet, path: "/queues", tag: tagQueues, role: Viewer,
		summary: "List queues", about: "A key that is bound to lines sees the shared queues and those of its lines.",
	}, func(ctx context.Context, actor caller, _ *struct{}) (*output[QueueList], error) {
		stats, err := s.opts.Queue.Stats(ctx)
		if err != nil {
			return nil, err
		}
		emptied, err := s.opts.Emptied(ctx)
		if err != nil {
			return nil, err
		}
		items := views(stats, func(q queue.Stats) bool { return actor.seesQueue(q.Name) }, s.queueView)
		return &output[QueueList]{QueueList{Items: items, EmptiedAt: timePtr(emptied)}}, nil
	})
	for _, c := range []struct{ verb, summary, about string }{
		{"pause", "Pause a queue", "No job is handed out until the queue is resumed; running jobs finish, new ones wait. A repeat changes nothing."},
		{"resume", "Resume a queue", "Ends a pause. A repeat changes nothing."},
	} {
		register(s, operation{
			id: c.verb + "Queue", method: http.MethodPost, path: "/queues/{name}/" + c.verb, tag: tagQueues, role: Admin,
			summary: c.summary, errors: []int{404}, about: c.about,
		}, func(ctx context.Context, actor caller, in *byName) (*output[Queue], error) {
			return s.setPaused(ctx, actor, c.verb, in.Name)
		})
	}
}

// setPaused pauses or resumes a queue and returns it. The store remembers it first, so that
// a queue that lost its data is paused again.
func (s *server) setPaused(ctx context.Context, actor caller, verb, name string) (*output[Queue], error) {
	if _, err := s.findQueue(ctx, actor, name); err != nil { // a misspelt name must not make a queue
		return nil, err
	}
	pause := verb == "pause"
	if err := s.opts.Store.SetPaused(ctx, name, pause); err != nil {
		return nil, err
	}
	do := s.opts.Queue.Resume
	if pause {
		do = s.opts.Queue.Pause
	}
	if err := do(ctx, name); err != nil {
		return nil, err
	}
	s.recordAudit(ctx, actor, "queue_"+verb, "queue="+name)
	q, err := s.findQueue(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &output[Queue]{s.queueView(q)}, nil
}

func (s *server) findQueue(ctx context.Context, actor caller, name string) (queue.Stats, error) {
	line, ofLine := job.SendLine(name)
	if !actor.unscoped() && (!ofLine || !actor.seesLane(line)) {
		return queue.Stats{}, notFound()
	}
	stats, err := s.opts.Queue.Stats(ctx)
	if err != nil {
		return queue.Stats{}, err
	}
	for _, q := range stats {
		if q.Name == name {
			return q, nil
		}
	}
	return queue.Stats{}, notFound()
}

// seesQueue reports whether the figures of a queue are in the caller's scope. A shared
// queue names nobody; the others belong to a line or an endpoint.
func (c caller) seesQueue(name string) bool {
	_, _, owned := job.Split(name)
	line, ofLine := job.SendLine(name)
	return c.unscoped() || !owned || (ofLine && c.seesLane(line))
}

func (s *server) queueView(q queue.Stats) Queue {
	v := Queue{
		Name: q.Name, Depth: q.Depth, InFlight: q.InFlight, Dead: q.Dead, OldestAge: q.OldestAge.Seconds(),
		Paused: q.Paused, HeldFor: q.HeldReason,
		Totals: Totals{Enqueued: q.Enqueued, Duplicates: q.Duplicates, Done: q.Done, Retried: q.Retried, Refused: q.Refused, Stalled: q.Stalled},
	}
	if q.HeldUntil.After(s.opts.Now()) {
		v.HeldUntil = timePtr(q.HeldUntil)
	} else {
		v.HeldFor = ""
	}
	if q.Limit.Rate > 0 {
		v.Rate = &q.Limit.Rate
	}
	return v
}

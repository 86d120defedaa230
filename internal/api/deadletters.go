package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// DeadLetter is a job that failed for good.
type DeadLetter struct {
	_          struct{}   `additionalProperties:"true"`
	ID         int64      `json:"id" example:"17" doc:"Its id."`
	Queue      string     `json:"queue" example:"inbound" doc:"The queue that it failed in."`
	Lane       string     `json:"lane" example:"wsp4:AR.10000000000000000001" doc:"Its lane: the jobs that run in order with it."`
	JobID      string     `json:"job_id" example:"message:wsp4/9f86d081884c7d65:wamid.HBgNNTQ5MTE=" doc:"The key by which repeats are recognised."`
	Attempts   int        `json:"attempts" example:"10" doc:"How often it ran."`
	Error      string     `json:"error" example:"decode: unexpected end" doc:"Why it failed."`
	EnqueuedAt *time.Time `json:"enqueued_at" example:"2026-11-24T10:00:00Z" doc:"When it was enqueued."`
	DiedAt     *time.Time `json:"died_at" example:"2026-11-24T10:04:00Z" doc:"When it failed for good."`
	Body       any        `json:"body,omitempty" doc:"Its body, as JSON where it is JSON; only when a single dead letter is read."`
}

// DeadLetterPage is a page of dead letters.
type DeadLetterPage struct {
	_          struct{}     `additionalProperties:"true"`
	Items      []DeadLetter `json:"items" nullable:"false" doc:"Dead letters, newest first, without bodies."`
	NextCursor *string      `json:"next_cursor" example:"17" doc:"cursor of the next page; null after the last."`
}

// RedriveBody selects dead letters: by ids alone, or by queue, reason or both.
type RedriveBody struct {
	IDs    []int64 `json:"ids,omitempty" nullable:"false" maxItems:"1000" example:"[17,18]" doc:"Ids of the dead letters."`
	Queue  string  `json:"queue,omitempty" maxLength:"200" example:"inbound" doc:"All of this queue."`
	Reason string  `json:"reason,omitempty" maxLength:"500" example:"decode" doc:"All whose error contains this text."`
}

// DropBody selects dead letters.
type DropBody struct {
	IDs []int64 `json:"ids" nullable:"false" minItems:"1" maxItems:"1000" example:"[17,18]" doc:"Ids of the dead letters."`
}

// Redriven is the count of a redrive.
type Redriven struct {
	_        struct{} `additionalProperties:"true"`
	Redriven int      `json:"redriven" example:"2" doc:"How many went back to the tail of their lanes."`
}

// Dropped is the count of a drop.
type Dropped struct {
	_       struct{} `additionalProperties:"true"`
	Dropped int      `json:"dropped" example:"2" doc:"How many were deleted for good."`
}

type deadLettersIn struct {
	Page
	Queue string `query:"queue" maxLength:"200" doc:"Only of this queue." example:"inbound"`
}

type byNumber struct {
	ID int64 `path:"id" doc:"Id of the dead letter." example:"17"`
}

func (s *server) registerDeadLetters() {
	register(s, operation{
		id: "listDeadLetters", method: http.MethodGet, path: "/dead-letters", tag: tagQueues, role: Viewer,
		summary: "List dead letters, newest first",
		about:   "Jobs that failed for good. They are kept until somebody redrives or drops them. A key that is bound to areas sees none.",
	}, s.listDead)
	register(s, operation{
		id: "getDeadLetter", method: http.MethodGet, path: "/dead-letters/{id}", tag: tagQueues, role: Viewer,
		summary: "Read a dead letter with its body", errors: []int{404},
		about: "Everything that is known about one job that failed for good.",
	}, func(ctx context.Context, actor caller, in *byNumber) (*output[DeadLetter], error) {
		d, err := s.opts.Queue.DeadLetter(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if !actor.seesLane(job.Line(d.Job)) {
			return nil, notFound()
		}
		v := deadLetterView(d)
		v.Body = jsonOrText(d.Job.Body)
		return &output[DeadLetter]{v}, nil
	})
	register(s, operation{
		id: "redriveDeadLetters", method: http.MethodPost, path: "/dead-letters/redrive", tag: tagQueues, role: Admin,
		summary: "Put dead letters back", errors: []int{400, 404, 413, 415},
		about: "They go to the tail of their lanes with their attempts cleared, once each. A message that is redriven is stored as late and changes nothing. " +
			"Give ids, or a queue, or a reason, or a queue and a reason.",
	}, s.redrive)
	register(s, operation{
		id: "dropDeadLetters", method: http.MethodPost, path: "/dead-letters/drop", tag: tagQueues, role: Admin,
		summary: "Delete dead letters for good", errors: []int{400, 404, 413, 415},
		about: "There is no way back. Ids that do not exist are not counted.",
	}, func(ctx context.Context, actor caller, in *output[DropBody]) (*output[Dropped], error) {
		if err := s.checkScope(ctx, actor, in.Body.IDs); err != nil {
			return nil, err
		}
		n, err := s.opts.Queue.Drop(ctx, in.Body.IDs)
		if err != nil {
			return nil, err
		}
		s.recordAudit(ctx, actor, "dead_letters_drop", fmt.Sprintf("count=%d ids=%s", n, joinIDs(in.Body.IDs)))
		return &output[Dropped]{Dropped{Dropped: n}}, nil
	})
}

func deadLetterView(d queue.DeadLetter) DeadLetter {
	return DeadLetter{
		ID: d.ID, Queue: d.Job.Queue, Lane: d.Job.Lane, JobID: d.Job.ID, Attempts: d.Attempts,
		Error: d.Err, EnqueuedAt: timePtr(d.Enqueued), DiedAt: timePtr(d.Died),
	}
}

func (s *server) listDead(ctx context.Context, actor caller, in *deadLettersIn) (*output[DeadLetterPage], error) {
	var before int64
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before < 1 {
			return nil, invalid("query.cursor", "not a cursor", "Give the next_cursor of the page before, as it is.")
		}
	}
	items, next, err := scan(actor, in.Limit, before, func(before int64, most int) ([]queue.DeadLetter, error) {
		return s.opts.Queue.Dead(ctx, in.Queue, before, most)
	}, func(d queue.DeadLetter) (DeadLetter, int64, bool) {
		return deadLetterView(d), d.ID, actor.seesLane(job.Line(d.Job))
	})
	return &output[DeadLetterPage]{DeadLetterPage{Items: items, NextCursor: next}}, err
}

func (s *server) redrive(ctx context.Context, actor caller, in *output[RedriveBody]) (*output[Redriven], error) {
	b := in.Body
	byFilter := b.Queue != "" || b.Reason != ""
	if byFilter == (len(b.IDs) > 0) {
		return nil, invalid("body", "give ids, or queue or reason", "Say which: `ids` alone, or `queue`, `reason` or both.")
	}
	ids := b.IDs
	if byFilter {
		var err error
		if ids, err = s.matchDead(ctx, actor, b.Queue, b.Reason); err != nil {
			return nil, err
		}
	} else if err := s.checkScope(ctx, actor, ids); err != nil {
		return nil, err
	}
	total := 0
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), scanSize)]
		n, err := s.opts.Queue.Redrive(ctx, chunk)
		if err != nil {
			return nil, err
		}
		total, ids = total+n, ids[len(chunk):]
	}
	s.recordAudit(ctx, actor, "dead_letters_redrive", strings.Join(strings.Fields(fmt.Sprintf("count=%d queue=%s ids=%s", total, b.Queue, joinIDs(b.IDs))), " "))
	return &output[Redriven]{Redriven{Redriven: total}}, nil
}

// matchDead collects the ids before any is redriven, so that a job that dies again
// meanwhile is not redriven twice.
func (s *server) matchDead(ctx context.Context, actor caller, name, reason string) ([]int64, error) {
	var ids []int64
	for before := int64(0); ; {
		rows, err := s.opts.Queue.Dead(ctx, name, before, scanSize)
		if err != nil {
			return nil, err
		}
		for _, d := range rows {
			before = d.ID
			if actor.seesLane(job.Line(d.Job)) && strings.Contains(d.Err, reason) {
				ids = append(ids, d.ID)
			}
		}
		if len(rows) < scanSize {
			return ids, nil
		}
	}
}

// checkScope returns an error if an id is outside the caller's scope.
func (s *server) checkScope(ctx context.Context, actor caller, ids []int64) error {
	if actor.unscoped() {
		return nil
	}
	for _, id := range ids {
		d, err := s.opts.Queue.DeadLetter(ctx, id)
		if err != nil {
			return err
		}
		if !actor.seesLane(job.Line(d.Job)) {
			return notFound()
		}
	}
	return nil
}

// joinIDs lists the first ids, for the audit.
func joinIDs(ids []int64) string {
	const most = 20
	var out []string
	for _, id := range ids[:min(len(ids), most)] {
		out = append(out, strconv.FormatInt(id, 10))
	}
	if len(ids) > most {
		out = append(out, "…")
	}
	return strings.Join(out, ",")
}

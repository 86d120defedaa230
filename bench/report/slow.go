package main

import (
	"context"
	"fmt"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

// slow measures with a slow PostgreSQL, and kills Redis in the middle.
func slow(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	lasts := r.size(300, 10)
	command := fmt.Sprintf("psi-router loadtest --rate 500 --duration %ds --workers 2 --conversations 5000 --slow-postgres 300ms --restart-redis --settle 5m", lasts)
	r.progress("%s", command)
	one, err := loadtest(ctx, rehearse.Options{
		Program: bin, Workers: 2, Duration: time.Duration(lasts) * time.Second, Settle: 5 * time.Minute, SlowPostgres: 300 * time.Millisecond, RestartRedis: true,
		Load: loadgen.Options{Rate: 500, Conversations: 5000, Statuses: 3, Duplicates: 0.01, Seed: newSeed()},
	})
	if err != nil {
		return nil, err
	}
	s := &section{}
	none := atMostNone()
	count := func(what string, n int, detail string) {
		s.add(row{What: what, Value: float64(n), Unit: "messages", Aim: none.text, Met: none.met(float64(n)), Detail: detail})
	}
	ms := atMost(50, "ms")
	s.add(row{What: "webhook p99", Value: one.Webhook.P99, Unit: "ms", Aim: ms.text, Met: ms.met(one.Webhook.P99), Detail: fmt.Sprintf("%.0f requests/s for %d s; p50 %.1f ms, max %.0f ms", one.PerSecond, lasts, one.Webhook.P50, one.Webhook.Max)})
	count("lost", one.Lost, fmt.Sprintf("%d accepted, %d stored", one.Accepted, one.Stored))
	count("reordered", one.Reordered, "")
	count("doubled", one.Doubled, "")
	count("unanswered", one.Unanswered, fmt.Sprintf("%d answers", one.Answers))
	s.add(row{What: "people wait, p50", Value: one.Reply.P50, Unit: "ms", Detail: fmt.Sprintf("from when the message was due until WhatsApp has the answer; p99 %.0f ms, max %.0f ms", one.Reply.P99, one.Reply.Max)})
	s.note("`%s`", command)
	s.note("Three in four requests are statuses. Every call to PostgreSQL takes 300 ms longer, and a turn, a claim or a record is two or three calls. Redis is killed in the middle and restarts with the data of its file; meanwhile the webhook spools on its own disk.")
	return s, nil
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// slowReport is what the section needs of the report of psi-router loadtest.
type slowReport struct {
	PerSecond                               float64 `json:"requests_per_second"`
	Accepted, Stored, Lost                  int
	Answers, Unanswered, Doubled, Reordered int
	Webhook                                 struct{ P50, P99, Max float64 } `json:"webhook_ms"`
	Reply                                   struct{ P50, P99, Max float64 } `json:"reply_ms"`
}

// slow writes for long over a PostgreSQL that is far away, and kills Redis in the
// middle.
func slow(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	lasts := r.size(300, 10)
	args := []string{
		"loadtest", "--json", "--rate", "500", "--duration", strconv.Itoa(lasts) + "s", "--workers", "2", "--conversations", "5000",
		"--slow-postgres", "300ms", "--restart-redis", "--settle", "5m", "--seed", newSeed(),
	}
	r.progress("psi-router %s", strings.Join(args, " "))
	var one slowReport
	if err := loadtest(ctx, bin, args, &one); err != nil {
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
	s.note("`psi-router %s`", strings.Join(args[:len(args)-2], " "))
	s.note("Three in four requests are statuses. Every call to PostgreSQL takes 300 ms longer, and a turn, a claim or a note is two calls or three. Redis is killed in the middle and comes back with what its file holds; meanwhile the webhook keeps what arrives on its own disk.")
	return s, nil
}

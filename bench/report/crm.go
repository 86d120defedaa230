package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// crmWays is how the CRM behaves, as loadtest knows it and as people read it; ""
// is none. One that misbehaves must not be felt; one that works takes two events for
// each message, which costs what it costs.
var crmWays = []struct {
	key, name  string
	misbehaves bool
}{
	{"", "no CRM", false},
	{"works", "a CRM that works", false},
	{"slow", "a CRM that answers after 5 s", true},
	{"fails", "a CRM that answers 500", true},
	{"hangs", "a CRM that hangs", true},
	{"gone", "a CRM that is gone", true},
}

// crmReport is what the section needs of the report of psi-router loadtest.
type crmReport struct {
	Webhook struct {
		P50, P99 float64
	} `json:"webhook_ms"`
	Reply struct {
		P50, P99 float64
	} `json:"reply_ms"`
	Memory struct{ Redis, Router float64 }
	CPU    struct {
		Router, Redis, Postgres float64
	} `json:"cpu_us_each"`
}

// crm measures what a CRM costs that works or does not, against none: rounds of
// one run each, every run on an installation of its own.
func crm(ctx context.Context, r *run) (*section, error) {
	bin, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	// A CRM that works has no aim: one run says what it costs.
	const warm, works = 5, 1
	rounds, lasts := r.size(4, 1), r.size(47, 7)
	runs := map[string][]crmReport{}
	for round := range rounds {
		for i := range crmWays {
			// Nobody is always the first, or after the same one.
			way := crmWays[(i*[]int{1, 5}[round%2]+round)%len(crmWays)]
			if way.key == "works" && round >= works {
				continue
			}
			args := []string{
				"loadtest", "--json", "--rate", "300", "--duration", strconv.Itoa(lasts) + "s", "--warm", strconv.Itoa(warm) + "s",
				"--statuses", "0", "--duplicates", "0", "--seed", strconv.FormatInt(time.Now().UnixNano()%1_000_000+1, 10),
			}
			if way.key != "" {
				args = append(args, "--crm", way.key, "--crm-stays")
			}
			var one crmReport
			if err := loadtest(ctx, bin, args, &one); err != nil {
				return nil, fmt.Errorf("%s: %w", way.name, err)
			}
			r.say("round %d of %d, %s: webhook p99 %.1f ms, reply p50 %.1f ms, p99 %.1f ms", round+1, rounds, way.name, one.Webhook.P99, one.Reply.P50, one.Reply.P99)
			runs[way.key] = append(runs[way.key], one)
		}
	}
	s := &section{}
	for _, f := range []struct {
		name string
		of   func(crmReport) float64
	}{
		{"webhook p99", func(c crmReport) float64 { return c.Webhook.P99 }},
		{"reply p50", func(c crmReport) float64 { return c.Reply.P50 }},
		{"reply p99", func(c crmReport) float64 { return c.Reply.P99 }},
	} {
		without := median(runs[""], f.of)
		for _, way := range crmWays {
			var a aim
			if way.misbehaves {
				a = atMost(without*1.1, "ms")
				a.text = "within 10 % of none"
			}
			s.add(crmRow(f.name+", "+way.name, runs[way.key], f.of, without, a))
		}
	}
	for _, way := range crmWays {
		each := func(of func(crmReport) float64) float64 { return median(runs[way.key], of) }
		s.add(row{
			What: "CPU for a message, " + way.name, Unit: "µs", Value: each(func(c crmReport) float64 { return c.CPU.Router + c.CPU.Redis + c.CPU.Postgres }),
			Detail: fmt.Sprintf("the router %.0f, Redis %.0f, PostgreSQL %.0f; memory at most: all processes of the router %.0f MB, Redis %.1f MB",
				each(func(c crmReport) float64 { return c.CPU.Router }), each(func(c crmReport) float64 { return c.CPU.Redis }), each(func(c crmReport) float64 { return c.CPU.Postgres }),
				each(func(c crmReport) float64 { return c.Memory.Router })/1e6, each(func(c crmReport) float64 { return c.Memory.Redis })/1e6),
		})
	}
	s.note("300 messages/s of 1,000 people for %d s over Redis (every write synced) and PostgreSQL, one webhook and two worker processes; the first %d s are not counted. Median of %d alternating runs (of %d where the CRM works), each on an installation of its own; time counts from when a message was due. Load, WhatsApp, CRM and servers share the cores.", lasts, warm, rounds, min(rounds, works))
	s.note("Every message brings two events or more. That every event is there, in order, once the CRM is back, and that memory stays bounded, is tested: TestCRMMisbehaves and TestProofCRM of internal/loadtest.")
	return s, nil
}

func crmRow(what string, runs []crmReport, of func(crmReport) float64, without float64, a aim) row {
	v := median(runs, of)
	all := make([]float64, len(runs))
	raw := map[string]float64{}
	for i, r := range runs {
		all[i] = of(r)
		raw["run "+strconv.Itoa(i+1)] = all[i]
	}
	detail := fmt.Sprintf("%s to %s ms", human(slices.Min(all)), human(slices.Max(all)))
	if v != without && without > 0 {
		detail = fmt.Sprintf("%+.0f %%; ", (v/without-1)*100) + detail
	}
	return row{What: what, Value: v, Unit: "ms", Aim: a.text, Met: a.met(v), Detail: detail, Raw: raw}
}

func median(runs []crmReport, of func(crmReport) float64) float64 {
	all := make([]float64, len(runs))
	for i, r := range runs {
		all[i] = of(r)
	}
	return middle(all)
}

// program builds psi-router.
func (r *run) program(ctx context.Context) (path string, err error) {
	path = filepath.Join(r.dir, "psi-router")
	return path, r.command(ctx, "", "go", "build", "-o", path, "./cmd/psi-router")
}

// loadtest runs one and reads what it reports. That it exits with 1 means that a
// promise was broken.
func loadtest(ctx context.Context, bin string, args []string, report any) error {
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s%s", err, said.Bytes(), out.Bytes())
	}
	var rate struct {
		Quiet  bool
		Missed int64
	}
	if err := errors.Join(json.Unmarshal(out.Bytes(), &rate), json.Unmarshal(out.Bytes(), report)); err != nil {
		return fmt.Errorf("read its report: %w", err)
	}
	if !rate.Quiet || rate.Missed > 0 {
		return fmt.Errorf("it could not keep the rate: %d requests never left\n%s", rate.Missed, said.Bytes())
	}
	return nil
}

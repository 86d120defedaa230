package queuetest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// compareWithModel draws random operations; the engine has to answer each as the model
// does.
func compareWithModel(t *testing.T, fresh func(t *testing.T, o Options) Harness) {
	rapid.Check(t, func(r *rapid.T) {
		clock := NewClock()
		o := Options{Now: clock.Now, MaxDepth: 40, MaxDelay: time.Minute, Window: 10 * time.Minute, Relaxed: true}
		m := NewModel(clock.Now)
		m.MaxDepth, m.MaxDelay, m.Window = o.MaxDepth, o.MaxDelay, o.Window
		p := &comparison{T: r, ctx: context.Background(), clock: clock, model: m, harness: fresh(t, o)}
		p.open()
		defer func() { p.engine.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"":         p.compareState,
			"enqueue":  p.enqueue,
			"exchange": p.exchange,
			"settle":   p.settleOnly,
			"time":     p.time,
			"operate":  p.operate,
			"bury":     p.deadLetters,
			"restart":  p.restart,
		})
	})
}

// comparison is a model and an engine that get the same calls.
type comparison struct {
	*rapid.T
	ctx     context.Context
	clock   *Clock
	model   *Model
	engine  queue.Engine
	harness Harness
	// held are granted leases, stale ones included: the model's claim and the engine's.
	held [][2]queue.Claim
}

func (p *comparison) open() {
	e, err := p.harness.Open(p.ctx)
	if err != nil {
		p.Fatalf("open: %v", err)
	}
	p.engine = e
}

func drawQueue(t *rapid.T) string { return rapid.SampledFrom([]string{"q", "r"}).Draw(t, "queue") }

func (p *comparison) compare(t *rapid.T, what string, model, engine any, modelErr, engineErr error) {
	t.Helper()
	if (modelErr == nil) != (engineErr == nil) {
		t.Fatalf("%s: the model says %v, the engine %v", what, modelErr, engineErr)
	}
	if diff := cmp.Diff(engine, model); diff != "" {
		t.Fatalf("%s: the engine disagrees with the model (- engine, + model):\n%s", what, diff)
	}
}

func (p *comparison) enqueue(t *rapid.T) {
	jobs := make([]queue.Job, rapid.IntRange(1, 5).Draw(t, "jobs"))
	for i := range jobs {
		jobs[i] = queue.Job{Queue: drawQueue(t), Lane: rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "lane")}
		if rapid.Bool().Draw(t, "id") {
			jobs[i].ID = fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "n"))
			jobs[i].Body = bytes.Repeat([]byte(jobs[i].ID+jobs[i].Lane), rapid.SampledFrom([]int{1, 200}).Draw(t, "times"))
		}
	}
	want, err1 := p.model.Enqueue(p.ctx, jobs)
	got, err2 := p.engine.Enqueue(p.ctx, jobs)
	p.compare(t, "enqueue", want, got, err1, err2)
}

func (p *comparison) settleOnly(t *rapid.T) { p.exchangeBoth(t, 0) }

func (p *comparison) exchange(t *rapid.T) { p.exchangeBoth(t, rapid.IntRange(1, 5).Draw(t, "want")) }

func (p *comparison) exchangeBoth(t *rapid.T, want int) {
	name := drawQueue(t)
	span := rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, time.Hour}).Draw(t, "lease")
	var out [2][]queue.Outcome
	for range rapid.IntRange(0, min(3, len(p.held))).Draw(t, "outcomes") {
		i := rapid.IntRange(0, len(p.held)-1).Draw(t, "held")
		o := queue.Outcome{
			Verdict: queue.Verdict(rapid.IntRange(1, 4).Draw(t, "verdict")),
			Delay:   time.Duration(rapid.IntRange(-1, 90).Draw(t, "delay")) * time.Second,
			Err:     rapid.SampledFrom([]string{"", "oops"}).Draw(t, "err"),
		}
		for side, c := range p.held[i] {
			o.Lane, o.Token = c.Lane, c.Token
			out[side] = append(out[side], o)
		}
		if rapid.IntRange(0, 3).Draw(t, "keep") > 0 {
			p.held = append(p.held[:i:i], p.held[i+1:]...)
		}
	}
	model, err1 := p.model.Exchange(p.ctx, name, out[0], want, span)
	engine, err2 := p.engine.Exchange(p.ctx, name, out[1], want, span)
	if len(model.Claims) == len(engine.Claims) {
		for i := range model.Claims {
			p.held = append(p.held, [2]queue.Claim{model.Claims[i], engine.Claims[i]})
			model.Claims[i].Token, engine.Claims[i].Token = "", ""
		}
	}
	p.compare(t, "exchange", model, engine, err1, err2)
}

func (p *comparison) time(t *rapid.T) {
	p.clock.Advance(rapid.SampledFrom([]time.Duration{
		1, time.Millisecond, 300 * time.Millisecond, time.Second, 10 * time.Second, time.Minute,
		5 * time.Minute, time.Hour, -time.Second, -3 * time.Minute,
	}).Draw(t, "pass"))
}

func (p *comparison) operate(t *rapid.T) {
	name := drawQueue(t)
	limit := queue.Limit{
		Rate:  rapid.SampledFrom([]float64{0, 0.1, 1, 3, 700}).Draw(t, "rate"),
		Burst: rapid.IntRange(0, 5).Draw(t, "burst"),
	}
	until := p.clock.Now().Add(time.Duration(rapid.IntRange(-1, 20).Draw(t, "hold")) * time.Second)
	if rapid.Bool().Draw(t, "release") {
		until = time.Time{}
	}
	what := rapid.SampledFrom([]string{"pause", "resume", "resume", "hold", "limit"}).Draw(t, "what")
	do := func(e queue.Engine) error {
		switch what {
		case "pause":
			return e.Pause(p.ctx, name)
		case "resume":
			return e.Resume(p.ctx, name)
		case "hold":
			return e.Hold(p.ctx, name, until, "why")
		}
		return e.SetLimit(p.ctx, name, limit)
	}
	p.compare(t, what, nil, nil, do(p.model), do(p.engine))
}

func (p *comparison) deadLetters(t *rapid.T) {
	list := rapid.SliceOfN(rapid.Int64Range(1, 12), 1, 3).Draw(t, "ids")
	var want, got int
	var err1, err2 error
	if rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
		want, err1 = p.model.Drop(p.ctx, list)
		got, err2 = p.engine.Drop(p.ctx, list)
	} else {
		want, err1 = p.model.Redrive(p.ctx, list)
		got, err2 = p.engine.Redrive(p.ctx, list)
	}
	p.compare(t, "bury", want, got, err1, err2)
}

func (p *comparison) restart(*rapid.T) {
	if p.harness.Volatile {
		return
	}
	if err := p.engine.Close(); err != nil {
		p.Fatalf("close: %v", err)
	}
	p.model.Restart()
	p.open()
}

// compareState runs after every operation.
func (p *comparison) compareState(t *rapid.T) {
	want, err1 := p.model.Stats(p.ctx)
	got, err2 := p.engine.Stats(p.ctx)
	p.compare(t, "stats", want, got, err1, err2)
	dead, err1 := p.model.Dead(p.ctx, "", 0, 100)
	letters, err2 := p.engine.Dead(p.ctx, "", 0, 100)
	p.compare(t, "dead letters", dead, letters, err1, err2)
	for _, e := range []queue.Engine{p.model, p.engine} {
		if wrong, err := e.Check(p.ctx); err != nil || len(wrong) > 0 {
			t.Fatalf("check of %T: %q, %v", e, wrong, err)
		}
	}
}

// FewChecks makes rapid draw 25 sequences rather than 100, unless -rapid.checks or
// PSI_PROOF is set. An engine's TestMain calls it after flag.Parse.
func FewChecks() error {
	f := flag.Lookup("rapid.checks")
	if os.Getenv("PSI_PROOF") != "" || f.Value.String() != f.DefValue {
		return nil
	}
	return f.Value.Set("25")
}

package redisqueue

import (
	"context"
	"crypto/rand"
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
)

var (
	//go:embed testdata/void.lua
	voidText string
	//go:embed testdata/forget.lua
	forgetText string
)

// extra makes a script for the suite.
func extra(t *testing.T, text string) script {
	t.Helper()
	common, err := lua.ReadFile("lua/common.lua")
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(text, "\n")
	return newScript(first + "\n" + string(common) + rest)
}

func (e *Engine) onAll(ctx context.Context, s script, args ...string) error {
	return e.forEachQueue(ctx, "test", nil, func(ctx context.Context, l *links, q *queueState) error {
		return q.run(ctx, l.exchange, s, args...).Error()
	})
}

// underTest makes an engine behave as the suite expects of one that is alone with its data.
type underTest struct {
	*Engine
	forget script
}

// Enqueue drops old IDs in the other queues too, as the model does.
func (u underTest) Enqueue(ctx context.Context, jobs []queue.Job) ([]bool, error) {
	added, err := u.Engine.Enqueue(ctx, jobs)
	if err == nil && len(jobs) > 0 {
		err = u.onAll(ctx, u.forget, formatInt(u.clock.ticks(u.opts.Window/2)))
	}
	return added, err
}

func conformance(t *testing.T, url, durability string) {
	t.Helper()
	void, forget := extra(t, voidText), extra(t, forgetText)
	queuetest.Run(t, func(_ *testing.T, o queuetest.Options) queuetest.Harness {
		prefix, opened := rand.Text(), false
		return queuetest.Harness{Open: func(ctx context.Context) (queue.Engine, error) {
			e, err := Open(ctx, Options{
				URL: url, Durability: durability, Prefix: prefix, Now: o.Now,
				MaxDepth: o.MaxDepth, Window: o.Window, MaxDelay: o.MaxDelay,
			})
			if err != nil {
				return nil, err
			}
			if opened {
				if err := e.onAll(ctx, void); err != nil {
					return nil, err
				}
			}
			opened = true
			if o.Window > 0 && o.Window < time.Hour {
				return underTest{e, forget}, nil
			}
			return e, nil
		}}
	})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func TestConformanceSingle(t *testing.T) {
	t.Parallel()
	conformance(t, must(shared.single())(t).URL(), "relaxed")
}

func TestConformanceSynced(t *testing.T) {
	t.Parallel()
	conformance(t, must(shared.synced())(t).URL(), "fsync")
}

func TestConformanceSentinel(t *testing.T) {
	t.Parallel()
	conformance(t, must(shared.sentinels())(t).URL(), "replica")
}

func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	conformance(t, must(shared.cluster())(t).URL(), "relaxed")
}

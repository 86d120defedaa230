package queuetest

import (
	"cmp"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
)

func TestModelWaitWakesOnEnqueueAndWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewModel(nil)
		ctx := t.Context()
		start := time.Now()
		woke := make(chan time.Duration)
		wait := func() {
			if err := m.Wait(ctx, "q", time.Minute); err != nil {
				t.Error(err)
			}
			woke <- time.Since(start)
		}
		go wait()
		time.Sleep(3 * time.Second)
		if _, err := m.Enqueue(ctx, []queue.Job{{Queue: "q", Lane: "a", ID: "1"}}); err != nil {
			t.Fatal(err)
		}
		if got, want := <-woke, 3*time.Second; got != want {
			t.Errorf("woke after %v, want %v", got, want)
		}
		b, err := m.Exchange(ctx, "q", nil, 1, 30*time.Second)
		if err != nil || len(b.Claims) != 1 {
			t.Fatalf("claims %v, %v", b, err)
		}
		out := []queue.Outcome{{Lane: "a", Token: b.Claims[0].Token, Verdict: queue.Retry, Delay: 2 * time.Second}}
		if b, err = m.Exchange(ctx, "q", out, 1, time.Second); err != nil || b.Next != 2*time.Second {
			t.Fatalf("next %v, %v; want 2s", b.Next, err)
		}
		go wait()
		if got, want := <-woke, 5*time.Second; got != want {
			t.Errorf("woke after %v, want %v", got, want)
		}
	})
}

func TestModelConformance(t *testing.T) {
	t.Parallel()
	Run(t, func(_ *testing.T, o Options) Harness {
		return Harness{Volatile: true, Open: func(context.Context) (queue.Engine, error) {
			m := NewModel(o.Now)
			m.MaxDepth, m.MaxDelay, m.Window = o.MaxDepth, cmp.Or(o.MaxDelay, m.MaxDelay), cmp.Or(o.Window, m.Window)
			return m, nil
		}}
	})
}

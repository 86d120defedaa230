package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// wait waits until people are to begin.
func (t *test) wait(ctx context.Context) error {
	if t.Begin.IsZero() {
		return nil
	}
	left := time.Until(t.Begin)
	if left < 0 {
		return fmt.Errorf("everything was ready %v after people were to begin", -left.Round(time.Millisecond))
	}
	loadgen.Sleep(ctx, left)
	return nil
}

// write lets people write.
func (t *test) write(ctx context.Context) (loadgen.Report, error) {
	writing, cancel := ctx, context.CancelFunc(func() {})
	if t.Duration > 0 {
		writing, cancel = context.WithTimeout(ctx, t.Duration)
	}
	defer cancel()
	var trouble sync.WaitGroup
	var restart, crm error
	if t.RestartRedis {
		trouble.Go(func() { restart = t.restartRedis(writing, t.Duration/2) })
	}
	if t.CRM != nil {
		if err := t.behave(ctx, t.CRM[0]); err != nil {
			return loadgen.Report{}, err
		}
		trouble.Go(func() { crm = t.misbehave(writing) })
	}
	spent, before := t.spent(), machineTicks()
	t.mu.Lock()
	t.machine = before
	t.mu.Unlock()
	r, err := t.load.Load().Run(writing)
	trouble.Wait()
	t.cpu, t.stolen = spent(), machineTicks().stolenSince(before)
	if err != nil && writing.Err() == nil {
		return r, err
	}
	return r, errors.Join(restart, crm)
}

func (t *test) slow(d time.Duration) {
	if t.cluster != nil {
		t.cluster.DelayPostgres(d)
	}
}

func (t *test) restartRedis(ctx context.Context, after time.Duration) error {
	if !loadgen.Sleep(ctx, after) {
		return nil
	}
	t.tell(Event{Redis: "down"})
	t.cluster.Redis.Kill()
	err := t.cluster.Redis.Restart(context.WithoutCancel(ctx))
	t.tell(Event{Redis: "up"})
	return err
}

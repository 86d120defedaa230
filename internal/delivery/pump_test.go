package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// fakePumpStore answers the pump's rounds from a script.
type fakePumpStore struct {
	mu        sync.Mutex
	rounds    []time.Duration
	start     time.Time
	answer    func(n int) (store.PumpResult, error)
	apologies int
}

func (w *fakePumpStore) Pump(context.Context, time.Time) (store.PumpResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rounds = append(w.rounds, time.Since(w.start))
	return w.answer(len(w.rounds))
}

func (w *fakePumpStore) Apologize(context.Context, time.Time) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apologies++
	return 1, nil
}

func (w *fakePumpStore) UntriedNotices(context.Context, int) ([]store.Notice, error) { return nil, nil }

func TestPump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model := queuetest.NewModel(time.Now)
		w := &fakePumpStore{start: time.Now(), answer: func(n int) (store.PumpResult, error) {
			switch n {
			case 1, 2: // a backlog
				return store.PumpResult{Numbered: 500, More: true}, nil
			case 4:
				return store.PumpResult{Wakes: []store.Wake{{Line: "a", Conversation: "1"}, {Line: "b", Conversation: "2"}, {Line: "a", Conversation: "1"}}}, nil
			case 5: // and again, while the job waits
				file := []store.MediaRef{{MessageID: "f", Line: "a", Media: inbound.Media{ID: "m"}}}
				return store.PumpResult{Media: append(file, file...)}, nil
			case 6, 7:
				return store.PumpResult{}, errors.New("down")
			case 8:
				panic("a bug")
			default:
				return store.PumpResult{}, nil
			}
		}}
		var logs bytes.Buffer
		p := delivery.NewPump(delivery.PumpOptions{Store: w, Queue: model, Log: slog.New(slog.NewTextHandler(&logs, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		pass(14 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		var depths []queue.Stats
		all, _ := model.Stats(t.Context())
		for _, s := range all {
			depths = append(depths, queue.Stats{Name: s.Name, Depth: s.Depth})
		}
		if diff := cmp.Diff(depths, []queue.Stats{{Name: "media", Depth: 1}, {Name: "send:a", Depth: 1}, {Name: "send:b", Depth: 1}}); diff != "" {
			t.Error(diff)
		}
		// A backlog is pumped at once; otherwise a round a second.
		s := time.Second
		if diff := cmp.Diff(w.rounds[:6], []time.Duration{0, 0, 0, s, 2 * s, 3 * s}); diff != "" {
			t.Error(diff)
		}
		if n := strings.Count(logs.String(), "the pump fails"); n != 1 {
			t.Errorf("the trouble was told %d times", n)
		}
		if n := strings.Count(logs.String(), "the pump works again"); n != 1 {
			t.Errorf("its end was told %d times:\n%s", n, &logs)
		}
	})
}

// TestNobodyApologizesWithinABacklog: the team's own answer may be in it.
func TestNobodyApologizesWithinABacklog(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		left    bool
		waits   time.Duration // age of the oldest waiting job; 0 for none
		spooled bool
		want    bool
	}{
		"nobody was left":         {},
		"all was handled":         {left: true, want: true},
		"what came is young":      {left: true, waits: 20 * time.Second, want: true},
		"there is a backlog":      {left: true, waits: time.Minute},
		"something is on a disk":  {left: true, spooled: true},
		"a backlog, and the disk": {left: true, waits: time.Minute, spooled: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model := queuetest.NewModel(time.Now)
				if tc.waits > 0 {
					if _, err := model.Enqueue(t.Context(), []queue.Job{{Queue: job.Inbound, Lane: "wsp4:1", ID: "1"}}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(tc.waits)
				}
				w := &fakePumpStore{start: time.Now(), answer: func(int) (store.PumpResult, error) { return store.PumpResult{ApologiesDue: tc.left}, nil }}
				p := delivery.NewPump(delivery.PumpOptions{Store: w, Queue: model, Spools: func() bool { return tc.spooled }})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- p.Run(ctx) }()
				pass(time.Second / 2)
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if got := w.apologies > 0; got != tc.want {
					t.Errorf("apologized: %v, want %v", got, tc.want)
				}
			})
		})
	}
}

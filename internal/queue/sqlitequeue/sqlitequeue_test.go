package sqlitequeue

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, o queuetest.Options) queuetest.Harness {
		path := filepath.Join(t.TempDir(), "queue.db")
		return queuetest.Harness{
			Open: func(ctx context.Context) (queue.Engine, error) {
				return Open(ctx, Options{
					Path: path, Now: o.Now, MaxDepth: o.MaxDepth, Window: o.Window, MaxDelay: o.MaxDelay, Relaxed: o.Relaxed,
				})
			},
		}
	})
}

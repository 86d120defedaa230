package upgrade

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestLongMigrationIsLogged: the log shows that a long migration still runs.
func TestLongMigrationIsLogged(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, tt := range []struct {
		what  string
		takes time.Duration
		err   error
		want  []string
	}{
		{"a short one", time.Second, nil, []string{"migrating", "migrated took=1s"}},
		{"a long one", 25 * time.Second, nil, []string{
			"migrating", "still migrating for=10s", "still migrating for=20s", "migrated took=25s",
		}},
		{"one that fails", 15 * time.Second, broken, []string{"migrating", "still migrating for=10s"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var said lines
				err := logProgress(slog.New(&said), func() error {
					time.Sleep(tt.takes) // the bubble's clock: no time passes
					return tt.err
				})
				if !errors.Is(err, tt.err) || !slices.Equal(said, tt.want) {
					t.Errorf("got %q, %v", said, err)
				}
			})
		})
	}
}

// lines is a log as a list of lines.
type lines []string

func (*lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l *lines) WithGroup(string) slog.Handler          { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	*l = append(*l, line)
	return nil
}

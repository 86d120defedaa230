package evolution_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
)

// TestTooLate: after the lease is lost no whole request arrives, and the failure is blamed
// on neither the line nor Evolution.
func TestTooLate(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *evolution.Client) error{
		"a message": func(ctx context.Context, c *evolution.Client) error {
			_, err := c.Send(ctx, text("hola"))
			return err
		},
		"a file": func(ctx context.Context, c *evolution.Client) error {
			_, _, err := c.Fetch(ctx, inbound.Media{ID: "M1"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var arrived, asked atomic.Int32
			client, s := server(t, func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					arrived.Add(1)
				}
			})
			err := call(httpcall.WithGate(t.Context(), func() error {
				if asked.Add(1) > 1 { // too late once it has connected
					return errors.New("the lease is over")
				}
				return nil
			}), client)
			s.Close()
			f, ok := errors.AsType[*outbound.Failure](err)
			if !ok || f.Class != outbound.NotBegun || arrived.Load() > 0 {
				t.Errorf("got %v, %d arrived", err, arrived.Load())
			}
		})
	}
}

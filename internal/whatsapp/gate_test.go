package whatsapp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// TestTooLate: after the lease is lost no whole request arrives, and the failure is blamed
// on neither the line nor WhatsApp.
func TestTooLate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		passes int32 // of the gate, before it shuts
		call   func(context.Context, *whatsapp.Client, string) error
	}{
		"a message, before it connects": {0, send},
		"a message, before its bytes":   {1, send},
		"a receipt, before it connects": {0, mark},
		"a receipt, before its bytes":   {1, mark},
		"the address of a file":         {0, fetch(inbound.Media{ID: "1"})},
		"a file":                        {0, fetch(inbound.Media{URL: "/file"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var arrived, asked atomic.Int32
			client, server := graph(t, func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					arrived.Add(1)
				}
			})
			ctx := httpcall.WithGate(t.Context(), func() error {
				if asked.Add(1) > c.passes {
					return errors.New("the lease is over")
				}
				return nil
			})
			err := c.call(ctx, client, server.URL)
			server.Close()
			if f := classOf(t, err); f.Class != outbound.NotBegun || !errors.Is(err, httpcall.ErrNotBegun) || arrived.Load() > 0 {
				t.Errorf("got %s %v, %d arrived", f.Class, err, arrived.Load())
			}
		})
	}
}

func send(ctx context.Context, c *whatsapp.Client, _ string) error {
	_, err := c.Send(ctx, reply("hola"))
	return err
}

func mark(ctx context.Context, c *whatsapp.Client, _ string) error { return c.MarkRead(ctx, "wamid.1") }

func fetch(m inbound.Media) func(context.Context, *whatsapp.Client, string) error {
	return func(ctx context.Context, c *whatsapp.Client, server string) error {
		if m.URL != "" {
			m.URL = server + m.URL
		}
		_, _, err := c.Fetch(ctx, m)
		return err
	}
}

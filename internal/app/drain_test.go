package app

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/observe"
)

// pipeListener is a listener without a network.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipeListener) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestDrainTimeoutIsTheWholeStop: a request that does not end and a part that does not
// return take drain_timeout together, and no longer.
func TestDrainTimeoutIsTheWholeStop(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		drain     config.Duration
		hang      bool
		took      time.Duration
		complaint string
	}{
		"door and handlers":      {config.Duration(25 * time.Second), false, 18 * time.Second, ""},
		"short":                  {config.Duration(4 * time.Second), false, 2 * time.Second, ""},
		"a part does not return": {config.Duration(10 * time.Second), true, 10 * time.Second, "still running: stubborn"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				never := make(chan struct{})
				logs := &strings.Builder{}
				a := &App{cfg: &config.Config{DrainTimeout: tt.drain}, log: observe.NewLogger(logs, "info", "json"), started: time.Now()}
				door := pipeListener{make(chan net.Conn), make(chan struct{})}
				a.listener, a.socket = door, pipeListener{make(chan net.Conn), make(chan struct{})}
				a.public = a.newServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-never }))
				a.admin = a.newServer(http.NotFoundHandler())
				a.addPart("work", func(ctx context.Context) error {
					<-ctx.Done()
					time.Sleep(a.drain())
					return nil
				})
				a.addPart("stubborn", func(ctx context.Context) error {
					<-ctx.Done()
					if tt.hang {
						<-never
					}
					return nil
				})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- a.Run(ctx) }()

				client, server := net.Pipe()
				door.conns <- server
				go func() { _, _ = client.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) }()
				go func() { _, _ = bufio.NewReader(client).ReadByte() }()
				synctest.Wait()

				began := time.Now()
				cancel()
				err := <-done
				if got := time.Since(began); got != tt.took {
					t.Errorf("took %s, want %s", got, tt.took)
				}
				if tt.complaint == "" && err != nil || tt.complaint != "" && (err == nil || !strings.Contains(err.Error(), tt.complaint)) {
					t.Errorf("got %v, want %q", err, tt.complaint)
				}
				close(never)
				client.Close()
			})
		})
	}
}

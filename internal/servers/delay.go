package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// DelayProxy stands before a server as a long wire does: whatever a client sends
// arrives later by always the same time, so a call takes that much longer, and
// no less gets through.
type DelayProxy struct {
	// Addr is where it listens.
	Addr string

	target string
	delay  atomic.Int64
	l      net.Listener
	ctx    context.Context //nolint:containedctx // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// NewDelayProxy listens on a free loopback port, and delays nothing yet. Close it in
// the end.
func NewDelayProxy(target string) (*DelayProxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not block
	if err != nil {
		return nil, fmt.Errorf("open a slow wire: %w", err)
	}
	d := &DelayProxy{Addr: l.Addr().String(), target: target, l: l}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.work.Go(d.accept)
	return d, nil
}

// SetDelay changes how much later things arrive.
func (d *DelayProxy) SetDelay(delay time.Duration) { d.delay.Store(int64(delay)) }

// Close breaks every connection.
func (d *DelayProxy) Close() {
	d.cancel()
	d.l.Close()
	d.work.Wait()
}

func (d *DelayProxy) accept() {
	for {
		c, err := d.l.Accept()
		if err != nil {
			return
		}
		d.work.Go(func() { d.serve(c) })
	}
}

func (d *DelayProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(d.ctx, "tcp", d.target)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(d.ctx, func() { client.Close(); server.Close() })
	defer stop()
	var up sync.WaitGroup
	up.Go(func() { d.forward(client, server) })
	_, _ = io.Copy(client, server)
	client.Close()
	server.Close()
	up.Wait()
}

// chunk is what was read at once, and when it has to arrive.
type chunk struct {
	due  time.Time
	data []byte
}

// forward takes what the client sends to the server, each chunk in its time.
func (d *DelayProxy) forward(client, server net.Conn) {
	chunks := make(chan chunk, 256)
	var writer sync.WaitGroup
	writer.Go(func() {
		defer server.Close()
		for p := range chunks {
			if wait := time.Until(p.due); wait > 0 {
				t := time.NewTimer(wait)
				select {
				case <-t.C:
				case <-d.ctx.Done():
					t.Stop()
				}
			}
			if _, err := server.Write(p.data); err != nil {
				client.Close() // ends the reader
				for range chunks {
				}
				return
			}
		}
	})
	for {
		data := make([]byte, 32<<10)
		n, err := client.Read(data)
		if n > 0 {
			chunks <- chunk{time.Now().Add(time.Duration(d.delay.Load())), data[:n]}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && d.ctx.Err() == nil {
				server.Close()
			}
			break
		}
	}
	close(chunks)
	writer.Wait()
}

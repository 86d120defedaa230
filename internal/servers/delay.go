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

// DelayProxy is a proxy with the latency of a long wire: everything a client sends arrives
// later by the same delay, so calls take longer and throughput stays the same.
type DelayProxy struct {
	// Addr is the proxy's host:port.
	Addr string

	target string
	delay  atomic.Int64
	l      net.Listener
	ctx    context.Context //nolint:containedctx // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// NewDelayProxy listens on a free loopback port, at first without a delay. The caller must
// Close it.
func NewDelayProxy(target string) (*DelayProxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not block
	if err != nil {
		return nil, fmt.Errorf("start delay proxy: %w", err)
	}
	d := &DelayProxy{Addr: l.Addr().String(), target: target, l: l}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.work.Go(d.accept)
	return d, nil
}

// SetDelay sets the delay.
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

// chunk is the data of one read and the time at which it is due.
type chunk struct {
	due  time.Time
	data []byte
}

// forward sends the client's data to the server, each chunk when it is due.
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

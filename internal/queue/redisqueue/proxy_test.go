package redisqueue

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy is a faulty network between an engine and its server.
type proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	delay time.Duration
	stall chan struct{} // while not nil, nothing gets through and connections stay open
	cut   []byte        // the answer to a request that contains this is lost with its connection
	cuts  int
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.resume()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		doomed := make(chan struct{}, 1)
		p.wg.Go(func() { p.pipe(client, server, doomed, false) })
		p.wg.Go(func() { p.pipe(server, client, doomed, true) })
	}
}

// pipe copies one direction. doomed is set by a request whose answer must not arrive.
func (p *proxy) pipe(from, to net.Conn, doomed chan struct{}, answers bool) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay, stall := p.delay, p.stall
		if !answers && p.cut != nil && bytes.Contains(buf[:n], p.cut) {
			p.cut = nil
			doomed <- struct{}{}
		}
		p.mu.Unlock()
		if stall != nil {
			<-stall
			return // data written to a dead connection is lost
		}
		if answers {
			select {
			case <-doomed:
				p.mu.Lock()
				p.cuts++
				p.mu.Unlock()
				if tcp, ok := to.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				return
			default:
			}
		}
		time.Sleep(delay)
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// halfOpen keeps all connections open and lets nothing through.
func (p *proxy) halfOpen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = make(chan struct{})
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stall != nil {
		close(p.stall)
		p.stall = nil
	}
}

// loseAnswerTo loses the answer to the next request that contains the text.
func (p *proxy) loseAnswerTo(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = []byte(text)
}

func (p *proxy) lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

package admission

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener without a network. Nothing is buffered, so a client that does not read
// blocks the first byte.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.done); return nil }

func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// serve connects one client to a paced handler, in a bubble.
func serve(t *testing.T, h http.HandlerFunc, client func(c net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := pipes{make(chan net.Conn), make(chan struct{})}
		s := &http.Server{Handler: Pace(h), ReadHeaderTimeout: time.Second}
		done := make(chan error)
		go func() { done <- s.Serve(l) }()
		c, theirs := net.Pipe()
		l.conns <- theirs
		client(c)
		c.Close()
		s.Close()
		<-done
	})
}

// every sends a byte at intervals until that fails.
func every(c net.Conn, pause time.Duration, bytes string) {
	for {
		if _, err := io.WriteString(c, bytes); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"

// TestStalledBodies: stalled bodies are dropped, slow ones may take their time.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	room := NewRoom()
	unverified := func(r *http.Request) error {
		b, err := room.Read(r, exempt(), 4*mib)
		b.Release()
		return err
	}
	verified := func(r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	}
	for name, tt := range map[string]struct {
		read   func(r *http.Request) error
		length int
		pause  time.Duration
		bytes  string
		want   error
		after  time.Duration
	}{
		"unverified, stalls":       {unverified, 1000, time.Hour, "x", os.ErrDeadlineExceeded, 5 * time.Second},
		"unverified, dribbles":     {unverified, 1000, time.Second, "x", os.ErrDeadlineExceeded, 20 * time.Second},
		"unverified, slow":         {unverified, 30 << 10, time.Second, strings.Repeat("x", 1<<10), os.ErrDeadlineExceeded, 20 * time.Second},
		"unverified, in time":      {unverified, 15 << 10, time.Second, strings.Repeat("x", 1<<10), nil, 14 * time.Second},
		"verified, stalls":         {verified, 1000, time.Hour, "x", os.ErrDeadlineExceeded, 5 * time.Second},
		"verified, dribbles":       {verified, 1000, time.Second, "x", os.ErrDeadlineExceeded, 20 * time.Second},
		"verified, slow but alive": {verified, 1200 << 10, time.Second, strings.Repeat("x", 8<<10), nil, 149 * time.Second},
		"verified, in bursts":      {verified, 100 << 10, 4 * time.Second, strings.Repeat("x", 20<<10), nil, 16 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve(t, func(_ http.ResponseWriter, r *http.Request) {
				began := time.Now()
				err := tt.read(r)
				if took := time.Since(began); !errors.Is(err, tt.want) || took.Round(time.Second) != tt.after {
					t.Errorf("got %v after %v, want %v after %v", err, took, tt.want, tt.after)
				}
			}, func(c net.Conn) {
				fmt.Fprintf(c, head, tt.length)
				var writer sync.WaitGroup
				writer.Go(func() { every(c, tt.pause, tt.bytes) })
				if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
					t.Error(err)
				}
				c.Close()
				writer.Wait()
			})
		})
	}
}

// TestUnreadBodies: a client that announces a body and never sends it cannot hold the
// connection of a handler that refuses at once.
func TestUnreadBodies(t *testing.T) {
	t.Parallel()
	serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}, func(c net.Conn) {
		began := time.Now()
		fmt.Fprintf(c, head, 100<<10)
		_, err := io.Copy(io.Discard, c)
		if took := time.Since(began); err != nil || took > 6*time.Second {
			t.Errorf("let go after %v, %v", took, err)
		}
	})
}

// TestTheServerKeepsItsBody: net/http must find its own body in its request. Otherwise it closes
// the connection of a client that is refused in the middle of a body before the client can read
// the answer, and behind nginx that is a 502.
func TestTheServerKeepsItsBody(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(http.Handler) http.Handler{"paced": Pace, "charged": New(Options{}).Charge} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("hello"))
		before := r.Body
		wrap(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			if inner.Body == before {
				t.Errorf("%s: the handler reads past it", name)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if r.Body != before {
			t.Errorf("%s: the server's request has another body", name)
		}
	}
}

// TestClientsThatDoNotRead: they are dropped, slow readers get everything.
func TestClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	const size = 2 * mib
	for name, tt := range map[string]struct {
		piece int // bytes that the client reads in a second
		want  error
		most  time.Duration
	}{
		"nothing":         {0, os.ErrDeadlineExceeded, 20 * time.Second},
		"a byte a second": {1, os.ErrDeadlineExceeded, 41 * time.Second},
		"slowly":          {16 << 10, nil, 130 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve(t, func(w http.ResponseWriter, _ *http.Request) {
				began := time.Now()
				n, err := w.Write(zeros[:size])
				if took := time.Since(began); !errors.Is(err, tt.want) || took > tt.most || err == nil && n != size {
					t.Errorf("%d bytes, %v after %v; want %v within %v", n, err, took, tt.want, tt.most)
				}
			}, func(c net.Conn) {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				for tt.piece > 0 {
					if _, err := io.CopyN(io.Discard, c, int64(tt.piece)); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestStreamsMayTakeTheirTime: a stream with an event every 15 s lasts for an hour, with or
// without a request body.
func TestStreamsMayTakeTheirTime(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"GET": "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST": fmt.Sprintf(head, 5) + "hello",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const events = 240
			serve(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
				out := http.NewResponseController(w)
				for n := range events {
					time.Sleep(15 * time.Second)
					_, err := io.WriteString(w, "data\n")
					if err = errors.Join(err, out.Flush(), r.Context().Err()); err != nil {
						t.Errorf("event %d: %v", n, err)
						return
					}
				}
			}, func(c net.Conn) {
				go io.WriteString(c, request)
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				lines := 0
				for s := bufio.NewScanner(res.Body); lines < events && s.Scan(); {
					lines++
				}
				if lines != events {
					t.Errorf("got %d events, want %d", lines, events)
				}
			})
		})
	}
}

// TestLateAnswers: a slow handler can still send its answer, and the next request on the
// connection has fresh deadlines.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "early, ")
		time.Sleep(time.Minute)
		io.WriteString(w, "late")
	}, func(c net.Conn) {
		in := bufio.NewReader(c)
		for range 2 {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := io.ReadAll(res.Body); string(got) != "early, late" {
				t.Errorf("got %q, %v", got, err)
			}
			res.Body.Close()
			time.Sleep(time.Minute)
		}
	})
}

package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// client posts over one persistent connection. It writes HTTP/1.1 itself: on a small
// machine shared with the receiver, net/http's client would cost more than the work it
// measures.
type client struct {
	address, name string
	secure        bool
	timeout       time.Duration
	head          []byte // request line and fixed headers
	out           []byte
	in            *bufio.Reader

	mu       sync.Mutex // guards conn and expiring
	conn     net.Conn
	expiring bool
}

// drainTime limits a request after the run is cancelled.
const drainTime = 2 * time.Second

func newClient(target *url.URL, timeout time.Duration) *client {
	c := &client{name: target.Hostname(), secure: target.Scheme == "https", timeout: timeout}
	port := target.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[c.secure]
	}
	c.address = net.JoinHostPort(c.name, port)
	c.head = append(c.head, "POST "+target.RequestURI()+" HTTP/1.1\r\nHost: "+target.Host+
		"\r\nUser-Agent: psi-router-loadtest\r\nContent-Type: application/json\r\nX-Hub-Signature-256: "...)
	c.in = bufio.NewReaderSize(nil, 4<<10)
	return c
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// expire makes the request under way end soon.
func (c *client) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expiring = true
	if c.conn != nil {
		_ = c.conn.SetDeadline(time.Now().Add(drainTime)) // on a dead connection the request ends by itself
	}
}

func (c *client) connect(ctx context.Context) error {
	c.mu.Lock()
	connected := c.conn != nil
	c.mu.Unlock()
	if !connected {
		ctx, cancel := context.WithTimeout(ctx, min(c.timeout, 5*time.Second))
		defer cancel()
		var conn net.Conn
		var err error
		if c.secure {
			conn, err = (&tls.Dialer{Config: &tls.Config{ServerName: c.name, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", c.address)
		} else {
			conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
		}
		if err != nil {
			return err
		}
		c.in.Reset(conn)
		c.mu.Lock()
		c.conn = conn
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := c.timeout
	if c.expiring {
		limit = drainTime
	}
	return c.conn.SetDeadline(time.Now().Add(limit))
}

// post sends one body and reads the answer. After an error the body may or may not have
// arrived.
func (c *client) post(ctx context.Context, signature string, body []byte) (status int, retryAfter time.Duration, err error) {
	if err = c.connect(ctx); err == nil {
		c.out = append(c.out[:0], c.head...)
		c.out = append(c.out, signature...)
		c.out = append(c.out, "\r\nContent-Length: "...)
		c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
		c.out = append(c.out, "\r\n\r\n"...)
		c.out = append(c.out, body...)
		if _, err = c.conn.Write(c.out); err == nil {
			var keep bool
			if status, retryAfter, keep, err = c.read(); err == nil && keep {
				return status, retryAfter, nil
			}
		}
	}
	c.close()
	return status, retryAfter, err
}

var errAnswer = errors.New("not an HTTP answer")

// read reads one answer; keep reports whether the connection can be used again.
func (c *client) read() (status int, retryAfter time.Duration, keep bool, err error) {
	for status < 200 { // 1xx is not the final answer
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, false, err
		}
		if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
			return 0, 0, false, errAnswer
		}
		if status, err = strconv.Atoi(string(line[9:12])); err != nil {
			return 0, 0, false, errAnswer
		}
		keep = line[7] == '1'
		length, chunked := int64(-1), false
		for {
			if line, err = c.in.ReadSlice('\n'); err != nil {
				return 0, 0, false, err
			}
			name, value, found := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
			if !found {
				break
			}
			value = bytes.TrimSpace(value)
			switch {
			case bytes.EqualFold(name, []byte("Content-Length")):
				if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
					return 0, 0, false, errAnswer
				}
			case bytes.EqualFold(name, []byte("Transfer-Encoding")):
				chunked = true
			case bytes.EqualFold(name, []byte("Connection")):
				keep = keep && !bytes.EqualFold(value, []byte("close"))
			case bytes.EqualFold(name, []byte("Retry-After")):
				if seconds, err := strconv.Atoi(string(value)); err == nil {
					retryAfter = time.Duration(seconds) * time.Second
				}
			}
		}
		switch {
		case status < 200 || status == 204 || status == 304:
		case chunked:
			if _, err = io.Copy(io.Discard, httputil.NewChunkedReader(c.in)); err == nil {
				_, err = c.in.ReadSlice('\n') // the empty line after the last chunk
			}
		case length >= 0:
			_, err = c.in.Discard(int(length))
		default:
			keep = false
		}
		if err != nil {
			return 0, 0, false, err
		}
	}
	return status, retryAfter, keep, nil
}

package httpcall_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/psivisionhub/psi-router/internal/httpcall"
)

// TestAbandonedRequestIsNotDelivered: an abandoned request is not delivered, even if the kernel still
// holds it because the server reads nothing.
func TestAbandonedRequestIsNotDelivered(t *testing.T) {
	t.Parallel()
	narrow := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	}}
	listener, err := narrow.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := httpcall.NewClient()
	defer client.CloseIdleConnections()

	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	written, timeout := make(chan struct{}), 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			raw, err := info.Conn.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Error(err)
				return
			}
			raw.Control(func(fd uintptr) {
				timeout, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			})
		},
		WroteRequest: func(httptrace.WroteRequestInfo) { close(written) },
	})
	body := bytes.Repeat([]byte("x"), 48<<10) // more than the server takes, less than the kernel buffers
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+listener.Addr().String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := httpcall.Do(client, req)
		done <- err
	}()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	select {
	case <-written: // the kernel has all of it
	case <-time.After(20 * time.Second):
		t.Fatal("the system keeps too little: this proves nothing")
	}
	giveUp()
	if err := <-done; err == nil {
		t.Fatal("it was answered")
	}
	server.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := io.Copy(io.Discard, server)
	if n >= int64(len(body)) {
		t.Errorf("all %d bytes came after it was given up (%v)", n, err)
	}
	if timeout != int(httpcall.Unacknowledged.Milliseconds()) {
		t.Errorf("the system goes on for %d ms, want %v", timeout, httpcall.Unacknowledged)
	}
}

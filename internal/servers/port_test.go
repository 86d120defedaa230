package servers

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestPortIsKept: nobody who asks for any port gets a kept one, however many are kept
// and asked for; who names it may listen on it, again and again, but no two at once.
func TestPortIsKept(t *testing.T) {
	t.Parallel()
	p, err := ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		c.Close()
		t.Error("somebody answers on a port that is only kept")
	}
	seen := map[int]bool{p.Number: true}
	for range 400 {
		other, err := ReservePort()
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if seen[other.Number] {
			t.Fatalf("port %d was given twice", other.Number)
		}
		seen[other.Number] = true
	}
	for range 400 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if n := l.Addr().(*net.TCPAddr).Port; seen[n] {
			t.Fatalf("port %d is kept, and somebody who asked for any got it", n)
		}
	}
	for range 2 {
		l, err := net.Listen("tcp", p.Addr())
		if err != nil {
			t.Fatalf("it is kept, but not for us: %v", err)
		}
		if _, err := net.Listen("tcp", p.Addr()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second one listens: %v", err)
		}
		c, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		c.Close() // it may wait for its peer's last word, as it does after a crash
	}
}

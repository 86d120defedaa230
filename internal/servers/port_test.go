package servers

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestPortIsKept: a request for any port never gets a reserved one, however many there are;
// a server that names the port may listen on it again and again, but no two at once.
func TestPortIsKept(t *testing.T) {
	t.Parallel()
	p, err := ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		c.Close()
		t.Error("a reserved port without a server answers")
	}
	seen := map[int]bool{p.Number: true}
	for range 400 {
		other, err := ReservePort()
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if seen[other.Number] {
			t.Fatalf("port %d was reserved twice", other.Number)
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
			t.Fatalf("port %d is reserved, and a listener on any port got it", n)
		}
	}
	for range 2 {
		l, err := net.Listen("tcp", p.Addr())
		if err != nil {
			t.Fatalf("its own server cannot listen on it: %v", err)
		}
		if _, err := net.Listen("tcp", p.Addr()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second one listens: %v", err)
		}
		c, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		c.Close() // its side closes first and stays in TIME_WAIT, as after a crash
	}
}

package servers

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Port is a loopback port that is kept for a server. The kernel gives it to nobody
// who asks for any port, neither to listen nor to call from, while the server that
// names it may listen there, stop, and come back.
type Port struct {
	Number int

	socket *os.File
}

// ReservePort keeps one that nobody uses. Close it in the end.
//
// A socket that is bound and does not listen holds it. It is bound for itself alone,
// so that no two get the same, and shares the port only then: with SO_REUSEADDR on
// both, as servers set it, another may listen (socket(7), ip(7)).
func ReservePort() (*Port, error) {
	p, err := reservePort()
	if err != nil {
		return nil, fmt.Errorf("keep a port: %w", err)
	}
	return p, nil
}

func reservePort() (_ *Port, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	p := &Port{socket: os.NewFile(uintptr(fd), "port")}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	p.Number = addr.(*syscall.SockaddrInet4).Port //nolint:forcetypeassert // as it was bound
	return p, nil
}

// Addr is host:port.
func (p *Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Close lets go of it. Who listens there goes on.
func (p *Port) Close() { p.socket.Close() }

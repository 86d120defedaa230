package servers

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Port is a loopback port reserved for a server. The kernel gives it to no process that
// asks for any port, neither to listen nor to connect from, while the server itself may
// listen on it, stop, and come back.
type Port struct {
	Number int

	socket *os.File
}

// ReservePort reserves a free port. The caller must Close it.
//
// A bound socket that does not listen holds the port. It binds without SO_REUSEADDR, so
// that no port is reserved twice, and sets the option only then: with SO_REUSEADDR on both
// sockets, as servers set it, another may listen (socket(7), ip(7)).
func ReservePort() (*Port, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reserve a port: socket: %w", err)
	}
	p := &Port{socket: os.NewFile(uintptr(fd), "port")}
	if err := p.bind(fd); err != nil {
		p.Close()
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	return p, nil
}

func (p *Port) bind(fd int) error {
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	p.Number = addr.(*syscall.SockaddrInet4).Port //nolint:forcetypeassert // as it was bound
	return nil
}

// Addr returns host:port.
func (p *Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Close releases the port. A server that listens on it goes on.
func (p *Port) Close() { p.socket.Close() }

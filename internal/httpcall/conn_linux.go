package httpcall

import (
	"net"

	"golang.org/x/sys/unix"
)

// limitDelivery sets TCP_USER_TIMEOUT, if it can. Without it an abandoned request is only
// reset, and the reset does not cross a partition.
func limitDelivery(c *net.TCPConn) {
	control(c, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(Unacknowledged.Milliseconds()))
	})
}

// hasUnacked reports whether the peer has not acknowledged all written bytes.
func hasUnacked(c *net.TCPConn) (is bool) {
	control(c, func(fd int) {
		n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		is = err == nil && n > 0
	})
	return is
}

func control(c *net.TCPConn, do func(fd int)) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // fails only if c is closed
}

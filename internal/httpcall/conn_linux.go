package httpcall

import (
	"net"

	"golang.org/x/sys/unix"
)

// limitDelivery does what it can: without it a request that was given up is only
// reset, which the other side does not notice behind a partition.
func limitDelivery(c *net.TCPConn) {
	control(c, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(Unacknowledged.Milliseconds()))
	})
}

// hasUnacked reports whether something was written that the other side has not
// acknowledged.
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
	_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // it fails on a closed one
}

package httpcall

import (
	"context"
	"net"
	"time"
)

// Unacknowledged is how long the system goes on delivering what was written and is
// not acknowledged. Who posts must have the right to for so long when the bytes
// leave: a partition that heals later brings nothing.
const Unacknowledged = 15 * time.Second

// Dial returns the DialContext of a transport. Its connections end when the other
// side acknowledges nothing for Unacknowledged, and nothing more of them is delivered
// once they are closed.
func Dial(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, nil
		}
		limitDelivery(tcp)
		return conn{tcp}, nil
	}
}

// conn is reset when it is closed with something under way: that is a request which
// was given up, and the system would deliver it still.
type conn struct{ *net.TCPConn }

func (c conn) Close() error {
	if hasUnacked(c.TCPConn) {
		_ = c.SetLinger(0) // it is closed anyway
	}
	return c.TCPConn.Close()
}

package httpcall

import (
	"context"
	"net"
	"time"
)

// Unacknowledged is how long the kernel keeps delivering written bytes that the peer does not
// acknowledge. A lease on a post must last at least this long when its bytes leave; after a
// longer partition nothing is delivered.
const Unacknowledged = 15 * time.Second

// Dial returns the DialContext of a transport. Its connections fail if the peer acknowledges
// nothing for Unacknowledged, and the kernel delivers nothing more once they are closed.
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

// conn is reset if it is closed with unacknowledged bytes. They belong to an abandoned
// request, which the kernel would still deliver.
type conn struct{ *net.TCPConn }

func (c conn) Close() error {
	if hasUnacked(c.TCPConn) {
		_ = c.SetLinger(0) // Close follows in any case
	}
	return c.TCPConn.Close()
}

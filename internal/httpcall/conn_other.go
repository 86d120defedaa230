//go:build !linux

package httpcall

import "net"

// Other systems have no such limit, or none that is worth its code: the router is
// run on Linux.
func limitDelivery(*net.TCPConn) {}

func hasUnacked(*net.TCPConn) bool { return false }

//go:build !linux

package httpcall

import "net"

// Production runs on Linux, so other systems have no limit.
func limitDelivery(*net.TCPConn) {}

func hasUnacked(*net.TCPConn) bool { return false }

//go:build !linux

package server

import "net"

// checkPeer trusts the modes of the socket, where the system tells no more.
func checkPeer(net.Conn) error { return nil }

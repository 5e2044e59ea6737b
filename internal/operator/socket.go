package operator

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxSocketPath is the maximum length of a path that every system accepts, in bytes.
const maxSocketPath = 100

// socket is the path of the operator's socket of a data directory: always inside the
// directory, where no other user can create one. path is valid until Close.
type socket struct {
	path string
	dir  *os.File // the directory that path goes through if the full path is too long; or nil
}

func socketOf(data string) (socket, error) {
	abs, err := filepath.Abs(data)
	if err != nil {
		return socket{}, err
	}
	if path := filepath.Join(abs, "operator.sock"); len(path) <= maxSocketPath {
		return socket{path: path}, nil
	}
	d, err := os.Open(abs)
	if err != nil {
		return socket{}, err
	}
	path, err := pathBy(d)
	if err != nil {
		return socket{}, errors.Join(err, d.Close())
	}
	return socket{path: filepath.Join(path, "operator.sock"), dir: d}, nil
}

func (s socket) Close() error {
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// Listen binds the socket of a data directory, for this user and root only. The
// caller holds the directory's lock, so an existing socket was left behind by an
// earlier process.
func Listen(data string) (net.Listener, error) {
	at, err := socketOf(data)
	if err != nil {
		return nil, fmt.Errorf("the operator's socket: %w", err)
	}
	if err := os.Remove(at.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the operator's socket: %w", errors.Join(err, at.Close()))
	}
	l, err := net.Listen("unix", at.path)
	if err != nil {
		return nil, fmt.Errorf("the operator's socket: %w", errors.Join(err, at.Close()))
	}
	if err := os.Chmod(at.path, 0o600); err != nil {
		return nil, fmt.Errorf("the operator's socket: %w", errors.Join(err, l.Close(), at.Close()))
	}
	return trustedPeers{l, at}, nil
}

// trustedPeers closes connections of other users, even if the modes of the socket and its
// directory were changed.
type trustedPeers struct {
	net.Listener
	at socket
}

// Close removes the socket.
func (l trustedPeers) Close() error { return errors.Join(l.Listener.Close(), l.at.Close()) }

func (l trustedPeers) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || checkPeer(c) == nil {
			return c, err
		}
		c.Close()
	}
}

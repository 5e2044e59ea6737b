package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// logs writes the log in the background, so that no request waits for a reader that is
// slow, stopped or closed. Lines that do not fit are dropped, and their number is logged
// once writing continues.
type logs struct {
	path string // "" if the log does not go to a file that we opened
	line func(dropped int) string

	mu      sync.Mutex
	out     io.Writer
	waiting bytes.Buffer
	dropped int
	ended   bool

	writing sync.Mutex // held before mu
	wake    chan struct{}
	done    chan struct{}
}

const (
	// maxWaiting bounds the bytes that wait for the reader.
	maxWaiting = 1 << 20
	// lastWrites is how long end waits for the reader.
	lastWrites = time.Second
)

// startLogs writes to path, or to out if path is "".
func startLogs(out io.Writer, path, format string) (*logs, error) {
	l := &logs{path: path, out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.line = func(n int) string {
		if format == "json" {
			return fmt.Sprintf(
				"{\"level\":\"WARN\",\"msg\":\"lines of the log were dropped: it was not read fast "+
					"enough\",\"count\":%d}\n",
				n,
			)
		}
		return fmt.Sprintf("level=WARN msg=\"lines of the log were dropped: it was not read fast enough\" count=%d\n",
			n)
	}
	if path != "" {
		f, err := openLog(path)
		if err != nil {
			return nil, err
		}
		l.out = f
	}
	go l.run()
	return l, nil
}

func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--log-file: %w", err)
	}
	return f, nil
}

// Write takes a line and never waits for the reader.
func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	if l.waiting.Len()+len(p) > maxWaiting {
		l.dropped++
	} else {
		l.waiting.Write(p)
	}
	l.mu.Unlock()
	l.signal()
	return len(p), nil
}

func (l *logs) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // the writer is already notified
	}
}

func (l *logs) run() {
	defer close(l.done)
	var chunk []byte
	for range l.wake {
		for {
			l.writing.Lock()
			l.mu.Lock()
			chunk = append(chunk[:0], l.waiting.Bytes()...)
			l.waiting.Reset()
			if l.dropped > 0 {
				chunk = append(chunk, l.line(l.dropped)...)
				l.dropped = 0
			}
			out, ended := l.out, l.ended
			l.mu.Unlock()
			out.Write(chunk) // if the reader is gone, the chunk is lost
			l.writing.Unlock()
			switch {
			case len(chunk) > 0:
				continue
			case ended:
				return
			}
			break
		}
	}
}

// reopen writes to a new file of the same name, after the old one was moved.
func (l *logs) reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := openLog(l.path)
	if err != nil {
		return err // the old file stays in use
	}
	l.writing.Lock() // files do not block for long
	defer l.writing.Unlock()
	l.mu.Lock()
	old := l.out
	l.out = f
	l.mu.Unlock()
	if c, ok := old.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// end writes the lines that still wait, unless the reader has stopped.
func (l *logs) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.signal()
	select {
	case <-l.done:
	case <-time.After(lastWrites):
	}
}

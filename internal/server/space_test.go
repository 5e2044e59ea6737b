package server

import (
	"errors"
	"math"
	"testing"

	"watertight/internal/storage/kv"
)

func TestSpace(t *testing.T) {
	var free int64
	var err error
	s := &space{minimum: 100, free: func(string) (int64, error) { return free, err }}
	for _, step := range []struct {
		free int64
		err  error
		want kv.Space
	}{
		{100, nil, kv.Ample}, {99, nil, kv.DeletesOnly}, {25, nil, kv.DeletesOnly}, {24, nil, kv.Full}, {0, nil, kv.Full},
		{math.MaxInt64, errors.New("unknown"), kv.Full}, {math.MaxInt64, nil, kv.Ample}, {0, errors.New("unknown"), kv.Ample},
	} {
		free, err = step.free, step.err
		if s.measure(); s.room() != step.want {
			t.Errorf("%d bytes free, %v: %v, want %v", step.free, step.err, s.room(), step.want)
		}
	}
	if n, err := freeBytes(t.TempDir()); err != nil || n <= 0 {
		t.Errorf("the disk: %d, %v", n, err)
	}
	if _, err := freeBytes("/no/such/place"); err == nil {
		t.Error("a place that is not there has room")
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "::ffff:10.0.0.1": false, "10.0.0.1": false, "127.0.0.1.example.com": false,
		"localhost.example.com": false, "0177.0.0.1": false, "128.0.0.1": false,
	} {
		if isLoopback(host) != want {
			t.Errorf("isLoopback(%q) is %v", host, !want)
		}
	}
}

// TestSpaceCountsWhatIsTaken: between two looks at the disk no number of
// uploads takes what is to stay free.
func TestSpaceCountsWhatIsTaken(t *testing.T) {
	free := int64(1000)
	s := &space{minimum: 100, free: func(string) (int64, error) { return free, nil }}
	s.measure()
	if !s.Fits(900) || s.Fits(901) {
		t.Error("what fits is not what is free beyond the minimum")
	}
	taken := 0
	for s.Take(90) {
		taken++
	}
	if taken != 10 || s.Fits(1) || !s.Fits(0) {
		t.Errorf("%d pieces were taken", taken)
	}
	free = 500 // they were written, and some dropped
	if s.measure(); !s.Take(400) || s.Take(1) {
		t.Error("the next look does not count what is there")
	}
}

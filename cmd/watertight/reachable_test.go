package main

import "testing"

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"0.0.0.0:9000": "127.0.0.1:9000", "[::]:9000": "127.0.0.1:9000", "127.0.0.1:1": "127.0.0.1:1",
		"192.0.2.1:9000": "192.0.2.1:9000", "[::1]:9": "[::1]:9",
	} {
		t.Run(addr, func(t *testing.T) {
			if got := reachable(addr); got != want {
				t.Errorf("%s: %s, want %s", addr, got, want)
			}
		})
	}
}

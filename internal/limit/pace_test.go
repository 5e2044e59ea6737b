package limit

import (
	"context"
	"errors"
	"testing"
)

func TestPace(t *testing.T) {
	p := NewPace(1 << 40)
	for range 100 {
		if err := p.Wait(t.Context(), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	p = NewPace(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx, 1<<20); !errors.Is(err, context.Canceled) {
		t.Error("the pace does not wait:", err)
	}
}

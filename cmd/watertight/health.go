package main

import (
	"errors"
	"fmt"
	"time"

	"watertight/internal/operator"
)

// health asks the running server for its state, for the probes of containers.
type health struct{ running }

// Run fails if the store takes no reads.
func (c *health) Run(p process) error {
	o := operator.Dial(c.Data)
	h, err := o.Health(p.ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(p.stdout, h)
	word := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(p.stdout, "root key source: %s\nkeyring: %s\n", word[h.RootKey], word[h.Keyring])
	switch {
	case h.Anchor == nil:
	case h.Anchor.Behind == 0:
		fmt.Fprintln(p.stdout, "anchor: up to date")
	default:
		fmt.Fprintf(p.stdout, "anchor: %v behind\n", h.Anchor.Behind.Round(time.Second))
	}
	if !h.Reads {
		return errors.New("the store accepts no reads")
	}
	return nil
}

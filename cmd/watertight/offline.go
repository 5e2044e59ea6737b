package main

import (
	"errors"
	"fmt"
	"io"

	"watertight/internal/datadir"
)

// exitDamaged tells scripts that something is damaged or lost.
const exitDamaged = 4

var errDamaged = errors.New("something is damaged or lost; watertight recover --to DIR copies everything that " +
	"authenticates")

// check inspects a data directory that no server runs on.
type check struct {
	sealedData
	Anchor   string `help:"Compare the store with its anchor, as a start does; see serve." env:"WATERTIGHT_ANCHOR" placeholder:"PATH|URL"`
	ReadData bool   `help:"Read the bytes of all objects as well, and verify them."`
}

// Run prints one line for each damaged item.
func (c *check) Run(p process) error {
	options := c.options(p)
	options.Anchor = c.Anchor
	found, err := datadir.Check(p.ctx, options, c.ReadData)
	if err == nil && found.Anchor != "" {
		_, err = fmt.Fprintln(p.stdout, found.Anchor)
	}
	if err == nil && !c.ReadData {
		_, err = fmt.Fprintln(p.stdout, "the bytes of objects were not read: --read-data reads them, and so does "+
			"watertight scrub while the server runs")
	}
	if perr := printInspection(p.stdout, found); err == nil {
		err = perr
	}
	if err == nil && len(found.Findings) > 0 {
		err = errDamaged
	}
	return err
}

// recoverData recovers what can be read from a data directory.
type recoverData struct {
	sealedData
	To string `help:"New data directory, which is created." required:"" placeholder:"DIR"`
}

// Run prints one line for each lost item.
func (c *recoverData) Run(p process) error {
	found, err := datadir.Recover(p.ctx, c.options(p), c.To)
	if perr := printInspection(p.stdout, found); err == nil {
		err = perr
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Everything else is now in %s; serve it with the same root key.\n", c.To)
	return err
}

func printInspection(w io.Writer, i datadir.Inspection) error {
	for _, line := range i.Findings {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d records and %d blobs; %d findings\n", i.Records, i.Blobs, len(i.Findings))
	return err
}

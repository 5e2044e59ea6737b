package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
	"watertight/internal/rotation"
)

// rootKey holds the commands on the root key of the running server.
type rootKey struct {
	Status rootKeyStatus `cmd:"" help:"Show the root key's source and generations, and the newest rotation."`
	Rotate rootKeyRotate `cmd:"" help:"Give the root key a new generation and rewrap everything under it, while the server runs. Continues a rotation that was interrupted."`
}

type rootKeyStatus struct {
	running
	JSON bool `help:"Print JSON." name:"json"`
}

// Run prints the root key's source and generations.
func (c *rootKeyStatus) Run(p process) error {
	k, err := operator.Dial(c.Data).RootKey(p.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, k)
	}
	return printRootKey(p.stdout, k)
}

type rootKeyRotate struct {
	running
	To   string `help:"Seal the keyring under this source from now on; see --root-key of serve. A key file is made if it does not exist." placeholder:"SOURCE"`
	JSON bool   `help:"Print the report as JSON." name:"json"`
}

const rotationContinues = "A rotation that has started continues when the server runs again: see watertight rootkey " +
	"status."

// rotationPoll is how often progress is asked for.
const rotationPoll = time.Second

// Run starts a rotation and waits until it has ended. If Run is interrupted, the server continues.
func (c *rootKeyRotate) Run(p process) error {
	o := operator.Dial(c.Data)
	k, err := o.RotateRootKey(p.ctx, c.To)
	if err != nil && c.To != "" {
		return whenGone(err, "Restart the server with its old root key or, if it refuses that one, with "+c.To+". "+
			rotationContinues)
	}
	if err != nil {
		return whenGone(err, rotationContinues)
	}
	if c.To != "" {
		fmt.Fprintf(p.stderr, "The keyring is sealed under %s. Start the server with it from now on.\n", k.Source)
	}
	if err := c.wait(p.ctx, p.stderr, o); err != nil {
		return whenGone(err, rotationContinues)
	}
	if k, err = o.RootKey(p.ctx); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, k)
	}
	return printRootKey(p.stdout, k)
}

// wait prints a line whenever the rotation has made progress.
func (c *rootKeyRotate) wait(ctx context.Context, w io.Writer, o *operator.Client) error {
	shown := ""
	for {
		r, err := o.RotationReport(ctx)
		if err != nil {
			return err
		}
		if !r.Ended.IsZero() {
			return nil
		}
		if r.Error != "" {
			return errors.New("the rotation did not end, and the server tries again in a minute: " + r.Error)
		}
		if line := progress(r); line != shown {
			fmt.Fprintln(w, line)
			shown = line
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted; the server goes on with the rotation")
		case <-time.After(rotationPoll):
		}
	}
}

func progress(r rotation.Report) string {
	line := fmt.Sprintf("generation %d: %s", r.Generation, r.Phase)
	for _, p := range r.Parts {
		line += fmt.Sprintf("; %s: %d of %d", p.Name, p.Rewrapped, p.Seen)
	}
	return line
}

func printRootKey(out io.Writer, k operator.RootKey) error {
	reachable := ""
	if !k.Reachable {
		reachable = " (lost: the next start would be refused)"
	}
	fmt.Fprintf(out, "Source: %s%s\n", k.Source, reachable)
	if len(k.Locks) > 1 {
		fmt.Fprintf(out, "A move to another source was not finished, and each of these opens the keyring: %s. "+
			"Rotate again.\n", strings.Join(k.Locks, ", "))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GENERATION\tMADE\tUSE")
	for _, g := range k.Generations {
		made, use := "unknown", "opens what it wrapped"
		if !g.Made.IsZero() {
			made = g.Made.UTC().Format(time.RFC3339)
		}
		if g.Current {
			use = "wraps"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", g.Number, made, use)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return printRotation(out, k.Rotation)
}

func printRotation(out io.Writer, r rotation.Report) error {
	if r.Generation == 0 {
		return nil
	}
	state := r.Phase
	if !r.Ended.IsZero() {
		state = "ended " + r.Ended.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(out, "\nRotation to generation %d: %s\n", r.Generation, state)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFOUND\tWRAPPED ANEW\tFAILED")
	for _, p := range r.Parts {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", p.Name, p.Seen, p.Rewrapped, p.Failed)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, left := range r.Remains {
		fmt.Fprintf(out, "Generation %d stays for %d %s.\n", left.Generation, left.Count, left.What)
	}
	return nil
}

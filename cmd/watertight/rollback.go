package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"watertight/internal/operator"
)

// rollback rolls a bucket back to an instant.
type rollback struct {
	running
	progressFlag
	Where  string `arg:"" help:"s3://BUCKET or s3://BUCKET/PREFIX." placeholder:"S3URI"`
	To     string `help:"The moment: a time such as 2026-11-30T09:00:00Z, a date (its beginning in UTC), or how long ago: 90m, 2h, 3d." required:"" placeholder:"TIME"`
	DryRun bool   `help:"List what would come back, change and be hidden, and change nothing."`
	After  string `help:"Continue with the keys after this one." placeholder:"KEY"`
	JSON   bool   `help:"Print a line of JSON for each key that a dry run lists, and a last one with the result." name:"json"`
}

var errUnreadable = errors.New("some keys were left as they are: their records can't be read; " +
	"a scrub says what is wrong with them")

// Run rolls back, or makes a dry run, and prints the changes.
func (c *rollback) Run(p process) error {
	name, prefix, err := parsePrefix(c.Where)
	if err != nil {
		return err
	}
	in := operator.RollbackCommand{Bucket: name, Prefix: prefix, To: c.To, After: c.After, DryRun: c.DryRun}
	bar := c.bar(p)
	last, pages := operator.Rollback{Next: c.After}, -1 // the first progress is no page
	done, err := operator.Dial(c.Data).Rollback(p.ctx, in, func(r operator.RollbackProgress) error {
		last = r.Done
		pages++
		if len(r.Entries) > 0 {
			bar.clear()
		}
		for i := range r.Entries {
			if err := c.print(p, &r.Entries[i]); err != nil {
				return err
			}
		}
		return bar.show(fmt.Sprintf("%d keys changed, %d as they were", last.Restored+last.Changed+last.Hidden,
			last.Unchanged))
	})
	bar.clear()
	if err != nil {
		if p.ctx.Err() != nil || errors.Is(err, operator.ErrGone) || pages > 0 {
			c.resume(p, &last)
		}
		return err
	}
	if err := c.summarize(p, &done); err != nil {
		return err
	}
	if done.Skipped > 0 {
		return errUnreadable
	}
	return nil
}

// resume prints the command that continues an interrupted rollback. It names the instant that
// the server used, because "2h" would mean another one by then.
func (c *rollback) resume(p process, last *operator.Rollback) {
	to := c.To
	if !last.To.IsZero() {
		to = last.To.Format(time.RFC3339Nano)
	}
	command := fmt.Sprintf("watertight rollback %q --to %s", c.Where, to)
	if last.Next != "" {
		command += fmt.Sprintf(" --after %q", last.Next)
	}
	if c.DryRun {
		command += " --dry-run"
	}
	fmt.Fprintf(p.stderr, "to go on: %s\n", command)
}

func (c *rollback) print(p process, e *operator.RollbackEntry) error {
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(struct{ Key *operator.RollbackEntry }{e})
	}
	what := ""
	if e.VersionID != "" {
		what = fmt.Sprintf("  version %s of %s, %d bytes", e.VersionID, e.Modified.UTC().Format(time.RFC3339), e.Size)
	}
	switch {
	case e.Public:
		what += ", public"
	case e.Private:
		what += ", no longer public"
	}
	_, err := fmt.Fprintf(p.stdout, "%-7s  %q%s\n", strings.ToLower(string(e.Action)), e.Key, what)
	return err
}

func (c *rollback) summarize(p process, d *operator.Rollback) error {
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(struct{ RolledBack *operator.Rollback }{d})
	}
	verb := "is"
	if c.DryRun {
		verb = "would be"
	}
	_, err := fmt.Fprintf(p.stdout, "%s %s as it was at %s\n"+
		"  %d objects come back, %d change, %d are hidden by delete markers; %d bytes\n"+
		"  %d keys are already as they were, %d were skipped\n",
		c.Where, verb, d.To.Format(time.RFC3339Nano), d.Restored, d.Changed, d.Hidden, d.Bytes, d.Unchanged,
		d.Skipped)
	if err == nil && d.Public > 0 {
		_, err = fmt.Fprintf(p.stdout, "  %d come back with public grants in their ACLs\n", d.Public)
	}
	if err == nil && d.Private > 0 {
		_, err = fmt.Fprintf(p.stdout,
			"  %d come back without the public grants of their ACLs: BlockPublicAcls is on\n", d.Private)
	}
	return err
}

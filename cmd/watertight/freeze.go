package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
)

// freezes holds the commands on frozen principals; they talk to the running server.
type freezes struct {
	List freezeList `cmd:"" help:"List the principals whose writes to a bucket are refused."`
	Lift freezeLift `cmd:"" help:"Let a principal write to a bucket again."`
}

type freezeList struct {
	running
	Bucket string `arg:"" optional:"" help:"Name of the bucket, or s3://BUCKET; all buckets without one." placeholder:"BUCKET"`
	JSON   bool   `help:"Print JSON." name:"json"`
}

// Run lists the frozen principals.
func (c *freezeList) Run(p process) error {
	name, err := parseBucket(c.Bucket)
	if err != nil {
		return err
	}
	all, err := operator.Dial(c.Data).Freezes(p.ctx, name)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(p.stdout, "no principal is frozen")
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BUCKET\tID\tPRINCIPAL\tSINCE\tREASON")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Bucket, f.PrincipalID, f.Principal, f.Since.UTC().Format(time.RFC3339),
			f.Reason)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, "Lifecycle rules of these buckets wait until nobody is frozen there.")
	return err
}

type freezeLift struct {
	running
	Bucket    string `arg:"" help:"Name of the bucket, or s3://BUCKET." placeholder:"BUCKET"`
	Principal string `arg:"" help:"Unique id or ARN of the principal, as the list shows it." placeholder:"PRINCIPAL"`
}

// Run lifts a freeze.
func (c *freezeLift) Run(p process) error {
	name, err := parseBucket(c.Bucket)
	if err != nil {
		return err
	}
	f, err := operator.Dial(c.Data).LiftFreeze(p.ctx, name, c.Principal)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s (%s) may write to %s again\n", f.Principal, f.PrincipalID, f.Bucket)
	return err
}

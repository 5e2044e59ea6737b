package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
)

// lifecycles are commands about buckets' lifecycle configurations.
type lifecycles struct {
	Preview lifecyclePreview `cmd:"" help:"Say what the lifecycle of a bucket is going to do, and when; change nothing."`
}

// lifecyclePreview lists the coming actions of the rules.
type lifecyclePreview struct {
	running
	Bucket string `arg:"" help:"Name of the bucket, or s3://BUCKET." placeholder:"BUCKET"`
	At     string `help:"List only what is due at this instant (RFC 3339) or date; without it, the next action on each version and upload." placeholder:"TIME"`
	JSON   bool   `help:"Print JSON." name:"json"`
}

// Run prints the items and the sums.
func (c *lifecyclePreview) Run(p process) error {
	name, err := parseBucket(c.Bucket)
	if err != nil {
		return err
	}
	in := operator.LifecyclePreviewCommand{Bucket: name}
	if c.At != "" {
		if in.At, err = time.Parse(time.RFC3339, c.At); err != nil {
			if in.At, err = time.Parse(time.DateOnly, c.At); err != nil {
				return usageError{fmt.Errorf("--at %q is no instant such as 2030-01-02T00:00:00Z", c.At)}
			}
		}
	}
	out, err := operator.Dial(c.Data).PreviewLifecycle(p.ctx, in)
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		return e.Encode(out)
	}
	if err := printUpcoming(p.stdout, &out); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%d versions and delete markers in %s, judged at %s\n", out.Judged, name, when(out.At))
	for _, s := range out.Sums {
		fmt.Fprintf(p.stdout, "%s by rule %s: %d (%d bytes), %d of them due, the first at %s",
			s.Action+to(s.StorageClass), strconv.Quote(s.Rule), s.Count, s.Bytes, s.Due, when(s.First))
		if s.Kept > 0 {
			fmt.Fprintf(p.stdout, "; %d are locked and stay", s.Kept)
		}
		fmt.Fprintln(p.stdout)
	}
	switch {
	case len(out.Sums) == 0:
		fmt.Fprintln(p.stdout, "nothing is going to happen")
	case out.Frozen:
		fmt.Fprintf(p.stdout, "nothing is done before the freezes of %s are lifted: watertight freeze list\n", name)
	}
	return nil
}

func printUpcoming(on io.Writer, out *operator.LifecyclePreview) error {
	if len(out.Items) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(on, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "WHEN\tACTION\tRULE\tBYTES\tKEY\tVERSION OR UPLOAD")
	for _, i := range out.Items {
		action := i.Action + to(i.StorageClass)
		if i.Kept {
			action += " (locked: it stays)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", when(i.At), action, strconv.Quote(i.Rule), i.Size,
			strconv.Quote(i.Key), i.VersionID+i.UploadID)
	}
	if out.Cut {
		fmt.Fprintf(w, "... and more: %d are listed, and the sums count all\n", len(out.Items))
	}
	return w.Flush()
}

func to(class string) string {
	if class == "" {
		return ""
	}
	return " to " + class
}

func when(t time.Time) string { return t.UTC().Format(time.RFC3339) }

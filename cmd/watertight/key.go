package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
)

// rewrap moves versions to the newest material of their keys.
type rewrap struct {
	running
	progressFlag
	Where string `arg:"" help:"s3://BUCKET or s3://BUCKET/PREFIX." placeholder:"S3URI"`
	JSON  bool   `help:"Print the result as JSON." name:"json"`
}

var errLeft = errors.New("some data keys were not moved: their keys are disabled or gone, or they changed meanwhile; " +
	"run it again")

// Run moves them and prints how many there were.
func (c *rewrap) Run(p process) error {
	path, ok := strings.CutPrefix(c.Where, "s3://")
	name, prefix, _ := strings.Cut(path, "/")
	if !ok || name == "" {
		return usageError{fmt.Errorf("%q is not s3://BUCKET or s3://BUCKET/PREFIX", c.Where)}
	}
	bar := c.bar(p)
	done, err := operator.Dial(c.Data).Rewrap(p.ctx, operator.RewrapCommand{Bucket: name, Prefix: prefix},
		func(n operator.Rewrapped) error {
			return bar.show(fmt.Sprintf("%d versions, %d data keys moved", n.Versions, n.Changed))
		})
	bar.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p, done)
	} else {
		_, err = fmt.Fprintf(p.stdout, "%d versions and %d uploads under keys of KMS; %d of %d data keys moved, "+
			"%d failed, %d records changed meanwhile\n", done.Versions, done.Uploads, done.Changed, done.DataKeys,
			done.Failed, done.Left)
	}
	if err == nil && done.Failed+done.Left > 0 {
		err = errLeft
	}
	return err
}

// keyCommands are about customers' keys of KMS.
type keyCommands struct {
	Usage  keyUsage    `cmd:"" help:"Report which buckets, and how many versions in them, need a key. Looks at every version."`
	Delete keyDeletion `cmd:"" name:"schedule-deletion" help:"Show what needs a key, and with --confirm schedule its deletion."`
	Shreds keyShreds   `cmd:"" name:"shred-report" help:"List the versions that became unreadable because a key's material is gone."`
}

// keyDeletion shows what needs a key before it schedules the key's deletion.
type keyDeletion struct {
	oneKey
	Days    int  `help:"Days until the key is destroyed, from 7 to 30." default:"30" placeholder:"N"`
	Confirm bool `help:"Schedule the deletion. Without this flag, only what needs the key is shown."`
}

// Run shows what needs the key, and schedules its deletion if that is confirmed.
func (c *keyDeletion) Run(p process) error {
	usage := keyUsage{c.oneKey}
	if err := usage.Run(p); err != nil {
		return err
	}
	if !c.Confirm {
		_, err := fmt.Fprintln(p.stderr, "Nothing was scheduled. With --confirm, all of this becomes unreadable when "+
			"the window ends.")
		return err
	}
	done, err := operator.Dial(c.Data).ScheduleDeletion(p.ctx, operator.DeletionCommand{Key: c.Key, Days: c.Days})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, done)
	}
	_, err = fmt.Fprintf(p.stdout, "%s is destroyed at %s, unless CancelKeyDeletion is called before\n", done.KeyARN,
		done.DeletionDate.UTC().Format(time.RFC3339))
	return err
}

// oneKey names a key.
type oneKey struct {
	running
	progressFlag
	Key  string `arg:"" help:"Id or ARN of the key."`
	JSON bool   `help:"Print JSON." name:"json"`
}

type keyUsage struct{ oneKey }

// Run prints a line for each bucket.
func (c *keyUsage) Run(p process) error {
	bar := c.bar(p)
	all, err := operator.Dial(c.Data).KeyUsage(p.ctx, c.Key, func(seen int) error {
		return bar.show(fmt.Sprintf("%d versions looked at", seen))
	})
	bar.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, all)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BUCKET\tVERSIONS\tUPLOADS\tBYTES")
	for _, u := range all {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", u.Bucket, u.Versions, u.Uploads, u.Bytes)
	}
	return w.Flush()
}

type keyShreds struct{ oneKey }

// Run prints a line for each version.
func (c *keyShreds) Run(p process) error {
	n, err := operator.Dial(c.Data).Shredded(p.ctx, c.Key, func(u operator.UnderKey) error {
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(u)
		}
		what := "version " + u.VersionID
		if u.UploadID != "" {
			what = "upload " + u.UploadID
		}
		_, err := fmt.Fprintf(p.stdout, "s3://%s/%s %s\n", u.Bucket, u.Key, what)
		return err
	})
	if err != nil || c.JSON {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%d versions and uploads are unreadable\n", n)
	return err
}

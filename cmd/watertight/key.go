package main

import (
	"encoding/json"
	"errors"
	"fmt"
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
	name, prefix, err := parsePrefix(c.Where)
	if err != nil {
		return err
	}
	bar := c.bar(p)
	done, err := operator.Dial(c.Data).Rewrap(p.ctx, operator.RewrapCommand{Bucket: name, Prefix: prefix},
		func(n operator.Rewrapped) error {
			return bar.show(fmt.Sprintf("%d versions, %d data keys moved", n.Versions, n.Changed))
		})
	bar.clear()
	if err != nil {
		return whenGone(err, "Restart the server and run the same command again: it continues with what was not moved "+
			"yet.")
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
	Delete keyDeletion `cmd:"" name:"schedule-deletion" help:"Show what needs a key, and with --yes schedule its deletion. Exits with 5 if it only shows."`
	Shreds keyShreds   `cmd:"" name:"shred-report" help:"List the versions that became unreadable because a key's material is gone."`
}

// exitAsked tells scripts that a command showed what it would do, and did nothing.
const exitAsked = 5

var errAsked = errors.New("nothing was scheduled; with --yes, all of this becomes unreadable when the window ends")

// keyDeletion shows what needs a key before it schedules the key's deletion.
type keyDeletion struct {
	oneKey
	Days int  `help:"Days until the key is destroyed, from 7 to 30." default:"30" placeholder:"N"`
	Yes  bool `help:"Schedule the deletion. Without this flag, only what needs the key is shown."`
}

// deletion is what the command prints as JSON.
type deletion struct {
	Key       string
	State     string
	Usage     []operator.KeyUsage
	Scheduled *operator.Scheduled `json:",omitempty"`
}

// Run shows what needs the key, and schedules its deletion if that is confirmed.
func (c *keyDeletion) Run(p process) error {
	if c.Days < 7 || c.Days > 30 {
		return usageError{errors.New("--days must be from 7 to 30")}
	}
	o := operator.Dial(c.Data)
	key, err := o.KeyPublic(p.ctx, c.Key)
	if err != nil {
		return err
	}
	out := deletion{Key: key.Key, State: key.State}
	if out.Usage, err = c.usage(p, o); err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintf(p.stdout, "%s: %s\n", out.Key, out.State)
		if err := printUsage(p, out.Usage); err != nil {
			return err
		}
	}
	if c.Yes {
		done, err := o.ScheduleDeletion(p.ctx, operator.DeletionCommand{Key: c.Key, Days: c.Days})
		if err != nil {
			return err
		}
		out.Scheduled, out.State = &done, done.State
	}
	switch {
	case c.JSON:
		err = printJSON(p, out)
	case c.Yes:
		_, err = fmt.Fprintf(p.stdout, "it is destroyed at %s, unless CancelKeyDeletion is called before\n",
			out.Scheduled.DeletionDate.UTC().Format(time.RFC3339))
	}
	if err == nil && !c.Yes {
		err = errAsked
	}
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
	all, err := c.usage(p, operator.Dial(c.Data))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, all)
	}
	return printUsage(p, all)
}

// usage asks what needs the key, and shows how far that is.
func (c *oneKey) usage(p process, o *operator.Client) ([]operator.KeyUsage, error) {
	bar := c.bar(p)
	defer bar.clear()
	return o.KeyUsage(p.ctx, c.Key, func(seen int) error {
		return bar.show(fmt.Sprintf("%d versions looked at", seen))
	})
}

func printUsage(p process, all []operator.KeyUsage) error {
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

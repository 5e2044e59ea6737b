package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
)

// publicAccess holds the commands on Block Public Access; they talk to the
// running server.
type publicAccess struct {
	Status  publicStatus  `cmd:"" help:"Show what is blocked, and who can access a bucket. Exits with 3 if a bucket is open to strangers."`
	Block   publicBlock   `cmd:"" help:"Block public access: all four settings, of an account or of a bucket."`
	Unblock publicUnblock `cmd:"" help:"Unblock public access of an account or of a bucket. The stricter of both levels counts."`
}

// exitOpen tells scripts that a bucket is open to strangers.
const exitOpen = 3

// openError ends a command whose answer is that a bucket is open.
type openError struct{ what string }

func (e openError) Error() string { return e.what + " is open to strangers" }

// level names an account or a bucket.
type level struct {
	running
	Account string `help:"Id of the account." placeholder:"ID" xor:"level" required:""`
	Bucket  string `help:"Name of the bucket." placeholder:"NAME" xor:"level" required:""`
}

type publicStatus struct {
	level
	JSON bool `help:"Print JSON." name:"json"`
}

// Run shows the state of a level.
func (c *publicStatus) Run(p process) error {
	o := operator.Dial(c.Data)
	if c.Account != "" {
		a, err := o.AccountPublic(p.ctx, c.Account)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(p, a)
		}
		fmt.Fprintf(p.stdout, "account %s: %s\n", a.AccountID, saidOf(&a))
		return nil
	}
	return c.bucket(p, o)
}

func (c *publicStatus) bucket(p process, o *operator.Client) error {
	b, err := o.BucketPublic(p.ctx, c.Bucket)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p, b)
	} else {
		own := blocked(b.Own)
		if b.OwnNone {
			own = "no setting"
		}
		fmt.Fprintf(p.stdout, "bucket %s: %s\naccount %s: %s\neffective: %s\n", b.Bucket, own, b.AccountID,
			saidOf(&b.OfAccount), blocked(b.Effective))
		fmt.Fprintln(p.stdout, exposed(&b))
	}
	if err == nil && b.Open {
		err = openError{"bucket " + b.Bucket}
	}
	return err
}

// blocked names the settings that are on.
func blocked(s operator.PublicAccess) string {
	var on []string
	for _, n := range []struct {
		name string
		on   bool
	}{
		{"BlockPublicAcls", s.BlockPublicAcls}, {"IgnorePublicAcls", s.IgnorePublicAcls},
		{"BlockPublicPolicy", s.BlockPublicPolicy}, {"RestrictPublicBuckets", s.RestrictPublicBuckets},
	} {
		if n.on {
			on = append(on, n.name)
		}
	}
	switch len(on) {
	case 0:
		return "nothing is blocked"
	case 4:
		return "all four are on"
	}
	return strings.Join(on, ", ")
}

func saidOf(a *operator.AccountPublic) string {
	out := blocked(a.Blocked)
	if a.None {
		out = "no setting"
	}
	if a.Until != nil {
		out += ", until " + a.Until.UTC().Format(time.RFC3339)
	}
	if a.Reason != "" {
		out += fmt.Sprintf(" (%q)", a.Reason)
	}
	return out
}

// exposed says who can access a bucket.
func exposed(b *operator.BucketPublic) string {
	var out string
	switch {
	case b.Open:
		out = "OPEN: strangers get in; see watertight why-public " + b.Bucket
	case b.Public:
		out = "shut: its policy is public, and RestrictPublicBuckets keeps strangers and other accounts out"
	default:
		out = "shut: its policy names everyone it lets in"
		if !b.HasPolicy {
			out = "shut: it has no policy"
		}
	}
	if len(b.Accounts) > 0 {
		out += "\nother accounts that get in by name: " + strings.Join(b.Accounts, ", ")
	}
	if len(b.Services) > 0 {
		out += "\nservices: " + strings.Join(b.Services, ", ")
	}
	return out + deputies(b.Deputies)
}

// deputies warns of statements that let a service in whoever it acts for.
func deputies(all []operator.Deputy) (out string) {
	for _, d := range all {
		out += fmt.Sprintf("\nWARNING: Statement[%d] %s lets %s in for every account that uses this service: "+
			"require aws:SourceArn or aws:SourceAccount", d.Statement, d.Sid, d.Service)
	}
	return out
}

type publicBlock struct{ level }

// Run blocks.
func (c *publicBlock) Run(p process) error {
	o := operator.Dial(c.Data)
	return o.SetPublic(p.ctx, operator.PublicCommand{AccountID: c.Account, Bucket: c.Bucket, Block: true})
}

type publicUnblock struct {
	level
	Reason string        `help:"Reason, kept and written to the audit log. Required for an account." placeholder:"TEXT"`
	For    time.Duration `help:"Block the account again after this time: 2h, 30m." placeholder:"TIME"`
}

// Run unblocks.
func (c *publicUnblock) Run(p process) error {
	switch {
	case c.Account != "" && strings.TrimSpace(c.Reason) == "":
		return usageError{errors.New("unblocking an account needs --reason")}
	case c.Account == "" && c.For != 0:
		return usageError{errors.New("--for works with --account only")}
	case c.For < 0:
		return usageError{errors.New("--for must not be negative")}
	}
	o := operator.Dial(c.Data)
	return o.SetPublic(p.ctx, operator.PublicCommand{
		AccountID: c.Account, Bucket: c.Bucket, For: c.For, Reason: c.Reason,
	})
}

type whyPublic struct {
	running
	Name string `arg:"" help:"Name of a bucket, or id or ARN of a KMS key." placeholder:"BUCKET|KEY"`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Run prints why a bucket is public, and whether strangers can access it.
func (c *whyPublic) Run(p process) error {
	o := operator.Dial(c.Data)
	if strings.HasPrefix(c.Name, "arn:") {
		return c.key(p, o)
	}
	b, err := o.BucketPublic(p.ctx, c.Name)
	if err != nil && len(c.Name) == 36 { // the id of a key is a name that a bucket can have, too
		return c.key(p, o)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p, b)
	} else {
		printWhy(p.stdout, &b)
	}
	if err == nil && b.Open {
		err = openError{"bucket " + b.Bucket}
	}
	return err
}

// key prints who can use a key. No policy that is public can be put on one.
func (c *whyPublic) key(p process, o *operator.Client) error {
	k, err := o.KeyPublic(p.ctx, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p, k)
	} else {
		printKey(p.stdout, &k)
	}
	if err == nil && k.Public {
		err = openError{"key " + k.Key}
	}
	return err
}

func printKey(w io.Writer, k *operator.KeyPublic) {
	if k.Why == nil {
		fmt.Fprintf(w, "key %s is not public: every statement of its policy names a principal, or asks for the "+
			"account of the caller%s\n", k.Key, deputies(k.Deputies))
	} else {
		printReason(w, k.Why)
	}
	fmt.Fprintln(w, "state:", k.State)
	for _, line := range []struct {
		what string
		all  []string
	}{
		{"its policy names", k.Named}, {"services", k.Services}, {"other accounts", k.Accounts},
		{fmt.Sprintf("grantees of %d grants", k.Grants), k.Grantees},
	} {
		if len(line.all) > 0 {
			fmt.Fprintln(w, line.what+":", strings.Join(line.all, ", "))
		}
	}
}

func printWhy(w io.Writer, b *operator.BucketPublic) {
	if b.Why == nil {
		fmt.Fprintf(w,
			"bucket %s is not public: every statement of its policy names a principal or limits who calls or from "+
				"where, "+
				"and the addresses that they allow together are few and tell callers apart%s\n", b.Bucket,
			deputies(b.Deputies))
		return
	}
	printReason(w, b.Why)
	fmt.Fprintln(w, exposed(b))
}

// printReason prints why a policy is public.
func printReason(w io.Writer, why *operator.Opening) {
	if why.Statement < 0 {
		fmt.Fprintln(w, "its policy can't be read, and counts as public")
	} else {
		fmt.Fprintf(w, "Statement[%d] %s allows principal %q", why.Statement, why.Sid, why.Principal)
		for i, c := range why.Conditions {
			fmt.Fprintf(w, "%s %s %s %s", map[bool]string{true: " where", false: " and"}[i == 0], c.Key, c.Operator,
				strings.Join(c.Values, " or "))
		}
		fmt.Fprintln(w)
	}
	if why.Statement >= 0 {
		fmt.Fprintln(w, "it is public because", why.Because)
	}
	if why.Range != "" {
		fmt.Fprintln(w, "widest range of addresses:", why.Range)
	}
	switch r := why.Request; {
	case r == nil:
		fmt.Fprintln(w,
			"none of the requests that were tried gets in; the policy is still public, since its statements allow "+
				"callers that they do not name")
	default:
		fmt.Fprintf(w, "it lets in: %s, %s on %s from %s\n", r.Caller, r.Action, r.Resource, r.SourceIP)
	}
}

// policyCommands holds the commands on bucket policies.
type policyCommands struct {
	Preview policyPreview `cmd:"" help:"Show who would gain and who would lose access through a bucket policy, without putting it."`
}

type policyPreview struct {
	running
	Bucket string `arg:"" help:"Name of the bucket, or s3://BUCKET." placeholder:"BUCKET"`
	File   string `arg:"" help:"File with the policy; - is standard input." placeholder:"POLICY.json"`
	JSON   bool   `help:"Print JSON." name:"json"`
}

// maxPolicyFile is larger than the largest bucket policy, in bytes.
const maxPolicyFile = 64 << 10

// Run previews a policy.
func (c *policyPreview) Run(p process) error {
	name, err := parseBucket(c.Bucket)
	if err != nil {
		return err
	}
	in := io.Reader(os.Stdin)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPolicyFile))
	if err != nil {
		return err
	}
	o := operator.Dial(c.Data)
	out, err := o.PreviewPolicy(p.ctx, name, string(text))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, out)
	}
	return printPreview(p, &out)
}

func printPreview(p process, out *operator.Preview) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, c := range out.Changes {
		verb, where := "loses", c.Resource
		if c.Gains {
			verb = "gains"
		}
		if c.Conditional {
			where += " (where the statement's conditions hold)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Subject, verb, c.Action, where)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(out.Changes) == 0 {
		fmt.Fprintln(p.stdout, "nobody gains or loses anything")
	}
	if out.Public {
		fmt.Fprintln(p.stdout, "the policy is public")
	}
	if warned := deputies(out.Deputies); warned != "" {
		fmt.Fprintln(p.stdout, warned[1:])
	}
	if out.Refused {
		fmt.Fprintln(p.stdout, "PutBucketPolicy would be refused: BlockPublicPolicy is on")
	}
	if out.Cut {
		fmt.Fprintln(p.stdout, "not everything was compared: there are too many users, roles, statements or actions")
	}
	return nil
}

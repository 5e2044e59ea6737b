package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
)

// mfaCommands holds the commands on MFA devices; they use the running server.
type mfaCommands struct {
	Enroll mfaEnroll `cmd:"" help:"Make the root user's virtual MFA device: show its QR code for an authenticator app, and read two consecutive codes from standard input. Nothing is stored before they are right."`
	Import mfaImport `cmd:"" help:"Add a hardware token. Its seed, as the vendor sent it, is read from the first line of standard input, or from a file; two consecutive codes of the token prove that it is right."`
	List   mfaList   `cmd:"" help:"List MFA devices."`
	Remove mfaRemove `cmd:"" help:"Remove an MFA device, and take it from its owner."`
}

// ofAccount names the account of a device.
type ofAccount struct {
	running
	Account string `help:"Id of the account. It may be left out if there is only one." placeholder:"ID"`
}

// account returns the account's id.
func (c *ofAccount) account(p process, o *operator.Client) (string, error) {
	if c.Account != "" {
		return c.Account, nil
	}
	all, err := o.Accounts(p.ctx)
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", usageError{fmt.Errorf("there are %d accounts; name one with --account", len(all))}
	}
	return all[0].AccountID, nil
}

type mfaEnroll struct{ ofAccount }

// Run enrols the root user's device.
func (c *mfaEnroll) Run(p process) error {
	o := operator.Dial(c.Data)
	account, err := c.account(p, o)
	if err != nil {
		return err
	}
	there, err := o.MFADevices(p.ctx, account)
	if err != nil {
		return err
	}
	e, err := operator.NewRootEnrolment(account)
	if err != nil {
		return err
	}
	for _, d := range there {
		if d.SerialNumber == e.SerialNumber && d.Enabled != nil { // one without an owner is replaced
			return fmt.Errorf("there is an MFA device %s already; remove it first: watertight mfa remove %[1]s",
				e.SerialNumber)
		}
	}
	fmt.Fprintf(p.stdout, "Scan this code with an authenticator app, or type its secret. It is not shown again.\n\n")
	if err := printQR(p.stdout, e.URL); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "\nSecret: %s\nAccount: %s (30 seconds, 6 digits, SHA1)\n\n", inGroups(e.Seed),
		e.SerialNumber)
	return confirm(p, o, ask(p), operator.NewMFADevice{
		AccountID: account, Owner: "root", Seed: operator.Seed(e.Seed), Step: 30, Algorithm: "SHA1",
	})
}

// inGroups splits a secret that people type into groups of four.
func inGroups(secret string) string {
	var out strings.Builder
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(r)
	}
	return out.String()
}

type mfaImport struct {
	ofAccount
	Serial    string `help:"Serial number that is printed on the token: 9 to 128 letters, digits and +=,.@_- characters." required:"" placeholder:"SERIAL"`
	User      string `help:"User who owns the token, or root for the root user. Without it, the token waits for EnableMFADevice." placeholder:"NAME|root"`
	SeedFile  string `help:"File with the seed, hexadecimal or base32, in place of standard input." placeholder:"FILE" type:"existingfile"`
	Step      int    `help:"Seconds that the token shows a code." enum:"30,60" default:"30"`
	Algorithm string `help:"What the token makes its codes with." enum:"SHA1,SHA256" default:"SHA1"`
	NoConfirm bool   `help:"Do not ask for codes. A wrong seed, step or algorithm is noticed only when the token is needed."`
}

// maxSeed is longer than the longest seed, in bytes.
const maxSeed = 4096

// Run imports a token.
func (c *mfaImport) Run(p process) error {
	o := operator.Dial(c.Data)
	account, err := c.account(p, o)
	if err != nil {
		return err
	}
	typed := ask(p)
	var seed string
	if c.SeedFile != "" {
		f, err := os.Open(c.SeedFile)
		if err != nil {
			return err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxSeed))
		if err != nil {
			return err
		}
		seed = string(text)
	} else if seed, err = typed.secret("Seed of the token (hexadecimal or base32):"); err != nil {
		return err
	}
	in := operator.NewMFADevice{
		AccountID: account, SerialNumber: c.Serial, Owner: c.User, Seed: operator.Seed(seed), Step: c.Step,
		Algorithm: c.Algorithm,
	}
	if !c.NoConfirm {
		return confirm(p, o, typed, in)
	}
	return add(p, o, in)
}

// attempts is the number of attempts to type the codes.
const attempts = 3

// confirm adds a device with two codes, and asks again if they are wrong.
func confirm(p process, o *operator.Client, typed *answers, in operator.NewMFADevice) error {
	for n := 1; ; n++ {
		fmt.Fprintf(p.stderr, "Type two consecutive codes of the device: one, and the one that it shows next.\n")
		in.Codes = nil
		for len(in.Codes) < 2 {
			line, err := typed.line("Code:")
			if err != nil {
				return err
			}
			in.Codes = append(in.Codes, strings.Fields(line)...)
		}
		err := add(p, o, in)
		if n == attempts || !operator.IsWrongCode(err) {
			return err
		}
		fmt.Fprintln(p.stderr, "The codes are not two consecutive ones of this device, or one was used before.")
	}
}

func add(p process, o *operator.Client, in operator.NewMFADevice) error {
	d, err := o.AddMFADevice(p.ctx, in)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s is a device of %s.\n", d.SerialNumber, ownerOf(&d))
	return err
}

func ownerOf(d *operator.MFADevice) string {
	switch d.Owner {
	case "":
		return "nobody yet"
	case "root":
		return "the root user"
	}
	return "user " + d.Owner
}

// answers reads lines from standard input.
type answers struct {
	p     process
	lines <-chan string
}

// ask begins to read standard input. The reader ends with the process: a read of a
// terminal cannot be interrupted, but nobody has to wait for it.
func ask(p process) *answers {
	lines := make(chan string)
	go func(ctx context.Context) {
		defer close(lines)
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}(p.ctx)
	return &answers{p, lines}
}

// line returns the next line. It fails if the process is interrupted.
func (a *answers) line(prompt string) (string, error) {
	fmt.Fprint(a.p.stderr, prompt, " ")
	select {
	case text, ok := <-a.lines:
		if ok {
			return text, nil
		}
	case <-a.p.ctx.Done():
	}
	if a.p.ctx.Err() != nil { // it ends the reader, too
		fmt.Fprintln(a.p.stderr)
		return "", errors.New("interrupted; no device was added")
	}
	return "", errors.New("standard input ended; no device was added")
}

// secret is line for a text that a terminal must not show.
func (a *answers) secret(prompt string) (string, error) {
	show := hideTyping(int(os.Stdin.Fd()))
	defer func() {
		if show() {
			fmt.Fprintln(a.p.stderr) // the line break was not shown either
		}
	}()
	return a.line(prompt)
}

type mfaList struct {
	running
	Account string `help:"Id of the account. Without it, all are listed." placeholder:"ID"`
	JSON    bool   `help:"Print JSON." name:"json"`
}

// Run lists devices.
func (c *mfaList) Run(p process) error {
	all, err := operator.Dial(c.Data).MFADevices(p.ctx, c.Account)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, all)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tOWNER\tSERIAL NUMBER\tKIND\tCODES\tENABLED")
	for _, d := range all {
		enabled := "no"
		if d.Enabled != nil {
			enabled = d.Enabled.UTC().Format(time.RFC3339)
		}
		if d.LockedUntil != nil {
			enabled += ", locked until " + d.LockedUntil.UTC().Format(time.RFC3339)
		}
		owner := d.Owner
		if owner == "" {
			owner = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s, %d s\t%s\n", d.AccountID, owner, d.SerialNumber, d.Kind, d.Algorithm,
			d.Step, enabled)
	}
	return w.Flush()
}

type mfaRemove struct {
	ofAccount
	Serial string `arg:"" help:"Serial number of the device: what is printed on a token, or the ARN of a virtual device." placeholder:"SERIAL"`
}

// Run removes a device.
func (c *mfaRemove) Run(p process) error {
	o := operator.Dial(c.Data)
	if parts := strings.Split(c.Serial, ":"); c.Account == "" && len(parts) == 6 {
		c.Account = parts[4] // of the ARN
	}
	account, err := c.account(p, o)
	if err != nil {
		return err
	}
	return o.RemoveMFADevice(p.ctx, operator.DeviceCommand{AccountID: account, SerialNumber: c.Serial})
}

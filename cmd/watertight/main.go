// Command watertight is an S3-compatible object store that cannot be left open. This
// package contains only flags and subcommands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"watertight/internal/storage/rootkey"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// commands is the command line.
type commands struct {
	Serve   serve          `cmd:"" help:"Run the server. The first start creates the data directory, the root key and an account, and prints its access key once."`
	Account account        `cmd:"" help:"Create and list accounts of the running server."`
	Public  publicAccess   `cmd:"" name:"public-access" help:"Show, block and unblock public access."`
	Why     whyPublic      `cmd:"" name:"why-public" help:"Explain why a bucket is public, with a request that gets in, or who can use a KMS key. Exits with 3 if it is open to strangers."`
	Check   check          `cmd:"" help:"Report what is damaged or lost in a data directory. Changes nothing; no server may be running on it. Exits with 4 if something is."`
	Recover recoverData    `cmd:"" help:"Copy everything that authenticates from a damaged data directory into a new one. The old one is not changed."`
	Scrub   scrub          `cmd:"" help:"Read everything that is stored, and check that it is complete, undamaged ciphertext. Reports what is bad and puts damaged files into quarantine. Exits with 4 if something is bad."`
	Rewrap  rewrap         `cmd:"" help:"Move objects under keys of KMS to the newest material of their keys. Their bytes are not touched. Exits with 4 if some could not be moved."`
	Key     keyCommands    `cmd:"" help:"Report what needs a key of KMS, schedule its deletion, and report what became unreadable without it."`
	Backup  backup         `cmd:"" help:"Copy the data of the running server into a folder of backups: consistent, and only what is new. The root key is not in it."`
	Restore restore        `cmd:"" help:"Make a new data directory from a backup, and verify it; or verify a backup."`
	Audit   auditCommands  `cmd:"" help:"Verify and export the audit log, and accept the loss of part of it."`
	Anchor  anchorCommands `cmd:"" help:"Show the anchor of a store, and accept a store that is not the anchored one, such as a restored backup."`
	Roll    rollback       `cmd:"" name:"rollback" help:"Take a bucket, or the keys that begin with a prefix, back to a moment. Only adds versions and delete markers. Exits with 4 if keys were skipped."`
	History history        `cmd:"" help:"List the versions of an object: when, who wrote each, from where, with which key."`
	MFA     mfaCommands    `cmd:"" name:"mfa" help:"Enrol, import, list and remove MFA devices."`
	Cycle   lifecycles     `cmd:"" name:"lifecycle" help:"Say what the lifecycle configuration of a bucket is going to do."`
	Freeze  freezes        `cmd:"" help:"List and lift what the ransom alarm has frozen."`
	CDN     cdnCommands    `cmd:"" name:"cdn" help:"Serve private buckets by the content delivery network, show its state, and purge its caches."`
	Edge    edgeCommands   `cmd:"" help:"Run an edge on another machine than the store, and manage the credentials of such edges."`
	Policy  policyCommands `cmd:"" help:"Preview bucket policies."`
	RootKey rootKey        `cmd:"" name:"rootkey" help:"Show and rotate the root key."`
	Health  health         `cmd:"" help:"Report whether the running server accepts reads and writes. Exits with 1 if it accepts no reads."`
	Version version        `cmd:"" help:"Print the version."`
}

// process is the part of the process that a command may use.
type process struct {
	ctx            context.Context
	stdout, stderr io.Writer
	getenv         func(string) string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(process{ctx, os.Stdout, os.Stderr, os.Getenv}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run parses the arguments and runs a command.
func run(p process, args []string) int {
	if err := noCoreDumps(); err != nil {
		fmt.Fprintln(p.stderr, "watertight: core dumps stay on:", err)
	}
	var c commands
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("watertight"),
		kong.Description("An S3-compatible object store that cannot be left open."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
		kong.Vars{"passvar": rootkey.PassphraseVariable, "data": defaultData(p.getenv), "rootkey": defaultRootKey()},
	)
	if err != nil {
		fmt.Fprintln(p.stderr, "watertight:", err)
		return exitFailure
	}
	k, err := parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		fmt.Fprintf(p.stderr, "watertight: %v\nRun \"watertight --help\" for usage.\n", err)
		return exitUsage
	}
	if err := k.Run(p); err != nil {
		fmt.Fprintln(p.stderr, "watertight:", err)
		switch {
		case errors.As(err, new(usageError)):
			return exitUsage
		case errors.As(err, new(openError)):
			return exitOpen
		case errors.Is(err, errDamaged), errors.Is(err, errFindings), errors.Is(err, errIncomplete),
			errors.Is(err, errLeft), errors.Is(err, errUnreadable):
			return exitDamaged
		case errors.Is(err, errAsked):
			return exitAsked
		case errors.Is(err, errSkipped):
			return exitSkipped
		}
		return exitFailure
	}
	return exitOK
}

// usageError is a usage error that only the command itself can detect.
type usageError struct{ error }

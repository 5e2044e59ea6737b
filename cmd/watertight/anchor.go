package main

import (
	"errors"
	"strings"

	"watertight/internal/datadir"
)

// anchorCommands work on a data directory and its anchor.
type anchorCommands struct {
	Show   anchorShow   `cmd:"" help:"Print the newest anchor as JSON."`
	Accept anchorAccept `cmd:"" help:"Let a server start on a store that its anchor does not know or that is older, such as a restored backup. The next audit event records it. The server must not be running."`
}

// anchorFlags name a data directory, its root key and its anchor.
type anchorFlags struct {
	sealedData
	Anchor string `help:"Where the anchor is; see serve." required:"" env:"WATERTIGHT_ANCHOR" placeholder:"PATH|URL"`
}

type anchorShow struct{ anchorFlags }

// Run prints the anchor.
func (c *anchorShow) Run(p process) error {
	shown, err := datadir.ReadAnchor(p.ctx, c.options(p), c.Anchor)
	if err != nil {
		return err
	}
	return printJSON(p, shown)
}

type anchorAccept struct {
	anchorFlags
	Region string `help:"Region of all buckets." default:"us-east-1" env:"WATERTIGHT_REGION"`
	Reason string `help:"Why this store is to be served; recorded in the audit log." required:"" placeholder:"TEXT"`
}

// Run accepts the store.
func (c *anchorAccept) Run(p process) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("--reason must not be empty")}
	}
	options := c.options(p)
	options.Region = c.Region
	done, err := datadir.AcceptAnchor(p.ctx, options, c.Anchor, c.Reason)
	if err != nil {
		return err
	}
	return printJSON(p, done)
}
